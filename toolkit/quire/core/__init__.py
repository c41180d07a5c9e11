"""The words everybody uses: messages, events, usage, types, errors and ports.

Imports nothing of ours, never awaits. Whatever two rooms have to agree on is written down here once.
"""

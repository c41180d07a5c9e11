"""The record of a run: events are appended, followed and folded, never changed."""

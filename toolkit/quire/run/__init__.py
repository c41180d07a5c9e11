"""The engine: what can be run, the one bracket around it, and the handle on what runs."""

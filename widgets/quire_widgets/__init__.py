"""Quire in a notebook."""


def register() -> None:
    """Do nothing yet."""

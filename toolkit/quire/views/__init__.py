"""Folds for people: graphs, conversations and tables, all read from the log and nothing else."""

from quire.views import drawing, tables

__all__ = ["drawing", "tables"]

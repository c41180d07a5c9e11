"""Folds of the log for people and machines: graphs, conversations, costs, tables, drawings."""

"""Shapes of work: steps, and pipelines that order themselves."""

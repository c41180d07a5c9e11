"""The outside world, one vendor a file; each imports `quire.core` only and is found by its entry point."""

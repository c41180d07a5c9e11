"""One mind: a model, its instructions and tools, and the turn that ties them together."""

"""Where heavy work runs: steps hand over a function and chunks, and get results in the same order."""

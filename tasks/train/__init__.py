"""Step 8: trains a model on a mixture, in a process of its own."""

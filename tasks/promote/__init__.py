"""Step 10: promotes only what is proven better."""

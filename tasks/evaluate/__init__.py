"""Step 9: scores champion and challenger on the same items."""

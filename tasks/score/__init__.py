"""Step 4: says what each row is worth, as columns of curated."""

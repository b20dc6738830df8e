"""Step 7: decides what each training reads."""

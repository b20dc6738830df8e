"""Step 6: generates conversations and preference pairs."""

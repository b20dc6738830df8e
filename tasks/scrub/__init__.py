"""Step 3: replaces personal data and secrets by placeholders."""

"""People look at rows that scores are unsure of, and their decisions count for more than any score."""

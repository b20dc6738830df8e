"""Shows a person what a run did."""

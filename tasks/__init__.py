"""What one step does: a package per step, and `text` and `lm`, which steps share."""

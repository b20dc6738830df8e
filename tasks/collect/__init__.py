"""Step 1: takes in logs, feedback and documents, each record once."""

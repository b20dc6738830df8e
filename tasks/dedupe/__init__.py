"""Step 2: finds exact and near duplicates."""

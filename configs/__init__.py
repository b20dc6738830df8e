"""What a person may set: frozen settings, ready YAML files and the sample data."""

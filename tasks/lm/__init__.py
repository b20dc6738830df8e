"""Language models that steps share: loading, chat templates, likelihoods, generation."""

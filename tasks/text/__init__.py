"""Text that steps share: parts of conversations, normalising, words, languages, hashes."""

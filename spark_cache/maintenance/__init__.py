"""Checks and repairs for a whole cache directory: verification, rotation of encryption keys, and diagnosis."""

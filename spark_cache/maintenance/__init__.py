"""Checks and repairs for a whole cache directory: verification, key rotation and diagnosis."""

"""Redaction: find secrets by their pattern or by the name of their field, and replace them.

The functions here are pure: they touch no file, no clock and no log.
"""

from spark_cache.redaction.patterns import SECRET_PATTERNS, SecretPattern
from spark_cache.redaction.redactor import Redactor, Secret

__all__ = ["SECRET_PATTERNS", "Redactor", "Secret", "SecretPattern"]

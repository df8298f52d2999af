"""Secrets in what is stored: found by their shape or by the name they stand under, and replaced.

Pure: no file, no clock, no log.
"""

from spark_cache.redaction.patterns import SECRET_PATTERNS, SecretPattern
from spark_cache.redaction.redactor import Redactor, Secret

__all__ = ["SECRET_PATTERNS", "Redactor", "Secret", "SecretPattern"]

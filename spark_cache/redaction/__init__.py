"""Secrets in what is stored: found by their shape or by the name they stand under, and replaced.

Pure: no file, no clock, no log.
"""

from spark_cache.redaction.redactor import Redactor, Secret
from spark_cache.redaction.shapes import SHAPES, Shape

__all__ = ["SHAPES", "Redactor", "Secret", "Shape"]

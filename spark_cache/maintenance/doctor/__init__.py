"""Diagnose a cache with one small check for each thing that can be wrong. No check writes anything."""

from spark_cache.maintenance.doctor.examine import configuration, examine
from spark_cache.maintenance.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "configuration", "examine"]

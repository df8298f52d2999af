"""What a cache suffers from: one small check for each thing that can be wrong. None of them writes."""

from spark_cache.maintenance.doctor.examine import configuration, examine
from spark_cache.maintenance.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "configuration", "examine"]

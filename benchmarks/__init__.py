"""Compare spark-cache with other caches and with the limit of the machine: ``make bench``."""

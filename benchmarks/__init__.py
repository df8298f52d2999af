"""The cache against its peers and against what the machine can do: ``make bench``."""

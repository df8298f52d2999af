"""Moving entries between caches as one file, and comparing two caches."""

from spark_cache.archive.diff import Changed, Item, Review, review
from spark_cache.archive.pack import Exported, export_entries
from spark_cache.archive.unpack import Imported, Inspected, import_entries, inspect

__all__ = [
    "Changed",
    "Exported",
    "Imported",
    "Inspected",
    "Item",
    "Review",
    "export_entries",
    "import_entries",
    "inspect",
    "review",
]

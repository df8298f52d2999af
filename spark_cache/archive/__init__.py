"""Move entries between caches in a single file, and compare two caches."""

from spark_cache.archive.diff import CacheDiff, ChangedEntry, EntryRef, diff_caches
from spark_cache.archive.pack import ExportResult, export_entries
from spark_cache.archive.unpack import ImportResult, Inspection, import_entries, inspect

__all__ = [
    "CacheDiff",
    "ChangedEntry",
    "EntryRef",
    "ExportResult",
    "ImportResult",
    "Inspection",
    "diff_caches",
    "export_entries",
    "import_entries",
    "inspect",
]

"""What the cache saved: the ledger, the miss log, their database, and the reports made from them."""

from spark_cache.savings.database import SAVINGS_FILE
from spark_cache.savings.notes import MissNote, RemovalNote
from spark_cache.savings.totals import UNKNOWN_SIZE, Line, Sums, Totals
from spark_cache.savings.writer import Savings

__all__ = [
    "SAVINGS_FILE",
    "UNKNOWN_SIZE",
    "Line",
    "MissNote",
    "RemovalNote",
    "Savings",
    "Sums",
    "Totals",
]

"""What the cache saved: the ledger, the miss log, and the reports made from them."""

from spark_cache.savings.ledger import Ledger
from spark_cache.savings.ledger_file import LEDGER_FILE
from spark_cache.savings.miss_log import MISS_LOG_FILE, MissLog, MissNote, RemovalNote
from spark_cache.savings.totals import UNKNOWN_SIZE, Line, Sums, Totals

__all__ = [
    "LEDGER_FILE",
    "MISS_LOG_FILE",
    "UNKNOWN_SIZE",
    "Ledger",
    "Line",
    "MissLog",
    "MissNote",
    "RemovalNote",
    "Sums",
    "Totals",
]

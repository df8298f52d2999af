"""One row written to an index: what a cache pays that keeps one in SQLite and touches it on every put."""

from __future__ import annotations

import sqlite3
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Never

import orjson

from benchmarks.contenders.base import Contender

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.workload import Request

__all__ = ["Upsert"]

_UPSERT = (
    "INSERT INTO entries VALUES (?, ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET size = excluded.size, used = excluded.used"
)


class Upsert(Contender):
    """A table with a primary key and no other index, in WAL mode, one transaction for each row."""

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._database = sqlite3.connect(f"{directory}/index.sqlite", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS entries (name TEXT PRIMARY KEY, size INTEGER, used REAL) WITHOUT ROWID"
        )

    def prepare(self, request: Request) -> str:
        """The name of the row: the key is not this contender's work."""
        return sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def put(self, prepared: str) -> None:
        """Write one row."""
        self._database.execute(_UPSERT, (prepared, 4096, time.time()))

    def fill(self, requests: Iterable[Request]) -> None:
        """Write all rows at once."""
        with self._database:
            self._database.execute("BEGIN")
            super().fill(requests)

    def get(self, prepared: Any) -> Never:
        """Not asked: an index holds no answers."""
        raise NotImplementedError

    def text(self, found: Any) -> Never:
        """Not asked."""
        raise NotImplementedError

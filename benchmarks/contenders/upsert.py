"""The cost of writing one row to an index, which a cache with a SQLite index pays on every put."""

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
    """A SQLite table with a primary key and no other index, in WAL mode, with one transaction for each row."""

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._database = sqlite3.connect(f"{directory}/index.sqlite", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS entries (name TEXT PRIMARY KEY, size INTEGER, used REAL) WITHOUT ROWID"
        )

    def prepare(self, request: Request) -> str:
        """Return the name of the row; computing the key is not part of this measurement.

        Args:
            request: The request.
        """
        return sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def put(self, prepared: str) -> None:
        """Write one row.

        Args:
            prepared: The name of the row.
        """
        self._database.execute(_UPSERT, (prepared, 4096, time.time()))

    def fill(self, requests: Iterable[Request]) -> None:
        """Write all rows in one transaction.

        Args:
            requests: The requests.
        """
        with self._database:
            self._database.execute("BEGIN")
            super().fill(requests)

    def get(self, prepared: Any) -> Never:
        """Raise an error, because an index holds no responses.

        Args:
            prepared: The name of the row.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError

    def text(self, found: Any) -> Never:
        """Raise an error, because an index holds no responses.

        Args:
            found: A stored response.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError

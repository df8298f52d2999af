"""The savings database: counts and notes in one small SQLite file, to which many processes add.

The file can be deleted at any time: only past totals and notes are lost. It may be damaged, foreign, or from a later release.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
from contextlib import closing, suppress
from dataclasses import astuple, fields
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from spark_cache.savings.notes import MissNote, RemovalNote
from spark_cache.savings.totals import Line, Sums
from spark_cache.stores.atomic import make_folder
from spark_cache.stores.index.database import create_file, identity_of, is_transient

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["SAVINGS_FILE", "Database"]

SAVINGS_FILE = "savings.sqlite3"
"""The name of the database in the hidden folder."""

_BUSY_TIMEOUT = 2.0
_VERSION = 1

_MAX_NOTES = 5000
"""How many misses and how many removals are kept."""

_LATEST = 1e11
"""No note has a later time."""

_SUMS = [one.name for one in fields(Sums)]
_TYPES = {
    "counts": [*[str] * 6, *[int] * 8, float],
    "misses": [float, *[str] * 5],
    "removals": [float, *[str] * 4],
}
"""The types of the columns. A damaged file may hold anything."""

_SCHEMA = f"""
CREATE TABLE counts (
    day TEXT, profile TEXT, provider TEXT, model TEXT, event TEXT, reason TEXT, size INTEGER,
    {", ".join(f"{name} INTEGER" for name in _SUMS[:-1])}, seconds REAL, PRIMARY KEY ({", ".join(Line._fields)})
) WITHOUT ROWID;
CREATE TABLE misses (id INTEGER PRIMARY KEY, at REAL, name TEXT, provider TEXT, model TEXT, reason TEXT, digests TEXT);
CREATE TABLE removals (id INTEGER PRIMARY KEY, at REAL, why TEXT, name TEXT, provider_folder TEXT, model_folder TEXT);
CREATE INDEX misses_by_name ON misses (name);
CREATE INDEX removals_by_name ON removals (name);
PRAGMA user_version = {_VERSION}
"""
_ADD = (
    f"INSERT INTO counts VALUES ({', '.join('?' * len(_TYPES['counts']))}) "  # noqa: S608 - built from the names above
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _SUMS)}"
)


class Database:
    """A file of counts and notes to which many processes add.

    Args:
        folder: The folder of the file, created if its parent exists.
    """

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/{SAVINGS_FILE}"

    def add(self, counts: Mapping[Line, Sums], notes: Iterable[MissNote | RemovalNote]) -> None:
        """Add counts and notes, oldest first, in one transaction. A damaged or foreign file is replaced.

        Raises:
            OSError: The folder or the file cannot be created, belongs to another user, or was written by a later release.
            sqlite3.Error: The file cannot be written now.
        """
        _ensure_folder(os.path.dirname(self._path))
        try:
            self._add(counts, notes)
        except (sqlite3.Error, ValueError) as error:
            # Python raises UnicodeDecodeError, a ValueError, when SQLite's message quotes damaged bytes.
            if is_transient(error):
                raise
            os.unlink(self._path)
            self._add(counts, notes)

    def counts(self) -> dict[Line, Sums] | None:
        """Return the counts in the file, or None if there is no readable file."""
        rows = self._read("counts", "")
        if rows is None:
            return None
        # A count of zero or less, or a negative or infinite sum, means damage.
        rows = [row for row in rows if row[7] > 0 and all(0 <= value < inf for value in row[7:])]
        return {Line._make(row[:7]): Sums(*row[7:]) for row in rows}

    def misses(self, prefix: str) -> list[MissNote]:
        """Return the misses of entries whose name has a prefix, newest first."""
        # Names are hexadecimal, so "g" sorts after every name with the same prefix.
        rows = self._read("misses", "WHERE name >= ?1 AND name < ?1 || 'g' ORDER BY id DESC", prefix) or ()
        return [MissNote._make((*row[:5], _digests(row[5]))) for row in rows if 0 <= row[0] < _LATEST]

    def removals(self, name: str) -> list[RemovalNote]:
        """Return the removals of an entry, and those of many entries, newest first."""
        rows = self._read("removals", "WHERE name IN (?, '') ORDER BY id DESC", name) or ()
        return [RemovalNote(*row) for row in rows if 0 <= row[0] < _LATEST]

    def _add(self, counts: Mapping[Line, Sums], notes: Iterable[MissNote | RemovalNote]) -> None:
        with suppress(FileExistsError):
            create_file(self._path)
        identity_of(self._path)
        with (
            closing(sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT, isolation_level=None)) as database,
            database,
        ):
            # A power failure may lose counts. Waiting for the disk every second would slow every program down.
            database.execute("PRAGMA synchronous = OFF")
            database.execute("PRAGMA trusted_schema = OFF")
            # Before anything is read: two processes must not both create the tables.
            database.execute("BEGIN IMMEDIATE")
            # SQLite still uses the schema as of the pragma. Only a query makes it notice the change of another process.
            (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            version = _version(database)
            if version > _VERSION:
                raise OSError(errno.EPERM, "the savings database was written by a later release")
            if tables and version < _VERSION:
                raise ValueError("a foreign database")
            for statement in () if tables else _SCHEMA.split(";"):
                database.execute(statement)
            database.executemany(_ADD, [(*line, *astuple(sums)) for line, sums in counts.items()])
            misses = [(*note[:5], json.dumps(note.digests)) for note in notes if isinstance(note, MissNote)]
            database.executemany("INSERT INTO misses VALUES (NULL, ?, ?, ?, ?, ?, ?)", misses)
            removals = [note for note in notes if isinstance(note, RemovalNote)]
            database.executemany("INSERT INTO removals VALUES (NULL, ?, ?, ?, ?, ?)", removals)
            for table in ("misses", "removals"):
                oldest = f"(SELECT max(id) FROM {table}) - {_MAX_NOTES}"  # noqa: S608 - the names above
                database.execute(f"DELETE FROM {table} WHERE id <= {oldest}")  # noqa: S608 - the names above

    def _read(self, table: str, where: str, *parameters: str) -> list[Sequence[Any]] | None:
        """Return the intact rows of a table, or None if there is no readable file. The file may belong to another user."""
        columns = {"misses": MissNote._fields, "removals": RemovalNote._fields}.get(table, ("*",))
        try:
            if not stat.S_ISREG(os.lstat(self._path).st_mode):
                return None
            address = f"file:{quote(os.fsencode(self._path))}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_TIMEOUT)) as database:
                database.text_factory = lambda text: text.decode("utf-8", "replace")
                database.execute("PRAGMA trusted_schema = OFF")
                if _version(database) > _VERSION:
                    return None
                query = f"SELECT {', '.join(columns)} FROM {table} {where}"  # noqa: S608 - the names above
                rows = database.execute(query, parameters).fetchall()
        except (OSError, sqlite3.Error, ValueError):
            return None
        return [row for row in rows if [*map(type, row)] == _TYPES[table]]


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _digests(text: str) -> dict[str, str]:
    """Return the digests of a miss, or none if the text is damaged."""
    try:
        found = json.loads(text)
        return {part: digest for part, digest in found.items() if isinstance(digest, str)}
    except (ValueError, AttributeError, RecursionError):
        return {}


def _ensure_folder(path: str) -> None:
    """Create the folder of the database if it does not exist, in a directory of this user.

    Raises:
        OSError: The folder cannot be created, or the path is not a directory owned by this user.
    """
    if not os.path.lexists(path) and os.stat(os.path.dirname(path)).st_uid == os.geteuid():
        make_folder(path)
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "not a directory owned by this user")

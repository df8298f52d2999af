"""The ledger file: a small SQLite database beside the cache. It may be damaged, foreign, or from another release."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import astuple, fields
from math import inf
from typing import TYPE_CHECKING, Any

from spark_cache.savings.totals import UNKNOWN_SIZE, Line, Sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["LEDGER_FILE", "LedgerFile"]

LEDGER_FILE = "ledger.sqlite3"
"""The name of the file in its folder."""

_BUSY_TIMEOUT = 2.0

_SCHEMA = 3
"""The schema version, stored as ``user_version``. The first schema left it at 0."""

_ADDED_IN = {
    "size": 2,
    "input_tokens": 2,
    "output_tokens": 2,
    "cached_tokens": 2,
    "reasoning_tokens": 2,
    "cache_write_tokens": 3,
}
"""The columns that the first schema did not have, and the schema that added them."""

_COLUMN_TYPES: dict[str, tuple[str, object]] = {
    **dict.fromkeys(("day", "profile", "provider", "model", "event", "reason"), ("TEXT", "''")),
    "size": ("INTEGER", UNKNOWN_SIZE),
    **{one.name: ("INTEGER", 0) for one in fields(Sums)},
    "seconds": ("REAL", 0.0),
}
"""The type and the default value of each column, in the order of a :class:`Line` and its :class:`Sums`."""

_COLUMNS = ", ".join(f"{name} {kind} NOT NULL" for name, (kind, _) in _COLUMN_TYPES.items())

_CREATE = f"CREATE TABLE ledger ({_COLUMNS}, PRIMARY KEY ({', '.join(Line._fields)})) WITHOUT ROWID"

_INCREMENTS = ", ".join(f"{one.name} = {one.name} + excluded.{one.name}" for one in fields(Sums))

_ADD = f"INSERT INTO ledger VALUES ({', '.join('?' * len(_COLUMN_TYPES))}) ON CONFLICT DO UPDATE SET {_INCREMENTS}"  # noqa: S608 - built from the names above


def _select_all(version: int) -> str:
    """Return the query for all rows of a table of the current schema or an earlier one."""
    # A damaged or foreign file may hold anything under these names, so the query enforces the types.
    columns = (
        f"IFNULL(CAST({name} AS {kind}), {default})" if version >= _ADDED_IN.get(name, 0) else str(default)
        for name, (kind, default) in _COLUMN_TYPES.items()
    )
    return f"SELECT {', '.join(columns)} FROM ledger"  # noqa: S608 - built from the names and numbers above


class LedgerFile:
    """A file of lines to which many processes add.

    Args:
        folder: The folder of the file, created if its parent exists.
    """

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/{LEDGER_FILE}"

    def add(self, lines: Mapping[Line, Sums]) -> None:
        """Add to the lines in the file. A damaged file is replaced, and a file of an earlier release is migrated.

        Args:
            lines: The lines to add.

        Raises:
            OSError: The folder or the file cannot be created, or belongs to another user.
            sqlite3.Error: The file cannot be written now, or was written by a later release.
        """
        _ensure_folder(os.path.dirname(self._path))
        _ensure_file(self._path)
        try:
            self._add(lines)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            # Python raises UnicodeDecodeError when SQLite's message quotes the damaged bytes.
            if isinstance(error, sqlite3.OperationalError):
                raise
            # The file is damaged: past totals are lost, but new counts can be kept.
            os.unlink(self._path)
            _ensure_file(self._path)
            self._add(lines)

    def read(self) -> dict[Line, Sums] | None:
        """Return the lines in the file, or None if there is no readable file."""
        if not os.path.isfile(self._path):
            return None
        try:
            with closing(
                sqlite3.connect(f"file:{_quoted(self._path)}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT)
            ) as database:
                version = _version(database)
                rows = database.execute(_select_all(version)).fetchall() if version <= _SCHEMA else None
        except (sqlite3.Error, UnicodeDecodeError):
            return None
        return None if rows is None else _lines(rows)

    def _add(self, lines: Mapping[Line, Sums]) -> None:
        with (
            closing(sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT, isolation_level=None)) as database,
            database,
        ):
            # A power failure may lose counts. Waiting for the disk every second would slow every program down.
            database.execute("PRAGMA synchronous = OFF")
            # Before anything is read: two processes must not both migrate the same lines.
            database.execute("BEGIN IMMEDIATE")
            # SQLite still uses the table as of the pragma. Only a query makes it notice the change of another process.
            database.execute("SELECT 1 FROM sqlite_master").fetchone()
            version = _version(database)
            if version > _SCHEMA:
                raise sqlite3.OperationalError("the ledger was written by a later release")
            if version < _SCHEMA:
                _migrate(database, version)
            database.executemany(_ADD, _rows(lines))


def _migrate(database: sqlite3.Connection, version: int) -> None:
    """Create the table, with the lines of the table of an earlier schema."""
    old = database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'ledger'").fetchone()
    lines = {} if old is None else _lines(database.execute(_select_all(version)).fetchall())
    database.execute("DROP TABLE IF EXISTS ledger")
    database.execute(_CREATE)
    database.executemany(_ADD, _rows(lines))
    database.execute(f"PRAGMA user_version = {_SCHEMA}")


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _rows(lines: Mapping[Line, Sums]) -> list[tuple[object, ...]]:
    return [(*line, *astuple(sums)) for line, sums in lines.items()]


def _lines(rows: Iterable[Sequence[Any]]) -> dict[Line, Sums]:
    lines: dict[Line, Sums] = {}
    for row in rows:
        line, values = Line(*row[: len(Line._fields)]), row[len(Line._fields) :]
        # A count of zero or less, or a negative or infinite sum, means damage.
        if values[0] > 0 and all(0 <= value < inf for value in values):
            # Added, not assigned: two rows of a damaged table may be the same line here.
            lines.setdefault(line, Sums()).add(Sums(*values))
    return lines


def _ensure_folder(path: str) -> None:
    """Create the folder of the ledger if it does not exist.

    Raises:
        OSError: The folder cannot be created, or the path is not a directory owned by this user.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if os.stat(os.path.dirname(path)).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "the cache directory belongs to another user") from None
        os.mkdir(path, 0o700)
        # The umask may have removed permissions of the owner.
        os.chmod(path, 0o700)
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "not a directory owned by this user")


def _ensure_file(path: str) -> None:
    """Create the file, readable by its owner only, if it does not exist. SQLite gives its side files the same mode.

    Raises:
        OSError: The file cannot be created, or the path is a link.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        os.close(os.open(path, flags))
        return
    # The umask may have removed permissions of the owner.
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)


def _quoted(path: str) -> str:
    """Return a path quoted for an SQLite URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")

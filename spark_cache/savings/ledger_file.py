"""The ledger's file: a small SQLite database beside the cache, which may be damaged, foreign or of another release."""

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
"""The name of the file in the folder it is given."""

_BUSY_TIMEOUT = 2.0

_SCHEMA = 3
"""Kept as ``user_version``. The first one left the version at 0."""

_SINCE = {
    "size": 2,
    "input_tokens": 2,
    "output_tokens": 2,
    "cached_tokens": 2,
    "reasoning_tokens": 2,
    "cache_write_tokens": 3,
}
"""The columns that a table did not have from the beginning, and the schema that brought them."""

_KINDS: dict[str, tuple[str, object]] = {
    **dict.fromkeys(("day", "profile", "provider", "model", "event", "reason"), ("TEXT", "''")),
    "size": ("INTEGER", UNKNOWN_SIZE),
    **{one.name: ("INTEGER", 0) for one in fields(Sums)},
    "seconds": ("REAL", 0.0),
}
"""The columns in the order of a :class:`Line` and its :class:`Sums`: their types, and what stands for a value that is missing."""

_COLUMNS = ", ".join(f"{name} {kind} NOT NULL" for name, (kind, _) in _KINDS.items())

_TABLE = f"CREATE TABLE ledger ({_COLUMNS}, PRIMARY KEY ({', '.join(Line._fields)})) WITHOUT ROWID"

_ADDING = ", ".join(f"{one.name} = {one.name} + excluded.{one.name}" for one in fields(Sums))

_ADD = f"INSERT INTO ledger VALUES ({', '.join('?' * len(_KINDS))}) ON CONFLICT DO UPDATE SET {_ADDING}"  # noqa: S608 - made of the names above


def _all(version: int) -> str:
    """The query for all figures in a table of an earlier schema, or of this one."""
    # A damaged or foreign file may hold anything under these names: the types are made sure of here.
    columns = (
        f"IFNULL(CAST({name} AS {kind}), {missing})" if version >= _SINCE.get(name, 0) else str(missing)
        for name, (kind, missing) in _KINDS.items()
    )
    return f"SELECT {', '.join(columns)} FROM ledger"  # noqa: S608 - made of the names and numbers above


class LedgerFile:
    """Figures in a file, added to by many processes.

    Args:
        folder: The folder for it, made when the folder above it is there.
    """

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/{LEDGER_FILE}"

    def add(self, lines: Mapping[Line, Sums]) -> None:
        """Add to what is there; a damaged file is begun anew, one of an earlier release is carried over.

        Raises:
            OSError: The folder or the file cannot be made, or is not this user's own.
            sqlite3.Error: The file cannot be written now, or is of a later release.
        """
        _claim_folder(os.path.dirname(self._path))
        _claim_file(self._path)
        try:
            self._add(lines)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            # The second is what Python makes of SQLite's own message when it quotes the damage.
            if isinstance(error, sqlite3.OperationalError):
                raise
            # Damaged: the past figures are lost, the coming ones need not be.
            os.unlink(self._path)
            _claim_file(self._path)
            self._add(lines)

    def read(self) -> dict[Line, Sums] | None:
        """What is there; None where there is nothing that can be read."""
        if not os.path.isfile(self._path):
            return None
        try:
            with closing(
                sqlite3.connect(f"file:{_quoted(self._path)}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT)
            ) as database:
                version = _version(database)
                rows = database.execute(_all(version)).fetchall() if version <= _SCHEMA else None
        except (sqlite3.Error, UnicodeDecodeError):
            return None
        return None if rows is None else _lines(rows)

    def _add(self, lines: Mapping[Line, Sums]) -> None:
        with (
            closing(sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT, isolation_level=None)) as database,
            database,
        ):
            # A power cut may cost figures; waiting for the disk every second would cost everybody.
            database.execute("PRAGMA synchronous = OFF")
            # Taken before anything is looked at: two processes must not both carry over the same figures.
            database.execute("BEGIN IMMEDIATE")
            # SQLite goes by the table as it was at the pragma, and notices what another process did to it only with a query.
            database.execute("SELECT 1 FROM sqlite_master").fetchone()
            version = _version(database)
            if version > _SCHEMA:
                raise sqlite3.OperationalError("the ledger was written by a later release")
            if version < _SCHEMA:
                _renew(database, version)
            database.executemany(_ADD, _rows(lines))


def _renew(database: sqlite3.Connection, version: int) -> None:
    """Make the table, with what the one of an earlier schema held."""
    old = database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'ledger'").fetchone()
    lines = {} if old is None else _lines(database.execute(_all(version)).fetchall())
    database.execute("DROP TABLE IF EXISTS ledger")
    database.execute(_TABLE)
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
        line, figures = Line(*row[: len(Line._fields)]), row[len(Line._fields) :]
        # What counts nothing, or less, is damage.
        if figures[0] > 0 and all(0 <= figure < inf for figure in figures):
            # Added, not set: what stands in a damaged table twice may be one line here.
            lines.setdefault(line, Sums()).add(Sums(*figures))
    return lines


def _claim_folder(path: str) -> None:
    """Make the folder of the ledger, unless it is there.

    Raises:
        OSError: It could not be made, or something else or somebody else's stands in its place.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if os.stat(os.path.dirname(path)).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "the cache directory belongs to another user") from None
        os.mkdir(path, 0o700)
        # The umask may have taken from the owner too.
        os.chmod(path, 0o700)
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "no folder of this user")


def _claim_file(path: str) -> None:
    """Make the file of the ledger for its owner alone, unless it is there; SQLite gives its side files the same mode.

    Raises:
        OSError: It could not be made, or a link stands in its place.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        os.close(os.open(path, flags))
        return
    # The umask may have taken from the owner too.
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)


def _quoted(path: str) -> str:
    """A path as SQLite's URIs take it."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")

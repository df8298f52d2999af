"""The file of the index: opened when it is needed, deleted when it is damaged."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from spark_cache.stores.private import own_file

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["INDEX_FILE", "IndexFile"]

INDEX_FILE = "index.sqlite3"
"""Its name in the hidden folder."""

_PATIENCE = 0.1
"""How long to wait for somebody who reads the index without the journal's lock, in seconds."""

_VERSION = 1
_SCHEMA = """
BEGIN;
CREATE TABLE folders (
    provider TEXT NOT NULL, model TEXT NOT NULL, series INTEGER NOT NULL,
    entries INTEGER NOT NULL, size_bytes INTEGER NOT NULL, occupied_bytes INTEGER NOT NULL,
    seen INTEGER NOT NULL, doubt INTEGER NOT NULL, certain_from INTEGER NOT NULL, filed INTEGER NOT NULL,
    PRIMARY KEY (provider, model)
) WITHOUT ROWID;
CREATE UNIQUE INDEX folders_by_series ON folders (series);
CREATE TABLE segments (
    number INTEGER PRIMARY KEY, series INTEGER NOT NULL, used REAL NOT NULL, ends REAL, known BLOB NOT NULL
);
CREATE INDEX segments_by_use ON segments (used);
CREATE INDEX segments_by_end ON segments (ends) WHERE ends IS NOT NULL;
CREATE INDEX segments_by_series ON segments (series);
CREATE TABLE touched (
    provider TEXT NOT NULL, model TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (provider, model, name)
) WITHOUT ROWID;
CREATE TABLE dead (series INTEGER PRIMARY KEY);
CREATE TABLE listed (series INTEGER PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE folded (mark INTEGER NOT NULL, records INTEGER NOT NULL);
INSERT INTO folded VALUES (0, 0);
COMMIT;
"""

_MACHINE = frozenset(
    {
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""What SQLite answers when the machine is at fault; anything else is damage."""


class IndexFile:
    """The file of one store's index.

    Args:
        path: Where it is; its folder has to be there.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._identity = (0, 0)

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Do what is done in a ``with`` block in one step; the index is made when it is missing.

        Raises:
            OSError: It could not be opened.
            sqlite3.Error: The machine failed to read or write it.
            ValueError: It was damaged, and is deleted.
        """
        with self._judged():
            database = self._open()
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    @contextmanager
    def view(self) -> Iterator[sqlite3.Connection | None]:
        """Read it in a ``with`` block, and write nothing; None when there is no index.

        Raises:
            sqlite3.Error: The machine failed to read it.
            ValueError: It is damaged; or its last writer was killed, and the next one has to take back what that one had begun.
        """
        if not self.exists:
            yield None
            return
        uri = f"file:{quote(self._path)}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_PATIENCE)) as database:
                database.execute("PRAGMA trusted_schema = OFF")
                version = database.execute("PRAGMA user_version").fetchone()
                yield database if version == (_VERSION,) else None
        except sqlite3.Error as error:
            left = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK
            if _is_the_machines(error) and not left:
                raise
            raise ValueError("a damaged index") from None

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return os.path.lexists(self._path)

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    @contextmanager
    def _judged(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if _is_the_machines(error):
                self.close()
                raise
            self._delete()
            raise ValueError("a damaged index") from None
        except (ValueError, OverflowError):
            # What stands in it makes no sense, or no text, or no number that SQLite takes.
            self._delete()
            raise ValueError("a damaged index") from None

    def _delete(self) -> None:
        self.close()
        for ending in ("", "-journal"):
            try:
                os.unlink(self._path + ending)
            except OSError:
                # Gone already; or it stays, and is found damaged again.
                continue

    def _open(self) -> sqlite3.Connection:
        fd = own_file(self._path, create=True)
        try:
            status = os.fstat(fd)
        finally:
            os.close(fd)
        identity = status.st_dev, status.st_ino
        if self._database is not None and self._identity != identity:
            # Deleted under the running program, and made anew.
            self.close()
        if self._database is None:
            database = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE
            )
            try:
                _prepare(database)
            except BaseException:
                database.close()
                raise
            self._database, self._identity = database, identity
        return self._database


def _is_the_machines(error: sqlite3.Error) -> bool:
    """Whether an error is not of the file but of the machine; those of the module itself have no code."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _MACHINE


def _prepare(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")
    # A power cut may damage the index, which is then made anew; waiting for the disk would cost every writer.
    database.execute("PRAGMA synchronous = OFF")
    # Nothing that is deleted here is worth writing over: it says less than the directory does.
    database.execute("PRAGMA secure_delete = OFF")
    # Neither of what else there is: readers that write nothing could not read it, or would touch the journal.
    database.execute("PRAGMA journal_mode = TRUNCATE")
    version = database.execute("PRAGMA user_version").fetchone()
    if version == (0,):
        database.executescript(_SCHEMA)
        database.execute(f"PRAGMA user_version = {_VERSION}")
    elif version != (_VERSION,):
        raise ValueError("the index of another release")

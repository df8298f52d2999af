"""The database of the index: opened when it is needed, deleted and rebuilt when it is damaged."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from contextlib import suppress
from urllib.parse import quote

__all__ = ["INDEX_FILE", "IndexFile", "create_file", "identity_of", "is_transient"]

INDEX_FILE = "index.sqlite3"
"""The name of the database in the hidden folder."""

_VERSION = 2

_CACHED_STATEMENTS = 64

_SCHEMA = f"""
BEGIN;
CREATE TABLE folders (
    id INTEGER PRIMARY KEY AUTOINCREMENT, provider TEXT NOT NULL, model TEXT NOT NULL, building INTEGER NOT NULL,
    entries INTEGER NOT NULL, size_bytes INTEGER NOT NULL, occupied_bytes INTEGER NOT NULL, rows INTEGER NOT NULL,
    seen_ns INTEGER NOT NULL, stale INTEGER NOT NULL, scanned_at REAL NOT NULL, UNIQUE (provider, model, building)
);
CREATE INDEX folders_by_size ON folders (provider, model, occupied_bytes) WHERE occupied_bytes > 0;
CREATE INDEX folders_stale ON folders (provider, model) WHERE stale AND NOT building;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,
    written_ns INTEGER NOT NULL, used_ns INTEGER NOT NULL, expires REAL
);
CREATE INDEX entries_by_file ON entries (written_ns, name);
CREATE INDEX entries_by_use ON entries (used_ns);
CREATE INDEX entries_by_expiry ON entries (expires) WHERE expires IS NOT NULL;
CREATE TABLE state (inode INTEGER NOT NULL, swept_at REAL NOT NULL, purged_to INTEGER NOT NULL, purge_to INTEGER NOT NULL);
PRAGMA user_version = {_VERSION};
COMMIT;
"""

_TRANSIENT = frozenset(
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
"""The SQLite errors that come from the machine. Any other error means that the file is damaged."""

_abandoned: list[sqlite3.Connection] = []
"""Connections that a forked child must not close."""


def is_transient(error: Exception) -> bool:
    """Return whether an error comes from the machine rather than from the content of the database."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _TRANSIENT
    return isinstance(error, OSError)


class IndexFile:
    """The database file of one store. The caller holds the lock of the index around each method.

    SQLite alone opens the file. Its own locks are POSIX record locks, which a process loses as soon as anything in it closes
    another descriptor of the file. They are therefore not relied on, and neither is a write-ahead log, which the connection
    that believes to be the last one deletes.

    Args:
        path: The path of the file. Its folder must exist.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._identity = (0, 0)

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return os.path.lexists(self._path)

    def open(self, now: float) -> sqlite3.Connection:
        """Return the connection to the database, which is created if it is missing, damaged, copied or of another release.

        Args:
            now: The time, in seconds since the epoch.

        Raises:
            OSError: Something that is not a file of this user's is in its place.
            sqlite3.Error: The database cannot be opened or created.
        """
        if self._database is not None and identity_of(self._path) == self._identity:
            return self._database
        self.close()
        try:
            return self._open(now)
        except (sqlite3.Error, ValueError) as error:
            if is_transient(error):
                raise
            self.delete()
            return self._open(now)

    def _open(self, now: float) -> sqlite3.Connection:
        if identity_of(self._path) is None:
            create_file(self._path)
        database = sqlite3.connect(
            self._path,
            isolation_level=None,
            check_same_thread=False,
            timeout=0,
            cached_statements=_CACHED_STATEMENTS,
        )
        try:
            _prepare(database)
            identity = identity_of(self._path) or (0, 0)
            _claim(database, identity[1], now)
        except BaseException:
            database.close()
            raise
        self._database, self._identity = database, identity
        return database

    def open_read_only(self) -> sqlite3.Connection:
        """Return a new connection that writes nothing.

        Raises:
            OSError: Something that is not a file of this user's is in its place.
            sqlite3.Error: There is no database, or it cannot be read.
            ValueError: It is damaged, or of another release.
        """
        identity_of(self._path)
        database = sqlite3.connect(
            f"file:{quote(self._path)}?mode=ro", uri=True, isolation_level=None, timeout=1.0
        )
        try:
            version, verdict = (
                database.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "quick_check(1)")
            )
        except BaseException:
            database.close()
            raise
        if (version, verdict) != ((_VERSION,), ("ok",)):
            database.close()
            raise ValueError("an index that is damaged, or of another release")
        return database

    def close(self) -> None:
        """Close the connection, if it is open."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def forget(self, *, close: bool) -> None:
        """Use a new connection in a forked child.

        Args:
            close: Whether the parent was between two transactions. Closing the copy of a transaction would roll it back.
        """
        if close:
            self.close()
        elif self._database is not None:
            _abandoned.append(self._database)
            self._database = None

    def delete(self) -> None:
        """Delete the database."""
        self.close()
        # It is gone already, or it stays and is found damaged again.
        with suppress(OSError):
            os.unlink(self._path)


def identity_of(path: str) -> tuple[int, int] | None:
    """Return the device and the inode of the file; None if there is none.

    Raises:
        OSError: It is not a regular file that only this user has.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    # A file with two names, such as a backup made of hard links, does not belong to the cache alone.
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    return status.st_dev, status.st_ino


def create_file(path: str) -> None:
    """Create the file with rights for the owner alone."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        # The umask may have taken rights from the owner too.
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)


def _prepare(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")
    # A power failure may damage the index, which is then rebuilt. Waiting for the disk would slow down every write.
    database.execute("PRAGMA synchronous = OFF")
    # The index reveals no more than the directory does, so deleted rows need not be overwritten.
    database.execute("PRAGMA secure_delete = OFF")
    # An index whose transaction was interrupted is rebuilt, so nothing has to be rolled back from a file.
    database.execute("PRAGMA journal_mode = MEMORY")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.executescript(_SCHEMA)
    elif version != _VERSION:
        raise ValueError("the index of another release")


def _claim(database: sqlite3.Connection, inode: int, now: float) -> None:
    """Check that the database was created as this file. A copy may have been made in the middle of a transaction."""
    rows = database.execute("SELECT inode FROM state").fetchall()
    if not rows:
        database.execute("INSERT INTO state VALUES (?, ?, 0, 0)", (inode, now))
    elif rows != [(inode,)]:
        raise ValueError("a copy of an index")

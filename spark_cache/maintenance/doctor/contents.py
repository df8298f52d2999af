"""Checks of the contents of the directory: the entries, and the hidden folder with the data derived from them."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from spark_cache.config.secret import key_id
from spark_cache.entries import describe
from spark_cache.errors import StoreError
from spark_cache.maintenance.doctor.directory import has_rights
from spark_cache.maintenance.doctor.finding import Finding, Level
from spark_cache.stores import HIDDEN, INDEX_FILE, ORPHAN_AGE
from spark_cache.types import CLOCK_SKEW, EntryMeta

if TYPE_CHECKING:
    from spark_cache.config import CacheConfig
    from spark_cache.maintenance.rotation import Census
    from spark_cache.stores import FileStore

__all__ = ["clock_check", "encryption", "entries", "hidden_folder", "index", "savings", "temporary_files"]

_MAX_DATED = 10_000
"""The maximum number of entries whose date is checked."""

_SAVINGS_TIMEOUT = 1.0
"""How long to wait for a database that another program writes to, in seconds."""

_TRANSIENT_ERRORS = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
)
"""SQLite errors for a file that is in use, or that contains an interrupted change which the next writer rolls back."""


def hidden_folder(folder: str, *, writes: bool) -> Finding:
    """Check that the hidden folder is a real folder that belongs to this user.

    Args:
        folder: The hidden folder.
        writes: Whether the configuration stores entries.
    """
    try:
        status = os.lstat(folder)
    except FileNotFoundError:
        return Finding("hidden folder", Level.OK, "missing; it is created when it is needed")
    remedy = f"delete {folder}; nothing in it is needed"
    if not stat.S_ISDIR(status.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a folder"
        return Finding("hidden folder", Level.PROBLEM, f"{HIDDEN} is {what}, so nothing is written", remedy)
    if status.st_uid != os.geteuid():
        level = Level.PROBLEM if writes else Level.NOTE
        return Finding("hidden folder", level, f"{HIDDEN} belongs to another user", remedy)
    if not has_rights(folder, os.R_OK | os.W_OK | os.X_OK):
        level = Level.PROBLEM if writes else Level.NOTE
        return Finding("hidden folder", level, f"this user has no access to {HIDDEN}", f"chmod 700 {folder}")
    return Finding("hidden folder", Level.OK, f"{HIDDEN}, owned by this user")


def temporary_files(folder: str, now: float) -> Finding:
    """Count the temporary files that interrupted writers left behind.

    Args:
        folder: The folder of the temporary files.
        now: The current time, in seconds since the epoch.
    """
    if os.path.islink(folder):
        return Finding(
            "temporary files", Level.PROBLEM, "their folder is a symbolic link", f"delete {folder}"
        )
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        names = []
    except OSError as error:
        return Finding("temporary files", Level.PROBLEM, f"{folder}: {error.strerror}", f"delete {folder}")
    old = sum(_older(f"{folder}/{name}", now - ORPHAN_AGE) for name in names)
    if old:
        found = f"{old:,} older than an hour, left behind by interrupted programs"
        return Finding(
            "temporary files", Level.NOTE, found, "the next program that stores an entry removes them"
        )
    return Finding("temporary files", Level.OK, "none left behind")


def _older(path: str, limit: float) -> bool:
    try:
        return os.lstat(path).st_mtime < limit
    except OSError:
        # The writer renamed the file in the meantime.
        return False


def savings(path: str) -> Finding:
    """Check that the database of past totals and misses is intact.

    Args:
        path: The file of the database.
    """
    remedy = f"delete {path}; this loses the past totals and the miss log, but no entry"
    if not os.path.lexists(path):
        return Finding("savings", Level.OK, "missing; it is created when it is needed")
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return Finding("savings", Level.PROBLEM, "it is not a regular file", remedy)
    try:
        with closing(
            sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True, timeout=_SAVINGS_TIMEOUT)
        ) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in _TRANSIENT_ERRORS:
            return Finding(
                "savings", Level.NOTE, f"it could not be read: {error}", "run this command again later"
            )
        verdict = str(error)
    except UnicodeDecodeError:
        # SQLite's message quotes the damaged bytes, which Python cannot decode.
        verdict = "it contains invalid text"
    if verdict != "ok":
        return Finding("savings", Level.PROBLEM, f"damaged ({' '.join(verdict.split())})", remedy)
    return Finding("savings", Level.OK, "intact")


def index(folder: str, store: FileStore) -> Finding:
    """Check that the index, which is used to count and remove entries, agrees with the entries.

    Args:
        folder: The hidden folder.
        store: The store.

    Raises:
        StoreError: The store could not be read.
    """
    if store.on_network:
        found = "none, because the directory is on a network file system: entries are listed to be counted and removed"
        return Finding("index", Level.NOTE, found, "use a local directory, where the size limit is exact")
    path = f"{folder}/{INDEX_FILE}"
    if not os.path.lexists(path):
        return Finding("index", Level.OK, "missing; it is created when it is needed")
    compared = store.compare_index()
    if compared is None:
        found = "it cannot be read, so counting and removing entries scans all of them"
        return Finding("index", Level.NOTE, found, f"if this persists, delete {path}; nothing is lost")
    models, wrong = compared
    counted = f"{models:,} {'model' if models == 1 else 'models'}"
    if wrong:
        found = (
            f"of {counted}, {wrong:,} changed outside the cache;"
            " their entries are scanned when they are next counted or written to"
        )
        return Finding("index", Level.NOTE, found)
    return Finding("index", Level.OK, f"agrees with the entries of {counted}")


def entries(census: Census) -> Finding:
    """Check that every file in the place of an entry is one.

    Args:
        census: The entries under each encryption key.
    """
    found = f"{census.entries.total():,} readable"
    if census.unreadable:
        found += f", {census.unreadable:,} cannot be read as entries"
        return Finding(
            "entries",
            Level.NOTE,
            found,
            "they are never used, and the next response to their requests replaces them; "
            "`spark-cache verify` lists them",
        )
    return Finding("entries", Level.OK, found)


def clock_check(store: FileStore, now: float, *, replay: bool) -> Finding:
    """Check that no entry is dated in the future. In a large store, only some entries are checked.

    Args:
        store: The store.
        now: The current time, in seconds since the epoch.
        replay: Whether entries are returned whatever their date.

    Raises:
        StoreError: The store could not be read.
    """
    checked, ahead = 0, 0
    for stored in islice(store.scan(), _MAX_DATED):
        try:
            data = store.read(stored.address, note_use=False)
        except StoreError:
            continue
        entry = describe(data, "") if isinstance(data, bytes) else None
        if isinstance(entry, EntryMeta):
            checked += 1
            ahead += entry.timestamp - now > CLOCK_SKEW
    if ahead:
        return Finding(
            "clock",
            Level.NOTE if replay else Level.PROBLEM,
            f"{ahead:,} of {checked:,} entries are dated more than 5 minutes in the future and are used only in replay mode",
            "correct the clock of this machine; if it is right, remove the entries with `spark-cache rm`",
        )
    return Finding("clock", Level.OK, "no entry is dated in the future")


def encryption(config: CacheConfig, census: Census) -> Finding:
    """Check that the configured encryption keys can decrypt the entries.

    Args:
        config: The configuration.
        census: The entries under each encryption key.
    """
    ids = [key_id(key) for key in config.fernet_keys()]
    found = f"{config.encryption}, key {', '.join(ids)}" if ids else f"{config.encryption}, no key"
    lost = {name: number for name, number in census.entries.items() if name is not None and name not in ids}
    if lost:
        named = ", ".join(sorted(name for name in lost if name is not None))
        return Finding(
            "encryption",
            Level.PROBLEM,
            f"{found}; {sum(lost.values()):,} entries are under keys that are not configured: {named}",
            "add the keys to SPARK_CACHE_ENCRYPTION_KEY or the key file, or remove the entries with "
            "`spark-cache keys retire ID --purge`",
        )
    if config.encryption == "all" and census.entries[None]:
        plain = f"{found}; {census.entries[None]:,} entries are plain text and are not used"
        return Finding("encryption", Level.NOTE, plain, "encrypt them with `spark-cache encrypt`")
    return Finding("encryption", Level.OK, found)

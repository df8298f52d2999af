"""Checks of what is in the directory: the entries, and the hidden folder with what is derived from them."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from spark_cache.config.secret import key_id
from spark_cache.entries import CLOCK_SKEW, describe
from spark_cache.errors import StoreError
from spark_cache.maintenance.doctor.finding import Finding, Level
from spark_cache.maintenance.doctor.place import may
from spark_cache.stores import HIDDEN, INDEX_FILE, JOURNAL_FILE, ORPHAN_AGE
from spark_cache.types import EntryMeta

if TYPE_CHECKING:
    from spark_cache.config import CacheConfig
    from spark_cache.maintenance.rotation import Census
    from spark_cache.stores import FileStore

__all__ = ["clock_check", "encryption", "entries", "hidden_folder", "index", "ledger", "temporary_files"]

_DATED = 10_000
"""The most entries whose date is looked at."""

_PATIENCE = 1.0
"""How long to wait for a ledger that is being written to, in seconds."""

_PASSING = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
)
"""What SQLite answers where a file is in use, or was left in the middle of a change that the next writer undoes."""


def hidden_folder(folder: str, *, writes: bool) -> Finding:
    """Whether the folder of what is derived from the entries is a real one, and this user's own."""
    try:
        status = os.lstat(folder)
    except FileNotFoundError:
        return Finding("hidden folder", Level.OK, "not there; it is made when it is needed")
    remedy = f"delete {folder}: nothing in it is needed"
    if not stat.S_ISDIR(status.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no folder"
        return Finding("hidden folder", Level.PROBLEM, f"{HIDDEN} is {what}: nothing is written", remedy)
    if status.st_uid != os.geteuid():
        level = Level.PROBLEM if writes else Level.NOTE
        return Finding("hidden folder", level, f"{HIDDEN} belongs to another user", remedy)
    if not may(folder, os.R_OK | os.W_OK | os.X_OK):
        level = Level.PROBLEM if writes else Level.NOTE
        return Finding("hidden folder", level, f"{HIDDEN} is closed to this user", f"chmod 700 {folder}")
    return Finding("hidden folder", Level.OK, f"{HIDDEN}, this user's own")


def temporary_files(folder: str, now: float) -> Finding:
    """How many temporary files were left behind by writers that are gone."""
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
        found = f"{old:,} older than an hour, left behind by programs that were stopped"
        return Finding(
            "temporary files", Level.NOTE, found, "the next program that stores an answer removes them"
        )
    return Finding("temporary files", Level.OK, "none left behind")


def _older(path: str, limit: float) -> bool:
    try:
        return os.lstat(path).st_mtime < limit
    except OSError:
        # Its writer has put it in its place by now.
        return False


def ledger(path: str) -> Finding:
    """Whether the file of past figures is whole."""
    remedy = f"delete {path}: past figures go with it, no entry does"
    if not os.path.lexists(path):
        return Finding("ledger", Level.OK, "not there; it is made when it is needed")
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return Finding("ledger", Level.PROBLEM, "it is not a regular file", remedy)
    try:
        with closing(
            sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)
        ) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in _PASSING:
            return Finding("ledger", Level.NOTE, f"it could not be read: {error}", "look again later")
        verdict = str(error)
    except UnicodeDecodeError:
        # What Python makes of SQLite's own message when it quotes the damage.
        verdict = "it holds what is no text"
    if verdict != "ok":
        return Finding("ledger", Level.PROBLEM, f"damaged ({' '.join(verdict.split())})", remedy)
    return Finding("ledger", Level.OK, "whole")


def index(folder: str, store: FileStore) -> Finding:
    """Whether the index, by which entries are counted and removed, is right.

    Args:
        folder: The hidden folder.
        store: The entries.

    Raises:
        StoreError: The store could not be read.
    """
    files = f"{folder}/{INDEX_FILE}", f"{folder}/{JOURNAL_FILE}"
    if not any(map(os.path.lexists, files)):
        return Finding("index", Level.OK, "not there; it is made when it is needed")
    compared = store.compare_books()
    if compared is None:
        found = "it cannot be read: entries are counted and removed by looking through all of them"
        return Finding(
            "index", Level.NOTE, found, f"if that lasts, delete {' and '.join(files)}: nothing goes with them"
        )
    models, wrong = compared
    counted = f"{models:,} {'model' if models == 1 else 'models'}"
    if wrong:
        found = (
            f"of {counted}, {wrong:,} changed by something else than the cache:"
            " they are looked through when they are next counted or written to"
        )
        return Finding("index", Level.NOTE, found)
    return Finding("index", Level.OK, f"agrees with the entries of {counted}")


def entries(census: Census) -> Finding:
    """Whether every file that should be an entry is one."""
    found = f"{census.entries.total():,} readable"
    if census.unreadable:
        found += f", {census.unreadable:,} cannot be read as entries"
        return Finding("entries", Level.NOTE, found, "they answer no call; the next answer takes their place")
    return Finding("entries", Level.OK, found)


def clock_check(store: FileStore, now: float, *, replay: bool) -> Finding:
    """Whether entries are dated ahead of the clock.

    Args:
        store: The entries; some of them where there are many.
        now: The time in seconds since the epoch.
        replay: Whether entries are served whatever their date.

    Raises:
        StoreError: The store could not be read.
    """
    looked, ahead = 0, 0
    for stored in islice(store.scan(), _DATED):
        try:
            data = store.read(stored.address, note_use=False)
        except StoreError:
            continue
        entry = describe(data, "") if isinstance(data, bytes) else None
        if isinstance(entry, EntryMeta):
            looked += 1
            ahead += entry.timestamp - now > CLOCK_SKEW
    if ahead:
        return Finding(
            "clock",
            Level.NOTE if replay else Level.PROBLEM,
            f"{ahead:,} of {looked:,} entries are dated more than 5 minutes ahead, and answer only in replay mode",
            "set this machine's clock; if it is right, remove them with `spark-cache rm`",
        )
    return Finding("clock", Level.OK, "no entry is dated ahead of it")


def encryption(config: CacheConfig, census: Census) -> Finding:
    """Whether the keys at hand open the entries.

    Args:
        config: The configuration.
        census: The entries under each key.
    """
    ids = [key_id(key) for key in config.fernet_keys()]
    found = f"{config.encryption}, key {', '.join(ids)}" if ids else f"{config.encryption}, no key"
    lost = {name: number for name, number in census.entries.items() if name is not None and name not in ids}
    if lost:
        named = ", ".join(sorted(name for name in lost if name is not None))
        return Finding(
            "encryption",
            Level.PROBLEM,
            f"{found}; {sum(lost.values()):,} entries are under keys that are not at hand: {named}",
            "add the keys to SPARK_CACHE_ENCRYPTION_KEY or its file, or remove the entries with "
            "`spark-cache keys retire ID --purge`",
        )
    if config.encryption == "all" and census.entries[None]:
        plain = f"{found}; {census.entries[None]:,} entries are plain text, and answer no call"
        return Finding("encryption", Level.NOTE, plain, "`spark-cache encrypt` encrypts them")
    return Finding("encryption", Level.OK, found)

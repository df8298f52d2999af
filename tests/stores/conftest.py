"""Stores on a clock that tests turn."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from spark_cache.stores import FileStore

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time, in seconds since the epoch."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time, in a test's hands."""
    return Clock()


@pytest.fixture
def removed() -> list[tuple[str, str]]:
    """What upkeep removed: each entry's name, and why."""
    return []


@pytest.fixture
def open_store(tmp_path, clock, removed):
    """Open a file store at a path; an entry is expired when its bytes begin with a time that is over."""

    def make(root: Path | None = None, *, commit_entries: bool = False, **bounds) -> FileStore:
        store = FileStore(
            str(root if root is not None else tmp_path / "cache"),
            clock=clock,
            commit_entries=commit_entries,
            ends_at=lambda data: float(data.split()[0]) if data[:1].isdigit() else float("inf"),
            on_removed=lambda at, _size, why: removed.append((at.name, why)),
        )
        store.require(**{"fsync": False, "cap_bytes": None, "cleanup_interval": 3600.0, **bounds})
        return store

    return make


@pytest.fixture
def listing():
    """List everything below a path: kind and mode, length, content's and status's last change."""

    def make(root: Path) -> dict[str, tuple[str, int, int, int]]:
        found = {}
        for path in [root, *sorted(root.rglob("*"))]:
            status = os.lstat(path)
            size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
            name = str(path.relative_to(root))
            found[name] = (stat.filemode(status.st_mode), size, status.st_mtime_ns, status.st_ctime_ns)
        return found

    return make


@pytest.fixture
def files():
    """The files below a path, without those of git, relative to it."""

    def make(root: Path) -> set[str]:
        found = (path for path in root.rglob("*") if not path.is_dir() and path.name != ".gitignore")
        return {str(path.relative_to(root)) for path in found}

    return make

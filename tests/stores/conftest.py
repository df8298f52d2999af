"""Stores with a clock that the tests set."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from spark_cache.stores import EntryFormat, FileStore, MemoryStore, Proof, filesystems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PRELUDE = """
import os, random, signal, sys, time
from spark_cache.stores import Address, EntryFormat, FileStore, Proof, file

file._FEW = 0

def open_store(root, *, commit_entries=False, **bounds):
    entry_format = EntryFormat(lambda *_: Proof.ENTRY, lambda _: (0.0, float("inf")))
    store = FileStore(
        root, clock=time.time, commit_entries=commit_entries, entry_format=entry_format, on_removed=lambda *_: None
    )
    store.require(**{"fsync": False, "cap_bytes": None, "cleanup_interval": 3600.0, **bounds})
    return store
"""
"""What the programs of these tests begin with."""


def _lifetime(data: bytes) -> tuple[float, float]:
    """An entry of these tests ends at the number that it begins with, if it does."""
    return 0.0, float(data.split()[0]) if data[:1].isdigit() else float("inf")


ENTRY_FORMAT = EntryFormat(lambda _data, _name, _whole: Proof.ENTRY, _lifetime)
"""Whatever these tests write is an entry."""


class Clock:
    """A clock that shows one time until a test changes it."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time, in seconds since the epoch."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that the test sets."""
    return Clock()


@pytest.fixture
def removed() -> list[tuple[str, str]]:
    """The entries that upkeep has removed: the name of each, and the reason."""
    return []


@pytest.fixture
def open_store(tmp_path, clock, removed):
    """Open a file store. An entry expires at the time that its bytes begin with, if they do."""

    def make(root: Path | None = None, *, commit_entries: bool = False, **bounds) -> FileStore:
        store = FileStore(
            str(root if root is not None else tmp_path / "cache"),
            clock=clock,
            commit_entries=commit_entries,
            entry_format=ENTRY_FORMAT,
            on_removed=lambda at, _size, why: removed.append((at.name, why)),
        )
        store.require(**{"fsync": False, "cap_bytes": None, "cleanup_interval": 3600.0, **bounds})
        return store

    return make


@pytest.fixture
def open_memory_store(clock, removed):
    """Open a memory store with the same entries."""

    def make(**bounds) -> MemoryStore:
        store = MemoryStore(
            clock=clock,
            entry_format=ENTRY_FORMAT,
            on_removed=lambda at, _size, why: removed.append((at.name, why)),
        )
        store.require(**{"fsync": False, "cap_bytes": None, "cleanup_interval": 3600.0, **bounds})
        return store

    return make


@pytest.fixture
def listing():
    """List everything below a path: kind and mode, size, and the times of the last changes of content and status."""

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
    """List the files below a path, relative to it, without those of git."""

    def make(root: Path) -> set[str]:
        found = (path for path in root.rglob("*") if not path.is_dir() and path.name != ".gitignore")
        return {str(path.relative_to(root)) for path in found}

    return make


@pytest.fixture
def start(request) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start programs that open stores with ``open_store(root)``, and end those that still run after the test."""
    running: list[subprocess.Popen[str]] = []

    def make(program: str, *arguments: object) -> subprocess.Popen[str]:
        code = textwrap.dedent(_PRELUDE) + textwrap.dedent(program)
        command = [sys.executable, "-c", code, *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield make
    for process in running:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def on_network(tmp_path, monkeypatch) -> None:
    """Present the temporary directory as a network file system, where a store keeps no index."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"disk / ext4 rw 0 0\nserver:/export {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(filesystems, "_MOUNTS", str(mounts))

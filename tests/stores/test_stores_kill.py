"""A writer that is killed at any moment never leaves an incomplete entry."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from spark_cache.stores import EntryFormat, FileStore, Proof, address
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable

_AT = address("openai", "gpt-4o", "ab" * 32)
_ROUNDS = 100

_HARNESS = f"""
import os, random, signal, sys, time
from spark_cache.stores import EntryFormat, FileStore, Proof, address

root, path, kind = sys.argv[1:]
at = address("openai", "gpt-4o", {_AT.name!r})
every = EntryFormat(lambda *_: Proof.ENTRY, lambda _: (0.0, float("inf")))
store = FileStore(root, clock=time.time, commit_entries=False, entry_format=every, on_removed=lambda *_: None)
store.require(fsync=False, cap_bytes=None, cleanup_interval=3600.0)
store.write(at, b"a" * 300_000)

def careful(value):
    store.write(at, value)

def naive(value):
    with open(path, "wb") as file:
        file.write(value)

write = {{"careful": careful, "naive": naive}}[kind]
values = [bytes([97 + number]) * (200_000 + 1000 * number) for number in range(26)]
chance = random.Random(5)
for _ in range({_ROUNDS}):
    writer = os.fork()
    if writer == 0:
        while True:
            write(values[chance.randrange(26)])
    time.sleep(chance.uniform(0.002, 0.012))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    chance.random()
    print("killed", flush=True)
"""
"""Starts a writer and kills it, again and again."""


@pytest.fixture
def torn_reads(tmp_path) -> Callable[[str], tuple[int, int]]:
    """Read while writers of a kind are killed, and return the numbers of all reads and of torn ones."""

    def count(kind: str) -> tuple[int, int]:
        root = str(tmp_path / "cache")
        store = FileStore(
            root,
            clock=lambda: 0.0,
            commit_entries=False,
            entry_format=EntryFormat(lambda *_: Proof.ENTRY, lambda _: (0.0, float("inf"))),
            on_removed=lambda *_entry: None,
        )
        reads = torn = 0
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_HARNESS), root, store.path(_AT), kind],
            stdout=subprocess.PIPE,
        ) as writers:
            assert writers.stdout is not None
            os.set_blocking(writers.stdout.fileno(), False)
            killed = b""
            while writers.poll() is None:
                killed += writers.stdout.read() or b""
                data = store.read(_AT, note_use=False)
                if data is not MissReason.ABSENT or reads:
                    reads += 1
                    torn += not _is_whole(data)
            killed += writers.stdout.read() or b""
        assert killed.count(b"killed") == _ROUNDS
        return reads, torn

    return count


def _is_whole(data: bytes | MissReason) -> bool:
    if isinstance(data, MissReason) or not data:
        return False
    first = data[:1]
    length = 300_000 if len(data) == 300_000 and first == b"a" else 200_000 + 1000 * (first[0] - 97)
    return len(data) == length and data.count(first) == length


def test_a_reader_never_sees_an_incomplete_entry(torn_reads):
    """While a hundred writers are killed, every read returns one of their values, complete."""
    reads, torn = torn_reads("careful")
    assert reads > _ROUNDS
    assert torn == 0


def test_the_harness_catches_a_naive_writer(torn_reads):
    """The same reads see incomplete content of a file that is written in place."""
    _, torn = torn_reads("naive")
    assert torn > 0


def test_temporary_files_of_killed_writers_are_removed(torn_reads, open_store, tmp_path, clock):
    """Temporary files that are older than an hour are removed by later writes, and younger ones are kept."""
    torn_reads("careful")
    scratch = tmp_path / "cache" / ".spark-cache" / "temporary"
    # A kill between two writes leaves nothing.
    (scratch / "1-2-left").write_bytes(b"half")
    left = list(scratch.iterdir())
    clock.now = max(path.stat().st_mtime for path in left) + 3500
    for path in left:
        os.utime(path, (clock.now - 3500, clock.now - 3500))
    open_store().write(_AT, b"data")
    assert set(scratch.iterdir()) == set(left)
    clock.now += 200
    store = open_store()
    for _ in range(1 + len(left) // 64):
        store.write(_AT, b"data")
    assert list(scratch.iterdir()) == []


def test_a_write_removes_a_slice_of_the_temporary_files(open_store, tmp_path, clock):
    """Of 200 old temporary files, each write removes 64."""
    open_store().write(_AT, b"data")
    scratch = tmp_path / "cache" / ".spark-cache" / "temporary"
    for number in range(200):
        (scratch / f"1-{number}-left").touch()
        os.utime(scratch / f"1-{number}-left", (clock.now, clock.now))
    clock.now += 4000
    store = open_store()
    left = []
    for _ in range(4):
        store.write(_AT, b"data")
        left.append(len(list(scratch.iterdir())))
    assert left == [136, 72, 8, 0]

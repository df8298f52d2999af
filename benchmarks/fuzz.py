"""Feed damaged files to everything that reads files, and check exceptions and memory use.

    python benchmarks/fuzz.py --inputs 300000 --seed 1

Every input is a valid file with a few random changes. The same seed gives the same inputs. If a reader raises an exception that
it does not document, the input is printed and the exit code is 1.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import logging
import resource
import sqlite3
import sys
import tempfile
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING

from spark_cache.archive import export_entries, inspect
from spark_cache.config import load_config
from spark_cache.config.secret import fernet_keys, read_key_file
from spark_cache.core.entry_format import ENTRY_FORMAT
from spark_cache.entries import (
    CacheEntry,
    decode,
    decrypt_entry,
    describe,
    encode,
    encrypt_bytes,
    encrypt_entry,
    key_id_of,
)
from spark_cache.entries.keyring import KeyRing
from spark_cache.errors import ConfigError, StoreError
from spark_cache.savings import SAVINGS_FILE, Savings
from spark_cache.stores import HIDDEN, FileStore, address

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Finding", "fuzz"]

KEYS = [base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
RING = KeyRing(KEYS)
CACHE_KEY = "3f2a" * 16
MEMORY_ALLOWED = 256 * 2**20
"""How much the process may grow, in bytes: more than the largest input needs, and less than unbounded growth."""

PIECES = (
    *(
        b"[" * 2000,
        b'{"a":' * 2000,
        b"[" * 200_000,
        b"9" * 400,
        b"1e999",
        b"-1",
        b"NaN",
        b"null",
        b"true",
        b"[]",
    ),
    *(
        b"{}",
        b'""',
        b"\x00",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\\ud800",
        b'"',
        b"'",
        b"\n",
        b"=",
        b"#",
        b",",
        b"$HOME",
    ),
)


@dataclass(frozen=True)
class Finding(Exception):  # noqa: N818 - a result of the run, not an error of this program
    """An undocumented exception or excessive memory use of a reader."""

    target: str
    data: bytes
    error: BaseException

    def __str__(self) -> str:
        """Return the reader, its exception and the input."""
        return f"{self.target} raised {self.error!r} for {zlib.compress(self.data).hex()} (zlib-compressed, in hex)"


@dataclass(frozen=True)
class Target:
    """A reader under test.

    Attributes:
        share: The percentage of the inputs that it gets.
        seeds: Valid files.
        read: A function that reads a file.
        promised: The exceptions that the reader may raise.
    """

    share: int
    seeds: tuple[bytes, ...]
    read: Callable[[bytes], object]
    promised: tuple[type[Exception], ...] = ()


def fuzz(inputs: int, seed: int) -> dict[str, int]:
    """Feed damaged files to all readers.

    Args:
        inputs: The total number of files.
        seed: The seed of the random changes.

    Returns:
        The number of files that each reader got.

    Raises:
        Finding: A reader raised an undocumented exception or used too much memory.
    """
    chance = Random(seed)
    counts = {}
    log, silent = logging.getLogger("spark_cache"), logging.NullHandler()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.addHandler(silent)
        for name, target in targets(Path(folder)).items():
            before = _peak()
            counts[name] = max(1, inputs * target.share // 100)
            for _ in range(counts[name]):
                data = changed(chance.choice(target.seeds), chance)
                try:
                    target.read(data)
                except target.promised:
                    continue
                except Exception as error:
                    raise Finding(name, data, error) from error
                if _peak() - before > MEMORY_ALLOWED:
                    raise Finding(name, data, MemoryError("the process grew beyond the limit"))
    log.removeHandler(silent)
    return counts


def changed(data: bytes, chance: Random) -> bytes:
    """Return a file with one to four random changes.

    Args:
        data: The file.
        chance: The source of randomness.
    """
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(data))
        to = min(len(data), at + chance.choice((1, 2, 8, 64)))
        match chance.randrange(6):
            case 0:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[to:]
            case 2:
                data = data[:at] + data[at:to] + data[at:]
            case 3:
                data = data[:at]
            case 4:
                data = data[:at] + chance.choice(PIECES) + data[to:]
            case _:
                data = data[:at] + chance.randbytes(chance.randint(1, 16)) + data[at:]
    return data


def targets(folder: Path) -> dict[str, Target]:
    """Return all readers of files.

    Args:
        folder: The folder that they may use.
    """
    plain = tuple(encode(entry) for entry in _entries())
    return {
        "plain entry": Target(30, plain, _read_entry),
        "encrypted entry": Target(25, tuple(encrypt_entry(entry, RING) for entry in _entries()), _read_entry),
        "content of an encrypted entry": Target(
            20, plain, lambda data: _read_entry(encrypt_bytes(data, _entries()[0], RING))
        ),
        "encryption keys": Target(8, (",".join(KEYS).encode(), KEYS[0].encode()), _read_keys, (ValueError,)),
        "key file": Target(
            5, ("\n".join(["# keys", *KEYS, ""]).encode(),), _key_file_reader(folder), (ValueError,)
        ),
        "profile": Target(3, _profiles(), _config_reader(folder, "profiles/fuzz.toml"), (ConfigError,)),
        ".env": Target(3, _dotenvs(), _config_reader(folder, ".env"), (ConfigError,)),
        "savings": Target(2, *_savings(folder)),
        "index": Target(2, *_index_file(folder, "index.sqlite3")),
        "archive": Target(2, *_archive(folder), (StoreError,)),
    }


def _entries() -> tuple[CacheEntry, ...]:
    answer = {"content": "Paris.", "stop_reason": "end_turn", "usage": {"total_tokens": 23}}
    return (
        CacheEntry(CACHE_KEY, "openai", "gpt-4o", answer, 1.7e9, 86400),
        CacheEntry(
            CACHE_KEY,
            "openai",
            "gpt-4o",
            {"own": [1, {"a": None}]},
            1.7e9,
            None,
            "testing",
            {"messages": "00"},
        ),
        CacheEntry(CACHE_KEY, "a", "b", answer, 1.7e9, 60.5, request={"messages": "Hi"}, namespace="team"),
    )


def _read_entry(data: bytes) -> None:
    for found in (decode(data, CACHE_KEY, ring=RING), decode(data, ring=RING), decode(data, CACHE_KEY)):
        if isinstance(found, CacheEntry):
            found.staleness(1.7e9, 60)
    describe(data, "ab")
    decrypt_entry(data, RING)
    key_id_of(data)


def _read_keys(data: bytes) -> None:
    fernet_keys(data.decode(errors="replace"))


def _key_file_reader(folder: Path) -> Callable[[bytes], object]:
    path = folder / "keys"
    path.touch(mode=0o600)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_key_file(path, folder / "cache")

    return read


def _profiles() -> tuple[bytes, ...]:
    shipped = Path(__file__).parent.parent / "profiles"
    rules = b'[cache]\nttl = "30d"\nmax_size = "500MB"\n[[rules]]\nmodel = "gpt-*"\nttl = "1h"\nsensitive = true\n'
    return (rules, *(path.read_bytes() for path in sorted(shipped.glob("*.toml"))))


def _dotenvs() -> tuple[bytes, ...]:
    return (
        b"SPARK_CACHE_TTL=1h\nSPARK_CACHE_DIR=~/cache\n# comment\nSPARK_CACHE_MODE='read-only'\n",
        f'export SPARK_CACHE_ENCRYPTION_KEY="{",".join(KEYS)}"\nSPARK_ENABLE_CACHE=on\nOTHER=1\n'.encode(),
    )


def _config_reader(folder: Path, name: str) -> Callable[[bytes], object]:
    project = folder / name.replace("/", "-")
    path = project / name
    path.parent.mkdir(parents=True)
    (project / "pyproject.toml").touch()
    environ = {"HOME": str(project), "SPARK_PROFILE": "fuzz" if path.suffix else "development"}

    def read(data: bytes) -> None:
        path.write_bytes(data)
        load_config(environ=environ, cwd=project)

    return read


def _savings(folder: Path) -> tuple[tuple[bytes, ...], Callable[[bytes], object]]:
    def opened() -> Savings:
        savings = Savings(str(folder), clock=lambda: 1.7e9)
        usage = {"total_tokens": 23}
        savings.ledger.record(
            "hit", provider="openai", model="gpt-4o", profile=None, keep=True, seconds=0.5, usage=usage
        )
        savings.miss_log.missed(
            "ab" * 32, provider="openai", model="gpt-4o", reason="absent", digests={"messages": "00"}
        )
        savings.miss_log.removed("ab" * 32, "evict")
        savings.miss_log.cleared("clear", "openai")
        return savings

    opened().flush()
    path = folder / SAVINGS_FILE

    def read(data: bytes) -> None:
        path.write_bytes(data)
        savings = opened()
        savings.misses()
        savings.removals("ab" * 32, "openai", "gpt-4o")
        savings.lifetime()

    return (path.read_bytes(),), read


def _store(root: Path) -> FileStore:
    return FileStore(
        str(root),
        clock=lambda: 1.7e9,
        commit_entries=False,
        entry_format=ENTRY_FORMAT,
        on_removed=lambda _at, _size, _why: None,
    )


def _stored(root: Path) -> FileStore:
    """Return a store that has entries and an index."""
    store = _store(root)
    for number in range(200):
        _store_one(store, f"{number:064x}")
    return store


def _store_one(store: FileStore, key: str) -> None:
    """Store an entry, which expires long after the time of the store's clock."""
    store.write(address("openai", "gpt-4o", key), encode(replace(_entries()[0], key=key)), expires_at=2e9)


def _index_file(folder: Path, name: str) -> tuple[tuple[bytes, ...], Callable[[bytes], object]]:
    """Return the content of an index file, and a function that uses a store with a given content of that file."""
    root = folder / name.partition(".")[0]
    _stored(root).totals(write=True)
    path = root / HIDDEN / name

    def read(data: bytes) -> None:
        path.write_bytes(data)
        store = _store(root)
        _store_one(store, "ab" * 32)
        if sum(totals.entries for totals in store.totals(write=True).folders) != sum(1 for _ in store.scan()):
            raise AssertionError("the totals of the store do not match its entries")

    return (path.read_bytes(),), read


def _archive(folder: Path) -> tuple[tuple[bytes, ...], Callable[[bytes], object]]:
    store = _store(folder / "archived")
    for entry in _entries()[:2]:
        store.write(address(entry.provider, entry.model_id, entry.key), encode(entry))
    path = folder / "archive.tar.gz"
    export_entries(store, str(path), ring=RING, wanted=lambda _about: True, step=lambda: None)
    packed = path.read_bytes()

    def read(data: bytes) -> None:
        path.write_bytes(data)
        inspect(
            str(path),
            ring=RING,
            may_be_plain=lambda _about: True,
            now=1.7e9,
            room_bytes=2**20,
            step=lambda: None,
        )

    # gzip's checksum rejects most damaged files, so damaged uncompressed archives are compressed again before reading.
    return (packed, gzip.decompress(packed)), lambda data: read(
        data if data[:2] == packed[:2] else gzip.compress(data, mtime=0)
    )


def _peak() -> int:
    """Return the peak memory of the process, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> int:
    """Run the program and return the exit code."""
    parser = argparse.ArgumentParser(description="Feed damaged files to everything that reads files.")
    parser.add_argument("--inputs", type=int, default=300_000, help="number of files (default: 300000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random damage (default: 1)")
    arguments = parser.parse_args()
    started = perf_counter()
    try:
        counts = fuzz(arguments.inputs, arguments.seed)
    except Finding as found:
        print(found)
        return 1
    for name, count in counts.items():
        print(f"{count:>9,}  {name}")
    print(
        f"{sum(counts.values()):>9,}  inputs in {perf_counter() - started:.0f} s, SQLite {sqlite3.sqlite_version}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

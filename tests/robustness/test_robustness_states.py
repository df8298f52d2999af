"""Compare the cache with a dictionary: after any sequence of operations, it returns what the dictionary holds, or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from spark_cache import CacheConfig, CacheManager
from spark_cache.events import CacheEvict, CacheExpire
from spark_cache.stores import Proof, block_size
from spark_cache.types import CLOCK_SKEW, CacheKey

if TYPE_CHECKING:
    from spark_cache.events import Event

_TTL = 1000.0
"""The TTL of the reader, in seconds."""

_CAP_MB = 1
_KEYS = 8
_LARGEST = 300_000
"""The length of the longest response; a few of them fill the cache."""

_KEY = st.integers(0, _KEYS - 1)


@dataclass
class _Kept:
    """The dictionary's record of an entry."""

    content: str
    stored_at: float
    ttl: float | None
    data: bytes = b""
    whole: bool = True


def _key(number: int) -> CacheKey:
    return CacheKey(f"{number:012x}" + "0" * 52, "openai", "gpt-4o" if number % 2 else "gpt-4o-mini", {})


class CacheStates(RuleBasedStateMachine):
    """A sequence of operations on a cache directory."""

    @initialize()
    def begin(self) -> None:
        """Start with an empty directory."""
        self.folder = tempfile.mkdtemp()
        self.root = os.path.join(self.folder, "cache")
        self.now = 1_700_000_000.0
        self.kept: dict[int, _Kept] = {}
        self.version = 0
        self.changes = 0
        self.uncounted_writes = 0
        self._open()

    def teardown(self) -> None:
        """Remove the directory."""
        if hasattr(self, "folder"):
            self.manager.flush()
            shutil.rmtree(self.folder)

    # -- events of removed entries ---------------------------------------------------------------------------------------------------

    def wants(self, level: int) -> bool:  # noqa: ARG002 - the signature of a sink
        """Return True for every level.

        Args:
            level: The level of an event.
        """
        return True

    def emit(self, event: Event) -> None:
        """Forget the entries that the cache removes, and check that an entry reported as expired has expired.

        Args:
            event: The event.
        """
        if isinstance(event, CacheEvict | CacheExpire):
            number = int(event.key, 16)
            if isinstance(event, CacheExpire):
                kept = self.kept[number]
                assert kept.whole
                assert self._is_over(kept)
            self.kept.pop(number, None)

    # -- rules --------------------------------------------------------------------------------------------------------------------------

    @rule(
        number=_KEY,
        size=st.sampled_from((10, 5_000, _LARGEST)),
        ttl=st.sampled_from((None, 50.0, 5000.0, inf)),
    )
    def set(self, number: int, size: int, ttl: float | None) -> None:
        """Store a response.

        Args:
            number: The number of the entry.
            size: The length of the response.
            ttl: The TTL of the entry, in seconds.
        """
        self.version += 1
        content = f"<{number}:{self.version}>".ljust(size, "x")
        key = _key(number)
        is_foreign = self._proof(number) is Proof.FOREIGN
        # Update the dictionary before the call, which may evict other entries and emit events for them.
        old = self.kept.pop(number, None)
        self.kept[number] = _Kept(content, self.now, {None: _TTL, inf: None}.get(ttl, ttl))
        stored = self.manager.set(key, "openai", key.model_id, None, _answer(content), ttl_seconds=ttl)
        assert stored is not is_foreign
        if stored:
            self.kept[number].data = self._data(number) or b""
            self.uncounted_writes = max(0, self.uncounted_writes - 1)
        elif old is not None:
            self.kept[number] = old

    @rule(number=_KEY)
    def get(self, number: int) -> None:
        """Look up an entry.

        Args:
            number: The number of the entry.
        """
        self._compare(number, self.manager.get(_key(number)))

    @rule(number=_KEY)
    def remove(self, number: int) -> None:
        """Remove an entry.

        Args:
            number: The number of the entry.
        """
        proof = self._proof(number)
        assert self.manager.remove_entry(_key(number)) == (proof in (Proof.ENTRY, Proof.DAMAGED))
        assert os.path.lexists(self._path(number)) == (proof is Proof.FOREIGN)
        if proof is not Proof.FOREIGN:
            self.kept.pop(number, None)

    @rule()
    def clean_up(self) -> None:
        """Remove all entries that have expired, and possibly some that are dated in the future, but no others."""
        whole = {number: kept for number, kept in self.kept.items() if kept.whole}
        over = {number for number, kept in whole.items() if self._is_over(kept)}
        expired = {number for number in over if self.now >= whole[number].stored_at}
        removed = self.manager.cleanup_expired()
        gone = {number for number in self.kept if not os.path.exists(self._path(number))}
        assert expired <= gone <= over
        assert removed == len(gone)
        for number in gone:
            self.kept.pop(number)

    @rule()
    def clear(self) -> None:
        """Remove all entries, and no other files."""
        entries = {number for number in self.kept if self._proof(number) is Proof.ENTRY}
        assert self.manager.clear_all() == len(entries)
        assert {number for number in self.kept if not os.path.exists(self._path(number))} == entries
        for number in entries:
            self.kept.pop(number)

    @rule(number=_KEY, how=st.sampled_from(("cut", "noise", "empty", "deleted")))
    def damage_entry(self, number: int, how: str) -> None:
        """Damage or delete the file of an entry.

        Args:
            number: The number of the entry.
            how: The kind of damage.
        """
        path = self._path(number)
        if not os.path.exists(path):
            return
        if how == "deleted":
            os.unlink(path)
            self.kept.pop(number, None)
            return
        with open(path, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if how == "noise":
                file.write(os.urandom(min(size, 100)))
            else:
                file.truncate(size // 2 if how == "cut" else 0)
        self._date(number)

    @rule(first=_KEY, second=_KEY)
    def swap(self, first: int, second: int) -> None:
        """Swap the files of two entries.

        Args:
            first: The number of one entry.
            second: The number of the other entry.
        """
        paths = self._path(first), self._path(second)
        if first == second or not all(os.path.exists(path) for path in paths):
            return
        spare = os.path.join(self.folder, "spare")
        os.rename(paths[0], spare)
        os.rename(paths[1], paths[0])
        os.rename(spare, paths[1])
        self._date(first)
        self._date(second)
        # Entries may have been swapped back.
        self.uncounted_writes = 2

    @rule(how=st.sampled_from(("delete", "noise", "cut")))
    def damage_hidden_folder(self, how: str) -> None:
        """Delete or damage the files that the cache derives from the entries.

        Args:
            how: The kind of damage.
        """
        hidden = os.path.join(self.root, ".spark-cache")
        # While a new index is built, the cap holds for the entries that it has counted.
        self.uncounted_writes = 2
        if how == "delete":
            shutil.rmtree(hidden, ignore_errors=True)
            return
        for name in os.listdir(hidden) if os.path.isdir(hidden) else ():
            path = os.path.join(hidden, name)
            if os.path.isfile(path):
                with open(path, "r+b") as file:
                    if how == "noise":
                        file.write(os.urandom(200))
                    else:
                        file.truncate(os.fstat(file.fileno()).st_size // 2)

    @rule(seconds=st.sampled_from((1.0, 49.0, 100.0, 2000.0, 10_000.0, -1.0, -200.0, -1000.0, -20_000.0)))
    def step_the_clock(self, seconds: float) -> None:
        """Set the clock forward or back.

        Args:
            seconds: The change, in seconds.
        """
        self.now += seconds

    @rule()
    def reopen(self) -> None:
        """Open the directory again, as a new program would."""
        self.manager.flush()
        self._open()

    @precondition(lambda self: self.kept)
    @rule()
    def copy_in(self) -> None:
        """Restore an entry from a copy, as a checkout would."""
        number = min(self.kept)
        path = self._path(number)
        if not self.kept[number].whole:
            return
        shutil.copy(path, os.path.join(self.folder, "copy"))
        os.unlink(path)
        shutil.copy(os.path.join(self.folder, "copy"), path)

    # -- invariants ---------------------------------------------------------------------------------------------------------------------

    @invariant()
    def counts_agree(self) -> None:
        """The totals match the files that are entries."""
        if not hasattr(self, "manager"):
            return
        for number, kept in self.kept.items():
            kept.whole = self._data(number) == kept.data
        entries = [number for number in range(_KEYS) if self._proof(number) is Proof.ENTRY]
        sizes = [os.lstat(self._path(number)).st_size for number in entries]
        stats = self.manager.get_stats()
        assert stats["total_entries"] == len(sizes)
        assert stats["total_size_bytes"] == sum(map(block_size, sizes))
        assert self.uncounted_writes or stats["total_size_bytes"] <= _CAP_MB * 2**20

    @invariant()
    def nothing_is_lost(self) -> None:
        """No entry disappears without an event."""
        if hasattr(self, "manager"):
            for number, kept in self.kept.items():
                assert os.path.exists(self._path(number)), (number, kept)

    # -- helpers ------------------------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        config = CacheConfig(
            enabled=True,
            cache_dir=self.root,
            ttl_seconds=_TTL,
            max_cache_size_mb=_CAP_MB,
            cleanup_interval_seconds=500,
            allow_plaintext=True,
        )
        # A new clock function, so that nothing is shared with the previous manager.
        self.manager = CacheManager(config, clock=lambda: self.now, sink=self)

    def _path(self, number: int) -> str:
        key = _key(number)
        return f"{self.root}/openai/{key.model_id}/{key}.json"

    def _data(self, number: int) -> bytes | None:
        if not os.path.lexists(self._path(number)):
            return None
        with open(self._path(number), "rb") as file:
            return file.read()

    def _proof(self, number: int) -> Proof | None:
        """Return what the file in the place of an entry is; None if there is none."""
        data = self._data(number)
        if data is None:
            return None
        if not data.strip(b"\0"):
            return Proof.DAMAGED
        if not data.startswith(b'{\n  "schema": '):
            return Proof.FOREIGN
        return Proof.ENTRY if b'"key": "%s"' % _key(number).encode() in data[:200] else Proof.DAMAGED

    def _date(self, number: int) -> None:
        """Give a file that was changed another modification time, however short ago it was written."""
        self.changes += 1
        status = os.stat(self._path(number))
        os.utime(self._path(number), ns=(status.st_atime_ns, status.st_mtime_ns + self.changes))

    def _is_over(self, kept: _Kept) -> bool:
        """Return whether an entry is older than its own TTL, or dated in the future."""
        age = self.now - kept.stored_at
        return age < -CLOCK_SKEW or (kept.ttl is not None and age >= kept.ttl)

    def _compare(self, number: int, answer: dict[str, Any] | None) -> None:
        kept = self.kept.get(number)
        if kept is None or not kept.whole:
            assert answer is None
            return
        age = self.now - kept.stored_at
        fresh = -CLOCK_SKEW <= age < min(_TTL, inf if kept.ttl is None else kept.ttl)
        assert answer == (_answer(kept.content) if fresh else None)


def _answer(content: str) -> dict[str, Any]:
    return {"content": content, "stop_reason": "end_turn", "usage": None}


CacheStates.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestCacheStates = CacheStates.TestCase

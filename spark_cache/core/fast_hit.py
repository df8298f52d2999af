"""The short way of a hit: an entry in a file, whole, fresh and of this very key, read and judged in one pass.

Hits are what a cache is for, and a program asks for thousands of them: most of the time of one would go into calls from room to
room, not into the file. So the usual case has a way of its own, half as long. It answers or it gives up, and decides nothing: whatever
is unusual in any way (missing, expired, damaged, moved, written in another format, a fault of the machine) is left to
:meth:`spark_cache.core.write.EntryStore.find`, which looks for itself and says why. Tests hold the two to the same answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.core.plan import Hit
from spark_cache.entries import quick_answer, quick_encrypted_answer, staleness
from spark_cache.errors import StoreError
from spark_cache.stores import folder_name
from spark_cache.types import MissReason, Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.config import Policy
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import FileStore
    from spark_cache.types import CacheKey

__all__ = ["QuickHits"]

_FOLDERS_REMEMBERED = 1024


class QuickHits:
    """The short way into the entries of one file store.

    Args:
        store: The store.
        clock: The time in seconds since the epoch.
        ring: The keys for encrypted entries; None where there are none.
    """

    def __init__(self, store: FileStore, clock: Callable[[], float], ring: KeyRing | None) -> None:
        self._store = store
        self._clock = clock
        self._ring = ring
        self._folders: dict[tuple[str, str], str] = {}

    def find(self, key: CacheKey, policy: Policy, mode: Mode, *, encrypted: bool) -> tuple[Hit | None, str]:
        """The entry that answers a key, and its name; None where it takes more to tell.

        Args:
            key: The key.
            policy: The settings of the call.
            mode: What the call may do.
            encrypted: Whether only an encrypted entry will do.
        """
        folder = self._folders.get((key.provider, key.model_id)) or self._folder_of(key)
        read, ring, note_use = self._store.read_path, self._ring, mode.writes
        try:
            if ring is not None:
                for name in ring.names(key):
                    data = read(f"{folder}{name}.json", note_use=note_use)
                    if data is not MissReason.ABSENT:
                        found = quick_encrypted_answer(data, key, policy.namespace, ring)
                        return self._fresh(found, policy, mode), name
            name = str.__str__(key)
            if encrypted or "/" in name:
                return None, name
            data = read(f"{folder}{name}.json", note_use=note_use)
        except (StoreError, ValueError):
            # The second: a key that is no name of a file.
            return None, ""
        return self._fresh(quick_answer(data, key, policy.namespace), policy, mode), name

    def _fresh(
        self, found: tuple[dict[str, Any], float, float | None] | None, policy: Policy, mode: Mode
    ) -> Hit | None:
        if found is None or policy.ttl_seconds == 0:
            return None
        response, timestamp, ttl = found
        if mode is not Mode.REPLAY and staleness(timestamp, ttl, self._clock(), policy.ttl_seconds):
            return None
        return Hit(response, timestamp)

    def _folder_of(self, key: CacheKey) -> str:
        folder = f"{self._store.root}/{folder_name(key.provider)}/{folder_name(key.model_id)}/"
        if len(self._folders) >= _FOLDERS_REMEMBERED:
            self._folders.clear()
        self._folders[key.provider, key.model_id] = folder
        return folder

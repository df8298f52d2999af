"""Notes of misses and removals, kept in memory until they are written.

A note holds names of entries, models and reasons, and short digests of those parts of a request that are stored as plain text. Of a
request that must be encrypted it holds only the name of the entry, which cannot be derived without the encryption key.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.savings.totals import encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MissLog", "MissNote", "RemovalNote", "queue"]

_MAX_PENDING = 5000
"""How many notes wait to be written. If there are more, the oldest are lost."""


class MissNote(NamedTuple):
    """A miss.

    Attributes:
        at: The time of the miss, in seconds since the epoch.
        name: The name of the entry that was looked up.
        provider: The provider of the request.
        model: The model of the request.
        reason: The reason, a :class:`spark_cache.MissReason` value.
        digests: A short digest of each part of the request. Empty for a request that must be encrypted.
    """

    at: float
    name: str
    provider: str
    model: str
    reason: str
    digests: Mapping[str, str]


class RemovalNote(NamedTuple):
    """The removal of one entry, or of many entries at once.

    Attributes:
        at: The time of the removal, in seconds since the epoch.
        why: ``evict``, ``expire`` or ``remove`` for one entry, ``clear`` or ``cleanup`` for many.
        name: The name of the entry. Empty for many entries.
        provider_folder: The provider folder that was cleared or cleaned up. Empty for all.
        model_folder: The model folder that was cleared. Empty for all.
    """

    at: float
    why: str
    name: str = ""
    provider_folder: str = ""
    model_folder: str = ""

    def concerns(self, name: str, provider_folder: str, model_folder: str) -> bool:
        """Return whether this removal may have removed an entry. An empty folder stands for one that is not known."""
        if self.name:
            return self.name == name
        return self.provider_folder in ("", provider_folder) and self.model_folder in ("", model_folder)


class MissLog:
    """Notes misses and removals. A note only waits in memory, because thousands of entries may be evicted in a second.

    Args:
        clock: Returns the time in seconds since the epoch.
        wake: Called after each note.
    """

    def __init__(self, *, clock: Callable[[], float], wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self.pending = queue()

    def missed(
        self, name: str, *, provider: str, model: str, reason: str, digests: Mapping[str, str] | None = None
    ) -> None:
        """Note a miss.

        Args:
            name: The name of the entry that was looked up.
            provider: The provider of the request.
            model: The model of the request.
            reason: The reason, a :class:`spark_cache.MissReason` value.
            digests: A short digest of each part of the request. None for a request that must be encrypted.
        """
        names = encodable(provider), encodable(model)
        self._note(MissNote(self._clock(), name, *names, reason, dict(digests or {})))

    def removed(self, name: str, why: str) -> None:
        """Note the removal of an entry.

        Args:
            name: The name of the entry.
            why: ``evict``, ``expire`` or ``remove``.
        """
        self._note(RemovalNote(self._clock(), why, name))

    def cleared(self, why: str, provider_folder: str | None, model_folder: str | None = None) -> None:
        """Note the removal of many entries.

        Args:
            why: ``clear`` or ``cleanup``.
            provider_folder: The only provider whose entries were removed. None for all.
            model_folder: Its only model. None for all.
        """
        self._note(RemovalNote(self._clock(), why, "", provider_folder or "", model_folder or ""))

    def take(self) -> list[MissNote | RemovalNote]:
        """Return and remove the notes that wait to be written, oldest first."""
        # A fixed number of notes, because other threads keep adding to the queue.
        return [self.pending.popleft() for _ in range(len(self.pending))]

    def _note(self, note: MissNote | RemovalNote) -> None:
        self.pending.append(note)
        self._wake()


def queue() -> deque[MissNote | RemovalNote]:
    """Return an empty queue that keeps the newest notes."""
    return deque(maxlen=_MAX_PENDING)

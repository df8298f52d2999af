"""Removing entries by the index: those whose life is over, and those that were used longest ago."""

from __future__ import annotations

import os
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.errors import StoreError
from spark_cache.stores.base import UNKNOWN, Address, block_size
from spark_cache.stores.walk import ENDING, folder_time, leads_out, remove_if_empty, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spark_cache.stores.base import Stored
    from spark_cache.stores.index.rows import Folder
    from spark_cache.stores.index.segments import Known, Segment
    from spark_cache.stores.index.transaction import Work

__all__ = ["Bounds", "Removed", "evict", "expire", "remove_all"]

_LOOKED_AT = 128
"""How many entries are looked at at once to find those that were used longest ago."""

_CHANCES = (True, True, True, False)
"""How often to look for some that were not used since; the last time, whichever comes first goes."""

_USED_SINCE = 1.0
"""A file whose time is this much later than the index knows, in seconds, was used meanwhile."""

_LATER = 3600.0
"""When to ask an entry again that could not be read, in seconds."""


Removed = dict[tuple[str, str], list[tuple[str, int]]]
"""The names and the lengths of what was removed, by folder."""


_NO_ENTRY = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""What is said of a place where no entry stands, or not any more."""


class Bounds(NamedTuple):
    """How much is evicted at once.

    Attributes:
        low_bytes: What the store is to occupy in the end, in bytes: no more goes than that takes.
        grown: How much room is taken, in bytes: no less goes, so that a store that kept its cap before keeps it again.
        entries: How many entries go at the most, unless they make less room than is taken.
        until: When to stop, by ``time.perf_counter``, unless too little room was made by then.
    """

    low_bytes: float
    grown: int
    entries: int
    until: float


class _Folders:
    """Removes files, and posts what it removed to the accounts of their folders at the end."""

    def __init__(self, root: str, work: Work) -> None:
        self._root = root
        self._accounts = work.index_totals
        self._before: dict[Folder, int] = {}
        self._removed: Removed = {}
        self._occupied: dict[Folder, int] = {}
        self._overtaken: set[Folder] = set()
        self.error: OSError | None = None
        self._occupied_before = self.occupied = work.index_totals.occupied_bytes
        self.removed = 0

    def begin(self, folder: Folder) -> str | None:
        """The path of a folder from which entries are to be removed; None when that may not be done."""
        path = f"{self._root}/{folder[0]}/{folder[1]}"
        if folder not in self._before:
            if leads_out(self._root, *folder):
                return None
            self._before[folder] = folder_time(path)
        return path

    def undisturbed(self, folder: Folder) -> bool:
        """Whether nobody else has changed a folder since its account was right."""
        model_totals = self._accounts.folders[folder]
        return not model_totals.stale and model_totals.seen == self._before[folder]

    def remove(self, folder: Folder, path: str, names: list[str], sizes: list[int], *, certain: bool) -> int:
        """Remove entries of a folder.

        Args:
            folder: The folder.
            path: Its path.
            names: Their names.
            sizes: Their lengths.
            certain: Whether they stand in one segment alone of those that are certain.

        Returns:
            How many of them, from the first on, are settled: removed, or not there.
        """
        if self.error is not None:
            return 0
        removed = []
        settled = len(names)
        for number, name in enumerate(names):
            try:
                os.unlink(f"{path}/{name}{ENDING}")
            except _NO_ENTRY:
                continue
            except OSError as error:
                self.error = error
                settled = number
                break
            removed.append((name, sizes[number]))
        if removed and not certain:
            self._overtaken.add(folder)
        occupied = sum(block_size(size) for _, size in removed)
        self._removed.setdefault(folder, []).extend(removed)
        self._occupied[folder] = self._occupied.get(folder, 0) + occupied
        self.removed += len(removed)
        self.occupied -= occupied
        return settled

    def enough(self, bounds: Bounds) -> bool:
        """Whether no more has to go for now."""
        return (
            self.error is not None
            or self.occupied <= bounds.low_bytes
            or (
                self.occupied + bounds.grown <= self._occupied_before
                and (self.removed >= bounds.entries or perf_counter() >= bounds.until)
            )
        )

    def end(self) -> Removed:
        """Post everything; what was removed."""
        for folder, removed in self._removed.items():
            path = f"{self._root}/{folder[0]}/{folder[1]}"
            model_totals = self._accounts.folders.get(folder)
            if model_totals is not None and model_totals.stale:
                self._accounts.touched.setdefault(folder, set()).update(name for name, _ in removed)
            if model_totals is None or model_totals.entries <= len(removed):
                remove_if_empty(path)
            self._accounts.post_removed(
                folder,
                entries=len(removed),
                size_bytes=sum(size for _, size in removed),
                occupied_bytes=self._occupied[folder],
                before=self._before[folder],
                after=folder_time(path),
                overtaken=folder in self._overtaken,
            )
        return self._removed


def evict(root: str, work: Work, bounds: Bounds) -> tuple[Removed, OSError | None]:
    """Remove entries that were used longest ago.

    An entry that was used since the index last heard of it stays for now, unless there are too many of them.

    Args:
        root: The cache directory.
        work: The books.
        bounds: How much of it.

    Returns:
        What was removed, and what kept the next one from being removed.
    """
    folders = _Folders(root, work)
    for chance in _CHANCES:
        if folders.enough(bounds):
            break
        segments = work.index.least_recently_used(_LOOKED_AT)
        kept: dict[int, list[Known]] = {segment.number: [] for segment in segments}
        filed = [(known, segment) for segment in segments for known in segment.known]
        for known, segment in sorted(filed, key=_use):
            if folders.enough(bounds):
                kept[segment.number].append(known)
            elif left := _unused(folders, segment, known, chance=chance):
                kept[segment.number].append(left)
        changed = [(segment, kept[segment.number]) for segment in segments]
        work.index.keep([pair for pair in changed if pair[1] != pair[0].known], work.index_totals)
    return folders.end(), folders.error


def expire(
    root: str,
    work: Work,
    now: float,
    entries: int,
    provider_folder: str | None,
    end_of: Callable[[Address], tuple[float, int] | None],
) -> tuple[bool, Removed, OSError | None]:
    """Remove entries whose life is over.

    Args:
        root: The cache directory.
        work: The books.
        now: The time in seconds since the epoch.
        entries: About how many to look at.
        provider_folder: Whose entries; None is everybody's.
        end_of: When the life of an entry ends by its own word, and its length; None when there is none.

    Returns:
        Whether there may be more, what was removed, and what kept the next one from being removed.
    """
    folders = _Folders(root, work)
    segments = work.index.ended(now, entries, provider_folder)
    kept = [(segment, _unexpired(folders, segment, now, end_of)) for segment in segments]
    work.index.keep(kept, work.index_totals)
    looked_at = sum(len(segment.names) for segment in segments)
    return looked_at >= entries, folders.end(), folders.error


def remove_all(root: str, work: Work, listed: Iterable[Stored]) -> tuple[Removed, OSError | None]:
    """Remove these entries; which of them were there, and what kept the next one from being removed."""
    folders = _Folders(root, work)
    for stored in listed:
        folder = stored.address[:2]
        path = folders.begin(folder)
        status = None if path is None else status_of(f"{path}/{stored.address.name}{ENDING}")
        if path is not None and status is not None:
            folders.remove(folder, path, [stored.address.name], [status.st_size], certain=False)
    return folders.end(), folders.error


def _unused(folders: _Folders, segment: Segment, known: Known, *, chance: bool) -> Known | None:
    """Remove an entry of a segment, unless it was used since and has a chance; what is left of it."""
    path = folders.begin(segment.folder)
    status = None if path is None else status_of(f"{path}/{known.name}{ENDING}")
    if path is None or status is None:
        return None
    known = known._replace(size=status.st_size)
    if chance and status.st_mtime > known.used_at + _USED_SINCE:
        return known._replace(used_at=status.st_mtime)
    settled = folders.remove(segment.folder, path, [known.name], [known.size], certain=segment.certain)
    return None if settled else known


def _unexpired(
    folders: _Folders, segment: Segment, now: float, end_of: Callable[[Address], tuple[float, int] | None]
) -> list[Known]:
    """Remove the entries of a segment whose life is over; those that are left."""
    path = folders.begin(segment.folder)
    if path is None:
        return []
    certain = segment.certain and folders.undisturbed(segment.folder)
    if certain and min(segment.expires_at) > UNKNOWN and max(segment.expires_at) <= now:
        settled = folders.remove(segment.folder, path, segment.names, segment.sizes, certain=True)
        return [] if settled == len(segment.names) else segment.known[settled:]
    kept, over = [], []
    for known in segment.known:
        if abs(known.expires_at) > now:
            kept.append(known)
        elif certain and known.expires_at > UNKNOWN:
            over.append(known)
        elif (told := _ask(Address(*segment.folder, known.name), now, end_of)) is not None:
            asked = known._replace(expires_at=told[0], size=told[1])
            (over if UNKNOWN < asked.expires_at <= now else kept).append(asked)
    names, sizes = [known.name for known in over], [known.size for known in over]
    settled = folders.remove(segment.folder, path, names, sizes, certain=segment.certain)
    return kept + over[settled:]


def _ask(
    at: Address, now: float, end_of: Callable[[Address], tuple[float, int] | None]
) -> tuple[float, int] | None:
    try:
        return end_of(at)
    except StoreError:
        return -(now + _LATER), 0


def _use(filed: tuple[Known, Segment]) -> float:
    return filed[0].used_at

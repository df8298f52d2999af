"""Scanning a folder that another program changed, a slice at a time, while it is in use."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from spark_cache.stores.base import UNKNOWN
from spark_cache.stores.index.rows import Folder
from spark_cache.stores.walk import ENDING, candidate_names, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.stores.index.change import Change

__all__ = ["Rescan"]

_PER_SLICE = 64
"""The number of files that a slice looks at: about a millisecond."""

_GIVEN_UP = 10.0
"""A scan that has made no progress for so long, in seconds, was stopped."""


class Rescan:
    """One scan of one folder.

    The new totals and rows are built beside the old ones. Changes that this cache makes meanwhile go to both, so the scan and
    the writers need not wait for each other. If another program changes the folder meanwhile, it is stale again.

    Args:
        provider: The folder of the provider.
        model: The folder of the model.
        is_entry: Whether a path is that of an entry, by what the file says.
    """

    def __init__(self, provider: str, model: str, *, is_entry: Callable[[str, str], bool]) -> None:
        self._provider = provider
        self._model = model
        self._is_entry = is_entry
        self._id = 0
        self._names: Iterator[str] = iter(())

    def begin(self, change: Change, *, take_over: bool) -> bool:
        """Begin the scan, unless another process is at it.

        Args:
            change: The transaction.
            take_over: Whether to begin even if another process is at it. That process then gives up.
        """
        folders = change.folder(self._provider, self._model)
        current, now = folders[0], monotonic()
        if len(folders) > 1:
            # A time ahead of the clock dates from before the machine was started.
            if not take_over and now - _GIVEN_UP < folders[1].scanned_at <= now:
                return False
            change.rows.delete_folder(folders.pop())
        building = Folder(0, self._provider, self._model, 1, seen_ns=current.seen_ns, scanned_at=now)
        change.rows.insert_folder(building)
        folders.append(building)
        self._id = building.id
        self._names = candidate_names(change.root, self._provider, self._model)
        return True

    def step(self, change: Change) -> bool:
        """Look at some files, and return whether there are more.

        Args:
            change: The transaction.
        """
        folders = change.folder(self._provider, self._model)
        if len(folders) == 1 or folders[-1].id != self._id:
            # Another process has begun to scan the folder, or the index was rebuilt.
            return False
        current, building = folders
        for _ in range(_PER_SLICE):
            name = next(self._names, None)
            if name is None:
                # The new totals are stale if another program has changed the folder meanwhile.
                change.replace_folder(current, building)
                return False
            self._look_at(change, name, current, building)
        building.scanned_at = monotonic()
        return True

    def _look_at(self, change: Change, name: str, current: Folder, building: Folder) -> None:
        path = f"{change.root}/{self._provider}/{self._model}/{name}{ENDING}"
        status = status_of(path)
        if status is None:
            return
        row = change.rows.find(status.st_mtime_ns, name, [current, building])
        if row is not None and row.folder == building.id:
            # It was written since the scan began.
            return
        if row is not None and row.size == status.st_size:
            change.rows.move(row, building)
            current.rows = max(0, current.rows - 1)
        elif self._is_entry(path, name):
            used_ns = max(status.st_atime_ns, status.st_mtime_ns)
            change.rows.append(
                building,
                name,
                status.st_size,
                written_ns=status.st_mtime_ns,
                used_ns=used_ns,
                expires=UNKNOWN,
            )
        else:
            return
        building.count(status.st_size, 1)

"""Removing entries by the index: those that have expired, and those that were used least recently.

A row only proposes a file. The file is removed if it still has the size and the modification time that the row says.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.stores.base import UNKNOWN, Address, is_over
from spark_cache.stores.walk import entry_path, leads_out, remove_if_empty, status_of
from spark_cache.types import CLOCK_SKEW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.stores.base import Lifetime
    from spark_cache.stores.index.change import Change
    from spark_cache.stores.index.rows import Row

__all__ = ["BEGINNING", "Cleaner", "Position", "Removed"]

_AT_ONCE = 64
"""The number of rows that are read at once."""

_CHANCES = 256
"""When so many entries in a row were used since the index last heard of them, the least recently used of these goes."""

_FAILURES = 64
"""After so many entries that cannot be removed, eviction gives up."""

Position = tuple[float, int]
"""A place in the order of expiry: an expiry, and the number of a row."""

BEGINNING: Position = (float("-inf"), 0)


class Removed(NamedTuple):
    """An entry that was removed.

    Attributes:
        address: Its address.
        size_bytes: The size of its file.
        why: ``evict`` or ``expire``.
    """

    address: Address
    size_bytes: int
    why: str


class Cleaner:
    """Removes entries within one transaction.

    Args:
        change: The transaction.
        now: The time, in seconds since the epoch.
    """

    def __init__(self, change: Change, now: float) -> None:
        self._change = change
        self._rows = change.rows
        self._now = now
        self._now_ns = int(now * 1e9)
        self._failures = 0
        self.removed: list[Removed] = []
        self.error: OSError | None = None

    def make_room(self, needed: int, cap_bytes: float, keep: Address) -> bool:
        """Evict entries until the store has room: first those dated in the future, then the least recently used.

        Args:
            needed: The bytes that are to be added, in blocks.
            cap_bytes: The bytes that the store may occupy.
            keep: The address that is written to. Its entry stays.

        Returns:
            Whether there is room. If not, ``error`` is the reason why the entries that would have to go cannot be removed.

        Raises:
            ValueError: There is no room, and there are no entries: the index contradicts itself.
        """
        change = self._change
        victims = self._victims(keep)
        while change.occupied_bytes + needed > cap_bytes:
            row = next(victims, None)
            if row is None:
                if self.error is None:
                    raise ValueError("an index that contradicts itself")
                return False
            self._remove(row, "evict")
        return True

    def expire(
        self,
        after: Position,
        limit: int,
        lifetime_of: Callable[[Address], Lifetime | None],
        provider_folder: str | None = None,
    ) -> Position | None:
        """Remove entries that have expired, and those dated in the future, which would not be used for a long time.

        Args:
            after: The position to go on from.
            limit: The number of rows to look at.
            lifetime_of: Reads when an entry begins and ends by its own word; None if it cannot be read.
            provider_folder: Removes only entries of this provider.

        Returns:
            The position to go on from; None if all rows were looked at.
        """
        dated_ahead = self._dated_ahead(limit) if after == BEGINNING else []
        rows = self._rows.expired(self._now, after, limit)
        for row in (*dated_ahead, *rows):
            if provider_folder not in (None, row.provider) or (at := self._file(row)) is None:
                continue
            if row.expires <= UNKNOWN or row.written_ns > self._now_ns:
                lifetime = lifetime_of(at[0])
                if lifetime is None:
                    continue
                if not is_over(lifetime, self._now):
                    self._rows.note_expiry(row, lifetime[1])
                    continue
            self._remove(row, "expire")
        return (rows[-1].expires, rows[-1].id) if len(rows) == limit else None

    def _dated_ahead(self, limit: int) -> list[Row]:
        return self._rows.written_after(self._now_ns + int(CLOCK_SKEW * 1e9), limit)

    def _victims(self, keep: Address) -> Iterator[Row]:
        """Yield entries in the order in which they go."""
        for row in self._dated_ahead(_AT_ONCE):
            found = self._file(row)
            if found is not None and found[0] != keep:
                yield row
        yield from self._by_use(keep)

    def _by_use(self, keep: Address) -> Iterator[Row]:
        """Yield entries in the order of their last use, as the index and then the files know it."""
        used: list[tuple[int, int, Row]] = []
        limit = 2
        while self._failures < _FAILURES and (rows := self._rows.least_recently_used(limit)):
            # Most writes evict one entry, and the first one that is looked at is it.
            limit = min(2 * limit, _AT_ONCE)
            for row in rows:
                found = self._file(row)
                if found is None:
                    continue
                at, status = found
                if at == keep:
                    if len(rows) == 1:
                        # Nothing else is left.
                        return
                    self._rows.note_use(row, max(self._now_ns, row.used_ns))
                elif (used_ns := min(status.st_atime_ns, self._now_ns)) <= row.used_ns:
                    yield row
                else:
                    self._rows.note_use(row, used_ns)
                    used.append((used_ns, row.id, row))
            if len(used) >= _CHANCES:
                for _, _, row in sorted(used):
                    yield row
                used = []

    def _file(self, row: Row) -> tuple[Address, os.stat_result] | None:
        """Return the address and the status of the file of a row. A row without its file is deleted."""
        if row.provider is None or row.model is None:
            self._rows.delete(row)
            return None
        at = Address(row.provider, row.model, row.name)
        # Before the file is removed: the index must see the modification time of the folder before and after.
        self._change.folder(*at[:2])
        try:
            status = status_of(entry_path(self._change.root, at))
            if (
                status is None
                or (status.st_size, status.st_mtime_ns) != (row.size, row.written_ns)
                or leads_out(self._change.root, *at[:2])
            ):
                self._change.drop(row, at)
                return None
        except OSError as error:
            self._fail(row, error)
            return None
        return at, status

    def _remove(self, row: Row, why: str) -> None:
        at = Address(row.provider or "", row.model or "", row.name)
        path = entry_path(self._change.root, at)
        try:
            os.unlink(path)
        except FileNotFoundError:
            self._change.drop(row, at)
            return
        except OSError as error:
            self._fail(row, error)
            return
        self._change.subtract(at, row.size, row)
        if not self._change.folder(*at[:2])[0].entries:
            remove_if_empty(os.path.dirname(path))
        self.removed.append(Removed(at, row.size, why))

    def _fail(self, row: Row, error: OSError) -> None:
        """Go on with other entries where one cannot be removed."""
        self._failures += 1
        self.error = error
        self._rows.note_use(row, self._now_ns)

"""What the folders of a store hold, by the records of the journal: pure sums, no file is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from secrets import randbits
from typing import TYPE_CHECKING

from spark_cache.stores.base import GONE, block_size
from spark_cache.stores.index.segments import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spark_cache.stores.index.journal import Record

__all__ = ["IndexTotals", "ModelTotals", "fresh_mark"]


def fresh_mark() -> int:
    """A number that nothing else is marked with."""
    return randbits(62) + 1


@dataclass(slots=True)
class ModelTotals:
    """The folder of a model.

    Attributes:
        series: What its entries are filed under; another one once the folder was looked through anew.
        entries: How many entries it holds.
        size_bytes: What they are long.
        occupied_bytes: The same in blocks.
        seen: The folder's time, in nanoseconds, when all of this was so; 0 when there was no folder.
        stale: 0; else a mark of the change that somebody else made, which the figures above may not hold.
        certain_from: What is filed from this number on was neither replaced nor removed since.
        filed: How many entries are filed, with those that are gone.
    """

    series: int = field(default_factory=fresh_mark)
    entries: int = 0
    size_bytes: int = 0
    occupied_bytes: int = 0
    seen: int = 0
    stale: int = 0
    certain_from: int = 0
    filed: int = 0

    def grow(self, entries: int, size_bytes: int, occupied_bytes: int) -> None:
        """Add to the figures, none of which goes below 0."""
        self.entries = max(0, self.entries + entries)
        self.size_bytes = max(0, self.size_bytes + size_bytes)
        self.occupied_bytes = max(0, self.occupied_bytes + occupied_bytes)


class IndexTotals:
    """The accounts of all folders, to which changes are posted.

    Attributes:
        folders: The accounts by the folders of provider and model.
        new: The entries that were written and are still there, by folder and name.
        touched: The names that changed in folders that are in doubt.
        overtaken: The folders in which entries were replaced or removed that may be filed.
        dead: The series that nothing belongs to any more.
    """

    def __init__(self, folders: Mapping[tuple[str, str], ModelTotals]) -> None:
        self.folders = dict(folders)
        self.new: dict[tuple[str, str], dict[str, Known]] = {}
        self.touched: dict[tuple[str, str], set[str]] = {}
        self.overtaken: set[tuple[str, str]] = set()
        self.dead: list[int] = []

    @property
    def occupied_bytes(self) -> int:
        """What all entries occupy, in blocks."""
        return sum(model_totals.occupied_bytes for model_totals in self.folders.values())

    def post(self, records: Iterable[Record]) -> None:
        """Add up changes, oldest first.

        Raises:
            ValueError: A record names no place.
        """
        for _, old_size, size, expires_at, used_at, before, after, place in records:
            provider, model, name = place.split("/")
            folder = provider, model
            model_totals = self._account(folder, before)
            if old_size != GONE:
                model_totals.grow(-1, -old_size, -block_size(old_size))
            if size != GONE:
                model_totals.grow(1, size, block_size(size))
            model_totals.seen = after
            self._file(
                folder, model_totals, Known(name, size, expires_at, used_at), replaced=old_size != GONE
            )
            if after == 0:
                self._close(folder)

    def post_removed(
        self,
        folder: tuple[str, str],
        *,
        entries: int,
        size_bytes: int,
        occupied_bytes: int,
        before: int,
        after: int,
        overtaken: bool,
    ) -> None:
        """Subtract entries that were removed by what is filed.

        Args:
            folder: Their folder.
            entries: How many there were.
            size_bytes: Their lengths.
            occupied_bytes: The same in blocks.
            before: The folder's time before they were removed, in nanoseconds.
            after: The same after it; 0 when there is no folder any more.
            overtaken: Whether some of them may still be filed.
        """
        model_totals = self._account(folder, before)
        model_totals.grow(-entries, -size_bytes, -occupied_bytes)
        model_totals.seen = after
        if overtaken:
            self.overtaken.add(folder)
        if after == 0:
            self._close(folder)

    def compare(self, on_disk: Mapping[tuple[str, str], int], *, doubt_all: bool) -> None:
        """Find out what somebody else changed.

        Args:
            on_disk: The folders that there are, with their times in nanoseconds.
            doubt_all: Whether any of them may have been changed, whatever their times say.
        """
        for folder in [folder for folder in self.folders if folder not in on_disk]:
            self._close(folder)
        for folder, modified in on_disk.items():
            model_totals = self.folders.setdefault(folder, ModelTotals())
            if doubt_all or model_totals.seen != modified:
                model_totals.seen, model_totals.stale = modified, fresh_mark()

    def _account(self, folder: tuple[str, str], before: int) -> ModelTotals:
        """The account of a folder that stood at a time when it was changed."""
        model_totals = self.folders.get(folder)
        if model_totals is not None and model_totals.seen == before:
            return model_totals
        if before == 0:
            # There was no folder: what is known of an earlier one of this name is past.
            self._close(folder)
            model_totals = self.folders[folder] = ModelTotals()
            return model_totals
        if model_totals is None:
            model_totals = self.folders[folder] = ModelTotals()
        model_totals.stale = fresh_mark()
        return model_totals

    def _file(
        self, folder: tuple[str, str], model_totals: ModelTotals, known: Known, *, replaced: bool
    ) -> None:
        new = self.new.setdefault(folder, {})
        if known.size == GONE:
            new.pop(known.name, None)
        else:
            new[known.name] = known
        if replaced:
            self.overtaken.add(folder)
        if model_totals.stale:
            self.touched.setdefault(folder, set()).add(known.name)

    def _close(self, folder: tuple[str, str]) -> None:
        model_totals = self.folders.pop(folder, None)
        if model_totals is not None:
            self.dead.append(model_totals.series)
        self.new.pop(folder, None)
        self.overtaken.discard(folder)
        self.touched.pop(folder, None)

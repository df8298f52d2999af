"""The index: what the folders hold, and their entries filed in the order in which they were written.

Derived from the entries, which stay the truth: it can be deleted at any time. Entries are filed many at once, in segments, so that
neither a write nor a removal costs more in a large store than in a small one. An entry that was replaced is filed twice: before
anything is done on the word of a segment that may be overtaken, the file itself is asked.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import fields
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.stores.index.segments import Segment, batches, ends_of, packed, unpacked, used_of
from spark_cache.stores.index.totals import ModelTotals, fresh_mark

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from spark_cache.stores.index.segments import Known
    from spark_cache.stores.index.totals import IndexTotals

__all__ = ["Folded", "Folder", "Index"]

Folder = tuple[str, str]
"""The folders of a provider and of one of its models."""

_PURGED_AT_ONCE = 64

_OVERGROWN = 1024
"""A folder is looked through anew when more than twice as many entries are filed as there are, and this many."""

_numbers = attrgetter(*(field.name for field in fields(ModelTotals)))


class Folded(NamedTuple):
    """How far a journal is in the index: the mark it was begun with, and how many of its records."""

    mark: int
    records: int


class Index:
    """The index, in one transaction.

    Args:
        database: Its open file.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._loaded: dict[Folder, tuple[int, ...]] = {}

    def index_totals(self) -> dict[Folder, ModelTotals]:
        """The accounts of all folders."""
        self._loaded = {}
        for provider, model, *numbers in self._rows("SELECT * FROM folders"):
            if not _is_folder(provider) or not _is_folder(model) or {*map(type, numbers)} != {int}:
                raise ValueError("a damaged account")
            self._loaded[provider, model] = tuple(numbers)
        return {folder: ModelTotals(*numbers) for folder, numbers in self._loaded.items()}

    def folded(self) -> Folded:
        """How far a journal is in the index."""
        ((mark, records),) = self._rows("SELECT mark, records FROM folded")
        return Folded(mark, records)

    def save(self, index_totals: IndexTotals) -> None:
        """Write down what became of the accounts that were loaded, and file what is new in them."""
        self._file_new(index_totals)
        gone = self._loaded.keys() - index_totals.folders.keys()
        self._many("DELETE FROM folders WHERE provider = ? AND model = ?", gone)
        rows = {folder: _numbers(model_totals) for folder, model_totals in index_totals.folders.items()}
        changed = [(*folder, *row) for folder, row in rows.items() if self._loaded.get(folder) != row]
        self._many("INSERT OR REPLACE INTO folders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", changed)
        self._loaded = rows
        touched, index_totals.touched = index_totals.touched, {}
        names = ((*folder, name) for folder, names in touched.items() for name in names)
        self._many("INSERT OR IGNORE INTO touched VALUES (?, ?, ?)", names)
        dead, index_totals.dead = index_totals.dead, []
        self._many("INSERT OR IGNORE INTO dead VALUES (?)", ((series,) for series in dead))

    def note_folded(self, folded: Folded) -> None:
        """Write down how far a journal is in the index, and forget some of what is filed for nobody."""
        self._rows("UPDATE folded SET mark = ?, records = ?", *folded)
        # A slice of it: so a folder is given up in one step, however much it held.
        for (series,) in self._rows("SELECT series FROM dead LIMIT 1"):
            rows = self._rows("SELECT number FROM segments WHERE series = ? LIMIT ?", series, _PURGED_AT_ONCE)
            self._many("DELETE FROM segments WHERE number = ?", rows)
            if len(rows) < _PURGED_AT_ONCE:
                self._rows("DELETE FROM dead WHERE series = ?", series)

    @property
    def next_number(self) -> int:
        """The number that the next segment will have."""
        ((last,),) = self._rows("SELECT IFNULL(MAX(number), 0) FROM segments")
        return int(last) + 1

    def file(self, model_totals: ModelTotals, known: list[Known]) -> None:
        """File entries of a folder."""
        model_totals.filed += len(known)
        self.file_in(model_totals.series, known)

    def file_in(self, series: int, known: list[Known]) -> None:
        """File entries in a series."""
        rows = (
            (number, series, used_of(batch), ends_of(batch), packed(batch))
            for number, batch in enumerate(batches(known), self.next_number)
        )
        self._many("INSERT INTO segments VALUES (?, ?, ?, ?, ?)", rows)

    def least_recently_used(self, entries: int) -> list[Segment]:
        """The segments whose entries were used longest ago, with so many entries or more, where there are."""
        return self._segments("ORDER BY used LIMIT ?", entries, entries)

    def ended(self, now: float, entries: int, provider_folder: str | None) -> list[Segment]:
        """Segments with entries whose life is over, or ends nobody knows when, earliest first; as many as above."""
        where = "WHERE ends <= ? AND (provider = ? OR ? IS NULL) ORDER BY ends LIMIT ?"
        return self._segments(where, entries, now, provider_folder, provider_folder, entries)

    def keep(self, kept: list[tuple[Segment, list[Known]]], index_totals: IndexTotals) -> None:
        """Keep, of the entries of segments, these and no others."""
        for segment, known in kept:
            model_totals = index_totals.folders[segment.folder]
            model_totals.filed = max(0, model_totals.filed - len(segment.names) + len(known))
        rows = [
            (used_of(known), ends_of(known), packed(known), segment.number)
            for segment, known in kept
            if known
        ]
        self._many("UPDATE segments SET used = ?, ends = ?, known = ? WHERE number = ?", rows)
        empty = ((segment.number,) for segment, known in kept if not known)
        self._many("DELETE FROM segments WHERE number = ?", empty)

    def listed_at(self) -> float:
        """When somebody last went on looking through a folder; minus infinity when nobody is at it."""
        ((at,),) = self._rows("SELECT MAX(at) FROM listed")
        return -inf if at is None else float(at)

    def begin_listing(self, folder: Folder, series: int, now: float) -> None:
        """Begin to look through a folder, whose entries will be filed in a series; who else is at it gives up."""
        self._rows("INSERT OR IGNORE INTO dead SELECT series FROM listed")
        self._rows("DELETE FROM listed")
        self._rows("INSERT INTO listed VALUES (?, ?)", series, now)
        self._rows("DELETE FROM touched WHERE provider = ? AND model = ?", *folder)

    def go_on_listing(self, series: int, now: float) -> bool:
        """Say that a folder is still looked through; False when somebody else has begun to."""
        return self._database.execute("UPDATE listed SET at = ? WHERE series = ?", (now, series)).rowcount > 0

    def touched(self, folder: Folder) -> set[str]:
        """The names that changed in a folder while it was in doubt."""
        return {
            str(name)
            for (name,) in self._rows("SELECT name FROM touched WHERE provider = ? AND model = ?", *folder)
        }

    def end_listing(self, series: int, folder: Folder) -> None:
        """Say that a folder was looked through."""
        self._rows("DELETE FROM listed WHERE series = ?", series)
        self._rows("DELETE FROM touched WHERE provider = ? AND model = ?", *folder)

    def _file_new(self, index_totals: IndexTotals) -> None:
        new, index_totals.new = index_totals.new, {}
        overtaken, index_totals.overtaken = index_totals.overtaken, set()
        for folder in overtaken:
            index_totals.folders[folder].certain_from = self.next_number
        for folder, entries in new.items():
            model_totals = index_totals.folders[folder]
            self.file(model_totals, list(entries.values()))
            if model_totals.filed > 2 * model_totals.entries + _OVERGROWN and not model_totals.stale:
                model_totals.stale = fresh_mark()

    def _segments(self, which: str, entries: int, *values: object) -> list[Segment]:
        found: list[Segment] = []
        count = 0
        statement = (
            "SELECT number, provider, model, certain_from, known"
            # In this order: there are few folders, and their segments need not be looked through.
            " FROM segments CROSS JOIN folders ON folders.series = segments.series "
        )
        with closing(self._database.execute(statement + which, values)) as rows:
            for number, provider, model, certain_from, known in rows:
                found.append(Segment(number, (provider, model), number >= certain_from, *unpacked(known)))
                count += len(found[-1].names)
                if count >= entries:
                    break
        return found

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._database.execute(statement, values).fetchall()

    def _many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._database.executemany(statement, rows)


def _is_folder(name: object) -> bool:
    """Whether a name may be a folder's: anybody may have written the file, and files are removed on its word."""
    return isinstance(name, str) and "/" not in name and "\0" not in name and name[:1] not in ("", ".")

"""The rows of the index, and the SQL that reads and changes them."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.stores.base import NEVER, block_size
from spark_cache.stores.names import is_entry_name

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Folder", "Row", "Rows", "State"]

_OVERGROWN = 1000
"""A folder is scanned again when it has more than this many rows beyond twice its entries."""

_ENTRY = "e.id, e.folder, e.name, e.size, e.written_ns, e.used_ns, e.expires, f.provider, f.model"
_JOINED = "FROM entries AS e LEFT JOIN folders AS f ON f.id = e.folder"
_FOLDER = (
    "id, provider, model, building, entries, size_bytes, occupied_bytes, rows, seen_ns, stale, scanned_at"
)


@dataclass(slots=True)
class Folder:
    """The totals of one model's folder.

    Attributes:
        id: Its number. The rows of its entries have the same number.
        provider: The folder of the provider.
        model: The folder of the model.
        building: 1 while these are the totals of a scan that has not ended, else 0.
        entries: The number of entries.
        size_bytes: The sum of their sizes.
        occupied_bytes: The same in blocks.
        rows: The number of rows of its entries.
        seen_ns: The modification time of the folder when the totals were last changed, in nanoseconds; 0 without a folder.
        stale: 1 if another program has changed the folder since the totals were right, else 0.
        scanned_at: When the scan last made progress, by the monotonic clock.
    """

    id: int
    provider: str
    model: str
    building: int = 0
    entries: int = 0
    size_bytes: int = 0
    occupied_bytes: int = 0
    rows: int = 0
    seen_ns: int = 0
    stale: int = 0
    scanned_at: float = 0.0

    def count(self, size_bytes: int, number: int) -> None:
        """Add an entry of this size (``number`` 1) or subtract it (-1). No total falls below 0."""
        self.entries = max(0, self.entries + number)
        self.size_bytes = max(0, self.size_bytes + number * size_bytes)
        self.occupied_bytes = max(0, self.occupied_bytes + number * block_size(size_bytes))

    @property
    def is_overgrown(self) -> bool:
        """Whether too many of its rows stand for files that are gone."""
        return self.rows > 2 * self.entries + _OVERGROWN


class Row(NamedTuple):
    """What the index knows of one entry.

    Attributes:
        id: The number of the row. Rows are appended.
        folder: The number of the folder.
        name: The name of the entry.
        size: The size of its file.
        written_ns: The modification time of the file, in nanoseconds.
        used_ns: The last use that the index knows of, in nanoseconds since the epoch.
        expires: When the entry expires, in seconds since the epoch; ``UNKNOWN`` or ``NEVER``.
        provider: The folder of the provider; None if the row belongs to an earlier scan.
        model: The folder of the model; None in the same case.
    """

    id: int
    folder: int
    name: str
    size: int
    written_ns: int
    used_ns: int
    expires: float
    provider: str | None
    model: str | None


class State(NamedTuple):
    """The state of the upkeep.

    Attributes:
        swept_at: When expired entries were last searched for, in seconds since the epoch.
        purged_to: The last row that was checked for belonging to an earlier scan.
        purge_to: The last row that may belong to an earlier scan.
    """

    swept_at: float
    purged_to: int
    purge_to: int


class Rows:
    """The rows of an open database, within a transaction.

    Whatever is read is checked: the file may have been written by anyone. A row that makes no sense raises ``ValueError``.

    Args:
        database: The connection.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._run = database.execute

    # -- folders -----------------------------------------------------------------------------------

    def folder(self, provider: str, model: str) -> list[Folder]:
        """Return the totals of a folder, and behind them those of a scan that has not ended, as far as they exist."""
        found = self._run(
            f"SELECT {_FOLDER} FROM folders WHERE provider = ? AND model = ? ORDER BY building",  # noqa: S608 - constant
            (provider, model),
        )
        return [_folder(values) for values in found]

    def folders(self) -> list[Folder]:
        """Return the totals of every folder, without those of scans."""
        found = self._run(f"SELECT {_FOLDER} FROM folders WHERE NOT building")  # noqa: S608 - constant
        return [_folder(values) for values in found]

    def stale_folder(self) -> tuple[str, str] | None:
        """Return a folder that another program changed; None if there is none."""
        found = self._run(
            "SELECT provider, model FROM folders WHERE stale AND NOT building LIMIT 1"
        ).fetchone()
        return None if found is None else (found[0], found[1])

    def occupied_bytes(self) -> int:
        """Return the bytes that the store occupies, as far as they have been counted."""
        # While a folder is scanned, the larger of its two totals counts.
        (total,) = self._run(
            "SELECT SUM(most) FROM (SELECT MAX(occupied_bytes) AS most FROM folders"
            " WHERE occupied_bytes > 0 GROUP BY provider, model)"
        ).fetchone()
        return int(total or 0)

    def insert_folder(self, folder: Folder) -> None:
        """Insert a folder and give it its number."""
        inserted = self._run(
            "INSERT INTO folders VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (folder.provider, folder.model, *_figures(folder)),
        )
        folder.id = inserted.lastrowid or 0

    def update_folder(self, folder: Folder) -> None:
        """Save a folder."""
        if folder.is_overgrown:
            folder.stale = 1
        self._run(
            "UPDATE folders SET building = ?, entries = ?, size_bytes = ?, occupied_bytes = ?, rows = ?, seen_ns = ?,"
            " stale = ?, scanned_at = ? WHERE id = ?",
            (*_figures(folder), folder.id),
        )

    def delete_folder(self, folder: Folder) -> None:
        """Delete a folder. The rows of its entries are removed by :meth:`purge`."""
        self._run("DELETE FROM folders WHERE id = ?", (folder.id,))
        if folder.rows:
            self._run("UPDATE state SET purged_to = 0, purge_to = (SELECT IFNULL(MAX(id), 0) FROM entries)")

    # -- entries -----------------------------------------------------------------------------------

    def find(self, written_ns: int, name: str, folders: list[Folder]) -> Row | None:
        """Return the row of a file, by its modification time and its name."""
        numbers = [folder.id for folder in folders]
        found = self._run(
            f"SELECT {_ENTRY} {_JOINED} WHERE e.written_ns = ? AND e.name = ?",
            (written_ns, name),
        )
        return next((row for values in found if (row := _row(values)).folder in numbers), None)

    def append(
        self, folder: Folder, name: str, size: int, *, written_ns: int, used_ns: int, expires: float
    ) -> None:
        """Append a row."""
        end = None if expires == NEVER else expires
        self._run(
            "INSERT INTO entries VALUES (NULL, ?, ?, ?, ?, ?, ?)",
            (folder.id, name, size, written_ns, used_ns, end),
        )
        folder.rows += 1

    def delete(self, row: Row) -> None:
        """Delete a row."""
        self._run("DELETE FROM entries WHERE id = ?", (row.id,))

    def move(self, row: Row, folder: Folder) -> None:
        """Move a row to the scan of its folder."""
        self._run("UPDATE entries SET folder = ? WHERE id = ?", (folder.id, row.id))
        folder.rows += 1

    def note_use(self, row: Row, used_ns: int) -> None:
        """Note a later use."""
        self._run("UPDATE entries SET used_ns = ? WHERE id = ?", (used_ns, row.id))

    def note_expiry(self, row: Row, expires: float) -> None:
        """Note when an entry expires."""
        self._run(
            "UPDATE entries SET expires = ? WHERE id = ?", (None if expires == NEVER else expires, row.id)
        )

    def least_recently_used(self, limit: int) -> list[Row]:
        """Return the entries whose last known use is the longest ago."""
        return self._entries("ORDER BY e.used_ns, e.id LIMIT ?", limit)

    def written_after(self, time_ns: int, limit: int) -> list[Row]:
        """Return entries that were written after a time, the latest first."""
        return self._entries("WHERE e.written_ns > ? ORDER BY e.written_ns DESC LIMIT ?", time_ns, limit)

    def expired(self, now: float, after: tuple[float, int], limit: int) -> list[Row]:
        """Return entries that have expired, or whose expiry is unknown, behind an expiry and a row number."""
        return self._entries(
            "WHERE e.expires <= ? AND (e.expires, e.id) > (?, ?) ORDER BY e.expires, e.id LIMIT ?",
            now,
            *after,
            limit,
        )

    def _entries(self, condition: str, *values: Any) -> list[Row]:
        return [
            _row(found) for found in self._run(f"SELECT {_ENTRY} {_JOINED} {condition}", values).fetchall()
        ]

    # -- state -------------------------------------------------------------------------------------

    def state(self) -> State:
        """Return the state of the upkeep."""
        ((swept_at, purged_to, purge_to),) = self._run(
            "SELECT swept_at, purged_to, purge_to FROM state"
        ).fetchall()
        return State(float(swept_at), int(purged_to), int(purge_to))

    def note_sweep(self, now: float) -> None:
        """Note when expired entries were last searched for."""
        self._run("UPDATE state SET swept_at = ?", (now,))

    def purge(self, state: State, limit: int) -> None:
        """Delete some of the rows that belong to no folder any more."""
        numbers = self._run(
            "SELECT id FROM entries WHERE id > ? ORDER BY id LIMIT ?", (state.purged_to, limit)
        ).fetchall()
        last = numbers[-1][0] if len(numbers) == limit else state.purge_to
        self._run(
            "DELETE FROM entries WHERE id > ? AND id <= ? AND folder NOT IN (SELECT id FROM folders)",
            (state.purged_to, last),
        )
        self._run("UPDATE state SET purged_to = ?", (last,))

    def shrink(self, pages: int) -> None:
        """Give some free pages back to the file system, where most of the file is free."""
        (free,) = self._run("PRAGMA freelist_count").fetchone()
        if free > 2 * pages and free > self._run("PRAGMA page_count").fetchone()[0] // 2:
            self._run(f"PRAGMA incremental_vacuum({pages:d})").fetchall()


_figures = attrgetter(
    "building", "entries", "size_bytes", "occupied_bytes", "rows", "seen_ns", "stale", "scanned_at"
)


def _folder(values: tuple[Any, ...]) -> Folder:
    number, provider, model, *numbers, scanned_at = values
    if (
        not _is_folder_name(provider)
        or not _is_folder_name(model)
        or {type(number), *map(type, numbers)} != {int}
        or type(scanned_at) is not float
    ):
        raise ValueError("a damaged folder")
    return Folder(*values)


def _row(values: tuple[Any, ...]) -> Row:
    number, folder, name, size, written_ns, used_ns, end, provider, model = values
    if (
        {*map(type, (number, folder, size, written_ns, used_ns))} != {int}
        or type(name) is not str
        or not is_entry_name(name)
        or (end is not None and (type(end) is not float or not isfinite(end)))
        or not (provider is None or (_is_folder_name(provider) and _is_folder_name(model)))
    ):
        raise ValueError("a damaged row")
    expires = NEVER if end is None else end
    return Row(number, folder, name, size, written_ns, used_ns, expires, provider, model)


def _is_folder_name(value: object) -> bool:
    # A name of folders that the store walks through: nothing that leads elsewhere.
    return type(value) is str and value != "" and value[0] != "." and "/" not in value and "\0" not in value

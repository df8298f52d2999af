"""The ledger: how often the cache answered, and what that saved.

Counted in memory, and added once a second to a small SQLite file beside the cache by those who may write there. The file can be
deleted at any time: only the past figures go with it.
"""

from __future__ import annotations

import atexit
import errno
import os
import sqlite3
import stat
import weakref
from contextlib import closing
from dataclasses import dataclass, field
from threading import Lock, Timer
from time import gmtime, strftime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LEDGER_FILE", "Ledger", "Line", "Sums", "Totals"]

LEDGER_FILE = "ledger.sqlite3"
"""The name of its file in the folder it is given."""

_FLUSH_AFTER = 1.0
"""How long a count waits in memory, in seconds: what a killed process loses at the most."""

_BUSY_TIMEOUT = 2.0

_TABLE = """
CREATE TABLE IF NOT EXISTS ledger (
    day TEXT NOT NULL, profile TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    event TEXT NOT NULL, reason TEXT NOT NULL,
    count INTEGER NOT NULL, tokens INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (day, profile, provider, model, event, reason)
) WITHOUT ROWID
"""

_ADD = """
INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    count = count + excluded.count, tokens = tokens + excluded.tokens, seconds = seconds + excluded.seconds
"""


# A damaged or foreign file may hold anything under these names: the types are made sure of here.
_ALL = """
SELECT IFNULL(CAST(day AS TEXT), ''), IFNULL(CAST(profile AS TEXT), ''), IFNULL(CAST(provider AS TEXT), ''),
    IFNULL(CAST(model AS TEXT), ''), IFNULL(CAST(event AS TEXT), ''), IFNULL(CAST(reason AS TEXT), ''),
    IFNULL(CAST(count AS INTEGER), 0), IFNULL(CAST(tokens AS INTEGER), 0), IFNULL(CAST(seconds AS REAL), 0.0)
FROM ledger
"""


class Line(NamedTuple):
    """What is counted apart. ``day`` is in UTC."""

    day: str
    profile: str
    provider: str
    model: str
    event: str
    reason: str


@dataclass(slots=True)
class Sums:
    """What a line adds up to: how often, and the tokens and seconds of the calls that were spared."""

    count: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def add(self, count: int, tokens: int, seconds: float) -> None:
        """Add to each sum."""
        self.count += count
        self.tokens += tokens
        self.seconds += seconds


@dataclass(frozen=True, slots=True)
class Totals:
    """All lines together.

    Attributes:
        hits: Answers from the cache.
        misses: Questions that it could not answer.
        stores: Answers stored.
        evictions: Entries removed because the cache was full.
        expirations: Entries removed because their lifetime was over.
        misses_by_reason: The misses by :class:`spark_cache.MissReason`.
        tokens_saved: Tokens of the calls that hits spared.
        seconds_saved: What those calls took when they were made, in seconds.
    """

    hits: int = 0
    misses: int = 0
    stores: int = 0
    evictions: int = 0
    expirations: int = 0
    misses_by_reason: Mapping[str, int] = field(default_factory=dict)
    tokens_saved: int = 0
    seconds_saved: float = 0.0

    @property
    def hit_rate(self) -> float:
        """The share of questions that the cache answered; 0.0 before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


class Ledger:
    """Adds up what happens in one cache. Safe for threads and after a fork; a fault of its file loses figures, nothing else.

    Args:
        folder: The folder for its file, made when the folder above it is there; None keeps everything in memory.
        clock: The time in seconds since the epoch.
    """

    def __init__(self, folder: str | None, *, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._today = (-1, "")
        self._lock = Lock()
        self._process: dict[Line, Sums] = {}
        self._pending: dict[Line, Sums] = {}
        self._timer: Timer | None = None
        itself = weakref.ref(self)
        atexit.register(_flush_if_alive, itself)
        os.register_at_fork(after_in_child=lambda: _forget_if_alive(itself))

    def record(
        self,
        event: str,
        *,
        provider: str,
        model: str,
        profile: str | None,
        keep: bool,
        reason: str = "",
        tokens: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """Count one event (``hit``, ``miss``, ``store``, ``evict``, ``expire``).

        Args:
            event: What happened.
            provider: The provider of the request.
            model: Its model.
            profile: The profile in force.
            keep: Whether it also goes into the file; a reader that writes nothing says no.
            reason: Why, for a miss.
            tokens: The tokens that a hit saved.
            seconds: The time that a hit saved.
        """
        line = Line(self._day(), profile or "", provider, model, event, reason)
        with self._lock:
            _add_to(self._process, line, tokens, seconds)
            if keep and self._folder is not None:
                _add_to(self._pending, line, tokens, seconds)
                if self._timer is None:
                    self._timer = self._started_timer()

    def process(self) -> Totals:
        """What this process did."""
        with self._lock:
            return _totals(self._process)

    def lifetime(self) -> Totals:
        """What all processes did since the file was made; this process alone where there is none."""
        self.flush()
        lines = self._read()
        with self._lock:
            # What could not be written, or may not be, still happened.
            for line, sums in (self._pending if lines is not None else self._process).items():
                lines = lines if lines is not None else {}
                lines.setdefault(line, Sums()).add(sums.count, sums.tokens, sums.seconds)
        return _totals(lines or {})

    def flush(self) -> None:
        """Add what is counted to the file now; on a fault it waits for the next time."""
        with self._lock:
            timer, self._timer = self._timer, None
            pending, self._pending = self._pending, {}
        if timer is not None:
            timer.cancel()
        if not pending:
            return
        try:
            self._write(pending)
        except (OSError, sqlite3.Error):
            with self._lock:
                for line, sums in pending.items():
                    self._pending.setdefault(line, Sums()).add(sums.count, sums.tokens, sums.seconds)

    def forget(self) -> None:
        """Begin anew in a forked child: the parent's counts are the parent's, and its lock may have been held."""
        self._lock = Lock()
        self._process = {}
        self._pending = {}
        self._timer = None

    def _started_timer(self) -> Timer | None:
        timer = Timer(_FLUSH_AFTER, self.flush)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:
            # The machine has no more threads, or the interpreter is ending: the next count tries again.
            return None
        return timer

    def _day(self) -> str:
        now = self._clock()
        number = int(now // 86400)
        if self._today[0] != number:
            self._today = (number, strftime("%Y-%m-%d", gmtime(now)))
        return self._today[1]

    def _path(self) -> str:
        return f"{self._folder}/{LEDGER_FILE}"

    def _write(self, lines: Mapping[Line, Sums]) -> None:
        path = self._path()
        _claim_folder(os.path.dirname(path))
        _claim_file(path)
        try:
            self._add(path, lines)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            # The second is what Python makes of SQLite's own message when it quotes the damage.
            if isinstance(error, sqlite3.OperationalError):
                raise
            # Damaged: the past figures are lost, the coming ones need not be.
            os.unlink(path)
            _claim_file(path)
            self._add(path, lines)

    def _add(self, path: str, lines: Mapping[Line, Sums]) -> None:
        with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT)) as database, database:
            # A power cut may cost figures; waiting for the disk every second would cost everybody.
            database.execute("PRAGMA synchronous = OFF")
            database.execute(_TABLE)
            database.executemany(
                _ADD, [(*line, sums.count, sums.tokens, sums.seconds) for line, sums in lines.items()]
            )

    def _read(self) -> dict[Line, Sums] | None:
        if self._folder is None or not os.path.isfile(self._path()):
            return None
        try:
            with closing(
                sqlite3.connect(f"file:{_quoted(self._path())}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT)
            ) as database:
                rows = database.execute(_ALL).fetchall()
        except (sqlite3.Error, UnicodeDecodeError):
            return None
        return {Line(*row[:6]): Sums(*row[6:]) for row in rows}


def _add_to(lines: dict[Line, Sums], line: Line, tokens: int, seconds: float) -> None:
    sums = lines.get(line)
    if sums is None:
        sums = lines[line] = Sums()
    sums.count += 1
    sums.tokens += tokens
    sums.seconds += seconds


def _totals(lines: Mapping[Line, Sums]) -> Totals:
    counts = dict.fromkeys(("hit", "miss", "store", "evict", "expire"), 0)
    reasons: dict[str, int] = {}
    tokens, seconds = 0, 0.0
    for line, sums in lines.items():
        counts[line.event] = counts.get(line.event, 0) + sums.count
        if line.event == "miss":
            reasons[line.reason] = reasons.get(line.reason, 0) + sums.count
        tokens += sums.tokens
        seconds += sums.seconds
    return Totals(
        hits=counts["hit"],
        misses=counts["miss"],
        stores=counts["store"],
        evictions=counts["evict"],
        expirations=counts["expire"],
        misses_by_reason=reasons,
        tokens_saved=tokens,
        seconds_saved=seconds,
    )


def _claim_folder(path: str) -> None:
    """Make the folder of the ledger, unless it is there.

    Raises:
        OSError: It could not be made, or something else or somebody else's stands in its place.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if os.stat(os.path.dirname(path)).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "the cache directory belongs to another user") from None
        os.mkdir(path, 0o700)
        # The umask may have taken from the owner too.
        os.chmod(path, 0o700)
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "no folder of this user")


def _claim_file(path: str) -> None:
    """Make the file of the ledger for its owner alone, unless it is there; SQLite gives its side files the same mode.

    Raises:
        OSError: It could not be made, or a link stands in its place.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        os.close(os.open(path, flags))
        return
    # The umask may have taken from the owner too.
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)


def _quoted(path: str) -> str:
    """A path as SQLite's URIs take it."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _flush_if_alive(ledger: weakref.ref[Ledger]) -> None:
    alive = ledger()
    if alive is not None:
        alive.flush()


def _forget_if_alive(ledger: weakref.ref[Ledger]) -> None:
    alive = ledger()
    if alive is not None:
        alive.forget()

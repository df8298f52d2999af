"""What was missed and what was removed lately: for those who ask later why an answer did not come from the cache.

Kept in memory, and added once a second to a small file beside the cache by those who may write there: a line of JSON for each. The
file is bounded, and can be deleted at any time. It holds names of entries, models and reasons, and short digests of the parts of
requests that are stored as plain text; nothing of a request that is to be encrypted but the name of its entry, which only its key
gives.
"""

from __future__ import annotations

import json
import os
import stat
from collections import deque
from dataclasses import asdict, dataclass, field
from threading import Lock, Timer
from typing import TYPE_CHECKING

import orjson

from spark_cache._lazy import at_exit, at_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["MISS_LOG_FILE", "MissLog", "MissNote", "RemovalNote"]

MISS_LOG_FILE = "history.jsonl"
"""The name of its file in the folder it is given; an older one of the same length at the most has ``.1`` behind it."""

_FLUSH_AFTER = 1.0
_MOST_BYTES = 2**20
_MOST_PENDING = 5000
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class MissNote:
    """A question that the cache could not answer.

    Attributes:
        at: When, in seconds since the epoch.
        name: The name of the entry that would have answered.
        provider: The provider that was asked instead.
        model: The model that was asked.
        reason: Why, a :class:`spark_cache.MissReason` value.
        digests: A short digest of each part of the request; empty for one that is to be encrypted.
    """

    at: float
    name: str
    provider: str
    model: str
    reason: str
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemovalNote:
    """An entry that was removed.

    Attributes:
        at: When, in seconds since the epoch.
        name: The name it had.
        why: ``evict``, ``expire`` or ``remove``.
    """

    at: float
    name: str
    why: str


class MissLog:
    """Remembers misses and removals of one cache. Safe for threads and after a fork; a fault of its file loses notes, nothing else.

    Args:
        folder: The folder for its file; None keeps everything in memory.
        clock: The time in seconds since the epoch.
    """

    def __init__(self, folder: str | None, *, clock: Callable[[], float]) -> None:
        self._path = None if folder is None else f"{folder}/{MISS_LOG_FILE}"
        self._clock = clock
        self._lock = Lock()
        self._pending: deque[MissNote | RemovalNote] = deque(maxlen=_MOST_PENDING)
        self._timer: Timer | None = None
        if folder is not None:
            at_exit(self.flush)
            at_fork(after_in_child=self.forget)

    def missed(
        self, name: str, *, provider: str, model: str, reason: str, digests: Mapping[str, str] | None = None
    ) -> None:
        """Note a miss; ``digests`` are those of the request's parts, None for one that is to be encrypted."""
        self._note(MissNote(self._clock(), name, provider, model, reason, dict(digests or {})))

    def removed(self, name: str, why: str) -> None:
        """Note that an entry was removed: by ``evict``, ``expire`` or ``remove``."""
        self._note(RemovalNote(self._clock(), name, why))

    def misses(self, name: str | None = None) -> Iterator[MissNote]:
        """The misses that are remembered, newest first; those of one entry where it is named."""
        return (note for note in self._notes() if isinstance(note, MissNote) and name in (None, note.name))

    def removal(self, name: str) -> RemovalNote | None:
        """The last time that an entry was removed, as far as that is remembered."""
        found = (note for note in self._notes() if isinstance(note, RemovalNote) and note.name == name)
        return next(found, None)

    def flush(self) -> None:
        """Add what is pending to the file now; on a fault it waits for the next time."""
        if self._path is None:
            return
        with self._lock:
            timer, self._timer = self._timer, None
            pending = list(self._pending)
            self._pending.clear()
        if timer is not None:
            timer.cancel()
        if not pending:
            return
        try:
            _append(self._path, b"".join(map(_line, pending)))
        except OSError:
            with self._lock:
                self._pending = deque([*pending, *self._pending], maxlen=_MOST_PENDING)

    def forget(self) -> None:
        """Begin anew in a forked child: the parent's notes are the parent's, and its lock may have been held."""
        self._lock = Lock()
        self._pending = deque(maxlen=_MOST_PENDING)
        self._timer = None

    def _note(self, note: MissNote | RemovalNote) -> None:
        with self._lock:
            self._pending.append(note)
            if self._path is not None and self._timer is None:
                self._timer = self._started_timer()

    def _started_timer(self) -> Timer | None:
        timer = Timer(_FLUSH_AFTER, self.flush)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:
            # The machine has no more threads, or the interpreter is ending: the next note tries again.
            return None
        return timer

    def _notes(self) -> Iterator[MissNote | RemovalNote]:
        """Everything that is remembered, newest first."""
        with self._lock:
            pending = list(self._pending)
        yield from reversed(pending)
        if self._path is not None:
            for path in (self._path, f"{self._path}.1"):
                for line in reversed(_read(path).splitlines()):
                    note = _parsed(line)
                    if note is not None:
                        yield note


def _line(note: MissNote | RemovalNote) -> bytes:
    try:
        # Thousands of entries may be evicted in a second, and whoever writes them waits for this.
        return orjson.dumps(note, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # A name with a lone surrogate.
        return json.dumps(asdict(note), ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes) -> MissNote | RemovalNote | None:
    """A line of the file; None for one that was cut off, or that somebody else wrote."""
    try:
        found = json.loads(line)
        at, name = float(found["at"]), found["name"]
        if "why" in found:
            return RemovalNote(at, _text(name), _text(found["why"]))
        digests = {_text(part): _text(digest) for part, digest in found["digests"].items()}
        provider, model, reason = (_text(found[field]) for field in ("provider", "model", "reason"))
        return MissNote(at, _text(name), provider, model, reason, digests)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _append(path: str, data: bytes) -> None:
    """Add lines to the file, in one write, so that those of several processes do not mix.

    Raises:
        OSError: It could not be done, or folder or file are not this user's own.
    """
    folder = os.path.dirname(path)
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(f"{os.path.basename(folder)} is no folder of this user")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _FLAGS, 0o600)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            raise PermissionError(f"{os.path.basename(path)} is no file of this user alone")
        if status.st_size == 0:
            # The umask may have taken from the owner too.
            os.fchmod(descriptor, 0o600)
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
    if status.st_size + len(data) > _MOST_BYTES:
        os.replace(path, f"{path}.1")


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        with open(descriptor, "rb", closefd=False) as file:
            # One batch more than the bound may be in it.
            return file.read(4 * _MOST_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)

"""The miss log: recent misses and removals, from which ``why`` explains a miss later.

Notes are kept in memory. Processes that may write to the cache directory append them once a second to a small file beside the
cache, one line of JSON for each note. The file is bounded and can be deleted at any time. It holds names of entries, models and
reasons, and short digests of those parts of a request that are stored as plain text. Of a request that must be encrypted it holds
only the name of the entry, which cannot be derived without the encryption key.
"""

from __future__ import annotations

import json
import os
import stat
from collections import deque
from threading import Lock, Timer
from typing import TYPE_CHECKING, NamedTuple

import orjson

from spark_cache._lazy import at_exit, at_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["MISS_LOG_FILE", "MissLog", "MissNote", "RemovalNote"]

MISS_LOG_FILE = "history.jsonl"
"""The name of the file in its folder. The previous file, of at most the same size, has the suffix ``.1``."""

_FLUSH_DELAY = 1.0
_MAX_BYTES = 2**20
_MAX_PENDING = 5000
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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
    """The removal of an entry.

    Attributes:
        at: The time of the removal, in seconds since the epoch.
        name: The name of the entry.
        why: ``evict``, ``expire`` or ``remove``.
    """

    at: float
    name: str
    why: str


class MissLog:
    """Records the misses and removals of one cache. Safe for threads and after a fork. If its file fails, only notes are lost.

    Args:
        folder: The folder of the file. None keeps everything in memory.
        clock: Returns the time in seconds since the epoch.
    """

    def __init__(self, folder: str | None, *, clock: Callable[[], float]) -> None:
        self._path = None if folder is None else f"{folder}/{MISS_LOG_FILE}"
        self._clock = clock
        self._lock = Lock()
        self._pending: deque[MissNote | RemovalNote] = deque(maxlen=_MAX_PENDING)
        self._timer: Timer | None = None
        if folder is not None:
            at_exit(self.flush)
            at_fork(after_in_child=self.forget)

    def missed(
        self, name: str, *, provider: str, model: str, reason: str, digests: Mapping[str, str] | None = None
    ) -> None:
        """Record a miss.

        Args:
            name: The name of the entry that was looked up.
            provider: The provider of the request.
            model: The model of the request.
            reason: The reason, a :class:`spark_cache.MissReason` value.
            digests: A short digest of each part of the request. None for a request that must be encrypted.
        """
        self._note(MissNote(self._clock(), name, provider, model, reason, dict(digests or {})))

    def removed(self, name: str, why: str) -> None:
        """Record the removal of an entry.

        Args:
            name: The name of the entry.
            why: ``evict``, ``expire`` or ``remove``.
        """
        self._note(RemovalNote(self._clock(), name, why))

    def misses(self, name: str | None = None) -> Iterator[MissNote]:
        """Return the recorded misses, newest first.

        Args:
            name: The name of an entry, to return only its misses.
        """
        return (note for note in self._notes() if isinstance(note, MissNote) and name in (None, note.name))

    def removal(self, name: str) -> RemovalNote | None:
        """Return the last recorded removal of an entry, or None.

        Args:
            name: The name of the entry.
        """
        found = (note for note in self._notes() if isinstance(note, RemovalNote) and note.name == name)
        return next(found, None)

    def flush(self) -> None:
        """Write pending notes to the file now. If writing fails, they wait for the next attempt."""
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
                self._pending = deque([*pending, *self._pending], maxlen=_MAX_PENDING)

    def forget(self) -> None:
        """Reset a forked child: the notes belong to the parent, which may have held the lock during the fork."""
        self._lock = Lock()
        self._pending = deque(maxlen=_MAX_PENDING)
        self._timer = None

    def _note(self, note: MissNote | RemovalNote) -> None:
        with self._lock:
            self._pending.append(note)
            if self._path is not None and self._timer is None:
                self._timer = self._start_timer()

    def _start_timer(self) -> Timer | None:
        timer = Timer(_FLUSH_DELAY, self.flush)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:
            # The system has no more threads, or the interpreter is shutting down. The next note tries again.
            return None
        return timer

    def _notes(self) -> Iterator[MissNote | RemovalNote]:
        """Yield all recorded notes, newest first."""
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
        # Thousands of entries may be evicted in a second, and the writer waits for this.
        return orjson.dumps(note, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # The name contains a lone surrogate.
        return json.dumps(note._asdict(), ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes) -> MissNote | RemovalNote | None:
    """Parse a line of the file. Return None for a line that is truncated or foreign."""
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
    """Append lines to the file in one write, so that the lines of several processes do not mix.

    Raises:
        OSError: The lines cannot be written, or the folder or the file belongs to another user.
    """
    folder = os.path.dirname(path)
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(f"{os.path.basename(folder)} is not a directory owned by this user")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _FLAGS, 0o600)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            raise PermissionError(
                f"{os.path.basename(path)} is not a regular file with one link, owned by this user"
            )
        if status.st_size == 0:
            # The umask may have removed permissions of the owner.
            os.fchmod(descriptor, 0o600)
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
    if status.st_size + len(data) > _MAX_BYTES:
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
            # The file may exceed the limit by one batch.
            return file.read(4 * _MAX_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)

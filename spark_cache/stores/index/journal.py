"""What writers note of their changes: a record for each, and how much the store occupies by now, shared by all processes.

A record is written under a lock, which the kernel releases when its holder dies, and tells the folder's
time before and after the change: where two records do not join up, somebody else has changed the folder in between.
"""

from __future__ import annotations

import errno
import os
from struct import Struct
from threading import Lock
from typing import NamedTuple
from zlib import crc32

from spark_cache.stores.base import GONE, UNKNOWN, block_size
from spark_cache.stores.filesystems import is_remote
from spark_cache.stores.lock_file import LockFile
from spark_cache.stores.private import own_file

__all__ = ["Journal", "Noted", "Record"]

_PATIENCE = 2.0
"""How long to wait for the lock, in seconds. Its holder may have been stopped; on a busy machine it may only have to wait for its
turn, and a change that is not noted leaves the cap in doubt for a while."""

_LONGEST_PLACE = 296
"""How many bytes a place may take in a record."""

_LARGEST = 2**62
_CHECKSUM = Struct("<I")
_BODY = Struct(f"<qqqddqq{_LONGEST_PLACE}s")
_RECORD = Struct(_CHECKSUM.format + _BODY.format.removeprefix("<"))
_LENGTH = _RECORD.size


class Record(NamedTuple):
    """One change of a folder.

    Attributes:
        occupied: The bytes in blocks that the store occupies with it.
        old_size: The length of the file that stood at the place; ``GONE`` when none did.
        size: The length of the one that is there now; ``GONE``.
        expires_at: When its life ends, in seconds since the epoch; ``UNKNOWN``, ``NEVER``.
        used_at: The time that its file was given.
        before: The folder's time before the change, in nanoseconds; 0 when there was no folder.
        after: The same after it.
        place: The folders of provider and model and the name of the entry, with slashes between them.
    """

    occupied: int
    old_size: int
    size: int
    expires_at: float
    used_at: float
    before: int
    after: int
    place: str


class Noted(NamedTuple):
    """What the journal says after a change: the bytes that the store occupies, and how many records wait to be folded."""

    occupied: int
    waiting: int


class Journal:
    """The journal of one store. Whatever is done with it is done between :meth:`acquire` and :meth:`release`.

    Args:
        path: Its file; the folder has to be there.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = Lock()
        self._lock_file = LockFile(f"{path}.lock")
        self._fd = -1
        self._size = 0

    @property
    def lock(self) -> Lock:
        """What its threads share; who forks holds it meanwhile."""
        return self._lock

    def forget(self) -> None:
        """Begin anew in a forked child, which may not share its parent's hold on the file."""
        self._lock = Lock()
        self._lock_file.forget()
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def acquire(self, *, create: bool = True) -> None:
        """Take the lock.

        Args:
            create: Whether the file may be made.

        Raises:
            OSError: It could not be had: ``FileNotFoundError`` when there is no journal and none may be made, ``BlockingIOError``
                when somebody else held it for too long.
        """
        if not self._lock.acquire(timeout=_PATIENCE):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        try:
            self._check(create=create)
            self._lock_file.acquire(_PATIENCE)
            try:
                self._size = self._open(create=create)
            except BaseException:
                self._lock_file.release()
                raise
        except BaseException:
            self._lock.release()
            raise

    def _check(self, *, create: bool) -> None:
        if not create and not (self.exists and self._lock_file.exists):
            # Only a writer creates files here.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if self._fd < 0 and is_remote(self._path):
            # Neither the locks nor the times of folders can be relied on there.
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def _open(self, *, create: bool) -> int:
        """Open the file again if it was deleted under the running program, and return its length."""
        while True:
            if self._fd < 0:
                self._fd = own_file(self._path, create=create)
            status = os.fstat(self._fd)
            if status.st_nlink == 1:
                return status.st_size
            self.close()

    def release(self) -> None:
        """Let go of the lock."""
        try:
            self._lock_file.release()
        finally:
            self._lock.release()

    @property
    def exists(self) -> bool:
        """Whether there is one, with or without the lock."""
        return os.path.lexists(self._path)

    @property
    def begun(self) -> bool:
        """Whether it says what the store occupies."""
        return self._size >= _LENGTH

    @property
    def occupied(self) -> int:
        """The bytes in blocks that the store occupies by the last record."""
        # Its checksum is not looked at here: all are, before anything is removed on their word.
        end = self._size // _LENGTH * _LENGTH
        return int.from_bytes(os.pread(self._fd, 8, end - _BODY.size), "little", signed=True)

    def append(
        self,
        place: str,
        old_size: int,
        size: int,
        *,
        occupied: int,
        expires_at: float,
        used_at: float,
        before: int,
        after: int,
    ) -> Noted:
        """Append a change to the journal.

        Args:
            place: The folders of provider and model and the name of the entry, separated by slashes.
            old_size: The length of the previous file, or ``GONE``.
            size: The length of the file, or ``GONE``.
            occupied: The bytes in blocks that the store occupied before the change.
            expires_at: When the entry expires, in seconds since the epoch; ``UNKNOWN`` or ``NEVER``.
            used_at: The time that the file was given.
            before: The modification time of the folder before the change, in nanoseconds; 0 without a folder.
            after: The modification time of the folder after the change.

        Raises:
            OSError: It could not be written.
            ValueError: Its names are too long, or the journal is damaged.
        """
        end = self._size // _LENGTH * _LENGTH
        if size > 0:
            occupied += block_size(size)
        if old_size > 0:
            occupied -= block_size(old_size)
        name = place.encode()
        if len(name) > _LONGEST_PLACE or not -_LARGEST < occupied < _LARGEST:
            raise ValueError("names too long for a record, or a damaged journal")
        self._write(_BODY.pack(occupied, old_size, size, expires_at, used_at, before, after, name), end)
        return Noted(occupied, end // _LENGTH)

    def records(self) -> tuple[int, list[Record]]:
        """The mark that it was begun with, and every record since.

        Raises:
            ValueError: The journal is damaged.
        """
        head, *records = _parsed(memoryview(os.pread(self._fd, self._size, 0)))
        return head.after, records

    def begin(self, occupied: int, mark: int) -> None:
        """Begin anew, with what the store occupies and a mark that no journal had before."""
        os.ftruncate(self._fd, 0)
        self._write(_BODY.pack(occupied, GONE, GONE, UNKNOWN, 0.0, 0, mark, b""), 0)

    def end(self) -> None:
        """Forget everything: what the store occupies is not known any more."""
        os.ftruncate(self._fd, 0)
        self._size = 0

    def _write(self, body: bytes, start: int) -> None:
        if os.pwrite(self._fd, _CHECKSUM.pack(crc32(body)) + body, start) != _LENGTH:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size = start + _LENGTH


def _parsed(data: memoryview) -> list[Record]:
    """The records in these bytes; half a one at the end is none yet.

    Raises:
        ValueError: One is damaged.
    """
    whole = data[: len(data) // _LENGTH * _LENGTH]
    records = []
    end = 0
    for checksum, *numbers, place in _RECORD.iter_unpack(whole):
        start, end = end, end + _LENGTH
        if checksum != crc32(whole[start + _CHECKSUM.size : end]):
            raise ValueError("a damaged record")
        records.append(Record._make((*numbers, place.partition(b"\0")[0].decode())))
    return records

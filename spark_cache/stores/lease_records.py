"""The files behind leases: the record of a lease, and the proof that its holder is alive."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager, suppress
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Holder", "Record", "remove_leftovers"]

_RECORD = ".lease"
_PROOF = ".holder"

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

_CONTENT = re.compile(rb"([0-9a-f]{16}) [0-9]{1,20}", re.ASCII)
"""The name of the holder, and a number that tells its leases apart."""

_READ_BYTES = 64

_PROBE_SECONDS = 0.5
"""How often a waiter checks that the holder is alive."""

_WRITTEN_WITHIN = 1.0
"""A process writes a record as soon as it has created it. If there is no content after this time, the process is dead."""


class Holder:
    """A process that holds leases. While it does, it keeps a locked file; the kernel unlocks the file when the process ends.

    Args:
        folder: The folder of the leases.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._fd = -1
        self._name = ""
        self._leases = 0

    def sign(self) -> bytes:
        """Return the content for the record of a new lease. Opens and locks the file if it is not there.

        Raises:
            OSError: The file cannot be created or locked.
        """
        if self._fd < 0 or not os.fstat(self._fd).st_nlink:
            self.disown()
            self._name = token_hex(8)
            self._fd = os.open(self._path, _CREATE, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._leases += 1
        return f"{self._name} {self._leases}".encode()

    def retire(self) -> None:
        """Remove the file: this process holds no lease any more.

        Raises:
            OSError: The file cannot be removed.
        """
        if self._fd >= 0:
            os.unlink(self._path)
            self.disown()

    def disown(self) -> None:
        """Close the file without removing it. A forked child does this, so that the lock ends with the parent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def _path(self) -> str:
        return f"{self._folder}/{self._name}{_PROOF}"


class Record:
    """The record of a lease.

    Args:
        folder: The folder of the leases.
        name: The name of the key's entry.
    """

    def __init__(self, folder: str, name: str) -> None:
        self._folder = folder
        self._path = f"{folder}/{name}{_RECORD}"
        self._content = b""
        self._first_seen = monotonic()
        self._probe_at = self._first_seen

    def write(self, content: bytes) -> bool:
        """Create the record, unless there is one. Return whether it was created.

        Args:
            content: What :meth:`Holder.sign` returned.

        Raises:
            OSError: The record cannot be created or written.
        """
        try:
            fd = os.open(self._path, _CREATE, 0o600)
        except FileExistsError:
            return False
        try:
            os.write(fd, content)
        except OSError:
            self.remove()
            raise
        finally:
            os.close(fd)
        return True

    def remove(self) -> None:
        """Remove the record of an own lease.

        Raises:
            OSError: It cannot be removed.
        """
        with suppress(FileNotFoundError):
            os.unlink(self._path)

    def is_gone(self) -> bool:
        """Return whether the lease has ended that was there at the first look. The record of a dead process is removed."""
        content = _read(self._path)
        if content is None:
            return True
        self._content = self._content or content
        if content != self._content:
            # Another lease of the same key.
            return True
        now = monotonic()
        holder = _CONTENT.fullmatch(content)
        if holder is None:
            return now >= self._first_seen + _WRITTEN_WITHIN and self._remove_dead()
        if now < self._probe_at:
            return False
        self._probe_at = now + _PROBE_SECONDS
        with _is_dead(f"{self._folder}/{holder[1].decode()}{_PROOF}") as is_dead:
            return is_dead and self._remove_dead()

    def _remove_dead(self) -> bool:
        # Another process may have removed it meanwhile, and the key may have a new lease.
        if _read(self._path) == self._content:
            with suppress(OSError):
                os.unlink(self._path)
        return True


def remove_leftovers(folder: str, before: float) -> None:
    """Remove the files of processes that were killed.

    Args:
        folder: The folder of the leases.
        before: Only files that are older than this time are removed, in seconds since the epoch.

    Raises:
        OSError: The folder cannot be read.
    """
    with os.scandir(folder) as listing:
        files = [item for item in listing if item.stat(follow_symlinks=False).st_mtime < before]
    for item in files:
        if item.name.endswith(_PROOF):
            with _is_dead(item.path) as is_dead, suppress(OSError):
                if is_dead:
                    os.unlink(item.path)
    for item in files:
        if item.name.endswith(_RECORD):
            holder = _CONTENT.fullmatch(_read(item.path) or b"")
            if holder is None or not os.path.lexists(f"{folder}/{holder[1].decode()}{_PROOF}"):
                with suppress(OSError):
                    os.unlink(item.path)


@contextmanager
def _is_dead(proof: str) -> Iterator[bool]:
    """Tell whether the process with this proof is dead. During the body, no other process can find that out."""
    try:
        fd = os.open(proof, _OPEN)
    except OSError:
        yield True
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def _read(path: str) -> bytes | None:
    """Return the content of a record: None if it is gone, empty if it cannot be read."""
    try:
        fd = os.open(path, _OPEN)
    except FileNotFoundError:
        return None
    except OSError:
        return b""
    try:
        return os.read(fd, _READ_BYTES)
    except OSError:
        return b""
    finally:
        os.close(fd)

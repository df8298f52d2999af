"""The file store: one JSON file per entry, ``<root>/<provider>/<model>/<name>.json``.

Reads take no lock: a file is replaced in one step, so a reader has the old one or the new one. Everything else that the store keeps
lives in the hidden folder and can be deleted at any time.
"""

from __future__ import annotations

import os
import stat
from threading import Lock
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.stores.base import Address, Stored
from spark_cache.stores.disk import MAX_BYTES, failure, make_folder, read_file, write_file
from spark_cache.stores.names import HIDDEN, SCRATCH, is_entry_name
from spark_cache.stores.upkeep import Upkeep
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FileStore"]

_ENDING = ".json"
_USE_RESOLUTION = 60.0
"""A use is noted in the file's time when the last one is this many seconds old: order within a minute does not matter to eviction."""

_SUSPECT = "the directory is a symbolic link into a place that everybody may write to"

_IGNORE_ALL = "# Cached answers: not for version control.\n*\n"
_IGNORE_HIDDEN = f"# The entries may be committed; what the cache derives from them may not.\n{HIDDEN}/\n"


class FileStore:
    """Keeps entries as files below one directory, which is made when something is first written.

    Args:
        root: The directory, absolute.
        clock: The time in seconds since the epoch.
        commit_entries: Whether entries may be committed to version control, which decides the ``.gitignore`` it writes.
        suspect: Whether others may have a hand in where the directory lies: it is then neither read nor written.
        expired: Whether an entry's bytes say that its lifetime is over at a time.
        on_removed: Told of each entry that upkeep removes: where it stood, its length, and ``evict`` or ``expire``.
    """

    def __init__(
        self,
        root: str,
        *,
        clock: Callable[[], float],
        commit_entries: bool,
        suspect: bool = False,
        expired: Callable[[bytes, float], bool],
        on_removed: Callable[[Address, int, str], None],
    ) -> None:
        self.root = root
        self._hidden = f"{root}/{HIDDEN}"
        self._scratch = f"{self._hidden}/{SCRATCH}"
        self._suspect = suspect
        self._clock = clock
        self._gitignore = _IGNORE_HIDDEN if commit_entries else _IGNORE_ALL
        self._fsync = False
        self._prepared = False
        self._lock = Lock()
        self._upkeep = Upkeep(self, hidden=self._hidden, clock=clock, expired=expired, on_removed=on_removed)

    def require(self, *, fsync: bool, cap_bytes: float | None, cleanup_interval: float) -> None:
        """Take on what one of the managers that share the store asks for; the strictest holds.

        Args:
            fsync: Whether a write waits for the disk.
            cap_bytes: What the store may occupy; None is no bound.
            cleanup_interval: How often expired entries are looked for, in seconds.
        """
        self._fsync = self._fsync or fsync
        self._upkeep.require(cap_bytes=cap_bytes, interval=cleanup_interval)

    def forget(self) -> None:
        """Begin with new locks in a forked child: another thread of the parent may have held the old ones."""
        self._lock = Lock()
        self._upkeep.forget()

    def read(self, at: Address, *, note_use: bool) -> bytes | MissReason:
        """The bytes at an address, or why there are none.

        Raises:
            StoreError: The machine failed to read, or the entry belongs to another user where this one also writes.
        """
        if self._suspect:
            raise StoreError("read", _SUSPECT)
        path = self.path(at)
        found = read_file(path)
        if isinstance(found, MissReason):
            return found
        data, modified, owner = found
        if note_use:
            if owner != os.geteuid():
                raise StoreError("read", "the entry belongs to another user")
            now = self._clock()
            # Either way: a time ahead of the clock would pass for the latest use until the clock is there.
            if abs(now - modified) > _USE_RESOLUTION and not self._leads_out(at):
                _note_use(path, now)
        return data

    def write(self, at: Address, data: bytes, *, replace: bool = True) -> bool:
        """Put an entry in place; False when it is larger than the store may be, or may not replace the one that is there.

        Raises:
            StoreError: It could not be written; nothing of it is left behind.
        """
        if self._suspect:
            raise StoreError("write", _SUSPECT)
        if self._leads_out(at):
            raise StoreError("write", "a folder of entries is a symbolic link")
        if len(data) > MAX_BYTES or not self._upkeep.fits(len(data)):
            return False
        try:
            self._prepare()
            try:
                placed = self._put(at, data, replace=replace)
            except FileNotFoundError:
                # The directory was deleted while the program runs: make it anew, once.
                self._prepared = False
                self._prepare()
                placed = self._put(at, data, replace=replace)
        except OSError as error:
            raise failure("write", error) from None
        if placed:
            self._upkeep.after_write(len(data))
        return placed

    def prepare(self) -> None:
        """Make the directory ready to be written to, though it was before; :meth:`write` does it by itself.

        Raises:
            OSError: It could not be made.
            StoreError: It is not to be used.
        """
        if self._suspect:
            raise StoreError("write", _SUSPECT)
        self._prepared = False
        self._prepare()

    def remove(self, at: Address) -> bool:
        """Remove an entry; whether there was one.

        Raises:
            StoreError: It is there and could not be removed.
        """
        if self._leads_out(at):
            return False
        path = self.path(at)
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise failure("remove", error) from None
        _remove_if_empty(os.path.dirname(path))
        return True

    def find(self, name: str) -> list[Address]:
        """Every address with this name, in whatever folder."""
        return [
            Address(provider, model, name)
            for provider in _folders(self.root)
            for model in _folders(f"{self.root}/{provider}")
            if os.path.lexists(f"{self.root}/{provider}/{model}/{name}{_ENDING}")
        ]

    def scan(self, provider_folder: str | None = None, model_folder: str | None = None) -> Iterator[Stored]:
        """Every entry, or those of a provider or of one of its models."""
        for provider in _folders(self.root) if provider_folder is None else [provider_folder]:
            for model in _folders(f"{self.root}/{provider}") if model_folder is None else [model_folder]:
                yield from self._scan_folder(provider, model)

    def path(self, at: Address) -> str:
        """The path of the file of an entry."""
        return f"{self.root}/{at.provider_folder}/{at.model_folder}/{at.name}{_ENDING}"

    def _leads_out(self, at: Address) -> bool:
        """Whether a link stands in place of a folder of entries: what it leads to is not the cache's to change."""
        provider = f"{self.root}/{at.provider_folder}"
        return os.path.islink(provider) or os.path.islink(f"{provider}/{at.model_folder}")

    def _scan_folder(self, provider: str, model: str) -> Iterator[Stored]:
        try:
            with os.scandir(f"{self.root}/{provider}/{model}") as listing:
                for item in listing:
                    name = item.name.removesuffix(_ENDING)
                    if name == item.name or not is_entry_name(name):
                        continue
                    try:
                        status = item.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISREG(status.st_mode):
                        yield Stored(Address(provider, model, name), status.st_size, status.st_mtime)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise failure("list", error) from None

    def _put(self, at: Address, data: bytes, *, replace: bool) -> bool:
        return write_file(
            f"{self.root}/{at.provider_folder}/{at.model_folder}",
            at.name + _ENDING,
            data,
            scratch=self._scratch,
            fsync=self._fsync,
            now=self._clock(),
            replace=replace,
        )

    def _prepare(self) -> None:
        """Make the directory ready to be written to, once."""
        if self._prepared:
            return
        with self._lock:
            for folder in (self.root, self._hidden, self._scratch):
                make_folder(folder)
                self._refuse_foreign(folder)
            self._write_gitignore()
            self._upkeep.sweep_orphans(self._scratch)
            self._prepared = True

    def _refuse_foreign(self, path: str) -> None:
        """Raise unless a folder is a real one and our own: nobody else may have a hand in what is answered."""
        status = os.lstat(path) if path != self.root else os.stat(path)
        if not stat.S_ISDIR(status.st_mode):
            raise StoreError("write", f"{os.path.basename(path)} in the cache directory is no folder")
        if status.st_uid != os.geteuid():
            raise StoreError("write", "the directory belongs to another user")

    def _write_gitignore(self) -> None:
        """Write it unless there is one; whole or not at all, since half of it would let entries into version control."""
        if not os.path.lexists(f"{self.root}/.gitignore"):
            text = self._gitignore.encode()
            write_file(self.root, ".gitignore", text, scratch=self._scratch, fsync=False, now=self._clock())


def _folders(path: str) -> list[str]:
    """The folders of providers or models below a path, sorted."""
    try:
        with os.scandir(path) as listing:
            return sorted(
                item.name for item in listing if item.name[0] != "." and item.is_dir(follow_symlinks=False)
            )
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise failure("list", error) from None


def _note_use(path: str, now: float) -> None:
    try:
        # Under two names, such as a backup's by hard links, the file is not the cache's alone.
        if os.lstat(path).st_nlink == 1:
            os.utime(path, (now, now), follow_symlinks=False)
    except OSError:
        # Least recently used is then judged by an older time; the answer is right all the same.
        return


def _remove_if_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
        os.rmdir(os.path.dirname(folder))
    except OSError:
        # Not empty, most of the time.
        return

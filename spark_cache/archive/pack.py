"""Export entries into an archive, in constant memory."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from gzip import GzipFile
from secrets import token_hex
from typing import TYPE_CHECKING, BinaryIO

from spark_cache.archive.tar_format import END, MANIFEST, encode_member, member_path
from spark_cache.errors import StoreError
from spark_cache.maintenance.verify import check_entry
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import Address, FileStore
    from spark_cache.types import EntryMeta

__all__ = ["ExportResult", "export_entries"]

_COMPRESSION_LEVEL = 6


@dataclass(slots=True)
class ExportResult:
    """The counts of an export.

    Attributes:
        entries: The number of exported entries.
        size_bytes: The total size of their files.
        unusable: The number of files that were left out because they are not valid entries, by reason.
    """

    entries: int = 0
    size_bytes: int = 0
    unusable: Counter[str] = field(default_factory=Counter)


def export_entries(
    store: FileStore,
    target: str,
    *,
    ring: KeyRing | None,
    wanted: Callable[[EntryMeta], bool],
    step: Callable[[], None],
) -> ExportResult:
    """Write entries into an archive without changing them. Encrypted entries stay encrypted.

    The archive may or may not contain an entry that is stored or removed during the export.

    Args:
        store: The store to export from.
        target: The path of the archive. An existing file is replaced in one step, after the new archive is complete.
        ring: The configured encryption keys, which are used to detect damaged entries.
        wanted: Return whether to export an entry.
        step: Called after each entry, whether it is exported or not.

    Raises:
        StoreError: The entries could not be read, or the archive could not be written. The target is unchanged.
    """
    done = ExportResult()
    with _replaced(target) as archive:
        archive.write(encode_member(*MANIFEST))
        for at in _sorted_addresses(store):
            data = store.read(at, note_use=False)
            step()
            if data is MissReason.ABSENT:
                continue
            checked = check_entry(at, data, ring) if isinstance(data, bytes) else data
            if isinstance(checked, MissReason) or not isinstance(data, bytes):
                done.unusable[str(checked)] += 1
            elif wanted(checked.about):
                archive.write(encode_member(member_path(at), data))
                done.entries += 1
                done.size_bytes += len(data)
        archive.write(END)
    return done


def _sorted_addresses(store: FileStore) -> Iterator[Address]:
    """Yield the address of each entry in order. Only the names of one folder at a time are in memory."""
    folders = {stored.address[:2] for stored in store.scan()}
    for provider, model in sorted(folders):
        yield from sorted([stored.address for stored in store.scan(provider, model)])


@contextmanager
def _replaced(target: str) -> Iterator[BinaryIO]:
    """Open a new gzip file that replaces the target when the block ends without an error.

    Until then the file has no name, so a killed export leaves nothing behind. Only a kill at the moment when an existing
    target is replaced leaves a copy of the new archive, because Linux cannot replace a name by a file without one.

    Raises:
        StoreError: The file could not be written.
    """
    temporary = f"{target}.{token_hex(4)}.part"
    try:
        unnamed = _open_unnamed(os.path.dirname(target) or ".")
        with open(_open_private(temporary) if unnamed is None else unnamed, "wb") as raw:
            # A name or a time in the gzip header would make equal archives differ.
            with GzipFile("", "wb", _COMPRESSION_LEVEL, raw, mtime=0) as archive:
                yield archive  # type: ignore[misc]  # a GzipFile can be written to like a binary file
            raw.flush()
            os.fsync(raw.fileno())
            if unnamed is not None:
                try:
                    _link(unnamed, target)
                except FileExistsError:
                    _link(unnamed, temporary)
                else:
                    return
        os.replace(temporary, target)
    except OSError as error:
        raise StoreError("export", os.strerror(error.errno) if error.errno else str(error)) from None
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _open_unnamed(folder: str) -> int | None:
    """Open a new file without a name, or return None where the system or the file system has none."""
    flags = getattr(os, "O_TMPFILE", None)
    if flags is None:
        return None
    try:
        descriptor = os.open(folder, flags | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        # If the folder itself is the cause, opening a file with a name fails for the same reason.
        return None
    if os.path.exists(_descriptor_path(descriptor)):
        return descriptor
    # Without /proc, the file cannot be given a name later.
    os.close(descriptor)
    return None


def _link(descriptor: int, path: str) -> None:
    """Give an open file a name.

    Raises:
        OSError: It failed, or something else has this name.
    """
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Only with the descriptor of a folder does Python call linkat, which alone follows the link in /proc.
        os.link(_descriptor_path(descriptor), os.path.basename(path), dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _descriptor_path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _open_private(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

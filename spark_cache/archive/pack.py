"""Entries -> one archive, the same bytes for the same entries, in constant memory."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from gzip import GzipFile
from secrets import token_hex
from typing import TYPE_CHECKING, BinaryIO

from spark_cache.archive.tar_format import END, GREETING, packed, path_of
from spark_cache.errors import StoreError
from spark_cache.maintenance.verify import check_entry
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import Address, FileStore
    from spark_cache.types import EntryMeta

__all__ = ["Exported", "export_entries"]

_LEVEL = 6


@dataclass(slots=True)
class Exported:
    """What went into an archive.

    Attributes:
        entries: How many entries.
        size_bytes: The lengths of their files.
        unusable: How many files were left out because they answer nothing, by reason.
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
) -> Exported:
    """Write entries into an archive, as they are: encrypted ones stay encrypted. Entries that come or go meanwhile may be in it.

    Args:
        store: The entries.
        target: The file; it is replaced in one step when the archive is whole.
        ring: The keys at hand, to tell damaged entries from whole ones.
        wanted: Whether an entry goes into it.
        step: Called after each entry, whether it goes into it or not.

    Raises:
        StoreError: The entries could not be read, or the archive not written; the target is then as it was.
    """
    done = Exported()
    with _written(target) as archive:
        archive.write(packed(*GREETING))
        for at in _in_order(store):
            data = store.read(at, note_use=False)
            step()
            if data is MissReason.ABSENT:
                continue
            found = check_entry(at, data, ring) if isinstance(data, bytes) else data
            if isinstance(found, MissReason) or not isinstance(data, bytes):
                done.unusable[str(found)] += 1
            elif wanted(found.about):
                archive.write(packed(path_of(at), data))
                done.entries += 1
                done.size_bytes += len(data)
        archive.write(END)
    return done


def _in_order(store: FileStore) -> Iterator[Address]:
    """Where each entry stands, in order. In memory are the names in one folder at a time, not what the files hold."""
    folders = {stored.address[:2] for stored in store.scan()}
    for provider, model in sorted(folders):
        yield from sorted([stored.address for stored in store.scan(provider, model)])


@contextmanager
def _written(target: str) -> Iterator[BinaryIO]:
    """A gzipped file that is put in place when it is whole.

    Raises:
        StoreError: It could not be written.
    """
    temporary = f"{target}.{token_hex(4)}.part"
    try:
        with open(temporary, "xb", opener=_for_its_owner) as raw:
            # Neither name nor time: they would be another archive each time.
            with GzipFile("", "wb", _LEVEL, raw, mtime=0) as archive:
                yield archive  # type: ignore[misc]  # a GzipFile writes like any binary file
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise StoreError("export", os.strerror(error.errno) if error.errno else str(error)) from None
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

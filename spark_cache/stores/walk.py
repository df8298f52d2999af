"""The folders and files of a store: ``<root>/<provider>/<model>/<name>.json``; links are not followed below the root."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from spark_cache.stores.base import Address, Stored
from spark_cache.stores.names import is_entry_name

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ENDING",
    "folder_time",
    "folders",
    "is_there",
    "leads_out",
    "model_folders",
    "remove_if_empty",
    "scan_folder",
    "size_of",
    "status_of",
]

ENDING = ".json"
"""What the name of an entry's file ends with."""


def folders(path: str) -> list[str]:
    """The folders of providers or models below a path, sorted.

    Raises:
        OSError: It could not be listed.
    """
    return sorted(item.name for item in _folder_items(path))


def model_folders(root: str) -> dict[tuple[str, str], int]:
    """The folders of all models, by those of provider and model, with their modification times in nanoseconds.

    Raises:
        OSError: They could not be listed.
    """
    found = {}
    for provider in _folder_items(root):
        for model in _folder_items(provider.path):
            try:
                found[provider.name, model.name] = model.stat(follow_symlinks=False).st_mtime_ns
            except FileNotFoundError:
                continue
    return found


def scan_folder(root: str, provider: str, model: str) -> Iterator[Stored]:
    """Every entry of a model; those that come or go meanwhile may be in it.

    Raises:
        OSError: It could not be listed.
    """
    try:
        with os.scandir(f"{root}/{provider}/{model}") as listing:
            for item in listing:
                name = item.name.removesuffix(ENDING)
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


def is_there(path: str) -> bool:
    """Whether anything stands at a path.

    Raises:
        OSError: That could not be found out.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def status_of(path: str) -> os.stat_result | None:
    """The status of a regular file; None when there is none.

    Raises:
        OSError: It could not be had.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def size_of(path: str) -> int | None:
    """The length of a regular file; None when there is none.

    Raises:
        OSError: It could not be had.
    """
    # Asked first, for most often there is none: an exception costs more than the question.
    status = status_of(path) if os.access(path, os.F_OK) else None
    return None if status is None else status.st_size


def folder_time(path: str) -> int:
    """The modification time of a folder in nanoseconds; 0 when there is none.

    Raises:
        OSError: It could not be had.
    """
    try:
        return os.lstat(path).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return 0


def leads_out(root: str, provider: str, model: str) -> bool:
    """Whether a link stands in place of a folder of entries: what it leads to is not the cache's to change."""
    above = f"{root}/{provider}"
    try:
        return stat.S_ISLNK(os.lstat(above).st_mode) or stat.S_ISLNK(os.lstat(f"{above}/{model}").st_mode)
    except OSError:
        # Not there; or out of reach, as what follows will tell.
        return False


def remove_if_empty(folder: str) -> None:
    """Remove the folder of a model, and that of its provider, unless something is in them."""
    try:
        os.rmdir(folder)
        os.rmdir(os.path.dirname(folder))
    except OSError:
        # Not empty, most of the time.
        return


def _folder_items(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as listing:
            return [item for item in listing if item.name[0] != "." and item.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []

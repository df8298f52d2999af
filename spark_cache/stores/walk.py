"""The folders and files of a store: ``<root>/<provider>/<model>/<name>.json``. Links below the root are not followed."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from spark_cache.stores.names import is_entry_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.stores.base import Address

__all__ = [
    "ENDING",
    "candidate_names",
    "entry_path",
    "folder_names",
    "folder_path",
    "folder_time",
    "leads_out",
    "model_folders",
    "remove_if_empty",
    "status_of",
]

ENDING = ".json"
"""The ending of the name of an entry's file."""


def folder_names(root: str) -> Iterator[tuple[str, str]]:
    """Yield the folders of all models, by those of provider and model, sorted.

    Raises:
        OSError: The root cannot be listed.
    """
    for provider in sorted(item.name for item in _folder_items(root)):
        for model in sorted(item.name for item in _readable_items(f"{root}/{provider}")):
            yield provider, model


def model_folders(root: str) -> dict[tuple[str, str], int]:
    """Return the folders of all models, with their modification times in nanoseconds.

    Raises:
        OSError: The root cannot be listed.
    """
    found = {}
    for provider in _folder_items(root):
        for model in _readable_items(provider.path):
            try:
                found[provider.name, model.name] = model.stat(follow_symlinks=False).st_mtime_ns
            except FileNotFoundError:
                continue
    return found


def candidate_names(root: str, provider: str, model: str) -> Iterator[str]:
    """Yield the names of the files in a model's folder that may be entries by their names.

    Raises:
        OSError: The folder cannot be listed.
    """
    try:
        with os.scandir(f"{root}/{provider}/{model}") as listing:
            for item in listing:
                name = item.name.removesuffix(ENDING)
                if name != item.name and is_entry_name(name):
                    yield name
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError:
        _raise_unless_foreign(f"{root}/{provider}/{model}")


def folder_path(root: str, at: Address) -> str:
    """Return the path of the folder of an entry."""
    return f"{root}/{at.provider_folder}/{at.model_folder}"


def entry_path(root: str, at: Address) -> str:
    """Return the path of the file of an entry."""
    return f"{root}/{'/'.join(at)}{ENDING}"


def status_of(path: str) -> os.stat_result | None:
    """Return the status of a regular file; None if there is none.

    Raises:
        OSError: It cannot be found out.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def folder_time(path: str) -> int:
    """Return the modification time of a folder in nanoseconds; 0 if there is none.

    Raises:
        OSError: It cannot be found out.
    """
    try:
        return os.lstat(path).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return 0


def leads_out(root: str, provider: str, model: str) -> bool:
    """Return whether a link is in the place of a folder of entries. The files behind it do not belong to the cache."""
    above = f"{root}/{provider}"
    try:
        return stat.S_ISLNK(os.lstat(above).st_mode) or stat.S_ISLNK(os.lstat(f"{above}/{model}").st_mode)
    except OSError:
        # It does not exist, or it is out of reach, which the next step will tell.
        return False


def remove_if_empty(folder: str) -> None:
    """Remove the folder of a model, and that of its provider, unless they contain something."""
    try:
        os.rmdir(folder)
        os.rmdir(os.path.dirname(folder))
    except OSError:
        # Not empty, most of the time.
        return


def _readable_items(path: str) -> list[os.DirEntry[str]]:
    try:
        return _folder_items(path)
    except PermissionError:
        _raise_unless_foreign(path)
        return []


def _raise_unless_foreign(path: str) -> None:
    """Raise the error that is being handled, unless a folder belongs to another user: the directory may contain any folders."""
    if os.lstat(path).st_uid == os.geteuid():
        raise  # noqa: PLE0704 - called while an error is handled


def _folder_items(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as listing:
            return [item for item in listing if item.name[0] != "." and item.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []

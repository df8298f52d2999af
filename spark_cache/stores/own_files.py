"""Which files below a directory belong to the store. A file is an entry only by what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cache.stores.atomic import MAX_BYTES, read_head
from spark_cache.stores.base import Address, Proof
from spark_cache.stores.walk import candidate_names, folder_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["OwnFiles"]

_HEAD = 512
"""The first bytes of a file, which decide what it is unless a person has written it."""


class OwnFiles:
    """The files of one directory. It may contain others: a project, a home, another cache.

    Args:
        root: The directory.
        prove: Says what a file is, as :class:`spark_cache.stores.base.EntryFormat` describes it.
    """

    def __init__(self, root: str, prove: Callable[[bytes, str, bool], Proof | None]) -> None:
        self._root = root
        self._prove = prove

    def prove(self, path: str, name: str) -> Proof:
        """Return what the file at a path is.

        Args:
            path: The path.
            name: The name of the entry that it may be.

        Raises:
            OSError: It cannot be read.
        """
        head = read_head(path, _HEAD)
        if head is None:
            return Proof.FOREIGN
        proof = self._prove(head, name, len(head) < _HEAD)
        if proof is None:
            whole = read_head(path, MAX_BYTES + 1) or b""
            proof = self._prove(whole, name, True) if len(whole) <= MAX_BYTES else None
        return proof or Proof.FOREIGN

    def is_entry(self, path: str, name: str) -> bool:
        """Return whether the file at a path is the entry of a name.

        Raises:
            OSError: It cannot be read.
        """
        return self.prove(path, name) is Proof.ENTRY

    def candidates(
        self, provider_folder: str | None, model_folder: str | None, after: Address | None = None
    ) -> Iterator[Address]:
        """Yield the addresses at which there are files that may be entries by their names, ordered.

        Args:
            provider_folder: The only provider; None for all of them.
            model_folder: Its only model; None for all of them.
            after: The address to go on behind.

        Raises:
            OSError: A folder cannot be listed.
        """
        for provider, model in folder_names(self._root):
            if provider_folder not in (None, provider) or model_folder not in (None, model):
                continue
            if after is not None and (provider, model) < after[:2]:
                continue
            for name in sorted(candidate_names(self._root, provider, model)):
                at = Address(provider, model, name)
                if after is None or at > after:
                    yield at

"""Notice entries that are encrypted under keys that are not configured.

The name of an encrypted entry is derived from its key. Without the key, a lookup finds no file, and its miss looks like any other.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from spark_cache.entries import key_id_in_head
from spark_cache.stores import Address, FileStore, folder_name
from spark_cache.stores.atomic import read_head
from spark_cache.stores.walk import candidate_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_cache.core.directory import Directory

__all__ = ["OtherKeys"]

_MOST_FILES = 16
"""The number of files of a model that are looked at."""

_HEAD = 512
"""The first bytes of an entry, which show the ID of its key."""


class OtherKeys:
    """Looks once for each model, at a few files, when a first call misses.

    Args:
        directory: The shared state of the directory.
        profile: The name of the profile in force.
        ids: The IDs of the configured encryption keys.
    """

    def __init__(self, directory: Directory, *, profile: str | None, ids: Sequence[str]) -> None:
        self._directory = directory
        self._profile = profile
        self._ids = ids
        self._looked: set[tuple[str, str]] = set()

    def look(self, provider: str, model_id: str) -> None:
        """Warn once if the missing entry of a model may be encrypted under another key.

        Args:
            provider: The provider.
            model_id: The model.
        """
        if (provider, model_id) in self._looked:
            return
        self._looked.add((provider, model_id))
        try:
            found = self._key_ids(folder_name(provider), folder_name(model_id))
        except OSError:
            # The lookup itself reports a directory that cannot be read.
            return
        others = [key_id for key_id in found if key_id is not None and key_id not in self._ids]
        # A program without keys makes plain calls, which plain entries answer. It misses something if there are none.
        if others and (self._ids or len(others) == len(found)):
            self._directory.warn_once(
                "use encrypted entries",
                "some entries are encrypted under a key that is not configured",
                profile=self._profile,
                hint="to use them, add the key to SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE; "
                "`spark-cache keys list` shows its ID",
            )

    def _key_ids(self, provider_folder: str, model_folder: str) -> list[str | None]:
        """Return the ID of the key of each of a few entries of a model; None for plain ones."""
        store = self._directory.store
        if not isinstance(store, FileStore):
            return []
        # The folder may have a million files, so it is neither listed completely nor sorted.
        names = list(islice(candidate_names(store.root, provider_folder, model_folder), _MOST_FILES))
        heads = [read_head(store.path(Address(provider_folder, model_folder, name)), _HEAD) for name in names]
        return [key_id_in_head(head) for head in heads if head is not None]

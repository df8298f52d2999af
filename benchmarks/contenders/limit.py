"""The limit of the machine: the fewest steps from a request to its stored response, without any checks."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.contenders.base import Keeper
from benchmarks.workload import MODEL, answer

if TYPE_CHECKING:
    from benchmarks.workload import Request

__all__ = ["Limit"]

_READ_BYTES = 64 * 1024


class Limit(Keeper):
    """Canonical JSON, SHA-256 and one file for each response: open, read, close, parse."""

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._folder = f"{directory}/openai/{MODEL}"
        os.makedirs(self._folder, exist_ok=True)
        self._answer = answer()
        self._expired: list[str] = []

    def get(self, prepared: Request) -> Any:
        """Compute the key, then open, read, close and parse the file.

        Args:
            prepared: The request.
        """
        descriptor = os.open(self._path(prepared), os.O_RDONLY)
        try:
            content = os.read(descriptor, _READ_BYTES)
        finally:
            os.close(descriptor)
        return orjson.loads(content)

    def put(self, prepared: Request) -> None:
        """Compute the key, write a temporary file and rename it.

        Args:
            prepared: The request.
        """
        path = self._path(prepared)
        temporary = f"{path}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, orjson.dumps(self._answer))
        finally:
            os.close(descriptor)
        os.rename(temporary, path)

    def text(self, found: Any) -> str:
        """Return the content.

        Args:
            found: The stored response.
        """
        return str(found["content"])

    def put_expiring(self, prepared: Request) -> None:
        """Store, and remember the path.

        Args:
            prepared: The request.
        """
        self.put(prepared)
        self._expired.append(self._path(prepared))

    def clean_up(self) -> int:
        """Unlink the remembered files, without searching for them."""
        for path in self._expired:
            os.unlink(path)
        removed = len(self._expired)
        self._expired.clear()
        return removed

    def count(self) -> int:
        """Count the files by examining each of them."""
        with os.scandir(self._folder) as found:
            return sum(1 for file in found if file.stat().st_size)

    def size_bytes(self) -> int:
        """Add up the sizes of all files."""
        with os.scandir(self._folder) as found:
            return sum(file.stat().st_size for file in found)

    def _path(self, request: Request) -> str:
        digest = sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()
        return f"{self._folder}/{digest}.json"

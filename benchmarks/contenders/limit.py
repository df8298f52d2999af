"""The physical limit: the fewest steps that turn a request into its stored answer, with nothing checked on the way."""

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
    """Canonical JSON, SHA-256, one file for each answer: open, read, close, parse."""

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._folder = f"{directory}/openai/{MODEL}"
        os.makedirs(self._folder, exist_ok=True)
        self._answer = answer()
        self._expired: list[str] = []

    def get(self, prepared: Request) -> Any:
        """Key, open, read, close, parse."""
        descriptor = os.open(self._path(prepared), os.O_RDONLY)
        try:
            content = os.read(descriptor, _READ_BYTES)
        finally:
            os.close(descriptor)
        return orjson.loads(content)

    def put(self, prepared: Request) -> None:
        """Key, write beside, rename."""
        path = self._path(prepared)
        beside = f"{path}.tmp"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, orjson.dumps(self._answer))
        finally:
            os.close(descriptor)
        os.rename(beside, path)

    def text(self, found: Any) -> str:
        """The content."""
        return str(found["content"])

    def put_expiring(self, prepared: Request) -> None:
        """Store, and remember where."""
        self.put(prepared)
        self._expired.append(self._path(prepared))

    def clean_up(self) -> int:
        """Unlink the remembered files, and nothing else."""
        for path in self._expired:
            os.unlink(path)
        removed = len(self._expired)
        self._expired.clear()
        return removed

    def count(self) -> int:
        """Look at every file."""
        with os.scandir(self._folder) as found:
            return sum(1 for file in found if file.stat().st_size)

    def size_bytes(self) -> int:
        """Look at every file."""
        with os.scandir(self._folder) as found:
            return sum(file.stat().st_size for file in found)

    def _path(self, request: Request) -> str:
        digest = sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()
        return f"{self._folder}/{digest}.json"

"""The limit of the machine: the fewest steps from a request to its stored response, without any checks."""

from __future__ import annotations

import os
from array import array
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.contenders.base import Embedder, Keeper
from benchmarks.workload import MODEL, answer

if TYPE_CHECKING:
    from benchmarks.contenders.base import EmbeddingProvider
    from benchmarks.workload import Request, Vectors

__all__ = ["Limit", "LimitEmbedder"]

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
        _write(self._path(prepared), orjson.dumps(self._answer))

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


class LimitEmbedder(Embedder):
    """SHA-256 and one file of 32-bit floats for each text: open, read, close."""

    def __init__(self, directory: str, provider: EmbeddingProvider) -> None:
        self._provider = provider
        self._folder = f"{directory}/openai/{MODEL}"
        os.makedirs(self._folder, exist_ok=True)

    def embed(self, texts: list[str]) -> Vectors:
        """Read the file of each text, and write one for each text that has none.

        Args:
            texts: The texts.
        """
        paths = [f"{self._folder}/{sha256(text.encode()).hexdigest()}" for text in texts]
        contents = [_read(path) for path in paths]
        missing = [text for text, content in zip(texts, contents, strict=True) if content is None]
        new = iter(self._provider(missing) if missing else ())
        vectors = []
        for path, content in zip(paths, contents, strict=True):
            if content is None:
                vectors.append(next(new))
                _write(path, array("f", vectors[-1]).tobytes())
            else:
                numbers = array("f")
                numbers.frombytes(content)
                vectors.append(numbers.tolist())
        return vectors

    def embed_as_array(self, texts: list[str]) -> Any:
        """Read the file of each text into one array.

        Args:
            texts: The texts, all of which are stored.
        """
        import numpy as np  # noqa: PLC0415 - it may not be installed

        contents = [_read(f"{self._folder}/{sha256(text.encode()).hexdigest()}") for text in texts]
        return np.frombuffer(b"".join(contents), dtype=np.float32).reshape(len(texts), -1)


def _read(path: str) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, _READ_BYTES)
    finally:
        os.close(descriptor)


def _write(path: str, content: bytes) -> None:
    temporary = f"{path}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)

"""Helpers for the encryption tests."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from spark_cache import CacheConfig, CacheManager, Model, ModelResponse
from spark_cache.core.directory import open_directory
from spark_cache.entries.keyring import KeyRing
from spark_cache.events import StructlogSink
from spark_cache.maintenance.rotation import encrypt, rotate
from spark_cache.providers.base import Provider
from spark_cache.stores import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.maintenance.rotation import Conversion
    from spark_cache.types import Request

OLD, NEW, OTHER = (base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))
"""Fixed encryption keys, so that failures are reproducible."""

CANARY = "velvet otter 4711"
"""A phrase that occurs nowhere by chance."""

USAGE = {"input_tokens": 15, "output_tokens": 8, "total_tokens": 23}


_clocks: WeakKeyDictionary[CacheManager, Any] = WeakKeyDictionary()
"""The clock of each manager. Only managers with the same clock share a store."""


class Clock:
    """A clock that moves only when set."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self.now


class Sink:
    """A sink that keeps every event."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def wants(self, _level: int) -> bool:
        """Accept every event."""
        return True

    def emit(self, event: Any) -> None:
        """Keep an event."""
        self.events.append(event)

    def reasons(self) -> list[str]:
        """Return the reason of each miss."""
        return [event.reason for event in self.events if event.name == "cache.miss"]


class _ParrotProvider(Provider):
    """Repeats the question. Fails if the question contains "fail"."""

    name = "parrot"

    def __init__(self) -> None:
        self.calls = 0

    def endpoint(self) -> str | None:
        """Return None, because the provider has only one address."""
        return None

    async def call(self, request: Request) -> Any:
        """Repeat the last message."""
        self.calls += 1
        said = request.body["messages"][-1]["content"]
        if "fail" in said:
            raise RuntimeError(said)
        return {"said": said}

    def read(self, raw: Any) -> ModelResponse:
        """Return a complete response."""
        return ModelResponse(raw["said"], "end_turn", raw=raw)


class Parrot(Model):
    """A model that repeats the question, and fails if the question contains "fail"."""

    def __init__(self, model_id: str, **options: Any) -> None:
        self._parrot = _ParrotProvider()
        super().__init__(model_id, self._parrot, **options)

    @property
    def calls(self) -> int:
        """The number of provider calls."""
        return self._parrot.calls


def manager_of(
    cache_dir: Path | str, *keys: str, clock: Any = None, sink: Any = None, **values: Any
) -> CacheManager:
    """Return an independent manager of a directory. It encrypts everything with the first key, if any."""
    settings: dict[str, Any] = {"enabled": True, "cache_dir": cache_dir, "encryption": "off"}
    if keys:
        settings |= {"encryption": "all", "encryption_keys": list(keys)}
    config = CacheConfig(**(settings | values))
    clock = time.time if clock is None else clock
    manager = CacheManager(config, clock=clock, sink=sink)
    _clocks[manager] = clock
    return manager


def answer(text: str) -> dict[str, Any]:
    """Return a response in its stored form."""
    return {"content": text, "stop_reason": "end_turn", "usage": USAGE}


def ask(cache: CacheManager, text: str, provider: str = "openai", model: str = "gpt-4o") -> Any:
    """Return the cache key of a question."""
    return cache.generate_cache_key(provider, model, [{"role": "user", "content": text}])


def put(cache: CacheManager, text: str, said: str | None = None, **options: Any) -> Any:
    """Store the response to a question and return its cache key."""
    key = ask(cache, text)
    assert cache.set(
        key, key.provider, key.model_id, {"messages": text}, answer(said or f"answer to {text}"), **options
    )
    return key


def store_of(cache: CacheManager) -> FileStore:
    """Return the file store of a cache."""
    store = open_directory(
        str(cache.cache_dir), cache.config, clock=_clocks[cache], sink=StructlogSink()
    ).store
    assert isinstance(store, FileStore)
    return store


def turn(cache: CacheManager, *keys: str) -> Conversion:
    """Rotate a cache to the first of the given keys."""
    return rotate(store_of(cache), KeyRing(keys), step=lambda: None)


def entry_files(cache_dir: Path) -> list[Path]:
    """Return the files of all entries."""
    return sorted(path for path in cache_dir.glob("*/*/*.json") if path.parts[-3][0] != ".")


def key_ids(cache_dir: Path) -> set[str | None]:
    """Return the IDs of the encryption keys of all entries. Plain entries give None."""
    return {json.loads(path.read_bytes()).get("key_id") for path in entry_files(cache_dir)}


def id_of(key: str) -> str:
    """Return the ID of an encryption key."""
    return KeyRing([key]).ids[0]


def traces(phrase: str) -> Iterator[bytes]:
    """Yield a phrase in the encodings in which it might be written."""
    yield phrase.encode()
    yield phrase.encode("utf-16-le")
    yield phrase.encode().hex().encode()
    for shift in range(3):
        coded = base64.b64encode(bytes(shift) + phrase.encode())
        yield coded[4:-4]
        yield base64.urlsafe_b64encode(bytes(shift) + phrase.encode())[4:-4]


def places_of(phrase: str, folder: Path, **texts: str) -> list[str]:
    """Return where a phrase occurs: in names and contents of the files below a folder, and in named texts."""
    found = []
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        if any(trace in content or trace in os.fsencode(path) for trace in traces(phrase)):
            found.append(str(path.relative_to(folder)))
    return found + [name for name, text in texts.items() if any(t in text.encode() for t in traces(phrase))]


def encrypt_all(cache: CacheManager, *keys: str) -> Conversion:
    """Encrypt the plain entries of a cache."""
    return encrypt(store_of(cache), KeyRing(keys), step=lambda: None)


def harness(*arguments: str) -> int:
    """Run the harness program and return the number that it prints."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("encryption_harness.py")), *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return int(done.stdout)

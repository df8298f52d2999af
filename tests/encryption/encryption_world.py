"""What the tests of encryption share."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_cache import CacheConfig, CacheManager, Model, ModelResponse
from spark_cache.entries.keyring import KeyRing
from spark_cache.maintenance.rotation import encrypt, rotate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.maintenance.rotation import Conversion
    from spark_cache.stores import FileStore
    from spark_cache.types import Request

OLD, NEW, OTHER = (base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))
"""Keys that are always the same, so that a failure can be repeated."""

CANARY = "velvet otter 4711"
"""A phrase that stands nowhere by chance."""

USAGE = {"input_tokens": 15, "output_tokens": 8, "total_tokens": 23}


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """The time, in seconds since the epoch."""
        return self.now


class Sink:
    """Keeps every event."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def wants(self, _level: int) -> bool:
        """Every event is wanted."""
        return True

    def emit(self, event: Any) -> None:
        """Keep it."""
        self.events.append(event)

    def reasons(self) -> list[str]:
        """Why each miss missed."""
        return [event.reason for event in self.events if event.name == "cache.miss"]


class Parrot(Model):
    """A model that repeats the question; it fails when it is asked to."""

    provider = "parrot"
    calls = 0

    def _endpoint(self) -> str | None:
        return None

    async def _call(self, request: Request) -> Any:
        self.calls += 1
        said = request.messages[-1]["content"]
        if "fail" in said:
            raise RuntimeError(said)
        return {"said": said}

    def _read(self, raw: Any) -> ModelResponse:
        return ModelResponse(raw["said"], "end_turn", raw=raw)


def manager_of(
    cache_dir: Path | str, *keys: str, clock: Any = None, sink: Any = None, **values: Any
) -> CacheManager:
    """An independent manager of a directory that encrypts everything with the first key, if there is one."""
    settings: dict[str, Any] = {"enabled": True, "cache_dir": cache_dir, "encryption": "off"}
    if keys:
        settings |= {"encryption": "all", "encryption_keys": list(keys)}
    config = CacheConfig(**(settings | values))
    return CacheManager(config, sink=sink) if clock is None else CacheManager(config, clock=clock, sink=sink)


def answer(text: str) -> dict[str, Any]:
    """An answer as it is stored."""
    return {"content": text, "stop_reason": "end_turn", "usage": USAGE}


def ask(cache: CacheManager, text: str, provider: str = "openai", model: str = "gpt-4o") -> Any:
    """The key of a question."""
    return cache.generate_cache_key(provider, model, [{"role": "user", "content": text}])


def put(cache: CacheManager, text: str, said: str | None = None, **options: Any) -> Any:
    """Store the answer of a question; its key."""
    key = ask(cache, text)
    assert cache.set(
        key, key.provider, key.model_id, {"messages": text}, answer(said or f"answer to {text}"), **options
    )
    return key


def store_of(cache: CacheManager) -> FileStore:
    """The files of a cache."""
    return cache._entries.directory.store


def turn(cache: CacheManager, *keys: str) -> Conversion:
    """Rotate a cache to the first of some keys."""
    return rotate(store_of(cache), KeyRing(keys), step=lambda: None)


def entry_files(cache_dir: Path) -> list[Path]:
    """The files of the entries."""
    return sorted(path for path in cache_dir.glob("*/*/*.json") if path.parts[-3][0] != ".")


def key_ids(cache_dir: Path) -> set[str | None]:
    """The ids of the keys that entries are under; None for plain ones."""
    return {json.loads(path.read_bytes()).get("key_id") for path in entry_files(cache_dir)}


def id_of(key: str) -> str:
    """The id of a key."""
    return KeyRing([key]).ids[0]


def traces(phrase: str) -> Iterator[bytes]:
    """A phrase in the forms in which it might be written somewhere."""
    yield phrase.encode()
    yield phrase.encode("utf-16-le")
    yield phrase.encode().hex().encode()
    for shift in range(3):
        coded = base64.b64encode(bytes(shift) + phrase.encode())
        yield coded[4:-4]
        yield base64.urlsafe_b64encode(bytes(shift) + phrase.encode())[4:-4]


def places_of(phrase: str, folder: Path, **texts: str) -> list[str]:
    """Where a phrase is found: names and contents of all files below a folder, and further texts by their names."""
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
    """Run the program of killed work; the number that it prints."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("encryption_harness.py")), *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return int(done.stdout)

"""Helpers that the tests of calls, models and providers share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from spark_cache import Model, ModelResponse
from spark_cache.entries.shared_texts import restore_texts
from spark_cache.models import Provider
from spark_cache.testing.standin.transport import Reply, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from spark_cache.models import StreamEvent
    from spark_cache.testing import StandInProvider
    from spark_cache.types import Request

QUESTION = [{"role": "user", "content": "What is Python?"}]

WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
        return self.now

    def go(self, seconds: float) -> None:
        """Move the clock by a number of seconds, which may be negative."""
        self.now += seconds


class EchoProvider(Provider):
    """A provider that repeats the question and accepts any parameter."""

    name = "echo"

    def __init__(self) -> None:
        self.calls = 0

    def endpoint(self) -> str | None:
        """Return None for the provider's own address."""
        return None

    async def call(self, request: Request) -> Any:
        """Count the call and repeat the last message."""
        self.calls += 1
        return {"said": request.body["messages"][-1]["content"]}

    def read(self, raw: Any) -> ModelResponse:
        """Read a response."""
        return ModelResponse(raw["said"], "end_turn", raw=raw)


class EchoModel(Model):
    """A model of an :class:`EchoProvider`."""

    def __init__(self, model_id: str, **options: Any) -> None:
        self.echo = EchoProvider()
        super().__init__(model_id, self.echo, **options)

    @property
    def calls(self) -> int:
        """The number of calls so far."""
        return self.echo.calls


class Events:
    """A sink that keeps its events."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def wants(self, _level: int) -> bool:
        """Accept every level."""
        return True

    def emit(self, event: Any) -> None:
        """Keep the event."""
        self.events.append(event)

    @property
    def names(self) -> list[str]:
        """The names of the events so far, in order."""
        return [event.name for event in self.events]


def answer_next(provider: StandInProvider, content: dict[str, Any] | str) -> None:
    """Make the stand-in respond to the next request with a given body."""
    provider._failures.append(Reply(200, content))


async def events_of(model: Model, *arguments: Any, **options: Any) -> list[StreamEvent]:
    """Return all events of a streamed response."""
    return [event async for event in model.stream_text(*arguments, **options)]


def server_sent(events: Sequence[Any]) -> bytes:
    """Return events as the provider sends them."""
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


def send_next(provider: StandInProvider, *pieces: bytes | None) -> threading.Event:
    """Make the stand-in respond to the next request with pieces of a stream. None closes the connection.

    The pieces after the first are sent when the returned event is set.
    """
    gate = threading.Event()

    def sent() -> Iterator[bytes]:
        for number, piece in enumerate(pieces):
            if number:
                gate.wait(30)
            if piece is None:
                raise ConnectionAbortedError
            yield piece

    provider._failures.append(Reply(200, Stream("text/event-stream", sent())))
    return gate


def completion(*choices: dict[str, Any]) -> dict[str, Any]:
    """Return a chat completion as small as services send them."""
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": list(choices)}


def ask(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def entry_files(cache_dir: Path) -> list[Path]:
    """Return the entry files of a cache directory."""
    return sorted(path for path in cache_dir.glob("*/*/*.json") if path.parts[-3] != ".spark-cache")


def only_entry(cache_dir: Path) -> dict[str, Any]:
    (path,) = entry_files(cache_dir)
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def whole_entry(cache_dir: Path) -> dict[str, Any]:
    """Return the only entry of a cache directory, with every text in all its places."""
    document = only_entry(cache_dir)
    if "texts" in document:
        restore_texts(document)
    return document


def run_python(code: str, *arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, in the current folder, and wait for it."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environ},
        timeout=60,
    )

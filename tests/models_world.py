"""What the models' tests share beside their fixtures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from spark_cache import Model, ModelResponse
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
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """The time, in seconds since the epoch."""
        return self.now

    def go(self, seconds: float) -> None:
        """Go on by so many seconds, or back."""
        self.now += seconds


class EchoModel(Model):
    """A model that says what it is asked, and takes whatever parameters there are."""

    provider = "echo"
    calls = 0

    def _endpoint(self) -> str | None:
        return None

    async def _call(self, request: Request) -> Any:
        self.calls += 1
        return {"said": request.messages[-1]["content"]}

    def _read(self, raw: Any) -> ModelResponse:
        return ModelResponse(raw["said"], "end_turn", raw=raw)


class Events:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def wants(self, _level: int) -> bool:
        """Every event is wanted."""
        return True

    def emit(self, event: Any) -> None:
        """Keep it."""
        self.events.append(event)

    @property
    def names(self) -> list[str]:
        """The names of the events so far, in order."""
        return [event.name for event in self.events]


def answer_next(provider: StandInProvider, content: dict[str, Any] | str) -> None:
    """Make the provider answer the next request with a body of any form."""
    provider._failures.append(Reply(200, content))


async def events_of(model: Model, *arguments: Any, **options: Any) -> list[StreamEvent]:
    """All events of a streamed answer."""
    return [event async for event in model.stream_text(*arguments, **options)]


def server_sent(events: Sequence[Any]) -> bytes:
    """Events as the provider sends them."""
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


def send_next(provider: StandInProvider, *pieces: bytes | None) -> threading.Event:
    """Make the provider answer the next request with a stream in these pieces; None breaks the connection.

    All but the first piece wait for what is returned to be set.
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
    """A chat completion, as small as services make them."""
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": list(choices)}


def ask(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def entry_files(cache_dir: Path) -> list[Path]:
    """The files of the entries in a cache directory."""
    return sorted(path for path in cache_dir.glob("*/*/*.json") if path.parts[-3] != ".spark-cache")


def only_entry(cache_dir: Path) -> dict[str, Any]:
    (path,) = entry_files(cache_dir)
    document: dict[str, Any] = json.loads(path.read_text())
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

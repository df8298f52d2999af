"""Ask the questions of the demo twice under a profile, and count the API calls."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache.config import load_config
from spark_cache.manager import CacheManager
from spark_cache.models import OpenAIModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from spark_cache.config import CacheConfig
    from spark_cache.models import ModelResponse

__all__ = [
    "CONCURRENCY",
    "MAX_TOKENS",
    "MODEL",
    "PROFILES",
    "QUESTIONS",
    "SYSTEM_PROMPT",
    "DemoService",
    "Pass",
    "ProfileRun",
    "recorded_events",
    "run_profile",
]

MODEL = "gpt-4o-mini"
PROFILES = ("development", "testing", "production")
CONCURRENCY = 4
MAX_TOKENS = 200
SYSTEM_PROMPT = "Answer in one short sentence."
QUESTIONS = (
    "What does an HTTP status of 304 mean?",
    "Why is the sky blue?",
    "Which planet has the shortest day?",
    "What is a Bloom filter good for?",
    "How many bits are in an IPv6 address?",
    "Who wrote 'The Left Hand of Darkness'?",
    "What does 'idempotent' mean?",
    "Why do databases write a log ahead of the data?",
    "What is the boiling point of water on Mount Everest?",
    "Which year did Unix time begin?",
    "What is the difference between a process and a thread?",
    "How does a bicycle stay upright?",
)


@dataclass(frozen=True, slots=True)
class DemoService:
    """The provider that receives the calls of the demo.

    Attributes:
        client_args: Arguments for the SDK client.
        http_client: A function that creates the HTTP client of the SDK client.
        calls: A function that returns the number of requests sent so far.
    """

    client_args: Mapping[str, Any]
    http_client: Callable[[], AbstractAsyncContextManager[Any]]
    calls: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Pass:
    """The results of asking every question once.

    Attributes:
        calls: The number of requests sent to the provider.
        hits: The number of responses that came from the cache.
        seconds: The duration of the pass.
        tokens_paid: The tokens of the responses that came from the provider.
        tokens_saved: The tokens of the responses that came from the cache.
        responses: The responses, in the order of the questions.
    """

    calls: int
    hits: int
    seconds: float
    tokens_paid: int
    tokens_saved: int
    responses: tuple[ModelResponse, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProfileRun:
    """The two passes under one profile."""

    config: CacheConfig
    cache_dir: Path
    first: Pass
    second: Pass

    @property
    def speed_up(self) -> float:
        """The factor by which the second pass was faster than the first."""
        return self.first.seconds / self.second.seconds

    @property
    def seconds_saved(self) -> float:
        """The seconds by which the second pass was shorter than the first."""
        return self.first.seconds - self.second.seconds

    @property
    def same_answers(self) -> bool:
        """Whether both passes returned equal responses."""
        return self.first.responses == self.second.responses


async def run_profile(
    profile: str, folder: Path, service: DemoService, progress: Callable[[str, int], Any]
) -> ProfileRun:
    """Ask the questions twice, with the configuration that ``ENVIRONMENT`` gives a program in ``folder``.

    Args:
        profile: The value of ``ENVIRONMENT``.
        folder: The working directory, which contains relative cache directories.
        service: The provider that receives the calls.
        progress: A function that creates a context manager to show the progress of a pass.

    Raises:
        ConfigError: The configuration is invalid.
    """
    # HOME is set so that the user's own profiles are not used.
    config = load_config(environ={"ENVIRONMENT": profile, "HOME": str(folder)}, cwd=folder)
    passes = []
    for number in ("first", "second"):
        with progress(f"{profile}, {number} pass", len(QUESTIONS)) as step:
            passes.append(await _ask_all(config, service, step))
    return ProfileRun(config, CacheManager.shared(config).cache_dir, *passes)


async def _ask_all(config: CacheConfig, service: DemoService, step: Callable[[], None]) -> Pass:
    gate = asyncio.Semaphore(CONCURRENCY)
    calls_before = service.calls()

    async def ask(question: str) -> ModelResponse:
        async with gate:
            response = await model.get_text(
                [{"role": "user", "content": question}], SYSTEM_PROMPT, max_tokens=MAX_TOKENS
            )
        step()
        return response

    async with _model(config, service) as model:
        started = perf_counter()
        responses = await asyncio.gather(*(ask(question) for question in QUESTIONS))
        seconds = perf_counter() - started
    return Pass(
        calls=service.calls() - calls_before,
        hits=sum(response.cached for response in responses),
        seconds=seconds,
        tokens_paid=_tokens(response for response in responses if not response.cached),
        tokens_saved=_tokens(response for response in responses if response.cached),
        responses=tuple(responses),
    )


@asynccontextmanager
async def _model(config: CacheConfig, service: DemoService) -> AsyncIterator[OpenAIModel]:
    """Create a new model, as a new run of a program would."""
    async with service.http_client() as client:
        args = {**service.client_args, "http_client": client}
        async with OpenAIModel(MODEL, cache_config=config, client_args=args) as model:
            yield model


def _tokens(responses: Iterator[ModelResponse]) -> int:
    return sum(response.usage.total_tokens for response in responses if response.usage is not None)


@contextmanager
def recorded_events() -> Iterator[list[logging.LogRecord]]:
    """Collect the records of the logger ``spark_cache`` within a ``with`` block.

    Warnings are also printed to standard error.

    Yields:
        The list that receives the records.
    """
    logger = logging.getLogger("spark_cache")
    recorder = _Recorder()
    level = logger.level
    logger.addHandler(recorder)
    logger.setLevel(logging.INFO)
    try:
        yield recorder.records
    finally:
        logger.removeHandler(recorder)
        logger.setLevel(level)


class _Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        if record.levelno >= logging.WARNING:
            print(record.getMessage(), file=sys.stderr)

"""Warm up a cache: ask what it cannot answer yet, before anybody waits for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache.errors import ConfigError, SparkCacheError
from spark_cache.savings.prices import price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from spark_cache.models import Model, ModelResponse

    Asked = str | Sequence[Any] | Mapping[str, Any]

__all__ = ["Failure", "WarmUp", "arguments_of", "check_warmable", "is_cached", "warm"]

_GIVE_UP_AFTER = 10
"""So many failures in a row have one cause, such as a wrong API key, that the next request will meet too."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was not answered.

    Attributes:
        position: Which request it was, counted from 0.
        error: What the provider's SDK, or the cache, said.
    """

    position: int
    error: Exception


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How a warm-up went, or how far it is.

    Attributes:
        cached: Requests that the cache could answer already; nothing was asked.
        stored: Requests that were asked, and that the cache can answer now.
        unstored: Requests that were asked and whose answers may not be stored, such as one cut at the token limit.
        failures: Requests that were not answered.
        gave_up: Whether it ended early, as request after request failed.
        input_tokens: What the calls consumed, in tokens.
        output_tokens: What they produced, in tokens.
        dollars: What they cost by the list price, as far as that is known.
        unpriced: For how many calls no price is known.
        seconds: How long it took.
    """

    cached: int = 0
    stored: int = 0
    unstored: int = 0
    failures: tuple[Failure, ...] = field(default=(), repr=False)
    gave_up: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """How many requests have been looked at."""
        return self.cached + self.stored + self.unstored + len(self.failures)


async def warm(
    model: Model,
    requests: Iterable[Asked],
    *,
    concurrency: int = 8,
    on_progress: Callable[[WarmUp], object] | None = None,
) -> WarmUp:
    """Have a model's cache answer requests: those that it cannot answer yet are asked, the others are passed over.

    It can be broken off at any time: what was answered is stored, and the next warm-up goes on from there. The retries and the
    waiting times of the provider's SDK hold. A request that fails does not keep the others from being asked, unless many fail
    one after another.

    Args:
        model: The model.
        requests: What is asked: a text, a list of messages, or the arguments of ``get_text`` by name. They are taken one by one.
        concurrency: How many calls are under way at once.
        on_progress: Called after each request with how far it is.

    Returns:
        How it went.

    Raises:
        ConfigError: The model's cache is off, or stores nothing.
        TypeError: A request is of another form.
        ValueError: ``concurrency`` is not positive.
    """
    check_warmable(model)
    if concurrency < 1:
        raise ValueError(f"concurrency={concurrency!r}: it takes a number from 1 up")
    course = _Course(model, on_progress)
    numbered = enumerate(requests)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(course.follow(numbered))
    except BaseExceptionGroup as errors:
        # What ends one task ends all, and is what the caller knows how to handle.
        raise errors.exceptions[0] from None
    return course.so_far


def check_warmable(model: Model) -> None:
    """Make sure that what a model answers is stored.

    Raises:
        ConfigError: It is not.
    """
    policy = model.cache.config.policy(model.provider, model.model_id)
    if not policy.enabled or policy.ttl_seconds == 0:
        raise ConfigError(
            f"caching is off for {model.provider}/{model.model_id}: turn it on with SPARK_ENABLE_CACHE=true, or choose a profile"
        )
    if not policy.mode.writes:
        raise ConfigError(f"mode {policy.mode} stores nothing: choose read-write, with SPARK_CACHE_MODE")


def arguments_of(asked: Asked) -> dict[str, Any]:
    """The arguments of ``get_text`` that a request stands for.

    Raises:
        TypeError: It is neither a text, nor a list of messages, nor arguments with ``messages`` among them.
    """
    if isinstance(asked, str):
        return {"messages": [{"role": "user", "content": asked}]}
    if isinstance(asked, list | tuple):
        return {"messages": list(asked)}
    if isinstance(asked, dict) and isinstance(asked.get("messages"), list | tuple):
        return dict(asked)
    raise TypeError(
        "a request is a text, a list of messages, or the arguments of get_text by name, with 'messages' a list"
    )


def is_cached(model: Model, arguments: Mapping[str, Any]) -> bool:
    """Whether the cache would answer a request now; asking counts as no use.

    Raises:
        UncacheableRequestError: The request holds something that cannot be keyed exactly.
    """
    policy = model.cache.config.policy(model.provider, model.model_id)
    return policy.mode.reads and model.cache.has_entry(model.cache_key(**arguments))


class _Course:
    """One warm-up: several tasks follow it, each request is taken by one of them."""

    def __init__(self, model: Model, on_progress: Callable[[WarmUp], object] | None) -> None:
        self.so_far = WarmUp()
        self._model = model
        self._on_progress = on_progress
        self._failed_in_a_row = 0
        self._started = perf_counter()

    async def follow(self, requests: Iterator[tuple[int, Asked]]) -> None:
        """Take request after request, until there are no more or too many fail."""
        for position, asked in requests:
            if self.so_far.gave_up:
                return
            arguments = arguments_of(asked)
            try:
                response = (
                    None if is_cached(self._model, arguments) else await self._model.get_text(**arguments)
                )
            except Exception as error:  # noqa: BLE001 - the others are asked all the same, and the caller is told
                self._note_failure(Failure(position, error))
                continue
            if response is None:
                self._note(cached=1)
                # Nothing waited so far, and others have calls under way.
                await asyncio.sleep(0)
            else:
                self._failed_in_a_row = 0
                self._note_answer(response)

    def _note_answer(self, response: ModelResponse) -> None:
        if response.cached or response.shared:
            self._note(cached=1)
            return
        key = response.cache_key
        stored = key is not None and self._model.cache.has_entry(key)
        usage = response.usage
        cost = price(self._model.provider, self._model.model_id, usage)
        self._note(
            stored=int(stored),
            unstored=int(not stored),
            input_tokens=0 if usage is None else usage.input_tokens,
            output_tokens=0 if usage is None else usage.output_tokens,
            dollars=0.0 if cost is None else float(cost),
            unpriced=int(cost is None),
        )

    def _note_failure(self, failure: Failure) -> None:
        # What the cache itself refuses, it refuses for this request alone.
        self._failed_in_a_row += not isinstance(failure.error, SparkCacheError)
        self._note(failures=(failure,), gave_up=self._failed_in_a_row >= _GIVE_UP_AFTER)

    def _note(self, **more: Any) -> None:
        sums = {name: getattr(self.so_far, name) + value for name, value in more.items()}
        self.so_far = replace(self.so_far, **sums, seconds=perf_counter() - self._started)
        if self._on_progress is not None:
            self._on_progress(self.so_far)

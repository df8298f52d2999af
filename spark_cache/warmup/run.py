"""Warm up a cache: call the provider for the requests that are not cached yet."""

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

    WarmUpRequest = str | Sequence[Any] | Mapping[str, Any]

__all__ = ["Failure", "WarmUp", "arguments_of", "check_warmable", "is_cached", "warm"]

_GIVE_UP_AFTER = 10
"""The number of failures in a row after which a warm-up ends. So many have a common cause, such as a wrong API key."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed request.

    Attributes:
        position: The position of the request, counted from 0.
        error: The error that the provider's SDK or the cache raised.
    """

    position: int
    error: Exception


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The result of a warm-up, or its progress.

    Attributes:
        cached: The number of requests that were already cached. They made no provider call.
        stored: The number of requests whose responses were stored.
        unstored: The number of requests whose responses must not be stored, such as a response that was cut off at the
            token limit.
        failures: The failed requests.
        gave_up: Whether the warm-up ended early because too many requests in a row failed.
        input_tokens: The input of the calls, in tokens.
        output_tokens: The output of the calls, in tokens.
        dollars: The list price of the calls whose price is known.
        unpriced: The number of calls whose price is unknown.
        seconds: The duration of the warm-up.
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
        """The number of requests that have been processed."""
        return self.cached + self.stored + self.unstored + len(self.failures)


async def warm(
    model: Model,
    requests: Iterable[WarmUpRequest],
    *,
    concurrency: int = 8,
    on_progress: Callable[[WarmUp], object] | None = None,
) -> WarmUp:
    """Call the provider for the requests that are not cached yet, and store the responses.

    A warm-up can be interrupted at any time. Responses that were received are stored, and the next warm-up continues
    from there. The provider's SDK retries and waits as for any other call. A failed request does not stop the others,
    unless many requests in a row fail.

    Args:
        model: The model.
        requests: The requests. Each is a string, a list of messages, or a dictionary with the arguments of
            ``get_text``. They are consumed one at a time.
        concurrency: The maximum number of concurrent calls.
        on_progress: Called after each request with the progress so far.

    Returns:
        The result of the warm-up.

    Raises:
        ConfigError: The cache of the model is off, or its mode stores nothing.
        TypeError: A request has none of the accepted forms.
        ValueError: ``concurrency`` is not positive.
    """
    check_warmable(model)
    if concurrency < 1:
        raise ValueError(f"concurrency={concurrency!r}: must be at least 1")
    run = _Run(model, on_progress)
    numbered = enumerate(requests)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(run.process(numbered))
    except BaseExceptionGroup as errors:
        # An error that ends one task ends all of them. The caller expects the error itself, not a group.
        raise errors.exceptions[0] from None
    return run.progress


def check_warmable(model: Model) -> None:
    """Check that the responses of a model are stored.

    Args:
        model: The model.

    Raises:
        ConfigError: The cache of the model is off, or its mode stores nothing.
    """
    policy = model.cache.config.policy(model.provider, model.model_id)
    if not policy.enabled or policy.ttl_seconds == 0:
        raise ConfigError(
            f"caching is off for {model.provider}/{model.model_id}: turn it on with SPARK_ENABLE_CACHE=true, or select a profile"
        )
    if not policy.mode.writes:
        raise ConfigError(f"mode {policy.mode} stores nothing: set SPARK_CACHE_MODE=read-write")


def arguments_of(request: WarmUpRequest) -> dict[str, Any]:
    """Return a request as the arguments of ``get_text``.

    Args:
        request: The request.

    Raises:
        TypeError: The request is neither a string, nor a list of messages, nor a dictionary with a list of
            ``messages``.
    """
    if isinstance(request, str):
        return {"messages": [{"role": "user", "content": request}]}
    if isinstance(request, list | tuple):
        return {"messages": list(request)}
    if isinstance(request, dict) and isinstance(request.get("messages"), list | tuple):
        return dict(request)
    raise TypeError(
        "a request must be a string, a list of messages, or an object with the arguments of get_text, whose 'messages' is a list"
    )


def is_cached(model: Model, arguments: Mapping[str, Any]) -> bool:
    """Return whether a request would be a hit. The check does not count as a use of the entry.

    Args:
        model: The model.
        arguments: The request, as the arguments of ``get_text``.

    Raises:
        UncacheableRequestError: The request contains something that cannot be keyed exactly.
    """
    policy = model.cache.config.policy(model.provider, model.model_id)
    return policy.mode.reads and model.cache.has_entry(model.cache_key(**arguments))


class _Run:
    """One warm-up. Several tasks share it, and each request is processed by one of them."""

    def __init__(self, model: Model, on_progress: Callable[[WarmUp], object] | None) -> None:
        self.progress = WarmUp()
        self._model = model
        self._on_progress = on_progress
        self._failed_in_a_row = 0
        self._started = perf_counter()

    async def process(self, requests: Iterator[tuple[int, WarmUpRequest]]) -> None:
        """Process requests until there are no more or too many in a row have failed."""
        for position, request in requests:
            if self.progress.gave_up:
                return
            arguments = arguments_of(request)
            try:
                response = (
                    None if is_cached(self._model, arguments) else await self._model.get_text(**arguments)
                )
            except Exception as error:  # noqa: BLE001 - the failure is reported, and the other requests continue
                self._note_failure(Failure(position, error))
                continue
            if response is None:
                self._note(cached=1)
                # Nothing was awaited so far. Let the calls of other tasks continue.
                await asyncio.sleep(0)
            else:
                self._failed_in_a_row = 0
                self._note_response(response)

    def _note_response(self, response: ModelResponse) -> None:
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
        # An error of the cache itself concerns only this request.
        self._failed_in_a_row += not isinstance(failure.error, SparkCacheError)
        self._note(failures=(failure,), gave_up=self._failed_in_a_row >= _GIVE_UP_AFTER)

    def _note(self, **more: Any) -> None:
        sums = {name: getattr(self.progress, name) + value for name, value in more.items()}
        self.progress = replace(self.progress, **sums, seconds=perf_counter() - self._started)
        if self._on_progress is not None:
            self._on_progress(self.progress)

"""Estimate the calls and the cost of a warm-up without calling the provider."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spark_cache.errors import UncacheableRequestError
from spark_cache.models import Usage
from spark_cache.savings.prices import price
from spark_cache.warmup.run import arguments_of, check_warmable, is_cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from spark_cache.models import Model
    from spark_cache.warmup.run import WarmUpRequest

__all__ = ["Estimate", "estimate"]

_CHARACTERS_PER_TOKEN = 4
"""The approximate value for English text. Other languages and code need more tokens."""

_ATTACHMENT = re.compile(r"(?:data:[^,]{0,200},)?[A-Za-z0-9+/=_-]{400,}\s*")
"""An image or a document in base64, whose number of tokens does not depend on its length."""

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxTokens")
_INPUT_ARGUMENTS = ("messages", "system_prompt", "tool_specs")


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated calls and cost of a warm-up.

    Attributes:
        cached: The number of requests that are already cached.
        missing: The number of requests that would be sent. Equal requests count once.
        uncacheable: The number of requests that would not be sent, because they contain something that cannot be keyed.
        input_tokens: The estimated input of the missing requests in tokens, based on the length of their text.
        attachments: The number of missing requests with an image or a document, which the estimate leaves out.
        output_tokens: The estimated output of the missing requests in tokens, if their responses are as long as the
            average cached one. None if no response is cached.
        most_output_tokens: The maximum output of the missing requests in tokens, based on their limits. None if a
            request has no limit.
        dollars: The list price of the estimated input and output, or of the input alone if the output is unknown. None
            if the price is unknown.
        most_dollars: The list price of the estimated input and the maximum output. None if either is unknown.
    """

    cached: int
    missing: int
    uncacheable: int
    input_tokens: int
    attachments: int
    output_tokens: int | None
    most_output_tokens: int | None
    dollars: float | None
    most_dollars: float | None


def estimate(
    model: Model, requests: Iterable[WarmUpRequest], *, on_progress: Callable[[], object] | None = None
) -> Estimate:
    """Estimate what :func:`spark_cache.warmup.warm` would do with the same arguments.

    Args:
        model: The model.
        requests: The requests, in the forms that :func:`spark_cache.warmup.warm` accepts.
        on_progress: Called after each request.

    Raises:
        ConfigError: The cache of the model is off, or its mode stores nothing.
        TypeError: A request has none of the accepted forms.
    """
    check_warmable(model)
    cached, uncacheable, lengths = 0, 0, []
    missing: dict[str, Mapping[str, Any]] = {}
    for request in requests:
        arguments = arguments_of(request)
        try:
            if is_cached(model, arguments):
                cached += 1
                lengths += _output_tokens(model, arguments)
            else:
                # Equal requests are sent once.
                missing.setdefault(str(model.cache_key(**arguments)), arguments)
        except UncacheableRequestError:
            uncacheable += 1
        if on_progress is not None:
            on_progress()
    sizes = [
        _size({name: arguments.get(name) for name in _INPUT_ARGUMENTS}) for arguments in missing.values()
    ]
    input_tokens = sum(size for size, _ in sizes) // _CHARACTERS_PER_TOKEN
    output_tokens = round(sum(lengths) / len(lengths) * len(missing)) if lengths else None
    limits = [_limit({**model.params, **arguments}) for arguments in missing.values()]
    known = [limit for limit in limits if limit is not None]
    maximum = sum(known) if len(known) == len(limits) else None
    return Estimate(
        cached=cached,
        missing=len(missing),
        uncacheable=uncacheable,
        input_tokens=input_tokens,
        attachments=sum(attached for _, attached in sizes),
        output_tokens=output_tokens,
        most_output_tokens=maximum,
        dollars=_dollars(model, len(missing), input_tokens, output_tokens or 0),
        most_dollars=None if maximum is None else _dollars(model, len(missing), input_tokens, maximum),
    )


def _dollars(model: Model, calls: int, input_tokens: int, output_tokens: int) -> float | None:
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    cost = price(model.provider, model.model_id, usage, calls=calls or 1)
    return None if cost is None else float(cost)


def _output_tokens(model: Model, arguments: Mapping[str, Any]) -> list[int]:
    """Return the length of a cached response in a list, or an empty list if it is unknown."""
    entry = model.cache.get_entry(model.cache_key(**arguments))
    usage = None if entry is None else entry.response.get("usage")
    tokens = usage.get("output_tokens") if isinstance(usage, dict) else None
    return [tokens] if type(tokens) is int and tokens >= 0 else []


def _limit(arguments: Mapping[str, Any]) -> int | None:
    limits = [arguments[name] for name in _LIMITS if type(arguments.get(name)) is int]
    return min(limits, default=None)


def _size(value: Any) -> tuple[int, bool]:
    """Return the number of characters in all strings of a value, and whether it contains anything but text."""
    if isinstance(value, str):
        return (0, True) if _ATTACHMENT.fullmatch(value) else (len(value), False)
    if isinstance(value, bytes):
        return 0, True
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        return 0, False
    sizes = [_size(item) for item in value]
    return sum(size for size, _ in sizes), any(attached for _, attached in sizes)

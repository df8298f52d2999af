"""What a warm-up would ask and cost, without asking anything: what is known, what is guessed, and what cannot be known."""

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
    from spark_cache.warmup.run import Asked

__all__ = ["Estimate", "estimate"]

_CHARACTERS_PER_TOKEN = 4
"""What English text comes to with the tokenizers in use; other languages and code need more tokens."""

_ATTACHED = re.compile(r"(?:data:[^,]{0,200},)?[A-Za-z0-9+/=_-]{400,}\s*")
"""An image or a document in base64: its tokens do not go by its length."""

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxTokens")
_ASKED = ("messages", "system_prompt", "tool_specs")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a warm-up would ask.

    Attributes:
        cached: Requests that the cache can answer already.
        missing: Those that would be asked.
        uncacheable: Those that hold something that cannot be keyed, and would not be asked.
        input_tokens: The input of the missing ones, in tokens: a guess by the length of their texts.
        attachments: How many of the missing ones hold an image or a document, which the guess leaves out.
        output_tokens: Their output, in tokens, if their answers are as long as the cached ones on average; None where none is
            cached.
        most_output_tokens: Their output at the most, by their own limits; None where one has no limit.
        dollars: What the guessed input and output would cost by the list price, or the input alone where no output could be
            guessed; None where no price is known.
        most_dollars: What the guessed input and the largest output would cost; None where either is not known.
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
    model: Model, requests: Iterable[Asked], *, on_progress: Callable[[], object] | None = None
) -> Estimate:
    """Say what :func:`spark_cache.warmup.warm` would do with the same arguments.

    Args:
        model: The model.
        requests: What would be asked.
        on_progress: Called after each request.

    Raises:
        ConfigError: The model's cache is off, or stores nothing.
        TypeError: A request is of another form.
    """
    check_warmable(model)
    cached, uncacheable, lengths = 0, 0, []
    missing: dict[str, Mapping[str, Any]] = {}
    for asked in requests:
        arguments = arguments_of(asked)
        try:
            if is_cached(model, arguments):
                cached += 1
                lengths += _length_of_answer(model, arguments)
            else:
                # Equal ones are asked once.
                missing.setdefault(str(model.cache_key(**arguments)), arguments)
        except UncacheableRequestError:
            uncacheable += 1
        if on_progress is not None:
            on_progress()
    sizes = [_size({name: arguments.get(name) for name in _ASKED}) for arguments in missing.values()]
    given = sum(size for size, _ in sizes) // _CHARACTERS_PER_TOKEN
    written = round(sum(lengths) / len(lengths) * len(missing)) if lengths else None
    limits = [_limit({**model.params, **arguments}) for arguments in missing.values()]
    known = [limit for limit in limits if limit is not None]
    most = sum(known) if len(known) == len(limits) else None
    return Estimate(
        cached=cached,
        missing=len(missing),
        uncacheable=uncacheable,
        input_tokens=given,
        attachments=sum(attached for _, attached in sizes),
        output_tokens=written,
        most_output_tokens=most,
        dollars=_dollars(model, len(missing), given, written or 0),
        most_dollars=None if most is None else _dollars(model, len(missing), given, most),
    )


def _dollars(model: Model, calls: int, given: int, written: int) -> float | None:
    usage = Usage(input_tokens=given, output_tokens=written)
    cost = price(model.provider, model.model_id, usage, calls=calls or 1)
    return None if cost is None else float(cost)


def _length_of_answer(model: Model, arguments: Mapping[str, Any]) -> list[int]:
    entry = model.cache.get_entry(model.cache_key(**arguments))
    usage = None if entry is None else entry.response.get("usage")
    written = usage.get("output_tokens") if isinstance(usage, dict) else None
    return [written] if type(written) is int and written >= 0 else []


def _limit(arguments: Mapping[str, Any]) -> int | None:
    limits = [arguments[name] for name in _LIMITS if type(arguments.get(name)) is int]
    return min(limits, default=None)


def _size(value: Any) -> tuple[int, bool]:
    """The characters of all texts in a value, and whether there is something else than text in it."""
    if isinstance(value, str):
        return (0, True) if _ATTACHED.fullmatch(value) else (len(value), False)
    if isinstance(value, bytes):
        return 0, True
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        return 0, False
    sizes = [_size(item) for item in value]
    return sum(size for size, _ in sizes), any(attached for _, attached in sizes)

"""An answer, the same value whether it came from the provider or from the cache."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_cache.types import CacheKey

__all__ = ["ModelResponse", "ToolCall", "Usage"]


class EntryOwner(Protocol):
    """The cache that keeps an entry and can remove it."""

    def remove_entry(self, key: str) -> bool:
        """Remove the entry of a key and return whether there was one."""
        ...


class Usage(NamedTuple):
    """What a call consumed, in tokens.

    Attributes:
        input_tokens: Tokens of the request, cached ones included.
        output_tokens: Tokens of the answer, reasoning included.
        total_tokens: Both together, as the provider counts.
        cached_tokens: Tokens of the request that the provider had in its own prompt cache; None where it does not say.
        reasoning_tokens: Tokens of the answer that were thought and not said; None where it does not say.
        cache_write_tokens: Tokens of the request that the provider put into its own prompt cache; None where it does not say.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that the model asks for. Its ``repr`` shows no arguments.

    Attributes:
        id: The provider's name for this call, which the tool's result has to carry.
        name: The tool.
        arguments: Its arguments; empty where ``arguments_text`` is not a JSON object.
        arguments_text: The arguments as the model wrote them.
    """

    id: str
    name: str
    arguments: dict[str, Any] = field(repr=False)
    arguments_text: str = field(repr=False)

    @classmethod
    def from_text(cls, id: str, name: str, arguments_text: str) -> ToolCall:  # noqa: A002 - the providers' word for it
        """A tool call whose arguments are JSON text; models now and then write text that is not."""
        try:
            arguments = orjson.loads(arguments_text)
        except ValueError:
            arguments = None
        return cls(id, name, arguments if isinstance(arguments, dict) else {}, arguments_text)


@dataclass(frozen=True, slots=True, repr=False)
class ModelResponse:
    """One answer of a model. Equality ignores how it was obtained; ``str()`` is its text; its ``repr`` shows no content.

    Attributes:
        content: The text of the answer; empty where there is none, as in an answer that only calls tools.
        stop_reason: Why the model stopped: ``end_turn``, ``tool_use``, ``max_tokens``, ``stop_sequence``, ``refusal`` or
            ``content_filter``; else the provider's own word.
        usage: What the call consumed; None where the provider does not say.
        tool_calls: The tools that the model wants called, in order.
        raw: The provider's own JSON, complete.
        provider_stop_reason: The provider's own word for why the model stopped.
        latency_seconds: How long the original call took.
        cached: Whether it came from the cache.
        shared: Whether it is the answer of an equal call that was under way.
        cache_key: Its key; None where the cache had no part in the call.
        origin: The manager of the cache that keeps it; None where it was not to be written to, and after unpickling.
    """

    content: str
    stop_reason: str | None = None
    usage: Usage | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    raw: Any = None
    provider_stop_reason: str | None = None
    latency_seconds: float | None = field(default=None, compare=False)
    cached: bool = field(default=False, compare=False)
    shared: bool = field(default=False, compare=False)
    cache_key: CacheKey | None = field(default=None, compare=False)
    origin: EntryOwner | None = field(default=None, compare=False)

    __hash__ = None  # type: ignore[assignment]  # it holds the provider's JSON

    def __str__(self) -> str:
        return self.content

    def reject(self) -> bool:
        """Remove it from the cache, because it turned out to be no good: the next equal call asks anew.

        Returns:
            Whether an entry was removed; not where the call was one that writes nothing, and not after unpickling.

        Raises:
            StoreError: The entry is there and could not be removed.
        """
        return (
            self.origin is not None
            and self.cache_key is not None
            and self.origin.remove_entry(self.cache_key)
        )

    def split(self, sep: str | None = None, maxsplit: int = -1) -> list[str]:
        """The words of its text, for programs that take an answer for its text; as ``str.split`` gives them."""
        return self.content.split(sep, maxsplit)

    def __repr__(self) -> str:
        calls = f", tool_calls={len(self.tool_calls)}" if self.tool_calls else ""
        return f"ModelResponse({len(self.content)} characters, stop_reason={self.stop_reason!r}{calls}, cached={self.cached})"

    def __getstate__(self) -> list[Any]:
        # A manager belongs to its process.
        return [None if one.name == "origin" else getattr(self, one.name) for one in fields(self)]


def to_stored(response: ModelResponse) -> dict[str, Any]:
    """The dictionary that is stored for a response."""
    stored: dict[str, Any] = {
        "content": response.content,
        "stop_reason": response.stop_reason,
        "usage": None if response.usage is None else _usage_to_stored(response.usage),
        "provider_stop_reason": response.provider_stop_reason,
        "latency_seconds": response.latency_seconds,
        "raw": response.raw,
    }
    if response.tool_calls:
        stored["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments_text}
            for call in response.tool_calls
        ]
    return stored


def from_stored(
    stored: Mapping[str, Any], key: CacheKey, origin: EntryOwner | None = None
) -> ModelResponse | None:
    """Return the response that :func:`to_stored` was given, as a hit; None if the dictionary cannot be read.

    Args:
        stored: The dictionary.
        key: The cache key.
        origin: The cache that can remove the entry.
    """
    get = stored.get
    try:
        usage, calls = get("usage"), get("tool_calls")
        return ModelResponse(
            _text(stored["content"]),
            get("stop_reason"),
            None if usage is None else Usage(**usage),
            _calls_from_stored(calls) if calls else (),
            get("raw"),
            get("provider_stop_reason"),
            get("latency_seconds"),
            True,
            False,
            key,
            origin,
        )
    except (AttributeError, KeyError, TypeError):
        # Another program stored the entry, or it was edited.
        return None


def _calls_from_stored(calls: Sequence[Any]) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall.from_text(_text(call["id"]), _text(call["name"]), _text(call["arguments"])) for call in calls
    )


def _usage_to_stored(usage: Usage) -> dict[str, int]:
    counted = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
    }
    return {name: value for name, value in counted.items() if value is not None}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a str")
    return value

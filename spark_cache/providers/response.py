"""A model's response. It has the same value whether it came from the provider or from the cache."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_cache.types import CacheKey

__all__ = ["ModelResponse", "ToolCall", "Usage"]


class EntryOwner(Protocol):
    """The cache that stores an entry and can remove it."""

    def remove_entry(self, key: str) -> bool:
        """Remove the entry of a key and return whether it existed.

        Args:
            key: The key.
        """
        ...


# Not frozen, like ModelResponse: every hit makes one, and a frozen dataclass takes six times as long to make.
@dataclass(slots=True, unsafe_hash=True)
class Usage:
    """The tokens that a call consumed.

    Attributes:
        input_tokens: Tokens of the request, including those that the provider read from its prompt cache.
        output_tokens: Tokens of the response, including reasoning.
        total_tokens: The provider's count of both together.
        cached_tokens: Tokens of the request that the provider read from its own prompt cache. None if it does not report them.
        reasoning_tokens: Tokens of the response that were spent on reasoning. None if the provider does not report them.
        cache_write_tokens: Tokens of the request that the provider wrote to its own prompt cache. None if it does not report
            them.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call that the model requests. Its ``repr`` shows no arguments.

    Attributes:
        id: The provider's ID of this call. The tool result must contain it.
        name: The name of the tool.
        arguments: The arguments. Empty if ``arguments_text`` is not a JSON object.
        arguments_text: The arguments as the model wrote them.
    """

    id: str
    name: str
    arguments: dict[str, Any] = field(repr=False)
    arguments_text: str = field(repr=False)

    @classmethod
    def from_text(cls, id: str, name: str, arguments_text: str) -> ToolCall:  # noqa: A002 - the providers' word for it
        """Create a tool call from the text of its arguments, which is not always valid JSON.

        Args:
            id: The provider's ID of this call.
            name: The name of the tool.
            arguments_text: The arguments as the model wrote them.
        """
        try:
            arguments = orjson.loads(arguments_text)
        except ValueError:
            arguments = None
        return cls(id, name, arguments if isinstance(arguments, dict) else {}, arguments_text)


@dataclass(slots=True, repr=False)
class ModelResponse:
    """A model's response. Equality ignores where it came from. ``str()`` returns its text. Its ``repr`` shows no content.

    Attributes:
        content: The text of the response. Empty if it has none, for example if it only calls tools.
        stop_reason: Why the model stopped: ``end_turn``, ``tool_use``, ``max_tokens``, ``stop_sequence``, ``refusal`` or
            ``content_filter``. For any other reason, the provider's own value.
        usage: The tokens that the call consumed. None if the provider does not report them.
        tool_calls: The tool calls that the model requests, in order.
        raw: The provider's own JSON, complete.
        provider_stop_reason: The provider's own value for why the model stopped.
        latency_seconds: How long the original call took.
        cached: Whether the response came from the cache.
        shared: Whether the response belongs to an equal call that was already running.
        cache_key: The key of the response. None if the call did not use the cache.
        origin: The manager of the cache that stores the response. None if the call did not write to the cache, and after
            unpickling.
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
        """Remove the response from the cache, so that the next equal call calls the provider again.

        Returns:
            Whether an entry was removed. False if the call did not write to the cache, and after unpickling.

        Raises:
            StoreError: The entry exists and could not be removed.
        """
        return (
            self.origin is not None
            and self.cache_key is not None
            and self.origin.remove_entry(self.cache_key)
        )

    def split(self, sep: str | None = None, maxsplit: int = -1) -> list[str]:
        """Split the text into words like ``str.split``, for programs that treat a response as a string.

        Args:
            sep: The separator. None is any whitespace.
            maxsplit: The maximum number of splits. -1 is no limit.
        """
        return self.content.split(sep, maxsplit)

    def __repr__(self) -> str:
        calls = f", tool_calls={len(self.tool_calls)}" if self.tool_calls else ""
        return f"ModelResponse({len(self.content)} characters, stop_reason={self.stop_reason!r}{calls}, cached={self.cached})"

    def __reduce__(self) -> tuple[Any, ...]:
        # A manager belongs to its process.
        values = (None if one.name == "origin" else getattr(self, one.name) for one in fields(self))
        return type(self), tuple(values)


def to_stored(response: ModelResponse) -> dict[str, Any]:
    """Return the dictionary that is stored for a response.

    Args:
        response: The response.
    """
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
    """Return the response that :func:`to_stored` was given, as a hit. None if the dictionary is not valid.

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
        # Another program stored the entry, or the entry was edited.
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

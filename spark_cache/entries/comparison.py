"""Whether two answers say the same: a model that is asked again gives new ids and times, and often nothing else that is new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["same_answer"]

_SAID = ("content", "stop_reason", "provider_stop_reason", "tool_calls")
"""What a caller goes by. The ids of tool calls are part of it: the next request repeats them."""

_OF_THE_CALL = frozenset(
    {
        # which call it was
        "id",
        "responseId",
        "request_id",
        "requestId",
        "RequestId",
        "ResponseMetadata",
        # when, and how long it took
        "created",
        "created_at",
        "completed_at",
        "createTime",
        "metrics",
        # on which machine, and what that one still had in its prompt cache
        "system_fingerprint",
        "cached_tokens",
        "cache_write_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cacheReadInputTokens",
        "cacheWriteInputTokens",
        "cachedContentTokenCount",
        "cacheTokensDetails",
    }
)
"""What providers say of a call, and not of its answer."""


def same_answer(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two stored responses differ in nothing but what their calls were.

    The events of a stream are left out: they are the same answer in other pieces.

    Args:
        one: A response as it is stored.
        other: Another.
    """
    return all(one.get(name) == other.get(name) for name in _SAID) and all(
        _of_the_answer(one.get(name)) == _of_the_answer(other.get(name)) for name in ("usage", "raw")
    )


def _of_the_answer(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _of_the_answer(item) for name, item in value.items() if name not in _OF_THE_CALL}
    if isinstance(value, list):
        return [_of_the_answer(item) for item in value]
    return value

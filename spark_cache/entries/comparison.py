"""Compare two responses by content.

A repeated call returns new IDs and new times, and often nothing else that is new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["same_answer"]

_CONTENT_FIELDS = ("content", "stop_reason", "provider_stop_reason", "tool_calls")
"""The fields that callers depend on. They include the IDs of tool calls, because the next request repeats them."""

_CALL_FIELDS = frozenset(
    {
        # the identity of the call
        "id",
        "responseId",
        "request_id",
        "requestId",
        "RequestId",
        "ResponseMetadata",
        # its time and duration
        "created",
        "created_at",
        "completed_at",
        "createTime",
        "metrics",
        # the machine that served it, and the state of that machine's prompt cache
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
"""The fields in which providers describe the call rather than the response."""


def same_answer(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two stored responses differ only in fields that describe their calls.

    The events of a stream are not compared. They are the same response in different pieces.

    Args:
        one: A stored response.
        other: Another stored response.
    """
    return all(one.get(name) == other.get(name) for name in _CONTENT_FIELDS) and all(
        _without_call_fields(one.get(name)) == _without_call_fields(other.get(name))
        for name in ("usage", "raw")
    )


def _without_call_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_call_fields(item) for name, item in value.items() if name not in _CALL_FIELDS}
    if isinstance(value, list):
        return [_without_call_fields(item) for item in value]
    return value

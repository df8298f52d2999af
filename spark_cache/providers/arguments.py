"""The arguments of a tool's call: text where some providers send values, and values where their streams send pieces of text."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["arguments_in", "arguments_text"]


def arguments_text(arguments: Any) -> str:
    """Arguments as text: that of an answer which was cut is not JSON, and is text already."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def arguments_in(text: str) -> Any:
    """The arguments that the pieces of a stream add up to; text that is not JSON, as it is in an answer that was cut, stays text."""
    try:
        return json.loads(text)
    except ValueError:
        return text

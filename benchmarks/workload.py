"""What every cache is asked: the same requests, and the same answers to store."""

from __future__ import annotations

import base64
import random
from typing import Any

__all__ = ["MODEL", "PARAMETERS", "SECRET_PATTERNS", "Request", "answer", "numbered", "shaped"]

MODEL = "gpt-4o"
PARAMETERS: dict[str, Any] = {"temperature": 0.0, "max_tokens": 1024}

SECRET_PATTERNS = ("small", "messages", "image")
"""600 B of text, 100 KB in 60 messages, and 1 MB of which all but a line is one image."""

Request = dict[str, Any]
"""A request as the provider's interface takes it: ``model``, ``messages`` and parameters."""

_PROSE = "the cache answers when an equal request was asked before and its entry is still fresh enough; " * 20
_MESSAGES = 60
_MESSAGE_CHARACTERS = 1600
_IMAGE_BYTES = 768_000
_SMALL_CHARACTERS = 410
_ANSWER_CHARACTERS = 800


def shaped(shape: str) -> Request:
    """A request of one of the :data:`SHAPES`; equal every time, but an image is a new object each time."""
    if shape == "small":
        return numbered(-1)
    if shape == "messages":
        roles = ("user", "assistant")
        turns = [
            {"role": roles[turn % 2], "content": _text(f"turn {turn}", _MESSAGE_CHARACTERS)}
            for turn in range(_MESSAGES)
        ]
        return _request(turns)
    blocks = [
        {"type": "text", "text": "What does this picture show?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_image()}"}},
    ]
    return _request([{"role": "user", "content": blocks}])


def numbered(number: int) -> Request:
    """The small request of that number; two numbers make two requests of about 600 B each."""
    return _request(
        [
            {"role": "system", "content": "Answer in one paragraph, in plain words."},
            {"role": "user", "content": _text(f"question {number}", _SMALL_CHARACTERS)},
        ]
    )


def answer() -> dict[str, Any]:
    """The answer to everything: about 1 KB of JSON."""
    return {
        "content": _text("answer", _ANSWER_CHARACTERS),
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 140, "output_tokens": 190, "total_tokens": 330},
    }


def _request(messages: list[dict[str, Any]]) -> Request:
    return {"model": MODEL, "messages": messages, **PARAMETERS}


def _text(topic: str, characters: int) -> str:
    """Text that tells its topic first, of that length."""
    return f"{topic}: {_PROSE}"[:characters]


_image_memory: list[bytes] = []


def _image() -> str:
    """A picture's bytes in base64, made once and given as a new object each time."""
    if not _image_memory:
        _image_memory.append(base64.b64encode(random.Random(0).randbytes(_IMAGE_BYTES)))
    return _image_memory[0].decode("ascii")

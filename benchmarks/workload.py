"""The requests, the response, the texts and the vectors that all caches are measured with."""

from __future__ import annotations

import base64
import random
from array import array
from typing import Any

__all__ = [
    "DIMENSIONS",
    "MODEL",
    "PARAMETERS",
    "SHAPES",
    "TEXTS",
    "TEXT_CHARACTERS",
    "Request",
    "Vectors",
    "answer",
    "numbered",
    "shaped",
    "text_to_embed",
    "vectors",
]

MODEL = "gpt-4o"
PARAMETERS: dict[str, Any] = {"temperature": 0.0, "max_tokens": 1024}

SHAPES = ("small", "messages", "image")
"""The shapes of requests: 600 B of text, 100 KB in 60 messages, and 1 MB that is one image and one line of text."""

TEXTS = 500
"""The number of texts that are embedded in one call."""

TEXT_CHARACTERS = 100
DIMENSIONS = 1536

Request = dict[str, Any]
"""A request in the format of the provider's API: ``model``, ``messages`` and parameters."""

Vectors = list[list[float]]
"""Vectors in the order of their texts."""

_PROSE = "the cache answers when an equal request was asked before and its entry is still fresh enough; " * 20
_MESSAGES = 60
_MESSAGE_CHARACTERS = 1600
_IMAGE_BYTES = 768_000
_SMALL_CHARACTERS = 410
_ANSWER_CHARACTERS = 800


def shaped(shape: str) -> Request:
    """Return the request of a shape; it is equal every time, but an image is a new object each time.

    Args:
        shape: One of :data:`SHAPES`.
    """
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
    """Return a small request of about 600 B; different numbers give different requests.

    Args:
        number: The number of the request.
    """
    return _request(
        [
            {"role": "system", "content": "Answer in one paragraph, in plain words."},
            {"role": "user", "content": _text(f"question {number}", _SMALL_CHARACTERS)},
        ]
    )


def answer() -> dict[str, Any]:
    """Return the response to every request: about 1 KB of JSON."""
    return {
        "content": _text("answer", _ANSWER_CHARACTERS),
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 140, "output_tokens": 190, "total_tokens": 330},
    }


def text_to_embed(number: int) -> str:
    """Return a text of 100 characters; different numbers give different texts.

    Args:
        number: The number of the text.
    """
    return _text(f"text {number}", TEXT_CHARACTERS)


def vectors() -> Vectors:
    """Return a vector for each of the texts of a call; its numbers are exact as 32-bit floats."""
    drawn = random.Random(2)
    return [array("f", [drawn.random() / 8 - 0.06 for _ in range(DIMENSIONS)]).tolist() for _ in range(TEXTS)]


def _request(messages: list[dict[str, Any]]) -> Request:
    return {"model": MODEL, "messages": messages, **PARAMETERS}


def _text(topic: str, characters: int) -> str:
    """Return text of the given length that starts with its topic."""
    return f"{topic}: {_PROSE}"[:characters]


_image_memory: list[bytes] = []


def _image() -> str:
    """Return the bytes of an image in base64; they are created once and returned as a new object each time."""
    if not _image_memory:
        _image_memory.append(base64.b64encode(random.Random(0).randbytes(_IMAGE_BYTES)))
    return _image_memory[0].decode("ascii")

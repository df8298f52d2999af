"""OpenAI embeddings, answered without a model: unit vectors derived from the model name and the input."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from typing import Any

from spark_cache.testing.standin.protocol import ProtocolError, count_tokens, expect

__all__ = ["embed"]

_DIMENSIONS = {"text-embedding-3-large": 3072}
_USUAL_DIMENSIONS = 1536
_MOST_INPUTS = 2048


def embed(body: dict[str, Any]) -> dict[str, Any]:
    """Answer a request to ``/v1/embeddings``.

    Args:
        body: The body of the request. Its ``input`` is a string, a list of tokens, or a list of either.

    Returns:
        One vector for each input, in order, as numbers or as base64 of little-endian 32-bit floats.

    Raises:
        ProtocolError: The service would refuse the request.
    """
    model: str = expect(body, "model", str, required=True)
    inputs = _inputs(expect(body, "input", str, list, required=True))
    dimensions = expect(body, "dimensions", int)
    if dimensions is None:
        dimensions = _DIMENSIONS.get(model, _USUAL_DIMENSIONS)
    if dimensions < 1:
        raise ProtocolError(400, "Invalid 'dimensions': must be at least 1.", param="dimensions")
    encode = _encoder(expect(body, "encoding_format", str) or "float")
    data = [
        {"object": "embedding", "index": index, "embedding": encode(_vector(model, item, dimensions))}
        for index, item in enumerate(inputs)
    ]
    tokens = sum(count_tokens(item) if isinstance(item, str) else len(item) for item in inputs)
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _inputs(given: str | list[Any]) -> list[str | list[int]]:
    is_one = isinstance(given, str) or (bool(given) and all(isinstance(token, int) for token in given))
    inputs = [given] if is_one else given
    if not 1 <= len(inputs) <= _MOST_INPUTS:
        raise ProtocolError(400, f"Invalid 'input': must hold 1 to {_MOST_INPUTS} items.", param="input")
    for item in inputs:
        is_tokens = isinstance(item, list) and all(isinstance(token, int) for token in item)
        if not item or not (isinstance(item, str) or is_tokens):
            raise ProtocolError(
                400,
                "Invalid 'input': each item must be a non-empty string or a non-empty list of tokens.",
                param="input",
            )
    return list(inputs)


def _encoder(encoding_format: str) -> Any:
    match encoding_format:
        case "float":
            return lambda packed: list(struct.unpack(f"<{len(packed) // 4}f", packed))
        case "base64":
            return lambda packed: base64.b64encode(packed).decode()
    raise ProtocolError(
        400, "Invalid 'encoding_format': must be 'float' or 'base64'.", param="encoding_format"
    )


def _vector(model: str, item: str | list[int], dimensions: int) -> bytes:
    """Return a unit vector as packed 32-bit floats; a shorter vector is a rescaled prefix of a longer one."""
    seed = json.dumps([model, item]).encode()
    drawn = struct.unpack(f"<{dimensions}i", hashlib.shake_256(seed).digest(4 * dimensions))
    length = math.sqrt(math.fsum(number * number for number in drawn))
    return struct.pack(f"<{dimensions}f", *(number / length for number in drawn))

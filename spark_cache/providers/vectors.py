"""Vectors as they are stored, and what each text's share of a call's usage is."""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from spark_cache.providers.response import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["packed", "shared_out", "unpacked"]

_SINGLE = 4
"""The bytes of a 32-bit float, which is what most providers compute with."""


def packed(vector: Sequence[float]) -> dict[str, Any]:
    """A vector as JSON values: 32-bit floats in base64, little end first, where nothing is lost by it."""
    numbers = list(vector)
    try:
        written = struct.pack(f"<{len(numbers)}f", *numbers)
    except OverflowError:
        return {"vector": numbers}
    if _singles(written) == numbers:
        return {"float32": b64encode(written).decode()}
    return {"vector": numbers}


def unpacked(raw: Any) -> list[float] | None:
    """The vector that :func:`packed` was given; None where these JSON values are of another shape."""
    try:
        if "float32" in raw:
            return _singles(b64decode(raw["float32"], validate=True))
        return [float(number) for number in raw["vector"]]
    except (KeyError, TypeError, ValueError, struct.error):
        # Somebody else stored it, or edited it.
        return None


def _singles(written: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(written) // _SINGLE}f", written))


def shared_out(usage: Usage | None, weights: Sequence[int]) -> list[Usage | None]:
    """What each text of a call consumed, by its length: the provider tells the sum alone, and the shares add up to it."""
    if usage is None or len(weights) == 1:
        return [usage] * len(weights)
    inputs, totals = _shares(usage.input_tokens, weights), _shares(usage.total_tokens, weights)
    return [
        Usage(input_tokens=given, total_tokens=total) for given, total in zip(inputs, totals, strict=True)
    ]


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    counted = [weight or 1 for weight in weights]
    bounds = [total * so_far // sum(counted) for so_far in accumulate(counted, initial=0)]
    return [upper - lower for lower, upper in pairwise(bounds)]

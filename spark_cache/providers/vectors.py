"""The stored form of vectors, and each text's share of the usage of an embedding call."""

from __future__ import annotations

import struct
import sys
from base64 import b64encode
from binascii import a2b_base64
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from spark_cache.providers.response import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["array_of", "matrix_of", "packed", "shared_out", "unpacked"]

_SINGLE = 4
"""The size of a 32-bit float in bytes. Most providers compute with such floats."""


def packed(vector: Sequence[float]) -> dict[str, Any]:
    """Return a vector as JSON values: base64 of little-endian 32-bit floats if that is lossless, otherwise a list of numbers.

    Args:
        vector: The vector.
    """
    numbers = list(vector)
    try:
        written = struct.pack(f"<{len(numbers)}f", *numbers)
    except OverflowError:
        return {"vector": numbers}
    if _singles(written) == numbers:
        return {"float32": b64encode(written).decode()}
    return {"vector": numbers}


def unpacked(raw: Any) -> list[float] | None:
    """Return the vector that :func:`packed` was given. None if the values are not valid.

    Args:
        raw: The stored JSON values.
    """
    try:
        if "float32" in raw:
            return _singles(_decoded(raw["float32"]))
        return [float(number) for number in raw["vector"]]
    except (KeyError, TypeError, ValueError, struct.error):
        # Another program stored the entry, or the entry was edited.
        return None


def array_of(raw: Any) -> NDArray[Any] | None:
    """Return the vector that :func:`packed` was given as an array of numpy, without a list in between. None if it is not valid.

    Args:
        raw: The stored JSON values.
    """
    import numpy as np  # noqa: PLC0415 - not a dependency

    try:
        if "float32" in raw:
            return np.frombuffer(_decoded(raw["float32"]), dtype="<f4")
        return np.array(raw["vector"], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        # As for unpacked.
        return None


def matrix_of(rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return vectors as the rows of one array.

    Args:
        rows: The vectors, all of one length.
    """
    import numpy as np  # noqa: PLC0415 - as above

    return np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32)


def _decoded(text: str) -> bytes:
    return a2b_base64(text, strict_mode=True)


def _singles(written: bytes) -> list[float]:
    if sys.byteorder == "little":
        return memoryview(written).cast("f").tolist()  # type: ignore[return-value]  # the format gives floats
    return list(struct.unpack(f"<{len(written) // _SINGLE}f", written))


def shared_out(usage: Usage | None, weights: Sequence[int]) -> list[Usage | None]:
    """Divide the usage of a call among its texts, in proportion to their lengths. The shares add up to the usage.

    Args:
        usage: The usage of the call. Providers report only the sum.
        weights: The lengths of the texts.
    """
    if usage is None or len(weights) == 1:
        return [usage] * len(weights)
    inputs, totals = _shares(usage.input_tokens, weights), _shares(usage.total_tokens, weights)
    return [
        Usage(input_tokens=given, total_tokens=total) for given, total in zip(inputs, totals, strict=True)
    ]


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    positive = [weight or 1 for weight in weights]
    bounds = [total * so_far // sum(positive) for so_far in accumulate(positive, initial=0)]
    return [upper - lower for lower, upper in pairwise(bounds)]

"""The checksum of a plain entry, which finds flipped bits and edits.

It consists of two CRC-32: that of the response, which does not depend on how the JSON is written, and that of the bytes in front
of the checksum. An entry is intact if either is right. The second is fast, and the first still holds after a formatter has
rewritten the file.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson

from spark_cache.entries.entry import OPTIONAL, REQUIRED

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_intact", "with_checksum", "with_new_checksum"]

_PARTS = (*REQUIRED, *OPTIONAL, "response", "absent", "texts")
"""The fields of an entry that its response is made of."""

_END = b"\n}\n"
_LAST_LINES = b',\n  "checksum": "%08x-%08x"\n}\n'
_LENGTH = len(_LAST_LINES % (0, 0))
"""How an entry ends, without and with its checksum."""

_FIELD = re.compile(rb'("checksum"\s*:\s*")([^"\\]*)')

_MOST_FIELDS = 16
"""So many fields with the same name and value are tried. Each of them takes as long as reading the entry."""

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
"""The integers that orjson reads exactly."""


def with_checksum(data: bytes, document: Mapping[str, Any]) -> bytes:
    """Add the checksum to the end of an entry.

    Args:
        data: The entry as indented JSON.
        document: The same entry.

    Raises:
        TypeError: JSON cannot represent the response.
        RecursionError: The response is nested too deeply.
    """
    body = data.removesuffix(_END)
    return body + _LAST_LINES % (_response_crc(document), crc32(body))


def is_intact(document: Mapping[str, Any], data: bytes) -> bool:
    """Return whether the response of an entry is the one that was stored. An entry without a checksum counts as intact.

    Args:
        document: The entry.
        data: The bytes that it was parsed from.
    """
    checksum = document.get("checksum")
    if checksum is None or data.endswith(b'-%08x"\n}\n' % crc32(memoryview(data)[:-_LENGTH])):
        return True
    try:
        return type(checksum) is str and checksum[:8] == f"{_response_crc(document):08x}"
    except (TypeError, RecursionError):
        return False


def with_new_checksum(document: Mapping[str, Any], data: bytes) -> bytes | None:
    """Return an entry with the checksum of its present response, and otherwise as it is.

    Args:
        document: The entry.
        data: The bytes that it was parsed from.

    Returns:
        The bytes; None if the entry has no checksum that can be replaced.
    """
    try:
        checksum = b"%08x-%08x" % (_response_crc(document), crc32(data[:-_LENGTH]))
    except (TypeError, RecursionError):
        return None
    present = str(document["checksum"]).encode()
    expected = {**document, "checksum": checksum.decode()}
    # A response may have a field of the same name.
    fields = (field for field in _FIELD.finditer(data) if field[2] == present)
    for field in islice(fields, _MOST_FIELDS):
        changed = data[: field.end(1)] + checksum + data[field.end() :]
        if orjson.loads(changed) == expected:
            return changed
    return None


def _response_crc(document: Mapping[str, Any]) -> int:
    parts = {name: _with_integers(document[name]) for name in _PARTS if name in document}
    return crc32(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS))


def _with_integers(value: Any) -> Any:
    """Return JSON values with integers for whole floats: jq and JavaScript write 1.0 as 1, and the two are equal."""
    if isinstance(value, dict):
        return {name: _with_integers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_integers(item) for item in value]
    if type(value) is float and value.is_integer() and _SMALLEST <= value <= _LARGEST:
        return int(value)
    return value

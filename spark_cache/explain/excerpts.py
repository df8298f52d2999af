"""Values as an explanation shows them: short, on one line, without secrets."""

from __future__ import annotations

import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from hashlib import sha256
from typing import Any

import orjson

__all__ = ["ABSENT", "blob", "changed", "is_secret", "spans", "step", "value_text"]

ABSENT = object()
"""A value that does not exist."""

_SHOWN = 60
"""The most characters of a value that are shown."""

_SHORT = 40
"""The longest strings, in characters, that are shown completely."""

_CONTEXT = 8
"""The fewest characters that are shown before a difference."""

_REACH = 24
"""The most characters that are shown on either side of a difference to complete a word."""

_BLOB_FROM = 120
_TOKEN = re.compile(r"[\w:/+-]", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}", re.ASCII)
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.=+-]+)*;base64,", re.ASCII)
_SECRET = re.compile(
    r"(.*[-_.])?(api-?key|auth|authorization|cookie|credentials?|key|password|secret|token)", re.IGNORECASE
)


def is_secret(name: str) -> bool:
    """Return whether the last word of a name suggests a credential, whose value is never shown."""
    return _SECRET.fullmatch(name) is not None


def step(name: str) -> str:
    """Return a path step into a dictionary."""
    if name.isidentifier() and len(name) <= _SHOWN:
        return f".{name}"
    return f"[{_quoted(name)}]"


def value_text(value: Any) -> str:
    """Return a value on one line, shortened if it is long."""
    if value is ABSENT:
        return "absent"
    data = blob(value)
    if data is not None:
        return _blob_text(*data)
    if isinstance(value, str):
        return _quoted(value)
    written = _escaped(orjson.dumps(_without_secrets(value)).decode())
    return written if len(written) <= _SHOWN else f"{written[: _SHOWN - 1]}…"


def changed(old: Any, new: Any) -> str:
    """Return a change such as ``0.7 -> 0.9``, or the place where two long strings begin to differ."""
    old_data, new_data = blob(old), blob(new)
    if old_data is not None and new_data is not None:
        return f"{_blob_text(*old_data)} -> {_blob_text(*new_data)}"
    both = isinstance(old, str) and isinstance(new, str)
    if not both or max(len(old), len(new)) <= _SHORT or old_data is not None or new_data is not None:
        return f"{value_text(old)} -> {value_text(new)}"
    first = _common(old, new) + 1
    left, right = spans(old, new)
    return f"differs from character {first:,}: {_excerpt(old, *left)} / {_excerpt(new, *right)}"


def spans(old: str, new: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the start and end of the difference in each of two strings, extended to whole words."""
    before = _common(old, new)
    most = min(len(old), len(new)) - before
    after = _common(old[len(old) - most :][::-1], new[len(new) - most :][::-1])
    begin = max(0, before - _CONTEXT)
    while begin > 0 and before - begin < _REACH and _TOKEN.match(old[begin - 1]):
        begin -= 1
    beyond = 0
    while beyond < min(after, _REACH) and _TOKEN.match(old[len(old) - after + beyond]):
        beyond += 1
    return (begin, len(old) - after + beyond), (begin, len(new) - after + beyond)


def _common(one: str, other: str) -> int:
    """Return the length of the common prefix of two strings."""
    low, high = 0, min(len(one), len(other))
    # A binary search over slices is a thousand times as fast as comparing single characters.
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def blob(value: Any) -> tuple[str, bytes] | None:
    """Return the media type and the bytes of binary data, such as an image or a document, or None for other values."""
    if isinstance(value, dict):
        (inner,) = value.values() if list(value) == ["~bytes"] else (None,)
        return ("", _decoded(inner)) if isinstance(inner, str) else None
    if not isinstance(value, str):
        return None
    url = _DATA_URL.match(value)
    if url is not None:
        return url[1] or "", _decoded(value[url.end() :])
    if len(value) >= _BLOB_FROM and _BASE64.fullmatch(value):
        return "", _decoded(value)
    return None


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: "(not shown)" if is_secret(name) else _without_secrets(item) for name, item in value.items()
        }
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value


def _decoded(text: str) -> bytes:
    try:
        return a2b_base64(text.replace("-", "+").replace("_", "/"))
    except (NotBase64, ValueError):
        return text.encode("utf-8", "replace")


def _blob_text(media: str, data: bytes) -> str:
    """Return a summary such as ``image/png of 45,120 bytes (3f2a91c0)``."""
    return f"{media or 'data'} of {len(data):,} bytes ({sha256(data).hexdigest()[:8]})"


def _excerpt(text: str, begin: int, end: int) -> str:
    cut = end - begin > _SHOWN
    end = begin + _SHOWN if cut else end
    opening = "…" if begin else ""
    closing = "…" if cut or end < len(text) else ""
    return f'"{opening}{_escaped(_inner(text[begin:end]))}{closing}"'


def _quoted(text: str) -> str:
    cut = len(text) > _SHOWN
    return f'"{_escaped(_inner(text[:_SHOWN]))}{"…" if cut else ""}"'


def _inner(text: str) -> str:
    """Return text as JSON without the quotation marks, so that line breaks are escaped."""
    return orjson.dumps(text.encode("utf-8", "replace").decode()).decode()[1:-1]


def _escaped(text: str) -> str:
    """Escape characters that could control a terminal or be mistaken for other characters."""
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text)

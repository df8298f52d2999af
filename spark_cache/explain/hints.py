"""Hints: the usual causes of changes, and how to avoid them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from spark_cache.explain.body_fields import CONVERSATION, INSTRUCTIONS, SCHEMAS, TOOLS
from spark_cache.explain.changes import UNKNOWN
from spark_cache.explain.excerpts import ABSENT, blob, spans

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_cache.explain.changes import Change

__all__ = ["hints"]

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"

_VOLATILE = (
    ("UUID", re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b", re.IGNORECASE)),
    (
        "date",
        re.compile(r"\b\d{4}-\d\d-\d\d(?!\d)|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\b\d{4}/\d{1,2}/\d{1,2}\b"),
    ),
    (
        "date",
        re.compile(
            rf"\b\d{{1,2}}(?:st|nd|rd|th)?\.? (?:{_MONTHS})[a-z]*,? \d{{4}}\b"
            rf"|\b(?:{_MONTHS})[a-z]* \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}\b",
            re.IGNORECASE,
        ),
    ),
    ("date", re.compile(r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b", re.IGNORECASE)),
    (
        "time",
        re.compile(r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[ap]m\b)?(?:Z|[+-]\d\d:?\d\d)?", re.IGNORECASE),
    ),
    ("timestamp", re.compile(r"\b1\d{9}(?:\d{3}|\.\d+)?\b")),
    ("identifier", re.compile(r"(?<![0-9a-z])(?=[0-9a-f]*\d)[0-9a-f]{8,}(?![0-9a-z])", re.IGNORECASE)),
    ("number", re.compile(r"\d+(?:\.\d+)?")),
)
"""Patterns of text that often changes between runs, the most specific first."""

_TEXT_HINTS = {
    "UUID": "a UUID differs, so each run makes a new request: leave the UUID out, or use a fixed one.",
    "date": "a date differs, so the request changes every day: leave the date out, or use a fixed clock.",
    "time": "a time of day differs, so the request changes with every run: leave the time out, or use a fixed clock.",
    "timestamp": "a timestamp differs, so the request changes with every run: leave the timestamp out, or use a fixed clock.",
    "identifier": "an identifier differs: if it is random, leave it out, or use a fixed one.",
    "number": "only numbers differ: if they are random or count runs, seed or fix them.",
}

_PART_HINTS = {
    "version": "a release with a different key format stored the entry: record it again.",
    "provider": "an entry of one provider never answers a request to another provider.",
    "operation": "text, structured responses and embeddings have separate entries.",
    "endpoint": "each endpoint has separate entries: set SPARK_CACHE_ENDPOINT to one name to share entries across addresses.",
    "namespace": "each namespace has separate entries: see SPARK_CACHE_NAMESPACE.",
    "cache_version": "a new cache version ignores all earlier entries: see SPARK_CACHE_VERSION.",
    "sample": "each sample has a separate entry.",
}

_MODEL = "an entry of one model never answers a request to another model."
_ALIAS = (
    "the cache treats an alias and a release of the same model as different models: use one name everywhere."
)
_TOOL_ORDER = "the order of the tools is part of the request: sort them, for example by name."
_ORDER = "the order of a list is part of the request: sort values that have no fixed order, such as a set or the files of a directory."
_BYTES = "encoding an image or a document again may produce different bytes for the same content: encode it once and keep the file."
_PARAMETER_HINTS = {
    "temperature": "the temperature is part of the request: use the same value in all calls that should share a response.",
    "seed": "the seed is part of the request: use a fixed one.",
}
_NO_PARAMETERS = frozenset({*CONVERSATION, *INSTRUCTIONS, *TOOLS, *SCHEMAS, "tool_choice"})
"""The fields of a body that are no parameters."""
_DEFAULT = "a parameter was added, removed or changed: check whether a default changed in the SDK, a framework or your program."
_NONE = "inside nested values, None is a value: leave the name out instead. Only a top-level parameter that is None counts as absent."
_KIND = '1, "1" and true are different values: use the same type.'
_WHITE_SPACE = (
    "only white space differs, which includes line endings: check templates, indentation and stripping."
)
_UNICODE = (
    "the strings look alike but use different Unicode forms: normalise both with unicodedata.normalize."
)
_CASE = "the strings differ only in upper and lower case."

_RELEASE = re.compile(r"(?:[-@:.](?:\d+|latest|preview|exp|v\d+))+", re.IGNORECASE)
_RELEASE_WORD = re.compile(r"\d{3}|latest|preview|exp", re.IGNORECASE)


_CONTEXT = 16


def hints(changes: Iterable[Change]) -> tuple[str, ...]:
    """Return the usual causes of changes, each cause once, in the order of the changes."""
    return tuple(dict.fromkeys(hint for change in changes for hint in _of(change)))


def _of(change: Change) -> list[str]:
    """Return the hints of the first rule that has any."""
    return next((found for rule in _RULES if (found := rule(change))), [])


def _of_order(change: Change) -> list[str]:
    if not change.moved:
        return []
    return [_TOOL_ORDER if change.path.endswith(("tool_specs", "tools")) else _ORDER]


def _of_part(change: Change) -> list[str]:
    if change.path == "model_id":
        return [_ALIAS if _is_alias(str(change.old), str(change.new)) else _MODEL]
    return [_PART_HINTS[change.path]] if change.path in _PART_HINTS else []


def _of_values(change: Change) -> list[str]:
    _, old, new, _ = change
    if old is UNKNOWN or new is UNKNOWN:
        return []
    if (old is ABSENT and new is None) or (old is None and new is ABSENT):
        return [_NONE]
    if blob(old) is not None and blob(new) is not None:
        return [_BYTES]
    if isinstance(old, str) and isinstance(new, str):
        return _of_strings(old, new)
    return [_KIND] if _differs_in_type(old, new) else []


def _of_parameter(change: Change) -> list[str]:
    name = change.path.rpartition(".")[2]
    if name in _PARAMETER_HINTS:
        return [_PARAMETER_HINTS[name]]
    known = change.old is not UNKNOWN and change.new is not UNKNOWN
    field = change.path.removeprefix("body.").partition(".")[0].partition("[")[0]
    is_parameter = change.path.startswith("body.") and field not in _NO_PARAMETERS
    return [_DEFAULT] if known and is_parameter else []


_RULES = (_of_order, _of_part, _of_values, _of_parameter)
"""The rules for one change, the most specific first."""


def _of_strings(old: str, new: str) -> list[str]:
    if normalize("NFC", old) == normalize("NFC", new):
        return [_UNICODE]
    if "".join(old.split()) == "".join(new.split()):
        return [_WHITE_SPACE]
    if old.casefold() == new.casefold():
        return [_CASE]
    (begin, end), (other_begin, other_end) = spans(old, new)
    # A year may follow the day and the month that differ.
    left = old[max(0, begin - _CONTEXT) : end + _CONTEXT]
    right = new[max(0, other_begin - _CONTEXT) : other_end + _CONTEXT]
    return [_TEXT_HINTS[kind] for kind in _volatile(left, right)]


def _volatile(old: str, new: str) -> list[str]:
    """Return the kinds of volatile text in which two strings differ, or none if they differ in anything else."""
    kinds: list[str] = []
    for kind, pattern in _VOLATILE:
        if pattern.findall(old) != pattern.findall(new):
            kinds.append(kind)
        old, new = pattern.sub("\0", old), pattern.sub("\0", new)
        if old == new:
            return list(dict.fromkeys(kinds))
    return []


def _is_alias(one: str, other: str) -> bool:
    """Return whether two model names differ only by a release suffix or a region prefix."""
    short, long = sorted((one, other), key=len)
    ending = long[len(short) :]
    if long.startswith(short) and _RELEASE.fullmatch(ending) and _RELEASE_WORD.search(ending):
        return True
    return long.endswith(f".{short}")


def _differs_in_type(old: Any, new: Any) -> bool:
    """Return whether two values look alike but differ in type."""
    if old is ABSENT or new is ABSENT or isinstance(old, dict | list) or isinstance(new, dict | list):
        return False
    return str(old).lower() == str(new).lower() or (
        isinstance(old, bool) != isinstance(new, bool) and old == new
    )

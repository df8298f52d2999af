"""Changes -> what usually causes them, and the way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

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
    ("time stamp", re.compile(r"\b1\d{9}(?:\d{3}|\.\d+)?\b")),
    ("identifier", re.compile(r"(?<![0-9a-z])(?=[0-9a-f]*\d)[0-9a-f]{8,}(?![0-9a-z])", re.IGNORECASE)),
    ("number", re.compile(r"\d+(?:\.\d+)?")),
)
"""What changes by itself from run to run, the most particular first."""

_TEXT_HINTS = {
    "UUID": "a UUID differs, and a new one is another request each time: leave it out, or give a fixed one.",
    "date": "a date differs, and with it the request from day to day: take it from a clock that stands still, or leave it out.",
    "time": "a time of day differs, and with it the request at every run: take it from a clock that stands still, or leave it out.",
    "time stamp": "a time stamp differs, and with it the request at every run: take it from a clock that stands still, or leave it out.",
    "identifier": "an identifier differs; if it is random, leave it out, or give a fixed one.",
    "number": "only numbers differ; if they are random, or count runs, seed or fix them.",
}

_PART_HINTS = {
    "version": "the entry was keyed by another release, whose keys have another form: record it anew.",
    "provider": "entries of another provider are never an answer.",
    "operation": "text, structured answers and embeddings have entries of their own.",
    "endpoint": "another address is another service: SPARK_CACHE_ENDPOINT names one, so that entries are found behind any address.",
    "namespace": "each namespace has entries of its own: see SPARK_CACHE_NAMESPACE.",
    "cache_version": "a new cache version leaves all earlier entries behind: see SPARK_CACHE_VERSION.",
    "sample": "each sample has an entry of its own.",
}

_MODEL = "entries of another model are never an answer."
_ALIAS = "two names of a model, such as an alias and a release that it stands for, are two models here: settle on one."
_TOOL_ORDER = "tools in another order are another request: sort them, by name for instance."
_ORDER = "the order of a list is part of the request: sort what has no order of its own, such as a set or a directory's files."
_BYTES = "an image or a document that is encoded anew may give other bytes for the same picture: encode it once and keep the file."
_PARAMETER_HINTS = {
    "temperature": "the temperature is part of the request: calls that are to share an answer give the same one.",
    "seed": "the seed is part of the request: give a fixed one.",
}
_DEFAULT = "a parameter came, went or changed: look for a default of the SDK, of a framework or of the program that changed."
_NONE = "deeper down in a request, None is a value: leave the name out instead. Only a parameter itself may be None for absent."
_KIND = '1, "1" and true are three values: give it the same type.'
_WHITE_SPACE = "only white space differs, line ends included: look at templates, indentation and stripping."
_UNICODE = (
    "the texts look alike and are in different Unicode forms: normalise both with unicodedata.normalize."
)
_CASE = "the texts differ in upper and lower case alone."

_RELEASE = re.compile(r"(?:[-@:.](?:\d+|latest|preview|exp|v\d+))+", re.IGNORECASE)
_DATED = re.compile(r"\d{3}|latest|preview|exp", re.IGNORECASE)


_AROUND = 16


def hints(changes: Iterable[Change]) -> tuple[str, ...]:
    """What usually causes these changes, each cause once, in the order of the changes."""
    return tuple(dict.fromkeys(hint for change in changes for hint in _of(change)))


def _of(change: Change) -> list[str]:
    """The hints of the first rule that has any."""
    return next((found for rule in _RULES if (found := rule(change))), [])


def _of_order(change: Change) -> list[str]:
    if not change.moved:
        return []
    return [_TOOL_ORDER if change.path == "tool_specs" or change.path.endswith("tools") else _ORDER]


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
        return _of_texts(old, new)
    return [_KIND] if _other_kind(old, new) else []


def _of_parameter(change: Change) -> list[str]:
    name = change.path.rpartition(".")[2]
    if name in _PARAMETER_HINTS:
        return [_PARAMETER_HINTS[name]]
    known = change.old is not UNKNOWN and change.new is not UNKNOWN
    return [_DEFAULT] if known and change.path.startswith("parameters") else []


_RULES = (_of_order, _of_part, _of_values, _of_parameter)
"""The most particular first."""


def _of_texts(old: str, new: str) -> list[str]:
    if normalize("NFC", old) == normalize("NFC", new):
        return [_UNICODE]
    if "".join(old.split()) == "".join(new.split()):
        return [_WHITE_SPACE]
    if old.casefold() == new.casefold():
        return [_CASE]
    (begin, end), (other_begin, other_end) = spans(old, new)
    # A year may stand behind the day and the month that differ.
    left = old[max(0, begin - _AROUND) : end + _AROUND]
    right = new[max(0, other_begin - _AROUND) : other_end + _AROUND]
    return [_TEXT_HINTS[kind] for kind in _volatile(left, right)]


def _volatile(old: str, new: str) -> list[str]:
    """The kinds of what changes by itself that two texts differ in; none where they differ in anything else."""
    kinds: list[str] = []
    for kind, pattern in _VOLATILE:
        if pattern.findall(old) != pattern.findall(new):
            kinds.append(kind)
        old, new = pattern.sub("\0", old), pattern.sub("\0", new)
        if old == new:
            return list(dict.fromkeys(kinds))
    return []


def _is_alias(one: str, other: str) -> bool:
    """Whether two models' names are one, but for a release at the end, or a region before it."""
    short, long = sorted((one, other), key=len)
    ending = long[len(short) :]
    if long.startswith(short) and _RELEASE.fullmatch(ending) and _DATED.search(ending):
        return True
    return long.endswith(f".{short}")


def _other_kind(old: Any, new: Any) -> bool:
    """Whether two values are written alike and differ in their type."""
    if old is ABSENT or new is ABSENT or isinstance(old, dict | list) or isinstance(new, dict | list):
        return False
    return str(old).lower() == str(new).lower() or (
        isinstance(old, bool) != isinstance(new, bool) and old == new
    )

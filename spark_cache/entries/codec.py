"""An entry <-> the JSON on disk, which a person can read, diff, commit and copy."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson

from spark_cache.entries.entry import CacheEntry
from spark_cache.errors import UncacheableResponseError
from spark_cache.types import EntryMeta, MissReason

__all__ = [
    "SCHEMA_VERSION",
    "answer_in",
    "decode_document",
    "describe",
    "encode",
    "other_version",
    "parse",
    "quick_answer_in",
    "readable",
]

SCHEMA_VERSION = 1
"""The version of the format; a reader leaves entries of another version alone."""

_LAST_TIMESTAMP = 253_402_300_799
"""The end of the year 9999: what lies beyond is no date that anything could show."""

_TEXT_OR_NONE = frozenset({str, type(None)})

_NUMBERS = frozenset({float, int})

_MISSING = object()

_INDENTED = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_SORTED = _INDENTED | orjson.OPT_SORT_KEYS

_ALWAYS = ("content", "stop_reason", "usage")
"""The fields of a response that every entry shows at its top level."""

_AT_TIMES = ("provider_stop_reason", "tool_calls", "latency_seconds", "raw", "events")
"""Those that it shows where the response has them."""

_RESPONSE_FIELDS = (*_ALWAYS, *_AT_TIMES)
"""The fields of a response that stand at the top level; a response of exactly these is not written twice."""

_RESPONSE_NAMES = frozenset(_RESPONSE_FIELDS)


def encode(entry: CacheEntry, *, sort_keys: bool = False) -> bytes:
    """Write an entry as indented JSON, the answer first.

    Args:
        entry: The entry.
        sort_keys: Whether the names in every object are in order, so that equal entries are written with equal bytes.

    Raises:
        UncacheableResponseError: The response is not made of JSON values, or would come back changed (a tuple as a list).
    """
    response = entry.response
    if not isinstance(response, dict):
        raise UncacheableResponseError(f"is a {type(response).__qualname__}; it takes a dictionary")
    document: dict[str, Any] = {name: response.get(name) for name in _ALWAYS}
    document["timestamp"] = entry.timestamp
    document["ttl"] = entry.ttl
    document["provider"] = entry.provider
    document["model_id"] = entry.model_id
    document["schema"] = SCHEMA_VERSION
    document["key"] = str(entry.key)
    document["profile"] = entry.profile
    if entry.namespace is not None:
        document["namespace"] = entry.namespace
    document["digests"] = dict(entry.digests)
    if _at_top_level(response):
        for name in _AT_TIMES:
            if name in response:
                document[name] = response[name]
    else:
        document["response"] = response
    request = readable(entry.request)
    if request is not None:
        document["request"] = request
    try:
        data = orjson.dumps(document, option=_SORTED if sort_keys else _INDENTED)
    except (TypeError, RecursionError) as error:
        raise UncacheableResponseError(f"is not made of JSON values: {error}") from None
    # What orjson accepts is more than what JSON can give back (a tuple, a date, NaN): only reading it again tells.
    if _response_of(orjson.loads(data)) != response:
        raise UncacheableResponseError(
            "holds a value that JSON gives back changed, such as a tuple, a date or NaN"
        )
    return data


def parse(data: bytes) -> dict[str, Any] | MissReason:
    """Read the JSON object of an entry, plain or encrypted; or why these bytes are none."""
    try:
        document = orjson.loads(data)
    except ValueError:
        return MissReason.CORRUPT
    return document if isinstance(document, dict) else MissReason.CORRUPT


def decode_document(
    document: dict[str, Any], key: str | None, namespace: str | None
) -> CacheEntry | MissReason:
    """Read a plain entry.

    Args:
        document: What :func:`parse` read.
        key: The key that was asked for; None takes whatever key, and whatever namespace, the entry has.
        namespace: The reader's namespace.

    Returns:
        The entry, or why it answers nothing.
    """
    misfit = _misfit(document, key, namespace)
    if misfit is not None:
        return misfit
    return CacheEntry(
        key=document["key"],
        provider=document["provider"],
        model_id=document["model_id"],
        response=_response_of(document),
        timestamp=document["timestamp"],
        ttl=document["ttl"],
        profile=document.get("profile"),
        digests=document["digests"],
        request=document.get("request"),
        namespace=document.get("namespace"),
    )


def answer_in(
    document: dict[str, Any], key: str, namespace: str | None
) -> tuple[dict[str, Any], float, float | None] | MissReason:
    """What a hit needs of a plain entry: its response, timestamp and lifetime; or why it answers nothing.

    As :func:`decode_document`, of which it leaves out what is not asked for with every hit.
    """
    misfit = _misfit(document, key, namespace)
    if misfit is not None:
        return misfit
    return _response_of(document), document["timestamp"], document["ttl"]


def quick_answer_in(
    document: Any, key: str, namespace: str | None
) -> tuple[dict[str, Any], float, float | None] | None:
    """What :func:`answer_in` says of a plain entry that nothing is wrong with; None for anything else, whatever it is.

    The document is taken apart: what is left of it is the response.
    """
    try:
        pop = document.pop
        version, its_key, timestamp, ttl = pop("schema"), pop("key"), pop("timestamp"), pop("ttl")
        provider, model_id, digests = pop("provider"), pop("model_id"), pop("digests")
        profile, its_namespace = pop("profile", None), pop("namespace", None)
        pop("request", None)
    except (AttributeError, KeyError, TypeError):
        # A field is missing, or it is no object at all.
        return None
    usual = (
        type(version) is int
        and version == SCHEMA_VERSION
        and its_key == key
        and its_namespace == namespace
        and type(timestamp) in _NUMBERS
        and 0 <= timestamp <= _LAST_TIMESTAMP
        and (ttl is None or type(ttl) in _NUMBERS)
        and type(provider) is str
        and type(model_id) is str
        and type(digests) is dict
        and type(profile) in _TEXT_OR_NONE
        and "content" in document
        and "stop_reason" in document
        and "usage" in document
        and (len(document) == len(_ALWAYS) or document.keys() <= _RESPONSE_NAMES)
    )
    return (document, timestamp, ttl) if usual else None


def other_version(document: dict[str, Any]) -> MissReason | None:
    """Why a document is not in the format that this release reads; None when it says that it is."""
    version = document.get("schema")
    if type(version) is not int:
        return MissReason.CORRUPT
    return None if version == SCHEMA_VERSION else MissReason.OTHER_VERSION


def describe(data: bytes, name: str) -> EntryMeta | MissReason:
    """What a listing shows of an entry: what stands in the open, so that no key is needed for an encrypted one.

    Args:
        data: What stands in the file.
        name: The name of the file without its ending.
    """
    document = parse(data)
    if isinstance(document, MissReason):
        return document
    misfit = other_version(document)
    if misfit is not None:
        return misfit
    if not _dated(document):
        return MissReason.CORRUPT
    return EntryMeta(
        name=name,
        provider=document["provider"],
        model_id=document["model_id"],
        size_bytes=len(data),
        timestamp=document["timestamp"],
        ttl=document["ttl"],
        encrypted="token" in document,
    )


def readable(request: Any) -> Any:
    """A request as JSON for people to read; None where it has no such form, which harms no answer."""
    if request is None:
        return None
    try:
        return orjson.loads(orjson.dumps(request, default=_json_form))
    except (TypeError, RecursionError):
        return None


def _json_form(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"~bytes": b64encode(value).decode()}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    raise TypeError


def _at_top_level(response: dict[str, Any]) -> bool:
    return all(name in response for name in _ALWAYS) and all(name in _RESPONSE_FIELDS for name in response)


def _response_of(document: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any]
    if "response" in document:
        response = document["response"]
        return response
    response = {
        "content": document["content"],
        "stop_reason": document["stop_reason"],
        "usage": document["usage"],
    }
    for name in _AT_TIMES:
        if name in document:
            response[name] = document[name]
    return response


def _misfit(document: dict[str, Any], key: str | None, namespace: str | None) -> MissReason | None:
    """Why a plain entry does not answer a key in a namespace; None when it does."""
    misfit = other_version(document)
    if misfit is not None:
        return misfit
    if not _well_formed(document):
        return MissReason.CORRUPT
    if key is not None and (document["key"] != key or document.get("namespace") != namespace):
        return MissReason.WRONG_KEY
    return None


def _well_formed(document: dict[str, Any]) -> bool:
    """Whether the fields that every plain entry has are there, with their types."""
    return (
        _dated(document)
        and type(document.get("key")) is str
        and type(document.get("profile")) in _TEXT_OR_NONE
        and type(document.get("namespace")) in _TEXT_OR_NONE
        and type(document.get("digests")) is dict
        and "content" in document
        and "stop_reason" in document
        and "usage" in document
        and ("response" not in document or type(document["response"]) is dict)
    )


def _dated(document: dict[str, Any]) -> bool:
    """Whether the fields that also an encrypted entry shows are there, with their types."""
    # What JSON gives has no subclasses: to compare types is all there is to ask.
    timestamp: Any = document.get("timestamp")
    ttl: Any = document.get("ttl", _MISSING)
    return (
        type(timestamp) in _NUMBERS
        and 0 <= timestamp <= _LAST_TIMESTAMP
        and (ttl is None or type(ttl) in _NUMBERS)
        and type(document.get("provider")) is str
        and type(document.get("model_id")) is str
    )

"""An entry <-> the JSON on disk, which a person can read, diff, commit and copy."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson

from spark_cache.entries.entry import CacheEntry
from spark_cache.errors import UncacheableResponseError
from spark_cache.types import EntryMeta, MissReason

__all__ = ["SCHEMA_VERSION", "decode_document", "describe", "encode", "other_version", "parse"]

SCHEMA_VERSION = 1
"""The version of the format; a reader leaves entries of another version alone."""

_LAST_TIMESTAMP = 253_402_300_799
"""The end of the year 9999: what lies beyond is no date that anything could show."""

_TEXT_OR_NONE = (str, type(None))

_NUMBERS = frozenset({float, int})
_MISSING = object()

_ALWAYS = ("content", "stop_reason", "usage")
"""The fields of a response that every entry shows at its top level."""

_RESPONSE_FIELDS = (*_ALWAYS, "provider_stop_reason", "tool_calls", "latency_seconds", "raw")
"""The fields of a response that stand at the top level; a response of exactly these is not written twice."""


def encode(entry: CacheEntry) -> bytes:
    """Write an entry as indented JSON, the answer first.

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
        for name in _RESPONSE_FIELDS[len(_ALWAYS) :]:
            if name in response:
                document[name] = response[name]
    else:
        document["response"] = response
    request = _readable(entry.request)
    if request is not None:
        document["request"] = request
    try:
        data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
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
    misfit = other_version(document)
    if misfit is not None:
        return misfit
    if not _well_formed(document):
        return MissReason.CORRUPT
    if key is not None and (document["key"] != key or document.get("namespace") != namespace):
        return MissReason.WRONG_KEY
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


def _readable(request: Any) -> Any:
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
    if "response" in document:
        response: dict[str, Any] = document["response"]
        return response
    return {name: document[name] for name in _RESPONSE_FIELDS if name in document}


def _well_formed(document: dict[str, Any]) -> bool:
    """Whether the fields that every plain entry has are there, with their types."""
    get = document.get
    return (
        _dated(document)
        and isinstance(get("key"), str)
        and isinstance(get("profile"), _TEXT_OR_NONE)
        and isinstance(get("namespace"), _TEXT_OR_NONE)
        and isinstance(get("digests"), dict)
        and "content" in document
        and "stop_reason" in document
        and "usage" in document
        and isinstance(get("response", document), dict)
    )


def _dated(document: dict[str, Any]) -> bool:
    """Whether the fields that also an encrypted entry shows are there, with their types."""
    get = document.get
    timestamp: Any = get("timestamp")
    ttl: Any = get("ttl", _MISSING)
    return (
        type(timestamp) in _NUMBERS
        and 0 <= timestamp <= _LAST_TIMESTAMP
        and (ttl is None or type(ttl) in _NUMBERS)
        and isinstance(get("provider"), str)
        and isinstance(get("model_id"), str)
    )

"""The JSON form of a plain entry.

People can read, diff, commit and copy the files.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson

from spark_cache.entries.checksum import is_intact, with_checksum, with_new_checksum
from spark_cache.entries.entry import OPTIONAL, REQUIRED, CacheEntry
from spark_cache.entries.shared_texts import restore_texts, take_out_texts
from spark_cache.errors import UncacheableResponseError
from spark_cache.types import Base64Text, EntryMeta, MissReason

__all__ = [
    "SCHEMA_VERSION",
    "Answer",
    "accept_edit",
    "answer_in",
    "decode_document",
    "describe",
    "encode",
    "other_version",
    "parse",
    "read_plain",
    "readable",
]

Answer = tuple[dict[str, Any], float, float | None]
"""The response of an entry, its timestamp and its TTL."""

SCHEMA_VERSION = 2
"""The version of the format that is written."""

_READ_VERSIONS = (1, 2)
"""The versions that can be read. Readers leave entries of another version alone."""

_LAST_TIMESTAMP = 253_402_300_799
"""The end of the year 9999. Later timestamps cannot be shown as dates."""

_STR_OR_NONE = frozenset({str, type(None)})

_NUMBERS = frozenset({float, int})

_INDENTED = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def encode(entry: CacheEntry, *, sort_keys: bool = False) -> bytes:
    """Encode an entry as indented JSON, with the schema and the key first, then the response, and the checksum last.

    Args:
        entry: The entry.
        sort_keys: Whether to sort the names in every object, so that equal entries have equal bytes. The first two stay first, and
            the last one last.

    Raises:
        UncacheableResponseError: JSON cannot represent the response, or would change it (a tuple becomes a list).
    """
    response = entry.response
    if not isinstance(response, dict):
        raise UncacheableResponseError(f"the response must be a dict, not {type(response).__qualname__}")
    first = {"schema": SCHEMA_VERSION, "key": str(entry.key)}
    document: dict[str, Any] = {name: response.get(name) for name in REQUIRED}
    document["timestamp"] = entry.timestamp
    document["ttl"] = entry.ttl
    document["provider"] = entry.provider
    document["model_id"] = entry.model_id
    document["profile"] = entry.profile
    if entry.namespace is not None:
        document["namespace"] = entry.namespace
    document["digests"] = dict(entry.digests)
    request = readable(entry.request)
    try:
        _add_rest(document, response)
        if request is not None:
            document["request"] = request
        if sort_keys:
            document = orjson.loads(orjson.dumps(document, option=orjson.OPT_SORT_KEYS))
        data = with_checksum(orjson.dumps({**first, **document}, option=_INDENTED), document)
    except (TypeError, RecursionError) as error:
        raise UncacheableResponseError(f"the response is not JSON-serializable: {error}") from None
    # orjson accepts values that JSON does not preserve (a tuple, a date, NaN). Only a second read finds them.
    if _response_of(orjson.loads(data), data) != response:
        raise UncacheableResponseError(
            "the response contains a value that JSON does not preserve, such as a tuple, a date or NaN"
        )
    return data


def _add_rest(document: dict[str, Any], response: dict[str, Any]) -> None:
    """Add what the required fields do not say of a response, with each text once."""
    absent = [name for name in REQUIRED if name not in response]
    if absent:
        document["absent"] = absent
    for name in OPTIONAL:
        if name in response:
            document[name] = response[name]
    others = {
        name: value for name, value in response.items() if name not in REQUIRED and name not in OPTIONAL
    }
    if others:
        document["response"] = others
    texts = take_out_texts(document)
    if texts:
        document["texts"] = texts


def parse(data: bytes) -> dict[str, Any] | MissReason:
    """Parse the JSON object of an entry, plain or encrypted.

    Args:
        data: The content of the file.

    Returns:
        The object, or ``CORRUPT``.
    """
    try:
        document = orjson.loads(data)
    except ValueError:
        return MissReason.CORRUPT
    return document if isinstance(document, dict) else MissReason.CORRUPT


def decode_document(
    document: dict[str, Any], data: bytes, key: str | None, namespace: str | None
) -> CacheEntry | MissReason:
    """Read a plain entry.

    Args:
        document: The result of :func:`parse`.
        data: The bytes that were parsed.
        key: The cache key that the entry must have. None accepts any key and any namespace.
        namespace: The reader's namespace.

    Returns:
        The entry, or the reason why it cannot be used.
    """
    reason = _rejection(document, key, namespace)
    if reason is not None:
        return reason
    response = _response_of(document, data)
    if response is None:
        return MissReason.CORRUPT
    return CacheEntry(
        key=document["key"],
        provider=document["provider"],
        model_id=document["model_id"],
        response=response,
        timestamp=document["timestamp"],
        ttl=document["ttl"],
        profile=document.get("profile"),
        digests=document["digests"],
        request=document.get("request"),
        namespace=document.get("namespace"),
    )


def read_plain(data: bytes, key: str, namespace: str | None) -> Answer | MissReason:
    """Read the parts of a plain entry that a hit needs: response, timestamp and TTL.

    Args:
        data: The content of the file.
        key: The cache key that the entry must have.
        namespace: The reader's namespace.

    Returns:
        The three parts, or the reason why the entry cannot be used; ``UNDECRYPTABLE`` for an encrypted one.
    """
    document = parse(data)
    if not isinstance(document, dict):
        return document
    return MissReason.UNDECRYPTABLE if "token" in document else answer_in(document, data, key, namespace)


def answer_in(document: dict[str, Any], data: bytes, key: str, namespace: str | None) -> Answer | MissReason:
    """Read the parts of a plain entry that a hit needs: response, timestamp and TTL.

    The checks are those of :func:`decode_document`.

    Args:
        document: The result of :func:`parse`.
        data: The bytes that were parsed.
        key: The cache key that the entry must have.
        namespace: The reader's namespace.

    Returns:
        The three parts, or the reason why the entry cannot be used.
    """
    reason = _rejection(document, key, namespace)
    if reason is not None:
        return reason
    response = _response_of(document, data)
    if response is None:
        return MissReason.CORRUPT
    return response, document["timestamp"], document["ttl"]


def accept_edit(data: bytes) -> bytes | None:
    """Return a plain entry whose response was changed after it was stored, with the checksum of the present response.

    Args:
        data: The content of the file.

    Returns:
        The new content; None if the file is not such an entry, or something else is wrong with it.
    """
    document = parse(data)
    if isinstance(document, MissReason) or "token" in document or is_intact(document, data):
        return None
    accepted = with_new_checksum(document, data)
    if accepted is None or isinstance(
        decode_document(orjson.loads(accepted), accepted, None, None), MissReason
    ):
        return None
    return accepted


def other_version(document: dict[str, Any]) -> MissReason | None:
    """Return why this release cannot read the format of a document.

    Args:
        document: The result of :func:`parse`.

    Returns:
        ``CORRUPT``, ``OTHER_VERSION``, or None if the document has the current version.
    """
    version = document.get("schema")
    if type(version) is not int:
        return MissReason.CORRUPT
    return None if version in _READ_VERSIONS else MissReason.OTHER_VERSION


def describe(data: bytes, name: str) -> EntryMeta | MissReason:
    """Read the metadata that a listing shows. No encryption key is needed.

    Args:
        data: The content of the file.
        name: The file name without its extension.

    Returns:
        The metadata, or the reason why the file is not a readable entry.
    """
    document = parse(data)
    if isinstance(document, MissReason):
        return document
    wrong_version = other_version(document)
    if wrong_version is not None:
        return wrong_version
    try:
        well_formed = _has_metadata(document)
    except KeyError:
        well_formed = False
    if not well_formed:
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
    """Convert a request to JSON values for display.

    Args:
        request: The request.

    Returns:
        The JSON value, or None if the request cannot be converted. The response is stored in either case.
    """
    if request is None:
        return None
    try:
        return orjson.loads(orjson.dumps(request, default=_json_form))
    except (TypeError, RecursionError):
        return None


def _json_form(value: Any) -> Any:
    if type(value) is Base64Text:
        return str(value)
    if isinstance(value, bytes):
        return {"~bytes": b64encode(value).decode()}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    raise TypeError


def _response_of(document: dict[str, Any], data: bytes) -> dict[str, Any] | None:
    """Return the response of an entry; None if it was changed after it was stored, or edited so that there is none."""
    if not is_intact(document, data):
        return None
    others = document.get("response")
    if others is not None and document["schema"] == 1:
        # The first version repeats a response with unusual fields as a whole.
        whole: dict[str, Any] = others
        return whole
    try:
        if "texts" in document:
            restore_texts(document)
        absent = frozenset(document["absent"]) if "absent" in document else None
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
    response = {
        "content": document["content"],
        "stop_reason": document["stop_reason"],
        "usage": document["usage"],
    }
    for name in OPTIONAL:
        if name in document:
            response[name] = document[name]
    if others is not None:
        response |= others
    return {name: value for name, value in response.items() if name not in absent} if absent else response


def _rejection(document: dict[str, Any], key: str | None, namespace: str | None) -> MissReason | None:
    """Return why a plain entry does not match a key and a namespace, or None if it does."""
    version, stored_namespace = document.get("schema"), document.get("namespace")
    if type(version) is int and version not in _READ_VERSIONS:
        return MissReason.OTHER_VERSION
    try:
        stored_key = document["key"]
        if not (
            type(version) is int
            and _has_metadata(document)
            and type(stored_key) is str
            and type(stored_namespace) in _STR_OR_NONE
            and type(document.get("profile")) in _STR_OR_NONE
            and type(document["digests"]) is dict
            and "content" in document
            and "stop_reason" in document
            and "usage" in document
            and ("response" not in document or type(document["response"]) is dict)
        ):
            return MissReason.CORRUPT
    except KeyError:
        return MissReason.CORRUPT
    if key is not None and (stored_key != key or stored_namespace != namespace):
        return MissReason.WRONG_KEY
    return None


def _has_metadata(document: dict[str, Any]) -> bool:
    """Return whether the fields that every entry has in plain text have the right types; KeyError if one is missing."""
    # Values parsed from JSON have no subclasses, so comparing types is enough.
    timestamp, ttl = document["timestamp"], document["ttl"]
    return (
        type(timestamp) in _NUMBERS
        and 0 <= timestamp <= _LAST_TIMESTAMP
        and (ttl is None or type(ttl) in _NUMBERS)
        and type(document["provider"]) is str
        and type(document["model_id"]) is str
    )

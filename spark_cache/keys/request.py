"""A request -> its cache key: the SHA-256 of its canonical JSON."""

from __future__ import annotations

from functools import lru_cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from spark_cache.errors import UncacheableRequestError
from spark_cache.keys.canonical import canonical_bytes
from spark_cache.keys.memo import digest_of
from spark_cache.keys.messages import normalise_message
from spark_cache.keys.parameters import key_parameters
from spark_cache.types import CacheKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spark_cache.types import Request

__all__ = ["KEY_VERSION", "cache_key"]

KEY_VERSION = 1
"""The version of the canonical form; a change gives every request another key."""

_DIGEST_LENGTH = 16

_LISTS = (list, tuple)

_SHORT = frozenset({"cache_version", "endpoint", "model_id", "namespace", "operation", "provider", "version"})


def cache_key(
    request: Request,
    *,
    namespace: str | None = None,
    cache_version: str | None = None,
    digest: Callable[[str | bytes], str] = digest_of,
) -> CacheKey:
    """Key a request.

    Args:
        request: What is asked.
        namespace: Keeps the entries of one user of a shared directory apart from another's.
        cache_version: Changed by an application to leave all its earlier entries behind.
        digest: The SHA-256 of long values; a :class:`DigestMemo` remembers them.

    Returns:
        A key that is equal for requests that are equal in everything that can change the answer.

    Raises:
        UncacheableRequestError: The request holds something that cannot be keyed exactly.
    """
    for name, text in (("provider", request.provider), ("model_id", request.model_id)):
        if not isinstance(text, str):
            raise UncacheableRequestError(name, f"is a {type(text).__qualname__}; it takes text")
    parameters = key_parameters(request.parameters)
    # In the order of the names, so that the whole is what one canonical dump of it would give.
    fields: tuple[tuple[str, Any], ...] = (
        ("cache_version", cache_version),
        ("endpoint", request.endpoint),
        ("messages", _messages(request.messages)),
        ("model_id", request.model_id),
        ("namespace", namespace),
        ("operation", request.operation),
        ("output_schema", request.output_schema),
        ("parameters", parameters or None),
        ("provider", request.provider),
        ("sample", request.sample),
        ("system_prompt", request.system_prompt),
        ("tool_choice", request.tool_choice),
        ("tool_specs", request.tool_specs),
        ("version", KEY_VERSION),
    )
    parts = [
        _short_part(name, value)
        if name in _SHORT and type(value) is str
        else b'"%b":%b' % (name.encode(), canonical_bytes(value, name, digest))
        for name, value in fields
        if value is not None
    ]
    whole = b"{%b}" % b",".join(parts)
    # The names go into paths: a member of an enumeration counts as its text there too.
    provider, model_id = str.__str__(request.provider), str.__str__(request.model_id)
    return CacheKey(sha256(whole).hexdigest(), provider, model_id, partial(_part_digests, parts))


@lru_cache(maxsize=1024)
def _short_part(name: str, value: str) -> bytes:
    """The part of a field that takes few values and says nothing of the prompt: written once, and remembered."""
    return b'"%b":%b' % (name.encode(), canonical_bytes(value, name, digest_of))


def _messages(messages: Any) -> Any:
    if not isinstance(messages, _LISTS):
        return messages
    for message in messages:
        # Most conversations are plain texts all through: told apart without a call for each.
        if type(message) is not dict or type(message.get("content")) is not str:
            return [normalise_message(one) for one in messages]
    return messages


def _part_digests(parts: Sequence[bytes]) -> Mapping[str, str]:
    """A short digest of each part, to tell later in what two requests differ."""
    named = (part.partition(b":") for part in parts)
    return {name[1:-1].decode(): sha256(value).hexdigest()[:_DIGEST_LENGTH] for name, _, value in named}

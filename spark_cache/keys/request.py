"""The cache key of a request: the SHA-256 of its canonical JSON."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from spark_cache.errors import UncacheableRequestError
from spark_cache.keys.canonical import DIGEST_FROM, canonical_bytes
from spark_cache.keys.credentials import without_credentials
from spark_cache.keys.memo import digest_of
from spark_cache.keys.messages import normalise_message
from spark_cache.keys.parameters import key_parameters, simple_parameters
from spark_cache.types import CacheKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spark_cache.types import Request

__all__ = ["KEY_VERSION", "Frame", "are_plain_turns", "cache_key", "frame_of", "key_of"]

KEY_VERSION = 1
"""The version of the canonical form. A new version changes every key."""

_LAST = b'"version":%d}' % KEY_VERSION

_DIGEST_LENGTH = 16


def cache_key(
    request: Request,
    *,
    endpoint: str | None = None,
    namespace: str | None = None,
    cache_version: str | None = None,
    digest: Callable[[str | bytes], str] = digest_of,
) -> CacheKey:
    """Compute the cache key of a request.

    Args:
        request: The request.
        endpoint: The name to use instead of the request's endpoint. None uses the endpoint of the request.
        namespace: The namespace, which separates the entries of several users of a shared directory.
        cache_version: The cache version. An application changes it to abandon all earlier entries.
        digest: A function that returns the SHA-256 of long values. A :class:`spark_cache.keys.DigestMemo` caches them.

    Returns:
        A key that is equal for requests that are equal in everything that can change the response.

    Raises:
        UncacheableRequestError: The request contains a value that cannot be part of a cache key.
    """
    frame = frame_of(
        request.provider,
        request.model_id,
        request.operation,
        request.endpoint if endpoint is None else endpoint,
        namespace,
        cache_version,
    )
    return key_of(frame, digest, request)


class Frame(NamedTuple):
    """The short parts of a key that many requests share, encoded once.

    The pieces follow the order of the names. Together with the other parts between them, they equal one canonical dump.
    """

    provider: str
    model_id: str
    first: bytes
    second: bytes
    third: bytes
    digests: Mapping[str, str]


def frame_of(
    provider: str,
    model_id: str,
    operation: str,
    endpoint: str | None,
    namespace: str | None,
    cache_version: str | None,
) -> Frame:
    """Return the frame for requests with these parts.

    Args:
        provider: The provider.
        model_id: The model.
        operation: ``text``, ``json`` or ``embedding``.
        endpoint: The endpoint, or None for the provider's default.
        namespace: The namespace, or None.
        cache_version: The cache version, or None.

    Raises:
        UncacheableRequestError: The provider or the model is not a string, or a part has no canonical form.
    """
    for name, text in (("provider", provider), ("model_id", model_id)):
        if not isinstance(text, str):
            raise UncacheableRequestError(name, f"must be a str, not {type(text).__qualname__}")
    given = {
        "cache_version": cache_version,
        "endpoint": endpoint,
        "model_id": model_id,
        "namespace": namespace,
        "operation": operation,
        "provider": provider,
    }
    written = {
        name: canonical_bytes(value, name, digest_of) for name, value in given.items() if value is not None
    }

    def piece(*names: str) -> bytes:
        return b"".join([b'"%b":%b,' % (name.encode(), written[name]) for name in names if name in written])

    return Frame(
        # The names become part of paths, where a member of an enumeration must also count as its text.
        provider=str.__str__(provider),
        model_id=str.__str__(model_id),
        first=b"{" + piece("cache_version", "endpoint"),
        second=piece("model_id", "namespace", "operation"),
        third=piece("provider"),
        digests={name: _short_digest(value) for name, value in written.items()},
    )


def key_of(frame: Frame, digest: Callable[[str | bytes], str], request: Request) -> CacheKey:
    """Compute the cache key of a request from a prepared frame. The result is that of :func:`cache_key`.

    Args:
        frame: The shared parts.
        digest: A function that returns the SHA-256 of long values.
        request: The request.

    Raises:
        UncacheableRequestError: The request contains a value that cannot be part of a cache key.
    """
    messages, system_prompt, tool_specs = request.messages, request.system_prompt, request.tool_specs
    tool_choice, output_schema, sample = request.tool_choice, request.output_schema, request.sample
    parameters = request.parameters
    pieces = (
        [frame.first, frame.second]
        if messages is None
        else [frame.first, b'"messages":', _messages(messages, digest), b",", frame.second]
    )
    if output_schema is not None:
        pieces += (b'"output_schema":', canonical_bytes(output_schema, "output_schema", digest), b",")
    if parameters:
        written = _parameters(parameters, digest)
        if written is not None:
            pieces += (b'"parameters":', written, b",")
    pieces.append(frame.third)
    if sample is not None:
        pieces += (b'"sample":', canonical_bytes(sample, "sample", digest), b",")
    if system_prompt is not None:
        pieces += (b'"system_prompt":', canonical_bytes(system_prompt, "system_prompt", digest), b",")
    if tool_choice is not None:
        pieces += (b'"tool_choice":', canonical_bytes(tool_choice, "tool_choice", digest), b",")
    if tool_specs is not None:
        tools = without_credentials({"tools": tool_specs}, "keyed")["tools"]
        pieces += (b'"tool_specs":', canonical_bytes(tools, "tool_specs", digest), b",")
    pieces.append(_LAST)
    name = sha256(b"".join(pieces)).hexdigest()
    return CacheKey(name, frame.provider, frame.model_id, partial(_part_digests, frame.digests, pieces))


def are_plain_turns(messages: Any) -> bool:
    """Return whether a conversation is its own canonical form: dictionaries with a role and a short text, and nothing else.

    Most conversations are, and an agent keys a long one with every turn. Checking the whole conversation takes a third of the time
    that converting each message takes.

    Args:
        messages: The messages, of any type.
    """
    if type(messages) is not list and type(messages) is not tuple:
        return False
    try:
        for message in messages:
            if type(message) is not dict or len(message) != 2:  # noqa: PLR2004 - a role and a content
                return False
            role, content = message["role"], message["content"]
            if type(role) is not str or type(content) is not str:
                return False
            if len(content) >= DIGEST_FROM or len(role) >= DIGEST_FROM:
                return False
    except KeyError:
        return False
    return True


def _messages(messages: Any, digest: Callable[[str | bytes], str]) -> bytes:
    """Return the canonical form of a conversation."""
    if are_plain_turns(messages):
        try:
            return orjson.dumps(messages, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # A key or a string is not an ordinary one. The general function handles it, or raises an error with its path.
            return canonical_bytes(messages, "messages", digest)
    if isinstance(messages, list | tuple):
        messages = [normalise_message(message) for message in messages]
    return canonical_bytes(messages, "messages", digest)


def _parameters(parameters: Mapping[str, Any], digest: Callable[[str | bytes], str]) -> bytes | None:
    """Return the canonical form of the parameters that can change the response, or None if there are none."""
    simple = simple_parameters(parameters)
    if simple is not None:
        try:
            return orjson.dumps(simple, option=orjson.OPT_SORT_KEYS) if simple else None
        except TypeError:
            # A string is not an ordinary one, as in a conversation.
            pass
    keyed = key_parameters(parameters)
    return canonical_bytes(keyed, "parameters", digest) if keyed else None


def _part_digests(short: Mapping[str, str], pieces: Sequence[bytes]) -> Mapping[str, str]:
    """Return a short digest of each part, to find later where two requests differ."""
    # The value follows its name, and no value ends like a name.
    long = {
        name[1:-2].decode(): _short_digest(value) for name, value in pairwise(pieces) if name.endswith(b'":')
    }
    version = {"version": _short_digest(b"%d" % KEY_VERSION)}
    return dict(sorted({**short, **long, **version}.items()))


def _short_digest(value: bytes) -> str:
    return sha256(value).hexdigest()[:_DIGEST_LENGTH]

"""A request -> its cache key: the SHA-256 of its canonical JSON."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from spark_cache.errors import UncacheableRequestError
from spark_cache.keys.canonical import canonical_bytes
from spark_cache.keys.credentials import without_credentials
from spark_cache.keys.memo import digest_of
from spark_cache.keys.messages import are_plain_turns, normalise_message
from spark_cache.keys.parameters import key_parameters, simple_parameters
from spark_cache.types import CacheKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spark_cache.types import Request

__all__ = ["KEY_VERSION", "Frame", "cache_key", "frame_of", "key_of"]

KEY_VERSION = 1
"""The version of the canonical form; a change gives every request another key."""

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
    """Key a request.

    Args:
        request: What is asked.
        endpoint: The name that stands for the provider's address, whatever the request says; None is what it says.
        namespace: Keeps the entries of one user of a shared directory apart from another's.
        cache_version: Changed by an application to leave all its earlier entries behind.
        digest: The SHA-256 of long values; a :class:`DigestMemo` remembers them.

    Returns:
        A key that is equal for requests that are equal in everything that can change the answer.

    Raises:
        UncacheableRequestError: The request holds something that cannot be keyed exactly.
    """
    frame = frame_of(
        request.provider,
        request.model_id,
        request.operation,
        request.endpoint if endpoint is None else endpoint,
        namespace,
        cache_version,
    )
    return key_of(
        frame,
        digest,
        request.messages,
        request.system_prompt,
        request.tool_specs,
        request.tool_choice,
        request.output_schema,
        request.sample,
        request.parameters,
    )


class Frame(NamedTuple):
    """What a key holds beside the request's own words: short parts that many requests share, written once.

    In the order of the names, so that with the other parts between them the whole is what one canonical dump would give.
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
    """The frame of the keys of requests that have these parts.

    Raises:
        UncacheableRequestError: One of them is no text.
    """
    for name, text in (("provider", provider), ("model_id", model_id)):
        if not isinstance(text, str):
            raise UncacheableRequestError(name, f"is a {type(text).__qualname__}; it takes text")
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
        # The names go into paths: a member of an enumeration counts as its text there too.
        provider=str.__str__(provider),
        model_id=str.__str__(model_id),
        first=b"{" + piece("cache_version", "endpoint"),
        second=piece("model_id", "namespace", "operation"),
        third=piece("provider"),
        digests={name: _short_digest(value) for name, value in written.items()},
    )


def key_of(
    frame: Frame,
    digest: Callable[[str | bytes], str],
    messages: Any,
    system_prompt: Any,
    tool_specs: Any,
    tool_choice: Any,
    output_schema: Any,
    sample: int | None,
    parameters: Mapping[str, Any],
) -> CacheKey:
    """Key what is asked in a frame, as :func:`cache_key` does a request: to make a :class:`Request` takes half as long as the rest."""
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


def _messages(messages: Any, digest: Callable[[str | bytes], str]) -> bytes:
    """The canonical form of a conversation."""
    if are_plain_turns(messages):
        try:
            return orjson.dumps(messages, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # A name or a text in it is no ordinary one: the way of all other values says what becomes of it, and names its place.
            return canonical_bytes(messages, "messages", digest)
    if isinstance(messages, list | tuple):
        messages = [normalise_message(message) for message in messages]
    return canonical_bytes(messages, "messages", digest)


def _parameters(parameters: Mapping[str, Any], digest: Callable[[str | bytes], str]) -> bytes | None:
    """The canonical form of what can change the answer among the parameters; None where nothing can."""
    simple = simple_parameters(parameters)
    if simple is not None:
        try:
            return orjson.dumps(simple, option=orjson.OPT_SORT_KEYS) if simple else None
        except TypeError:
            # As in a conversation.
            pass
    keyed = key_parameters(parameters)
    return canonical_bytes(keyed, "parameters", digest) if keyed else None


def _part_digests(short: Mapping[str, str], pieces: Sequence[bytes]) -> Mapping[str, str]:
    """A short digest of each part, to tell later in what two requests differ."""
    # A name is followed by its value; no value ends like a name.
    long = {
        name[1:-2].decode(): _short_digest(value) for name, value in pairwise(pieces) if name.endswith(b'":')
    }
    version = {"version": _short_digest(b"%d" % KEY_VERSION)}
    return dict(sorted({**short, **long, **version}.items()))


def _short_digest(value: bytes) -> str:
    return sha256(value).hexdigest()[:_DIGEST_LENGTH]

"""The cache key of a request: the SHA-256 of its canonical JSON."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import orjson

from spark_cache.errors import UncacheableRequestError
from spark_cache.keys.canonical import canonical_bytes, is_exact
from spark_cache.keys.equivalences import keyed_body, simple_body
from spark_cache.keys.memo import digest_of
from spark_cache.types import CacheKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.keys.canonical import Digest
    from spark_cache.types import Request

__all__ = ["KEY_VERSION", "Frame", "cache_key", "frame_of", "key_of"]

KEY_VERSION = 2
"""The version of the canonical form. A new version changes every key."""

_LAST = b'"version":%d}' % KEY_VERSION

_DIGEST_LENGTH = 16


def cache_key(
    request: Request,
    *,
    endpoint: str | None = None,
    namespace: str | None = None,
    cache_version: str | None = None,
    digest: Digest = digest_of,
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

    The pieces follow the order of the names. With the body before them and the other parts between them, they equal one canonical
    dump. ``rest`` is what follows the body of a request without other parts.
    """

    provider: str
    model_id: str
    first: bytes
    second: bytes
    rest: bytes
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
    # The names become part of paths, where a member of an enumeration must also count as its text.
    provider, model_id = str.__str__(provider), str.__str__(model_id)
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

    first = b"," + piece("cache_version", "endpoint")
    second = piece("model_id", "namespace", "operation", "provider")
    return Frame(
        provider=provider,
        model_id=model_id,
        first=first,
        second=second,
        rest=first + second + _LAST,
        digests={name: _short_digest(value) for name, value in written.items()},
    )


def key_of(frame: Frame, digest: Digest, request: Request) -> CacheKey:
    """Compute the cache key of a request from a prepared frame. The result is that of :func:`cache_key`.

    Args:
        frame: The shared parts.
        digest: A function that returns the SHA-256 of long values.
        request: The request.

    Raises:
        UncacheableRequestError: The request contains a value that cannot be part of a cache key.
    """
    body, headers, query, sample = _body(request, digest), request.headers, request.query, request.sample
    if headers or query or sample is not None:
        others = {
            name: b'"%b":%b,' % (name.encode(), canonical_bytes(value, name, digest))
            for name, value in (("headers", headers or None), ("query", query or None), ("sample", sample))
            if value is not None
        }
        rest = (
            frame.first
            + others.get("headers", b"")
            + frame.second
            + others.get("query", b"")
            + others.get("sample", b"")
            + _LAST
        )
    else:
        rest = frame.rest
    name = sha256(b'{"body":' + body + rest).hexdigest()
    return CacheKey(name, frame.provider, frame.model_id, partial(_part_digests, frame, digest, request))


def _body(request: Request, digest: Digest) -> bytes:
    """Return the canonical form of a body."""
    simple = simple_body(request, digest)
    if simple is not None:
        try:
            return orjson.dumps(simple, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # A string has no UTF-8 form. The general function raises an error with its path.
            pass
    return canonical_bytes(keyed_body(request), "body", digest)


def _part_digests(frame: Frame, digest: Digest, request: Request) -> Mapping[str, str]:
    """Return a short digest of each part, to find later where two requests differ. Each field of the body is a part."""
    parts = {
        **{f"body.{name}": (name, value) for name, value in keyed_body(request).items()},
        **{name: (name, getattr(request, name)) for name in ("headers", "query", "sample")},
        "version": ("version", KEY_VERSION),
    }
    long = {
        path: _short_digest(canonical_bytes(value, path, digest, exact=is_exact(name)))
        for path, (name, value) in parts.items()
        if value is not None and value != {}
    }
    return dict(sorted({**frame.digests, **long}.items()))


def _short_digest(value: bytes) -> str:
    return sha256(value).hexdigest()[:_DIGEST_LENGTH]

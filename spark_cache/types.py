"""Small types used throughout the package."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Base64Text", "CacheKey", "EntryMeta", "MissReason", "Mode", "Request"]

CLOCK_SKEW = 300.0
"""How far ahead of the reader's clock a timestamp may be, in seconds. Machines that share a directory disagree slightly."""


class Mode(StrEnum):
    """The cache mode of a call."""

    READ_WRITE = "read-write"
    """Read from the cache. On a miss, call the provider and store the response."""
    READ_ONLY = "read-only"
    """Read from the cache. On a miss, call the provider. Write nothing."""
    REFRESH = "refresh"
    """Call the provider and replace the stored response."""
    REPLAY = "replay"
    """Read from the cache, regardless of age. On a miss, raise ``CacheMissError``. Write nothing."""
    BYPASS = "bypass"
    """Neither read from the cache nor write to it."""

    @property
    def reads(self) -> bool:
        """Whether this mode reads from the cache."""
        return self in _READING

    @property
    def writes(self) -> bool:
        """Whether this mode stores responses."""
        return self in _WRITING


_READING = frozenset({Mode.READ_WRITE, Mode.READ_ONLY, Mode.REPLAY})
_WRITING = frozenset({Mode.READ_WRITE, Mode.REFRESH})


class MissReason(StrEnum):
    """The reason for a cache miss."""

    ABSENT = "absent"
    """No entry has this key."""
    EXPIRED = "expired"
    """The entry is older than its own TTL or the reader's TTL."""
    DISABLED = "disabled"
    """The cache is off."""
    BYPASSED = "bypassed"
    """The mode does not read."""
    NO_TTL = "no_ttl"
    """The TTL is 0, so the cache is neither read nor written."""
    UNCACHEABLE = "uncacheable"
    """The request contains a value that cannot be part of a cache key."""
    STATEFUL = "stateful"
    """The response depends on state at the provider."""
    SENSITIVE = "sensitive"
    """The request is sensitive and encryption is not available."""
    CORRUPT = "corrupt"
    """The file is empty, truncated, not JSON, or JSON with a different structure."""
    OTHER_VERSION = "other_version"
    """The entry has a format version that this release does not support."""
    WRONG_KEY = "wrong_key"
    """The entry belongs to a different request: it was moved, renamed or edited."""
    FUTURE = "future"
    """The timestamp of the entry is more than five minutes ahead of the clock."""
    NOT_A_FILE = "not_a_file"
    """The path of the entry is not a regular file."""
    TOO_LARGE = "too_large"
    """The file exceeds the size limit for entries."""
    UNREADABLE = "unreadable"
    """The store could not read the entry."""
    UNDECRYPTABLE = "undecryptable"
    """No available encryption key decrypts the entry, or the entry was tampered with."""
    UNSUITABLE = "unsuitable"
    """The entry is intact but does not suit this call: it was streamed without usage, or its response is no longer valid."""
    PLAIN_REFUSED = "plain_refused"
    """The entry is not encrypted, but encryption is required."""


class Base64Text:
    """Bytes that are sent as text: a prefix and the bytes in Base64. The text is made only when it is needed.

    An image is then keyed by the digest of bytes that were hashed before, and nothing of it is copied on a hit.

    Args:
        data: The bytes.
        prefix: The text in front, such as ``data:image/png;base64,``.
        urlsafe: Whether the alphabet for URLs is used.
    """

    __slots__ = ("data", "prefix", "urlsafe")

    def __init__(self, data: bytes, prefix: str = "", *, urlsafe: bool = False) -> None:
        self.data = data
        self.prefix = prefix
        self.urlsafe = urlsafe

    def __str__(self) -> str:
        encode = urlsafe_b64encode if self.urlsafe else b64encode
        return self.prefix + encode(self.data).decode()

    def __repr__(self) -> str:
        return f"Base64Text({len(self.data)} bytes)"


class Request(NamedTuple):
    """A model request: what goes over the wire.

    Attributes:
        provider: The provider, such as ``openai``.
        model_id: The model.
        body: The provider's own JSON body without the model, as plain values. A :class:`Base64Text` stands for the text of encoded bytes. A
            provider that the library does not know has the arguments of the call by their names instead.
        operation: ``text``, ``json`` or ``embedding``.
        endpoint: The base URL. None means the provider's default.
        headers: The headers that can change the response, with names in lower case.
        query: The query parameters that can change the response.
        sample: The number of this request among several equal ones.
        options: What the SDK's function takes besides the body, such as a timeout. It is not part of the key. What
            ``extra_body`` adds is in the body already.
    """

    provider: str
    model_id: str
    body: Mapping[str, Any]
    operation: str = "text"
    endpoint: str | None = None
    headers: Mapping[str, Any] = MappingProxyType({})
    query: Mapping[str, Any] = MappingProxyType({})
    sample: int | None = None
    options: Mapping[str, Any] = MappingProxyType({})

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only mapping cannot be pickled or copied.
        return Request, tuple(dict(part) if isinstance(part, MappingProxyType) else part for part in self)

    def __repr__(self) -> str:
        return f"Request({self.provider}/{self.model_id}, {self.operation})"


class CacheKey(str):
    """A cache key: a string of 64 hex digits with the provider, the model and the digests of its request.

    It compares and hashes like the plain string. Neither its ``repr`` nor its pickle contains prompt text.
    """

    __slots__ = ("_digests", "model_id", "provider")

    provider: str
    model_id: str
    _digests: Mapping[str, str] | Callable[[], Mapping[str, str]]

    def __new__(
        cls,
        value: str,
        provider: str,
        model_id: str,
        digests: Mapping[str, str] | Callable[[], Mapping[str, str]],
    ) -> Self:
        """Create a key.

        Args:
            value: The 64 hex digits.
            provider: The provider of the request.
            model_id: The model of the request.
            digests: The digest of each part of the request, or a function that computes them.
        """
        self = super().__new__(cls, value)
        self.provider = provider
        self.model_id = model_id
        self._digests = digests
        return self

    @property
    def digests(self) -> Mapping[str, str]:
        """The digest of each part of the request (``body.messages``, ``body.temperature``, …), computed on first access."""
        if callable(self._digests):
            self._digests = self._digests()
        return self._digests

    def __reduce__(self) -> tuple[Any, ...]:
        return (CacheKey, (str(self), self.provider, self.model_id, dict(self.digests)))


class EntryMeta(NamedTuple):
    """The metadata of an entry, as shown in listings.

    Attributes:
        name: The file name of the entry without its extension.
        provider: The provider of the request.
        model_id: The model of the request.
        size_bytes: The size of the file in bytes.
        timestamp: When the response was stored, in seconds since the epoch.
        ttl: The TTL in seconds. None means that the entry never expires.
        encrypted: Whether the entry is encrypted.
    """

    name: str
    provider: str
    model_id: str
    size_bytes: int
    timestamp: float
    ttl: float | None
    encrypted: bool

    def expired(self, now: float) -> bool:
        """Return whether the entry has expired by its own TTL.

        Args:
            now: The current time, in seconds since the epoch.
        """
        return self.ttl is not None and now - self.timestamp >= self.ttl

"""The small values that the rooms share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CacheKey", "EntryMeta", "MissReason", "Mode", "Request"]


class Mode(StrEnum):
    """What a call may do with the cache."""

    READ_WRITE = "read-write"
    """Answer from the cache, else call the provider and store its answer."""
    READ_ONLY = "read-only"
    """Answer from the cache, else call the provider; write nothing at all."""
    REFRESH = "refresh"
    """Call the provider and store its answer over the old one."""
    REPLAY = "replay"
    """Answer from the cache whatever its age, else raise ``CacheMissError``; write nothing at all."""
    BYPASS = "bypass"
    """Neither read nor write."""

    @property
    def reads(self) -> bool:
        """Whether the cache may answer."""
        return self in _READING

    @property
    def writes(self) -> bool:
        """Whether answers are stored."""
        return self in _WRITING


_READING = frozenset({Mode.READ_WRITE, Mode.READ_ONLY, Mode.REPLAY})
_WRITING = frozenset({Mode.READ_WRITE, Mode.REFRESH})


class MissReason(StrEnum):
    """Why the cache did not answer."""

    ABSENT = "absent"
    """No entry has this key."""
    EXPIRED = "expired"
    """The entry is older than its own lifetime, or than the reader's."""
    DISABLED = "disabled"
    """The cache is off."""
    BYPASSED = "bypassed"
    """The mode does not read."""
    NO_TTL = "no_ttl"
    """The time to live is 0: neither read nor stored."""
    UNCACHEABLE = "uncacheable"
    """The request holds something that cannot be keyed exactly."""
    STATEFUL = "stateful"
    """The answer depends on state that the provider keeps."""
    SENSITIVE = "sensitive"
    """The request is sensitive and no encryption is available for it."""
    CORRUPT = "corrupt"
    """The entry is empty, truncated, not JSON, or JSON of another shape."""
    OTHER_VERSION = "other_version"
    """The entry was written in a format this release does not know."""
    WRONG_KEY = "wrong_key"
    """The entry belongs to another request: it was moved, renamed or edited."""
    FUTURE = "future"
    """The entry is dated more than five minutes ahead of the clock."""
    NOT_A_FILE = "not_a_file"
    """Something else than a regular file stands in the entry's place."""
    TOO_LARGE = "too_large"
    """The file is larger than any entry this release reads."""
    UNREADABLE = "unreadable"
    """The store failed to read."""
    UNDECRYPTABLE = "undecryptable"
    """No key at hand opens the entry, or it was tampered with."""
    UNSUITABLE = "unsuitable"
    """The entry is whole and does not serve this call: it was streamed without its usage, or its answer is no longer valid."""
    PLAIN_REFUSED = "plain_refused"
    """The entry is plain text where encryption is required."""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """Everything about a model request that can change its answer.

    Attributes:
        provider: The provider it is asked of, such as ``openai``.
        model_id: The model it is asked of.
        messages: The conversation, in our own form or the provider's.
        system_prompt: System instructions beside the messages.
        tool_specs: The tools the model may call.
        tool_choice: Which of them it should call.
        output_schema: The schema that a structured answer has to meet.
        operation: ``text``, ``json`` or ``embedding``.
        endpoint: The provider's address; None is the provider's own.
        sample: Which of several equal requests this is.
        parameters: Whatever else goes to the provider.
    """

    provider: str
    model_id: str
    messages: Any
    system_prompt: Any = None
    tool_specs: Any = None
    tool_choice: Any = None
    output_schema: Any = None
    operation: str = "text"
    endpoint: str | None = None
    sample: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


class CacheKey(str):
    """A cache key: 64 hex digits that also know which request they stand for.

    Equal to, and hashed like, the plain ``str`` of its digits. Holds no prompt text in its ``repr`` and none when pickled.
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
        """Make a key of its digits, and the digests of its parts or a function that computes them."""
        self = super().__new__(cls, value)
        self.provider = provider
        self.model_id = model_id
        self._digests = digests
        return self

    @property
    def digests(self) -> Mapping[str, str]:
        """The digest of each part of the request (``messages``, ``parameters``, …), computed when first asked for."""
        if callable(self._digests):
            self._digests = self._digests()
        return self._digests

    def __reduce__(self) -> tuple[Any, ...]:
        return (CacheKey, (str(self), self.provider, self.model_id, dict(self.digests)))


@dataclass(frozen=True, slots=True)
class EntryMeta:
    """What a listing shows of an entry.

    Attributes:
        name: The entry's file name without its ending.
        provider: The provider it was asked of.
        model_id: The model it was asked of.
        size_bytes: The length of the file.
        timestamp: When the answer was stored, in seconds since the epoch.
        ttl: How long it may live, in seconds; None is for ever.
        encrypted: Whether its content is readable only with a key.
    """

    name: str
    provider: str
    model_id: str
    size_bytes: int
    timestamp: float
    ttl: float | None
    encrypted: bool

    def expired(self, now: float) -> bool:
        """Whether its own lifetime is over at ``now``, in seconds since the epoch."""
        return self.ttl is not None and now - self.timestamp >= self.ttl

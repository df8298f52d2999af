"""The exceptions of this library.

::

    SparkCacheError
    ├── ConfigError (ValueError)              the configuration is not valid
    ├── UncacheableRequestError (TypeError)   a request cannot be part of a cache key
    ├── UncacheableResponseError (TypeError)  a response cannot be stored without change
    ├── CacheMissError (LookupError)          a cache miss in replay mode
    ├── InvalidAnswerError (ValueError)       a structured response does not match its schema
    ├── StoreError                            a store cannot read or write
    └── TurnLimitError (RuntimeError)         an agent reached its turn limit

Every exception has attributes with its details and can be pickled. Errors from a provider's SDK are never wrapped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = [
    "CacheMissError",
    "ConfigError",
    "InvalidAnswerError",
    "Problem",
    "SparkCacheError",
    "StoreError",
    "TurnLimitError",
    "UncacheableRequestError",
    "UncacheableResponseError",
]


class SparkCacheError(Exception):
    """The base class of all exceptions of this library."""


class Problem(NamedTuple):
    """A problem in a configuration.

    Attributes:
        message: What is wrong, what is accepted, and how to fix it. It never contains the value of a secret.
        source: The source of the value: the path of a file or of a ``.env`` file, ``environment``, or ``constructor``.
        line: The line in that file, counted from 1.
        key: The name as written in the source (``SPARK_CACHE_TTL``, ``cache.ttl``).
    """

    message: str
    source: str | None = None
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        """Return one line: ``source:line: key: message``."""
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigError(SparkCacheError, ValueError):
    """The configuration is not valid.

    Attributes:
        problems: All problems, not only the first.
    """

    def __init__(self, problems: Iterable[Problem] | str) -> None:
        listed = (Problem(problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__(listed)
        self.problems: tuple[Problem, ...] = listed

    def __str__(self) -> str:
        """Return the only problem, or a list with one problem on each line."""
        if len(self.problems) == 1:
            return str(self.problems[0])
        return "\n".join([f"{len(self.problems)} problems:", *(f"  {problem}" for problem in self.problems)])


class UncacheableRequestError(SparkCacheError, TypeError):
    """A request contains a value that cannot be part of a cache key, so the request is not cached.

    Attributes:
        path: The path of the value, such as ``parameters.metadata.fn``.
        reason: What is wrong with the value. It never contains the value.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        """Return ``path: reason``."""
        return f"{self.path}: {self.reason}"


class UncacheableResponseError(SparkCacheError, TypeError):
    """A response cannot be stored, because reading it back would not give an equal response.

    Attributes:
        reason: What is wrong with the response. It never contains the response.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_RECORD = "Record the response with SPARK_CACHE_MODE=read-write."

_REMEDIES = {
    "bypassed": "Remove cache='bypass'.",
    "corrupt": "Record the response again with SPARK_CACHE_MODE=refresh.",
    "disabled": "Turn on the cache with SPARK_ENABLE_CACHE=true.",
    "no_ttl": "Set a TTL other than 0 with SPARK_CACHE_TTL.",
    "sensitive": "Turn on encryption and set an encryption key with SPARK_CACHE_ENCRYPTION_KEY.",
    "stateful": "Such requests are never recorded.",
    "uncacheable": "Such requests are never recorded.",
    "undecryptable": "Set the encryption key of the recording with SPARK_CACHE_ENCRYPTION_KEY.",
}
"""The advice for misses that recording does not fix."""


class CacheMissError(SparkCacheError, LookupError):
    """A cache miss in replay mode, which does not call the provider.

    Attributes:
        reason: The reason for the miss, a :class:`spark_cache.MissReason` value.
        provider: The provider of the request.
        model_id: The model of the request.
        key: The name of the missing entry, or None if the request has no key.
        detail: Further details, such as the path of the value that cannot be part of a cache key.
        explanation: The closest entries and how they differ, a :class:`spark_cache.explain.Explanation`. None if no search
            was made.
    """

    def __init__(
        self,
        reason: str,
        provider: str,
        model_id: str,
        key: str | None = None,
        detail: str | None = None,
        explanation: object = None,
    ) -> None:
        super().__init__(reason, provider, model_id, key, detail, explanation)
        self.reason = reason
        self.provider = provider
        self.model_id = model_id
        self.key = key
        self.detail = detail
        self.explanation = explanation

    def __str__(self) -> str:
        """Return the model, the reason and a remedy, followed by the explanation."""
        name = "" if self.key is None else f" key {self.key[:12]}…"
        detail = "" if self.detail is None else f" ({self.detail})"
        message = (
            f"cache miss in replay mode for {self.provider}/{self.model_id}{name}: "
            f"{self.reason}{detail}. {_REMEDIES.get(self.reason, _RECORD)}"
        )
        return message if self.explanation is None else f"{message}\n{self.explanation}"


class InvalidAnswerError(SparkCacheError, ValueError):
    """The response to ``get_json`` does not match the schema. It is not stored.

    Attributes:
        reason: Where and how the response departs from the schema. It never quotes the response.
        response: The full response, a :class:`spark_cache.ModelResponse`.
    """

    def __init__(self, reason: str, response: Any) -> None:
        super().__init__(reason, response)
        self.reason = reason
        self.response = response

    def __str__(self) -> str:
        """Return what is wrong and where to find the response."""
        return f"the response does not match the schema: {self.reason}. The full response is in .response"


class StoreError(SparkCacheError):
    """An operation on a store failed. A model call continues without the store.

    Attributes:
        operation: The operation that failed, such as ``read``, ``write``, ``remove`` or ``list``.
        cause: The name of an I/O error, such as ``ENOSPC``, or a short description.
    """

    def __init__(self, operation: str, cause: str) -> None:
        super().__init__(operation, cause)
        self.operation = operation
        self.cause = cause

    def __str__(self) -> str:
        """Return ``cannot OPERATION: cause``."""
        return f"cannot {self.operation}: {self.cause}"


class TurnLimitError(SparkCacheError, RuntimeError):
    """An agent reached its turn limit while its model was still calling tools.

    Attributes:
        agent: The name of the agent.
        max_turns: The turn limit, which is the number of model calls made.
    """

    def __init__(self, agent: str, max_turns: int) -> None:
        super().__init__(agent, max_turns)
        self.agent = agent
        self.max_turns = max_turns

    def __str__(self) -> str:
        """Return the agent, its limit and a remedy."""
        return (
            f"agent {self.agent!r} has no answer after {self.max_turns} turns: its model is still calling tools. "
            "Raise max_turns, or give the agent fewer tools"
        )

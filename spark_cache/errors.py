"""Every exception this library raises, in one tree.

::

    SparkCacheError
    ├── ConfigError (ValueError)              the configuration cannot be used
    ├── UncacheableRequestError (TypeError)   a request cannot be keyed exactly
    ├── UncacheableResponseError (TypeError)  a response cannot be given back equal
    ├── CacheMissError (LookupError)          replay mode, and the answer is not in the cache
    ├── InvalidAnswerError (ValueError)       a structured answer does not meet its schema
    ├── StoreError                            a store could not read or write
    └── TurnLimitError (RuntimeError)         an agent's model goes on calling tools

Each carries what it knows as attributes, and survives pickling. A provider's own errors are never wrapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    """The base of every error raised by this library."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration.

    Attributes:
        message: What is wrong, what would be accepted, and the way out; never a secret's value.
        source: Where the value came from: a file's path, ``environment``, ``.env`` path, ``constructor``.
        line: The line in that file, counted from 1.
        key: The name as it was written there (``SPARK_CACHE_TTL``, ``cache.ttl``).
    """

    message: str
    source: str | None = None
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        """One line: ``source:line: key: message``."""
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigError(SparkCacheError, ValueError):
    """The configuration cannot be used.

    Attributes:
        problems: Everything that is wrong, all at once.
    """

    def __init__(self, problems: Iterable[Problem] | str) -> None:
        listed = (Problem(problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__(listed)
        self.problems: tuple[Problem, ...] = listed

    def __str__(self) -> str:
        """The problem itself, or a numbered-by-lines list of all of them."""
        if len(self.problems) == 1:
            return str(self.problems[0])
        return "\n".join([f"{len(self.problems)} problems:", *(f"  {problem}" for problem in self.problems)])


class UncacheableRequestError(SparkCacheError, TypeError):
    """A request holds something that cannot be keyed exactly, so it is not cached.

    Attributes:
        path: Where it stands, such as ``parameters.metadata.fn``.
        reason: What is wrong with it; never the value itself.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        """``path: reason``."""
        return f"{self.path}: {self.reason}"


class UncacheableResponseError(SparkCacheError, TypeError):
    """A response cannot be stored so that an equal one comes back.

    Attributes:
        reason: What is wrong with it; never the value itself.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_RECORD = "Record it with SPARK_CACHE_MODE=read-write."

_WAYS_OUT = {
    "bypassed": "Leave out cache='bypass'.",
    "disabled": "Turn the cache on with SPARK_ENABLE_CACHE=true.",
    "no_ttl": "Give it a time to live other than 0, with SPARK_CACHE_TTL.",
    "sensitive": "Turn encryption on, and give a key with SPARK_CACHE_ENCRYPTION_KEY.",
    "stateful": "Such a request is never recorded.",
    "uncacheable": "Such a request is never recorded.",
    "undecryptable": "Give the key that it was recorded with, with SPARK_CACHE_ENCRYPTION_KEY.",
}
"""What helps against a miss that recording does not help against."""


class CacheMissError(SparkCacheError, LookupError):
    """Replay mode: the answer would have to come from the provider, and may not.

    Attributes:
        reason: Why the cache could not answer (a :class:`spark_cache.MissReason` value).
        provider: The provider that would have been called.
        model_id: The model that would have been called.
        key: The name of the entry that would have answered, where there is one.
        detail: What else is known, such as the path of the value that cannot be keyed.
        explanation: What would have answered, and in what it differs: a :class:`spark_cache.explain.Explanation`; None where
            nobody looked.
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
        """What was asked of whom, and why the cache has no answer; the explanation below it."""
        name = "" if self.key is None else f" key {self.key[:12]}…"
        detail = "" if self.detail is None else f" ({self.detail})"
        message = (
            f"replay mode, and the cache has no answer for {self.provider}/{self.model_id}{name}: "
            f"{self.reason}{detail}. {_WAYS_OUT.get(self.reason, _RECORD)}"
        )
        return message if self.explanation is None else f"{message}\n{self.explanation}"


class InvalidAnswerError(SparkCacheError, ValueError):
    """The model's answer is not what ``get_json`` was asked for; it is not stored.

    Attributes:
        reason: Where the answer departs from the schema, and how; never what it says.
        response: The whole answer, a :class:`spark_cache.ModelResponse`.
    """

    def __init__(self, reason: str, response: Any) -> None:
        super().__init__(reason, response)
        self.reason = reason
        self.response = response

    def __str__(self) -> str:
        """What is wrong, and where the answer is."""
        return f"the answer is not what was asked for: {self.reason}. The whole answer is in .response"


class StoreError(SparkCacheError):
    """A store could not do what was asked of it; a model call goes on without it.

    Attributes:
        operation: ``read``, ``write``, ``remove`` or ``list``.
        cause: The machine's own word for it, such as ``ENOSPC``, or a short sentence.
    """

    def __init__(self, operation: str, cause: str) -> None:
        super().__init__(operation, cause)
        self.operation = operation
        self.cause = cause

    def __str__(self) -> str:
        """``cannot OPERATION: cause``."""
        return f"cannot {self.operation}: {self.cause}"


class TurnLimitError(SparkCacheError, RuntimeError):
    """An agent asked its model as often as it may for one question, and the model goes on calling tools.

    Attributes:
        agent: The agent's name.
        max_turns: How often it asked.
    """

    def __init__(self, agent: str, max_turns: int) -> None:
        super().__init__(agent, max_turns)
        self.agent = agent
        self.max_turns = max_turns

    def __str__(self) -> str:
        """Who gave up when, and the way out."""
        return (
            f"the agent {self.agent!r} has no answer after {self.max_turns} turns, and its model goes on calling tools. "
            "Give it more with max_turns, or fewer tools"
        )

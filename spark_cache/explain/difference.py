"""What an explanation is made of."""

from __future__ import annotations

from dataclasses import dataclass
from time import gmtime, strftime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spark_cache.types import MissReason

__all__ = ["Difference", "Explanation", "Neighbour"]

_LISTED = 10
"""How many differences the text of an explanation lists."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two requests differ.

    Attributes:
        path: Where: ``parameters.temperature``, ``messages[3].content[0].text``, or a whole part of the request.
        text: How, from the stored one to the one that was asked: ``0.7 -> 0.9``.
    """

    path: str
    text: str

    def __str__(self) -> str:
        """``path: text``."""
        return f"{self.path}: {self.text}"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The entry that a request comes nearest to.

    Attributes:
        name: The name of its file.
        provider: Its provider.
        model_id: Its model.
        timestamp: When it was stored, in seconds since the epoch.
    """

    name: str
    provider: str
    model_id: str
    timestamp: float

    def __str__(self) -> str:
        """The beginning of its name, its model, and when it was stored, in UTC."""
        stored = strftime("%Y-%m-%d %H:%M:%S", gmtime(self.timestamp))
        return f"{self.name[:12]} ({self.provider}/{self.model_id}, stored {stored} UTC)"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the cache has no answer to a request, or that it has one. ``str()`` is for people.

    Attributes:
        provider: The provider that was asked; None where nothing is known of the request.
        model_id: The model that was asked, likewise.
        reason: Why it missed; None when the cache has the answer.
        summary: The same in a sentence or two.
        name: The name of the entry that answers, or would.
        nearest: The entry that comes nearest, where none has the key.
        differences: In what the two requests differ; of an encrypted one only the parts are named.
        hints: Usual causes of such differences, and the ways out.
        notes: What could not be looked at.
    """

    provider: str | None
    model_id: str | None
    reason: MissReason | None
    summary: str
    name: str | None = None
    nearest: Neighbour | None = None
    differences: tuple[Difference, ...] = ()
    hints: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The summary, the nearest entry with the differences one a line, the hints and the notes."""
        lines = [self.summary]
        if self.nearest is not None:
            lines += [f"The nearest entry is {self.nearest}. From it to this request:"]
            lines += [f"  {difference}" for difference in self.differences[:_LISTED]]
            if len(self.differences) > _LISTED:
                lines.append(f"  and {len(self.differences) - _LISTED} more")
        lines += [f"Hint: {hint}" for hint in self.hints]
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)

"""The parts of an explanation."""

from __future__ import annotations

from dataclasses import dataclass
from time import gmtime, strftime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spark_cache.types import MissReason

__all__ = ["Difference", "Explanation", "Neighbour"]

_LISTED = 10
"""The most differences that the text of an explanation lists."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between two requests.

    Attributes:
        path: The place, such as ``body.temperature`` or ``body.messages[3].content[0].text``, or a whole part of the request.
        text: The change from the stored request to the explained one, such as ``0.7 -> 0.9``.
    """

    path: str
    text: str

    def __str__(self) -> str:
        """Return ``path: text``."""
        return f"{self.path}: {self.text}"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The entry whose request is most similar to the explained one.

    Attributes:
        name: The name of the entry.
        provider: The provider of the entry.
        model_id: The model of the entry.
        timestamp: The time when the entry was stored, in seconds since the epoch.
    """

    name: str
    provider: str
    model_id: str
    timestamp: float

    def __str__(self) -> str:
        """Return the first 12 characters of the name, the model, and the time of storage in UTC."""
        stored = strftime("%Y-%m-%d %H:%M:%S", gmtime(self.timestamp))
        return f"{self.name[:12]} ({self.provider}/{self.model_id}, stored {stored} UTC)"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a request missed, or that the cache has a response. ``str()`` returns readable text.

    Attributes:
        provider: The provider of the request, or None if nothing is known of the request.
        model_id: The model of the request, or None if nothing is known of the request.
        reason: The reason for the miss, or None if the cache has the response.
        summary: The reason in one or two sentences.
        name: The name of the request's entry, even if the entry does not exist.
        nearest: The nearest entry, if no entry has the key.
        differences: The differences between the two requests. If one is encrypted, only the names of the parts.
        hints: The usual causes of such differences, and how to avoid them.
        notes: What could not be compared.
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
        """Return the summary, the nearest entry, the differences one per line, the hints and the notes."""
        lines = [self.summary]
        if self.nearest is not None:
            lines += [f"The nearest entry is {self.nearest}. Changes from it to this request:"]
            lines += [f"  {difference}" for difference in self.differences[:_LISTED]]
            if len(self.differences) > _LISTED:
                lines.append(f"  and {len(self.differences) - _LISTED} more")
        lines += [f"Hint: {hint}" for hint in self.hints]
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)

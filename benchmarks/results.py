"""The results of a run: a value for each round, and the reasons why something was not measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CapRun", "Growth", "Results", "Series"]


@dataclass(frozen=True, slots=True)
class Series:
    """A figure that is measured once in each round.

    Attributes:
        values: The values in seconds, or ratios, in the order of the rounds.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    @property
    def low(self) -> float:
        """The minimum of the rounds."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The maximum of the rounds."""
        return max(self.values)

    def over(self, other: Series) -> Series:
        """Return the ratio to another figure in each round, so that a temporarily slow machine affects both.

        Args:
            other: The other figure.
        """
        return self._with(other, lambda mine, theirs: mine / theirs)

    def plus(self, other: Series, times: int = 1) -> Series:
        """Return the sum with a multiple of another figure in each round.

        Args:
            other: The other figure.
            times: The factor of the other figure.
        """
        return self._with(other, lambda mine, theirs: mine + times * theirs)

    def scaled(self, factor: float) -> Series:
        """Return the figure in another unit.

        Args:
            factor: The factor of each value.
        """
        return Series(tuple(value * factor for value in self.values))

    def _with(self, other: Series, join: Callable[[float, float], float]) -> Series:
        return Series(tuple(join(*pair) for pair in zip(self.values, other.values, strict=True)))


@dataclass(frozen=True, slots=True)
class CapRun:
    """Puts into a cache that is at its size cap.

    Attributes:
        seconds: The time of every put.
        size_over_cap: The size of the cache at the end as a fraction of its cap; None if it has no cap.
    """

    seconds: tuple[float, ...]
    size_over_cap: float | None

    def share(self, part: float) -> float:
        """Return a quantile of the times, in seconds.

        Args:
            part: The fraction of the puts that did not take longer: 0.5 for the median.
        """
        return sorted(self.seconds)[min(int(part * len(self.seconds)), len(self.seconds) - 1)]


@dataclass(frozen=True, slots=True)
class Growth:
    """The results at one number of entries.

    Attributes:
        figures: The figures, by name and contender.
        first_count: The time of the first count after opening the cache in a new process, in seconds, by contender.
        caps: The puts at the size cap, by contender.
    """

    figures: dict[str, dict[str, Series]] = field(default_factory=dict)
    first_count: dict[str, float] = field(default_factory=dict)
    caps: dict[str, CapRun] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a run.

    Attributes:
        entries: The number of entries in each cache when calls were measured.
        calls: The seconds per call, by row and contender.
        embeddings: The seconds per text, by row and contender.
        growth: The results by number of entries.
        imports: The seconds that an import adds to the startup of Python, by statement.
        missing: The reason why something was not measured, by its label.
    """

    entries: int
    calls: dict[str, dict[str, Series]] = field(default_factory=dict)
    embeddings: dict[str, dict[str, Series]] = field(default_factory=dict)
    growth: dict[int, Growth] = field(default_factory=dict)
    imports: dict[str, Series] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

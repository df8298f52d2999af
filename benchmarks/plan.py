"""The plan of a benchmark run."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The durations and sizes of a run.

    Attributes:
        rounds: The number of rounds; in each round all contenders take turns.
        seconds: The duration of the measurement of one contender and row in a round.
        entries: The number of entries from which keys are chosen at random.
        sizes: The numbers of entries at which growth is measured.
        sizes_without_peers: The numbers of entries at which only spark-cache and the limit are measured.
        expired: The number of expired entries in one cleanup.
        puts_at_cap: The number of puts that are timed individually at the size cap.
        imports: The number of measurements of each import.
    """

    rounds: int = 9
    seconds: float = 0.05
    entries: int = 20_000
    sizes: tuple[int, ...] = (1_000, 20_000, 100_000)
    sizes_without_peers: tuple[int, ...] = ()
    expired: int = 1_000
    puts_at_cap: int = 10_000
    imports: int = 3

    @classmethod
    def quick(cls) -> Plan:
        """Return a plan to check that everything works; its figures are not meaningful."""
        return cls(
            rounds=2, seconds=0.01, entries=1_000, sizes=(1_000,), expired=100, puts_at_cap=2_000, imports=1
        )

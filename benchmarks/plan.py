"""How long a run measures."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The lengths of a run.

    Attributes:
        rounds: How often everything is measured, all contenders in turn.
        seconds: How long a contender is timed in a round for one row.
        entries: How many entries there are when keys are chosen at random.
        sizes: The numbers of entries at which growth is measured.
        sizes_without_peers: Those at which spark-cache and the limit are measured alone.
        expired: How many expired entries are cleaned up at a time.
        puts_at_cap: How many puts are timed one by one at the size cap.
        imports: How often each import is timed.
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
        """Enough to see that everything works; its figures mean little."""
        return cls(
            rounds=2, seconds=0.01, entries=1_000, sizes=(1_000,), expired=100, puts_at_cap=2_000, imports=1
        )

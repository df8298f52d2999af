"""Functions that outlive what they work on."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["while_alive"]


def while_alive(method: Callable[[], object]) -> Callable[[], None]:
    """A function that calls a bound method for as long as its object lives, and does not keep it alive.

    For ``atexit`` and ``os.register_at_fork``: the latter never lets go of what it was given.
    """
    weak = WeakMethod(method)

    def call() -> None:
        alive = weak()
        if alive is not None:
            alive()

    return call

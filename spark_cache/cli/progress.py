"""Progress bars on standard error, shown only on a terminal and removed when the work is done."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress"]


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Show the progress of the work in a ``with`` block.

    Args:
        description: A label for the work.
        total: The number of steps, or None if it is unknown.

    Yields:
        A function to call after each step.
    """
    if not sys.stderr.isatty():
        yield _no_step
        return
    from rich.console import Console  # noqa: PLC0415 - takes 100 ms, which a pipe does not need
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - the same

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    if total is None:
        del columns[2]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda: bar.advance(task)


def _no_step() -> None:
    """Do nothing."""

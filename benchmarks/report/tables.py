"""Markdown tables that are also readable in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.results import Series

__all__ = ["NONE", "number", "spread", "table"]

NONE = "\N{EN DASH}"
"""The placeholder for a missing figure."""

_TO = "\N{EN DASH}"
_NUMBERS = tuple(f"0123456789\N{LESS-THAN OR EQUAL TO}\N{GREATER-THAN OR EQUAL TO}{NONE}")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in which columns of numbers are right-aligned and all others left-aligned.

    Args:
        head: The titles of the columns.
        rows: The cells of each row.
    """
    cells = [list(row) for row in rows]
    columns = list(zip(*[list(head), *cells], strict=True))
    widths = [max(3, *map(len, column)) for column in columns]
    right = [all(cell.startswith(_NUMBERS) for cell in column[1:]) for column in columns]
    rule = [
        "-" * (width + 1) + (":" if is_right else "-") for width, is_right in zip(widths, right, strict=True)
    ]
    return "\n".join(
        [_line(head, widths, right), f"|{'|'.join(rule)}|", *(_line(row, widths, right) for row in cells)]
    )


def spread(series: Series | None, factor: float = 1.0) -> str:
    """Format the median, minimum and maximum of the rounds, such as ``5.12 (4.98-5.61)``, or a dash for no figure.

    Args:
        series: The figure, or None.
        factor: The factor of each value.
    """
    if series is None:
        return NONE
    middle, low, high = (number(value * factor) for value in (series.median, series.low, series.high))
    return middle if len(series.values) == 1 else f"{middle} ({low}{_TO}{high})"


def number(value: float) -> str:
    """Format a number with three significant digits, but with all digits before the decimal point.

    Args:
        value: The number.
    """
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:,.{digits}f}"


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(cells, widths, right, strict=True)
    ]
    return f"| {' | '.join(padded)} |"

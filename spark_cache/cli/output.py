"""Print JSON for programs and tables for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["print_json", "table"]


def print_json(value: Any) -> None:
    """Print a JSON value with indentation, sorted keys and unescaped text.

    Args:
        value: The value.
    """
    print(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table.

    On a terminal the table fits the width, and long cells wrap. In a pipe or a file it is plain text with each row on
    one line.

    Args:
        columns: The headings. A heading that starts with ``>`` aligns its column to the right.
        rows: The cells, converted with ``str``.
        title: A line to print above the table.
    """
    listed = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_on_terminal(columns, listed, title)
        return
    from rich.cells import cell_len  # noqa: PLC0415 - wide characters take two columns

    lines = [[column.removeprefix(">") for column in columns], *listed]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    if title is not None:
        print(title)
    for line in lines:
        cells = []
        for column, cell, width in zip(columns, line, widths, strict=True):
            space = " " * (width - cell_len(cell))
            cells.append(space + cell if column.startswith(">") else cell + space)
        print("  ".join(cells).rstrip())


def _print_on_terminal(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None) -> None:
    from rich.console import Console  # noqa: PLC0415 - takes 20 ms, which a pipe does not need
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        grid.add_column(
            Text(column.removeprefix(">")),
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
        )
    for row in rows:
        grid.add_row(*map(Text, row))
    console = Console(highlight=False)
    if title is not None:
        console.print(Text(title, style="bold"))
    console.print(grid)

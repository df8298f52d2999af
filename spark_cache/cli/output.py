"""Print JSON for programs and tables for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["print_json", "table"]

_UNLIMITED = 1_000_000


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
    from rich.console import Console  # noqa: PLC0415 - takes 100 ms, which JSON output does not need
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    is_terminal = sys.stdout.isatty()
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        grid.add_column(
            Text(column.removeprefix(">")),
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
            no_wrap=not is_terminal,
        )
    for row in rows:
        grid.add_row(*(Text(str(cell)) for cell in row))
    console = Console(
        file=sys.stdout,
        width=None if is_terminal else _UNLIMITED,
        color_system="auto" if is_terminal else None,
        highlight=False,
    )
    if title is not None:
        console.print(Text(title, style="bold"))
    if is_terminal:
        console.print(grid)
        return
    with console.capture() as captured:
        console.print(grid)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))

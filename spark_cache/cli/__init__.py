"""The ``spark-cache`` command: inspect and manage a cache, and run the demo."""

from __future__ import annotations

# Type checkers treat this name as true. Importing typing would take longer than `--version` does (see __main__.py).
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from spark_cache.cli.group import main

__all__ = ["main"]


def __getattr__(name: str) -> Any:
    if name != "main":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spark_cache.cli.group import main  # noqa: PLC0415 - imports click, which `--version` does not need

    return main

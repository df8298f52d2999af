"""The ``spark-cache`` command: look at a cache, manage it, and see the library at work."""

from __future__ import annotations

# Type checkers take this name for true; importing typing would cost more than `--version` does (see __main__.py).
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from spark_cache.cli.group import main

__all__ = ["main"]


def __getattr__(name: str) -> Any:
    if name != "main":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spark_cache.cli.group import main  # noqa: PLC0415 - with click, which `--version` does without

    return main

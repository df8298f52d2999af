"""Work that is put off: names imported on first use, and callbacks that run at a fork or at exit."""

from __future__ import annotations

import os
import sys

# Type checkers take this for true. Importing typing would double the cost of importing the package.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["at_exit", "at_fork", "lazy_exports"]


def lazy_exports(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module ``__getattr__`` (PEP 562) that imports each name on first use.

    Args:
        package: The name of the package that exports the names.
        homes: The module that defines each name.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - `import spark_cache` does without

        value = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load


def at_fork(**hooks: Callable[[], object]) -> None:
    """Run bound methods around a fork for as long as their objects live.

    ``os.register_at_fork`` cannot unregister a callback, so only weak references are handed to it.

    Args:
        **hooks: ``before``, ``after_in_parent`` and ``after_in_child``, as for ``os.register_at_fork``.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(**{when: _weak_callback(method) for when, method in hooks.items()})


def at_exit(method: Callable[[], object]) -> None:
    """Run a bound method when the interpreter exits, unless its object is gone by then."""
    import atexit  # noqa: PLC0415 - the same

    atexit.register(_weak_callback(method))


def _weak_callback(method: Callable[[], object]) -> Callable[[], None]:
    from weakref import WeakMethod  # noqa: PLC0415 - the same

    reference = WeakMethod(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call

"""Methods of other packages, replaced for a while, as soon as their module is imported."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["Patch", "Patches"]

_MARK = "_spark_cache_patch"


class Patch(NamedTuple):
    """A method that is replaced.

    Attributes:
        module: The name of the module that has the class.
        kind: The name of the class.
        method: The name of the method.
        replace: Returns the new method, a new function, given the old one.
    """

    module: str
    kind: str
    method: str
    replace: Callable[[Callable[..., Any]], Callable[..., Any]]


class Patches:
    """Replaces methods. It is an import hook, so it imports no module that the program does not need.

    Args:
        patches: The methods.
    """

    def __init__(self, patches: Sequence[Patch]) -> None:
        self._patches = patches
        self._modules = {patch.module for patch in patches}

    def start(self) -> None:
        """Replace the methods that are not replaced now."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        for name in self._modules:
            if sys.modules.get(name) is not None:
                # Waits for a thread that is importing it.
                self._apply(import_module(name))

    def stop(self) -> None:
        """Put back the methods. One that another package has replaced since stays under its replacement."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for patch in self._patches:
            kind = getattr(sys.modules.get(patch.module), patch.kind, None)
            now = vars(kind).get(patch.method) if kind is not None else None
            if _is_ours(now):
                setattr(kind, patch.method, vars(now)[_MARK][1])

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as the other finders do, and replace its methods when it is imported.

        Args:
            name: The name of the module.
            path: Where to look for it.
            target: The module that is reloaded.
        """
        if name not in self._modules:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = partial(self._execute, spec.loader.exec_module)  # type: ignore[method-assign]
        return spec

    def _execute(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        execute(module)
        if module.__name__ in self._modules:
            self._apply(module)

    def _apply(self, module: ModuleType) -> None:
        for patch in self._patches:
            kind = getattr(module, patch.kind, None)
            if patch.module != module.__name__ or not hasattr(kind, patch.method):
                continue
            # Not what the class returns for the name, because a descriptor must be put back as it was.
            old = vars(kind).get(patch.method)
            if old is not None and not _is_ours(old):
                new = patch.replace(getattr(kind, patch.method))
                setattr(new, _MARK, (new, old))
                setattr(kind, patch.method, new)


def _is_ours(method: Any) -> bool:
    """Return whether a method is a replacement itself. Another one around it may have copied its attributes."""
    mark = getattr(method, _MARK, None)
    return mark is not None and mark[0] is method

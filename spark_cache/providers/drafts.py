"""Values that are made with every hit, made as fast as Python makes any.

A frozen dataclass sets its fields one by one through ``object.__setattr__``, which for a response takes as long as reading its file.
A draft has the same fields in the same places and no lock: whoever has set all of them turns it into the frozen class.
"""

from __future__ import annotations

from typing import Any

__all__ = ["draft_of"]


def draft_of(kind: type[Any]) -> type[Any]:
    """A class of the same layout as a frozen dataclass with slots, whose fields can be set.

    An instance becomes one of ``kind`` by its ``__class__``, after *all* fields were set: there are no defaults, and no
    ``__post_init__``.
    """
    return type(f"{kind.__name__}Draft", (), {"__slots__": kind.__slots__})

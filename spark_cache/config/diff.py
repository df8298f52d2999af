"""What differs between two configurations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spark_cache.config.model import CacheConfig
from spark_cache.config.origins import Origin

__all__ = ["FieldDiff", "compare", "compare_guards"]


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """One field that has two values.

    Attributes:
        field: The field.
        before: Its value on one side; keys stay inside ``SecretStr``.
        after: Its value on the other.
        before_origin: Where the one came from.
        after_origin: Where the other came from.
    """

    field: str
    before: Any
    after: Any
    before_origin: Origin
    after_origin: Origin


def compare(before: CacheConfig, after: CacheConfig) -> tuple[FieldDiff, ...]:
    """Every field whose values differ, in the order of the fields.

    A key file counts as changed when the keys in it are others.
    """
    return tuple(
        FieldDiff(
            name, getattr(before, name), getattr(after, name), before.origins[name], after.origins[name]
        )
        for name in CacheConfig.model_fields
        if getattr(before, name) != getattr(after, name)
        or (name == "encryption_key_file" and before.fernet_keys() != after.fernet_keys())
    )


def compare_guards(before: CacheConfig, after: CacheConfig) -> tuple[FieldDiff, ...]:
    """Every condition that differs, as ``guard.NAME`` with its values as they are written; None where it is absent."""
    sides = [
        {condition.name: condition for condition in config.provenance.guard.conditions}
        for config in (before, after)
    ]
    names = sorted(sides[0].keys() | sides[1].keys())
    found = [(name, sides[0].get(name), sides[1].get(name)) for name in names]
    return tuple(
        FieldDiff(
            f"guard.{name}",
            one and one.origin.raw,
            other and other.origin.raw,
            one.origin if one else Origin("default"),
            other.origin if other else Origin("default"),
        )
        for name, one, other in found
        if one is None or other is None or one.value != other.value
    )

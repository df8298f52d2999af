"""Compare two configurations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spark_cache.config.model import CacheConfig
from spark_cache.config.origins import Origin

__all__ = ["FieldDiff", "compare", "compare_guards"]


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """A field whose value differs between two configurations.

    Attributes:
        field: The field.
        before: The first value. Encryption keys stay wrapped in ``SecretStr``.
        after: The second value.
        before_origin: The origin of the first value.
        after_origin: The origin of the second value.
    """

    field: str
    before: Any
    after: Any
    before_origin: Origin
    after_origin: Origin


def compare(before: CacheConfig, after: CacheConfig) -> tuple[FieldDiff, ...]:
    """Return every field whose value differs, in the order of the fields.

    A key file also counts as changed if it contains different keys.

    Args:
        before: The first configuration.
        after: The second configuration.
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
    """Return every guard condition that differs, as ``guard.NAME`` with the values as written.

    The value of a missing condition is None.
    """
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

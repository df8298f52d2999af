"""What differs between two configurations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spark_cache.config.model import CacheConfig

if TYPE_CHECKING:
    from spark_cache.config.origins import Origin

__all__ = ["Difference", "compare"]


@dataclass(frozen=True, slots=True)
class Difference:
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


def compare(before: CacheConfig, after: CacheConfig) -> tuple[Difference, ...]:
    """Every field whose values differ, in the order of the fields.

    A key file counts as changed when the keys in it are others.
    """
    return tuple(
        Difference(
            name, getattr(before, name), getattr(after, name), before.origins[name], after.origins[name]
        )
        for name in CacheConfig.model_fields
        if getattr(before, name) != getattr(after, name)
        or (name == "encryption_key_file" and before.fernet_keys() != after.fernet_keys())
    )

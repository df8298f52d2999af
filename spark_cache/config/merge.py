"""Merge the layers with pydantic-settings. The record of the merge explains every value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from spark_cache.config.fields import KEY_FIELDS, LEVELS
from spark_cache.config.rules import effective_rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_cache.config.guard import Condition
    from spark_cache.config.origins import Origin
    from spark_cache.config.sources import PlacedRule, Source

__all__ = ["Merged", "merge"]

T = TypeVar("T")

_CHECKOUT = frozenset({".env", "project profile"})
"""The layers that come from a checkout of somebody's repository."""


class _Settings(BaseSettings):
    """The dictionaries of all sources, as pydantic-settings merges them.

    Attributes:
        values: The value of every field that no rule of ours removes.
        origins: The origins of every field, by their number. 0 is the highest layer that sets the field.
        rules: The rules of every layer, by the number of the layer.
        conditions: The guard conditions.
    """

    values: dict[str, Any]
    origins: dict[str, dict[int, Any]]
    rules: dict[int, list[Any]]
    conditions: dict[str, Any]

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # the sources that are not used share one name
        cls, _: type[BaseSettings], init_settings: InitSettingsSource, **__: object
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the layers instead of the sources that pydantic-settings has by default."""
        return tuple(init_settings.init_kwargs["layers"])


class Merged(NamedTuple):
    """The merged layers.

    Attributes:
        values: The winning value of every field, not parsed yet.
        origins: The origin of every field, which shadows the origins in lower layers.
        rules: Every rule, highest layer first.
        conditions: The guard conditions.
    """

    values: dict[str, Any]
    origins: dict[str, Origin]
    rules: tuple[PlacedRule, ...]
    conditions: tuple[Condition, ...]


def merge(layers: Sequence[Source]) -> Merged:
    """Merge layers, highest first. The lowest one sets every field."""
    settings = _Settings(layers=layers)  # type: ignore[call-arg]
    values = settings.values
    chains = {name: _in_order(numbered) for name, numbered in settings.origins.items()}
    chains["encryption"] = _not_lowered(chains["encryption"])
    values["encryption"] = chains["encryption"][0].raw
    origins = {name: first.over(*below) for name, (first, *below) in chains.items()}
    origins |= _replaced_keys(origins, values)
    rules = tuple(rule for layer in _in_order(settings.rules) for rule in layer)
    kept = effective_rules(rule.kept for rule in rules)
    if kept:
        values["rules"] = [rule for _, rule in kept]
        items = tuple(rules[position].origin for position, _ in kept)
        origins["rules"] = items[0]._replace(name="rules", items=items).over(origins["rules"])
    return Merged(values, origins, rules, tuple(settings.conditions.values()))


def _in_order(numbered: Mapping[int, T]) -> list[T]:
    return [numbered[number] for number in sorted(numbered)]


def _replaced_keys(origins: Mapping[str, Origin], values: Mapping[str, Any]) -> dict[str, Origin]:
    """Return the origin of the key field that a higher layer replaces by setting the other one."""
    replaced = KEY_FIELDS - values.keys()
    return {
        name: origins[name]
        .shadows[-1]
        ._replace(
            note=f"the encryption keys come from {origins[winner].place}, which overrides all lower layers",
        )
        .over(*(origin._replace(shadows=()) for origin in (origins[name], *origins[name].shadows[:-1])))
        for name in replaced
        for winner in KEY_FIELDS - replaced
        if origins[name].shadows
    }


def _not_lowered(chain: list[Origin]) -> list[Origin]:
    """Move a user profile to the top if the checkout that would win asks for less encryption.

    A checkout, with its profiles and its ``.env``, can raise the encryption that the user asks for, never lower it.
    """
    users = [origin for origin in chain if origin.kind == "user profile"]
    if chain[0].kind not in _CHECKOUT or not users or _level(users[0].raw) <= _level(chain[0].raw):
        return chain
    noted = users[0]._replace(note="a checkout cannot lower the encryption of a user profile")
    return [noted, *(origin for origin in chain if origin is not users[0])]


def _level(raw: object) -> int:
    """Return the rank of an encryption level; that of an invalid one is the highest, so that it is reported."""
    return LEVELS.index(raw) if raw in LEVELS else len(LEVELS)

"""Rules: which models they match, what they set, and what overrides them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from spark_cache.config import CacheConfig, Rule
from spark_cache.config.rules import effective_rules
from spark_cache.errors import ConfigError
from spark_cache.types import Mode

if TYPE_CHECKING:
    from config_world import World


def test_without_rules_a_policy_equals_the_configuration() -> None:
    """Every model gets the same policy object."""
    config = CacheConfig(enabled=True, ttl_seconds="1h", mode="refresh", namespace="n")
    policy = config.policy("openai", "gpt-4o")
    assert (policy.enabled, policy.ttl_seconds, policy.mode, policy.namespace) == (
        True,
        3600,
        Mode.REFRESH,
        "n",
    )
    assert policy.sensitive is False
    assert config.policy("anthropic", "claude") is policy


def test_policies_are_cached_by_model() -> None:
    """A second call returns the same object."""
    config = CacheConfig(rules=[{"model": "gpt-*", "ttl": "1h"}])
    assert config.policy("openai", "gpt-4o") is config.policy("openai", "gpt-4o")
    assert config.policy("openai", "o3").ttl_seconds == 86400


def test_the_cache_of_policies_is_bounded() -> None:
    """A program that generates model names does not exhaust memory, and its policies stay correct."""
    config = CacheConfig(rules=[{"model": "m1*", "ttl": "1h"}])
    ttls = [config.policy("openai", f"m{number}").ttl_seconds for number in range(3000)]
    assert ttls == [3600 if str(number).startswith("1") else 86400 for number in range(3000)]


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ({"model": "gpt-4o*"}, True),
        ({"model": "gpt-4o"}, False),
        ({"model": "GPT-4o*"}, False),
        ({"provider": "openai"}, True),
        ({"provider": "open?i", "model": "*mini"}, True),
        ({"provider": "anthropic", "model": "*"}, False),
        ({"model": "gpt-[45]o-mini"}, True),
    ],
)
def test_globs_select_the_models_of_a_rule(rule: dict[str, str], matches: bool) -> None:
    """Both provider and model must match, and case matters."""
    config = CacheConfig(rules=[rule | {"ttl": "5s"}])
    assert (config.policy("openai", "gpt-4o-mini").ttl_seconds == 5) is matches


def test_the_first_rule_that_sets_a_field_wins() -> None:
    """Later rules set the fields that earlier rules do not set."""
    config = CacheConfig(
        rules=[
            {"model": "gpt-4o*", "ttl": "1h"},
            {"model": "gpt-*", "ttl": "2h", "namespace": "gpt"},
        ]
    )
    policy = config.policy("openai", "gpt-4o")
    assert (policy.ttl_seconds, policy.namespace) == (3600, "gpt")


def test_a_rule_object_is_parsed_like_a_table() -> None:
    """Its values are checked and converted in the same way."""
    config = CacheConfig(rules=[Rule("openai", None, (("ttl", "1h"),))])
    assert config.rules == (Rule("openai", None, (("ttl_seconds", 3600),)),)
    with pytest.raises(ConfigError):
        CacheConfig(rules=[Rule("openai", None, (("ttl", "soon"),))])


def test_a_request_is_sensitive_if_any_rule_marks_it() -> None:
    """No other rule can undo this."""
    config = CacheConfig(
        rules=[{"model": "*", "sensitive": False}, {"model": "*-internal", "sensitive": True}]
    )
    assert config.policy("openai", "gpt-internal").sensitive is True
    assert config.policy("openai", "gpt").sensitive is False


def test_rules_only_ever_raise_encryption() -> None:
    """The strongest level of the base and all matching rules applies."""
    key = Fernet.generate_key().decode()
    rules = [{"model": "a*", "encryption": "off"}, {"model": "ab*", "encryption": "all"}]
    config = CacheConfig(encryption_keys=key, encryption="sensitive", rules=rules)
    assert config.policy("p", "a").encryption == "sensitive"
    assert config.policy("p", "abc").encryption == "all"


def test_a_rule_ranks_above_the_table_of_its_own_layer(world: World) -> None:
    """A rule overrides ``[cache]`` of its own layer for matching models."""
    world.profile("mine", '[cache]\nttl = "1d"\n\n[[rules]]\nmodel = "gpt-*"\nttl = "1h"\n')
    config = world.load("mine")
    assert config.policy("openai", "gpt-4o").ttl_seconds == 3600
    assert config.policy("openai", "o3").ttl_seconds == 86400


def test_a_rule_ranks_below_a_higher_layers_table(world: World) -> None:
    """A project setting overrides a rule of a shipped profile."""
    world.ship("mine", '[cache]\n[[rules]]\nmodel = "gpt-*"\nttl = "1h"\nnamespace = "gpt"\n')
    world.profile("mine", '[cache]\nttl = "5m"\n')
    policy = world.load("mine").policy("openai", "gpt-4o")
    assert (policy.ttl_seconds, policy.namespace) == (300, "gpt")


@pytest.mark.parametrize("source", ["constructor", "environment", ".env"])
def test_environment_and_code_override_rules(world: World, source: str) -> None:
    """A value set for a deployment applies to all its models."""
    world.profile("mine", '[cache]\n[[rules]]\nmodel = "*"\nttl = "1h"\n')
    overrides = {"ttl_seconds": 7} if source == "constructor" else {}
    if source == "environment":
        world.environ["SPARK_CACHE_TTL"] = "7"
    if source == ".env":
        world.dotenv("SPARK_CACHE_TTL=7\n")
    assert world.load("mine", **overrides).policy("openai", "gpt-4o").ttl_seconds == 7


def test_no_layer_overrides_a_protective_rule(world: World) -> None:
    """The environment does not override ``sensitive`` and ``encryption`` of a rule."""
    world.environ |= {
        "SPARK_CACHE_ENCRYPTION": "off",
        "SPARK_CACHE_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    }
    world.profile("mine", '[cache]\n[[rules]]\nmodel = "*"\nsensitive = true\nencryption = "all"\n')
    policy = world.load("mine").policy("openai", "gpt-4o")
    assert (policy.sensitive, policy.encryption) == (True, "all")


def test_rules_of_a_higher_layer_come_first(world: World) -> None:
    """Rules of lower layers still set the remaining fields."""
    world.ship("mine", '[cache]\n[[rules]]\nmodel = "*"\nttl = "1h"\nnamespace = "low"\n')
    world.profile("mine", '[cache]\n[[rules]]\nmodel = "gpt-*"\nttl = "2h"\n')
    policy = world.load("mine").policy("openai", "gpt-4o")
    assert (policy.ttl_seconds, policy.namespace) == (7200, "low")


def test_rules_given_in_code_come_first(world: World) -> None:
    """Code passes rules as a list of dictionaries."""
    world.profile("mine", '[cache]\n[[rules]]\nmodel = "*"\nttl = "1h"\n')
    config = world.load("mine", rules=[{"model": "*", "ttl": "1s"}])
    assert config.policy("openai", "gpt-4o").ttl_seconds == 1


def test_a_change_in_code_overrides_every_rule(world: World) -> None:
    """Like constructor arguments of a model, ``with_`` takes precedence over everything."""
    config = CacheConfig(rules=[{"model": "*", "ttl": "1h", "namespace": "n"}]).with_(ttl_seconds=5)
    policy = config.policy("openai", "gpt-4o")
    assert (policy.ttl_seconds, policy.namespace) == (5, "n")


def test_every_rule_has_an_origin(world: World) -> None:
    """The origin of ``rules`` is the place of the first rule. Its items are the origins of all rules in effect."""
    path = world.profile(
        "mine", '[cache]\n\n[[rules]]\nmodel = "a"\nttl = 1\n\n[[rules]]\nmodel = "b"\nttl = 2\n'
    )
    below = world.ship("mine", '[cache]\n[[rules]]\nmodel = "c"\nttl = 3\n')
    origin = world.load("mine", rules=[{"model": "z", "ttl": 0}]).origins["rules"]
    assert (origin.kind, origin.name) == ("constructor", "rules")
    assert [(item.place, item.name) for item in origin.items] == [
        ("constructor", "rules[0]"),
        (f"{path}:3", "rules[0]"),
        (f"{path}:7", "rules[1]"),
        (f"{below}:2", "rules[0]"),
    ]
    assert [shadow.kind for shadow in origin.shadows] == ["default"]


def test_every_item_of_a_list_has_an_origin(world: World) -> None:
    """A pattern in a long array is found by its own line."""
    path = world.profile("mine", '[cache]\nredact = [\n  "a+",\n  "b+",\n]\n')
    origin = world.load("mine").origins["redact"]
    assert [(item.place, item.name, item.value) for item in origin.items] == [
        (f"{path}:3", "cache.redact[0]", "a+"),
        (f"{path}:4", "cache.redact[1]", "b+"),
    ]


patterns = st.sampled_from([None, "a", "a*", "*"])
some_rules = st.lists(
    st.builds(
        lambda provider, settings: Rule(provider, "m*", tuple(sorted(settings.items()))),
        patterns,
        st.fixed_dictionaries(
            {},
            optional={
                "ttl_seconds": st.integers(0, 3),
                "sensitive": st.booleans(),
                "encryption": st.sampled_from(["off", "sensitive", "all"]),
                "namespace": st.sampled_from(["x", None]),
            },
        ).filter(bool),
    ),
    max_size=8,
)


@given(some_rules, st.sampled_from(["a", "ab", "b"]))
def test_removing_redundant_settings_changes_no_policy(rules: list[Rule], provider: str) -> None:
    """The reduced list of rules gives every model the same policy as the full list."""
    key = Fernet.generate_key().decode()
    full = CacheConfig(rules=rules, encryption_keys=key)
    reduced = CacheConfig(rules=[rule for _, rule in effective_rules(rules)], encryption_keys=key)
    assert full.policy(provider, "m1") == reduced.policy(provider, "m1")

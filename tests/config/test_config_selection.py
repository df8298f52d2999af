"""Selecting the profile, and handling unknown names."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from spark_cache.config import warn
from spark_cache.config.load import load_config, reload_config, use_profile
from spark_cache.errors import ConfigError

if TYPE_CHECKING:
    from config_world import World

FALLBACK = "the values of production are used, without its guards"
SHIPPED = ("development", "testing", "staging", "production")


@pytest.fixture(autouse=True)
def shipped(world: World) -> None:
    for name in SHIPPED:
        world.ship(name, f'[cache]\nnamespace = "{name}"\n')
    world.ship("production", '[cache]\nnamespace = "production"\n\n[guard]\nforbid_modes = ["replay"]\n')


def test_without_a_name_no_profile_is_selected(world: World) -> None:
    """The built-in defaults apply, and the cache is off."""
    config = world.load()
    assert config.profile is None
    assert config.enabled is False
    assert config.origins["profile"].kind == "default"


ORDER = (
    ("argument", "testing"),
    ("SPARK_PROFILE", "staging"),
    ("ENVIRONMENT", "production"),
    (".env SPARK_PROFILE", "development"),
    (".env ENVIRONMENT", "testing"),
)


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_first_source_that_names_a_profile_selects_it(world: World, first: int) -> None:
    """Code comes first, then the process, then ``.env``, so a stale file never overrides the process."""
    given = dict(ORDER[first:])
    world.environ |= {name: given[name] for name in ("SPARK_PROFILE", "ENVIRONMENT") if name in given}
    lines = [f"{name[5:]}={profile}" for name, profile in given.items() if name.startswith(".env ")]
    world.dotenv("\n".join(lines))

    config = world.load(given.get("argument"))

    assert config.profile == ORDER[first][1]
    assert config.namespace == ORDER[first][1]
    assert len(config.origins["profile"].shadows) == len(ORDER) - first


def test_the_origin_of_a_profile_named_in_dotenv_has_a_line(world: World) -> None:
    """The origin includes the file and the line."""
    path = world.dotenv("# first\n\nENVIRONMENT=testing\n")
    origin = world.load().origins["profile"]
    assert (origin.kind, origin.name, origin.path, origin.line) == (".env", "ENVIRONMENT", path, 3)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("dev", "development"),
        ("test", "testing"),
        ("stage", "staging"),
        ("prod", "production"),
        ("PROD", "production"),
    ],
)
def test_an_alias_selects_a_profile(world: World, written: str, meant: str) -> None:
    """Aliases are not case-sensitive."""
    world.environ["ENVIRONMENT"] = written
    config = world.load()
    assert config.profile == meant
    assert config.origins["profile"].note == f"{written} means {meant}"


def test_a_profile_with_the_name_of_an_alias_takes_precedence(world: World) -> None:
    """A project profile named ``prod`` is not replaced by ``production``."""
    world.profile("prod", '[cache]\nnamespace = "own"\n')
    assert world.load("prod").namespace == "own"


def test_an_empty_variable_counts_as_unset(world: World) -> None:
    """The next source selects the profile."""
    world.environ |= {"SPARK_PROFILE": "", "ENVIRONMENT": "testing"}
    assert world.load().profile == "testing"


def test_an_unknown_environment_uses_the_values_of_production(world: World) -> None:
    """An unknown name in ``ENVIRONMENT`` is not an error, and a note explains the result."""
    world.environ["ENVIRONMENT"] = "qa-7"
    resolution = world.resolve()
    assert resolution.config is not None
    assert resolution.config.namespace == "production"
    assert resolution.config.origins["profile"].note == f"unknown profile 'qa-7': {FALLBACK}"


def test_an_unknown_environment_is_not_guarded(world: World) -> None:
    """The guards of ``production`` only apply if that profile is selected by name."""
    world.environ |= {"ENVIRONMENT": "qa-7", "SPARK_CACHE_MODE": "replay"}
    assert world.load().mode == "replay"


def test_an_unknown_environment_warns_once(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second load logs nothing. With the cache off, the name does not matter, and nothing is logged at all."""
    monkeypatch.setattr(warn, "_given", set())
    world.environ["ENVIRONMENT"] = "qa-7"
    with caplog.at_level(logging.WARNING, logger="spark_cache"):
        world.load()
    assert caplog.records == []
    world.environ["SPARK_ENABLE_CACHE"] = "true"
    with caplog.at_level(logging.WARNING, logger="spark_cache"):
        world.load()
        world.load()
    assert [record.message for record in caplog.records] == [
        f"environment: ENVIRONMENT: unknown profile 'qa-7'; available: {', '.join(sorted(SHIPPED))}; {FALLBACK}"
    ]


def test_use_profile_applies_within_its_block(world: World) -> None:
    """The profile takes precedence over the environment inside the block, but not after it."""
    environ = world.environ | {"ENVIRONMENT": "production"}
    with use_profile("testing"):
        assert load_config(environ=environ, cwd=world.project).profile == "testing"
    assert load_config(environ=environ, cwd=world.project).profile == "production"


def test_an_argument_takes_precedence_over_use_profile(world: World) -> None:
    """An explicit argument always selects the profile."""
    with use_profile("testing"):
        assert world.load("staging").profile == "staging"


def test_use_profile_decorates_a_function(world: World) -> None:
    """A test can select its profile with a decorator."""

    @use_profile("testing")
    def loaded_profile() -> str | None:
        return world.load().profile

    assert loaded_profile() == "testing"


def test_use_profile_with_an_unknown_name_makes_a_load_fail(world: World) -> None:
    """Code selected the profile explicitly, so there is no fallback."""
    with use_profile("testin"), pytest.raises(ConfigError) as caught:
        world.load()
    assert str(caught.value) == ("constructor: use_profile: unknown profile 'testin'; did you mean testing?")


async def test_use_profile_decorates_a_coroutine(world: World) -> None:
    """The profile applies while the coroutine runs, not only while it is created."""

    @use_profile("testing")
    async def loaded_profile() -> str | None:
        await asyncio.sleep(0)
        return world.load().profile

    assert await loaded_profile() == "testing"


async def test_each_task_has_its_own_profile(world: World) -> None:
    """Simultaneous blocks in different tasks do not affect each other."""

    async def loaded_profile(name: str) -> str | None:
        with use_profile(name):
            await asyncio.sleep(0)
            return world.load().profile

    names = ["testing", "staging", "development"]
    assert await asyncio.gather(*map(loaded_profile, names)) == names


def test_a_reload_keeps_the_profile_of_its_block(world: World) -> None:
    """A configuration is reloaded with the same profile even after the block has ended."""
    with use_profile("testing"):
        config = load_config(environ=world.environ, cwd=world.project)
    assert reload_config(config).profile == "testing"

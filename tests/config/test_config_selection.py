"""Which profile is chosen, and what becomes of names that mean none."""

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

TAKEN = "the values of production are taken, without its guards"
SHIPPED = ("development", "testing", "staging", "production")


@pytest.fixture(autouse=True)
def shipped(world: World) -> None:
    for name in SHIPPED:
        world.ship(name, f'[cache]\nnamespace = "{name}"\n')
    world.ship("production", '[cache]\nnamespace = "production"\n\n[guard]\nforbid_modes = ["replay"]\n')


def test_without_a_name_there_is_no_profile(world: World) -> None:
    """The built-in defaults hold, and the cache is off."""
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
def test_the_first_that_names_a_profile_chooses_it(world: World, first: int) -> None:
    """The code, then the process, then ``.env``: a stale file never beats the process."""
    given = dict(ORDER[first:])
    world.environ |= {name: given[name] for name in ("SPARK_PROFILE", "ENVIRONMENT") if name in given}
    lines = [f"{name[5:]}={profile}" for name, profile in given.items() if name.startswith(".env ")]
    world.dotenv("\n".join(lines))

    config = world.load(given.get("argument"))

    assert config.profile == ORDER[first][1]
    assert config.namespace == ORDER[first][1]
    assert len(config.origins["profile"].shadows) == len(ORDER) - first


def test_the_profile_named_in_dotenv_tells_its_line(world: World) -> None:
    """A profile chosen by ``.env`` says by which line."""
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
def test_a_short_name_stands_for_a_profile(world: World, written: str, meant: str) -> None:
    """Aliases work in any case of their letters."""
    world.environ["ENVIRONMENT"] = written
    config = world.load()
    assert config.profile == meant
    assert config.origins["profile"].note == f"{written} stands for {meant}"


def test_a_profile_that_is_really_called_like_an_alias_comes_first(world: World) -> None:
    """A project's own ``prod`` is not production."""
    world.profile("prod", '[cache]\nnamespace = "own"\n')
    assert world.load("prod").namespace == "own"


def test_an_empty_variable_counts_as_unset(world: World) -> None:
    """An empty name leaves the choice to the next source."""
    world.environ |= {"SPARK_PROFILE": "", "ENVIRONMENT": "testing"}
    assert world.load().profile == "testing"


def test_an_unknown_environment_takes_the_values_of_production(world: World) -> None:
    """The application's own name for its environment stops nothing, and says what it got."""
    world.environ["ENVIRONMENT"] = "qa-7"
    resolution = world.resolve()
    assert resolution.config is not None
    assert resolution.config.namespace == "production"
    assert resolution.config.origins["profile"].note == f"no profile is called 'qa-7': {TAKEN}"


def test_an_unknown_environment_is_not_guarded(world: World) -> None:
    """Production's guards belong to what is really called production."""
    world.environ |= {"ENVIRONMENT": "qa-7", "SPARK_CACHE_MODE": "replay"}
    assert world.load().mode == "replay"


def test_an_unknown_environment_warns_once(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading a second time says nothing new."""
    monkeypatch.setattr(warn, "_given", set())
    world.environ["ENVIRONMENT"] = "qa-7"
    with caplog.at_level(logging.WARNING, logger="spark_cache"):
        world.load()
        world.load()
    assert [record.message for record in caplog.records] == [
        f"environment: ENVIRONMENT: there is no profile 'qa-7'; there are {', '.join(sorted(SHIPPED))}; {TAKEN}"
    ]


def test_use_profile_holds_within_its_block(world: World) -> None:
    """Inside the block the profile wins over the environment, and afterwards no more."""
    environ = world.environ | {"ENVIRONMENT": "production"}
    with use_profile("testing"):
        assert load_config(environ=environ, cwd=world.project).profile == "testing"
    assert load_config(environ=environ, cwd=world.project).profile == "production"


def test_an_argument_wins_over_use_profile(world: World) -> None:
    """Code that names a profile gets it."""
    with use_profile("testing"):
        assert world.load("staging").profile == "staging"


def test_use_profile_decorates_a_function(world: World) -> None:
    """A test can carry its profile as a decorator."""

    @use_profile("testing")
    def chosen() -> str | None:
        return world.load().profile

    assert chosen() == "testing"


def test_use_profile_with_an_unknown_name_is_an_error_at_the_load(world: World) -> None:
    """The code asked for that profile, so nothing else will do."""
    with use_profile("testin"), pytest.raises(ConfigError) as caught:
        world.load()
    assert str(caught.value) == (
        "constructor: use_profile: there is no profile 'testin'; did you mean testing?"
    )


async def test_use_profile_decorates_a_coroutine(world: World) -> None:
    """The profile holds while the coroutine runs, not only while it is made."""

    @use_profile("testing")
    async def chosen() -> str | None:
        await asyncio.sleep(0)
        return world.load().profile

    assert await chosen() == "testing"


async def test_tasks_have_profiles_of_their_own(world: World) -> None:
    """Blocks that are open at the same time in different tasks do not mix."""

    async def chosen(name: str) -> str | None:
        with use_profile(name):
            await asyncio.sleep(0)
            return world.load().profile

    names = ["testing", "staging", "development"]
    assert await asyncio.gather(*map(chosen, names)) == names


def test_a_reload_keeps_the_profile_of_its_block(world: World) -> None:
    """A configuration is loaded again as it was, also when the block is over."""
    with use_profile("testing"):
        config = load_config(environ=world.environ, cwd=world.project)
    assert reload_config(config).profile == "testing"

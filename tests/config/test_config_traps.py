"""Where pydantic-settings and python-dotenv would do something else by default."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from dotenv import dotenv_values

from spark_cache.config import CacheConfig
from spark_cache.config.check import check
from spark_cache.config.dotenv import read_dotenv

if TYPE_CHECKING:
    from pathlib import Path

    from config_world import World


@pytest.mark.parametrize("name", ["CACHE_DIR", "TTL", "TTL_SECONDS", "ENABLED", "cache_dir", "MODE"])
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_variable_of_another_program_sets_nothing(world: World, name: str, place: str) -> None:
    """Only the variables in the reference are read, never those that are named like a field."""
    if place == "environment":
        world.environ[name] = "1"
    else:
        world.dotenv(f"{name}=1\n")

    resolution = world.resolve()

    assert resolution.problems == resolution.warnings == ()
    assert resolution.config == CacheConfig(cache_dir=world.context().default_cache_dir)


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_the_case_of_a_variable_matters(world: World, place: str) -> None:
    """Shells tell ``TTL`` and ``ttl`` apart."""
    if place == "environment":
        world.environ["spark_cache_ttl"] = "5"
    else:
        world.dotenv("spark_cache_ttl=5\n")

    assert world.load().ttl_seconds == 86400


def test_blanks_around_a_value_are_removed(world: World) -> None:
    """They are part of the value in the environment, and of a quoted value in ``.env``."""
    world.environ["SPARK_ENABLE_CACHE"] = " true "
    world.dotenv('SPARK_CACHE_FSYNC=" yes "\n')

    config = world.load()

    assert (config.enabled, config.fsync) == (True, True)


def test_a_list_in_a_variable_is_not_json(world: World) -> None:
    """Keys are separated by commas."""
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    world.environ["SPARK_CACHE_ENCRYPTION_KEY"] = ",".join(keys)

    assert world.load().fernet_keys() == tuple(keys)


def test_files_that_cannot_be_parsed_do_not_hide_other_problems(world: World) -> None:
    """One run shows everything that must be fixed."""
    world.environ |= {"SPARK_PROFILE": "mine", "SPARK_ENABLE_CACHE": "true", "SPARK_CACHE_TTL": "soon"}
    dotenv = world.dotenv("")
    dotenv.write_bytes(b"SPARK_CACHE_NAMESPACE=caf\xe9\n")
    profile = world.profile("mine", "[cache\n")

    world.environ["SPARK_CACHE_MODE"] = "fast"
    problems = world.resolve().problems

    assert [(problem.source, problem.key) for problem in problems] == [
        (str(profile), None),
        ("environment", "SPARK_CACHE_TTL"),
        ("environment", "SPARK_CACHE_MODE"),
        (str(dotenv), None),
    ]


def test_a_shadowed_value_is_checked_as_well(world: World) -> None:
    """Loading validates the value that wins. The check validates all of them."""
    path = world.profile("mine", '[cache]\nttl = "soon"\ncache_dir = "$OPENAI_API_KEY"\n')
    world.environ |= {"SPARK_PROFILE": "mine", "SPARK_CACHE_TTL": "5", "SPARK_CACHE_DIR": "/x"}
    world.ship("mine", "[cache]\n")

    assert world.load().ttl_seconds == 5
    found = [(problem.source, problem.line, problem.key) for problem in check(None, world.context()).problems]

    assert found == [(str(path), 2, "cache.ttl"), (str(path), 3, "cache.cache_dir")]


DOTENV_TEXTS = [
    "A=1\nB='two words'\n\n# comment\nexport C=\"a\\nb\"\n",
    "A = spaced\nB=x # comment\nC=\nD\n",
    'A="first\nsecond"\nB=${A}\n',
    "A=1\r\nB=2\r\n",
    "A=é\nA=again\n",
]


@pytest.mark.parametrize("text", DOTENV_TEXTS)
def test_dotenv_is_read_as_python_dotenv_reads_it(tmp_path: Path, text: str) -> None:
    """The parser with line numbers is not a documented part of python-dotenv. This test fails if it changes."""
    path = tmp_path / ".env"
    path.write_bytes(text.encode())
    documented = dotenv_values(stream=StringIO(text), interpolate=False)

    read = read_dotenv(path, lambda _: False)

    assert read.variables == {name: value for name, value in documented.items() if value is not None}
    lines = text.replace("\r\n", "\n").split("\n")
    assert all(name in lines[line - 1] for name, line in read.lines.items())

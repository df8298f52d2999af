"""Reading the ``.env`` file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spark_cache import ConfigError

if TYPE_CHECKING:
    from config_world import World


def test_dotenv_is_found_above_the_working_directory(world: World) -> None:
    """The nearest file up to the project root is used."""
    path = world.dotenv("SPARK_CACHE_NAMESPACE=above\n")
    deep = world.project / "a" / "b"
    deep.mkdir(parents=True)
    config = world.load(cwd=deep)
    assert config.namespace == "above"
    assert config.origins["namespace"].path == path


def test_dotenv_is_not_looked_for_above_the_project(world: World) -> None:
    """A file outside the project is not used."""
    world.write(world.root / ".env", "SPARK_CACHE_NAMESPACE=outside\n")
    assert world.load().namespace is None


def test_variables_of_the_application_are_ignored(world: World) -> None:
    """The application may keep its own variables in the file."""
    world.dotenv("DATABASE_URL=postgres://x\nexport DEBUG=1\nBARE\nSPARK_CACHE_NAMESPACE=ours\n")
    assert world.load().namespace == "ours"


def test_references_are_not_expanded(world: World) -> None:
    """A value is what the file says, so no other variable becomes part of it."""
    world.environ["TEAM"] = "process"
    world.dotenv('TEAM=file\nSPARK_CACHE_NAMESPACE="${TEAM}-${STAGE:-dev}"\n')
    assert world.load().namespace == "${TEAM}-${STAGE:-dev}"


def test_a_secret_never_becomes_part_of_a_path(world: World) -> None:
    """A path in a file that may come from a checkout cannot refer to a secret of the environment."""
    world.environ["OPENAI_API_KEY"] = "sk-velvet-otter"
    path = world.dotenv("SPARK_CACHE_DIR=./${OPENAI_API_KEY}/c\n")
    with pytest.raises(ConfigError) as caught:
        world.load()
    assert str(caught.value) == (
        f"{path}:1: SPARK_CACHE_DIR: './${{OPENAI_API_KEY}}/c' refers to the variable OPENAI_API_KEY: "
        "profiles and .env files can only use ~, $HOME, $USER, $TMPDIR and $XDG_…"
    )


def test_the_last_line_wins(world: World) -> None:
    """A variable that is set twice has the last value and line."""
    world.dotenv("SPARK_CACHE_NAMESPACE=one\n\nSPARK_CACHE_NAMESPACE=two\n")
    config = world.load()
    assert (config.namespace, config.origins["namespace"].line) == ("two", 3)


def test_a_multiline_value_does_not_shift_line_numbers(world: World) -> None:
    """The lines of a quoted value are counted."""
    world.dotenv('TEXT="one\ntwo\nthree"\n\n# more\nSPARK_CACHE_NAMESPACE=here\n')
    assert world.load().origins["namespace"].line == 6


def test_an_empty_variable_counts_as_unset(world: World) -> None:
    """An empty variable does not override lower layers, neither in the file nor in the process."""
    world.environ["SPARK_CACHE_NAMESPACE"] = " "
    world.dotenv("SPARK_CACHE_NAMESPACE=\n")
    world.profile("mine", '[cache]\nnamespace = "profile"\n')
    assert world.load("mine").namespace == "profile"


def test_a_malformed_line_of_another_program_is_a_warning(world: World) -> None:
    """Another program may understand the line, so it is only reported."""
    path = world.dotenv('SPARK_CACHE_NAMESPACE=x\nWELCOME "hello\n')
    resolution = world.resolve()
    assert resolution.config is not None
    assert [str(warning) for warning in resolution.warnings] == [
        f"{path}:2: malformed line: use NAME=value, and quote values that contain spaces"
    ]


def test_a_byte_order_mark_is_not_part_of_a_name(world: World) -> None:
    """Files from Windows editors, with a byte order mark and CRLF, are read correctly."""
    world.dotenv("\ufeffSPARK_CACHE_NAMESPACE=x\r\nSPARK_CACHE_TTL=90s\r\n")
    config = world.load()
    assert (config.namespace, config.ttl_seconds) == ("x", 90)
    assert config.origins["ttl_seconds"].line == 2


@pytest.mark.parametrize("written", ["$TMPDIR/entries", "${XDG_RUNTIME_DIR}/entries"])
def test_a_path_may_refer_to_places_on_the_machine(world: World, written: str) -> None:
    """The value is that of the process. The file cannot redefine it."""
    world.environ |= {"TMPDIR": "/process", "XDG_RUNTIME_DIR": "/process"}
    world.dotenv(f"TMPDIR=/file\nSPARK_CACHE_DIR={written}\n")
    assert str(world.load().cache_dir) == "/process/entries"

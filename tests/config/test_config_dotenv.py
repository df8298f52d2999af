"""Reading the ``.env`` file."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def test_references_are_expanded_and_the_process_wins(world: World) -> None:
    """A reference uses the value of the process, then that of the file, then its default."""
    world.environ["TEAM"] = "process"
    world.dotenv('TEAM=file\nAPP=shop\nSPARK_CACHE_NAMESPACE="${TEAM}-${APP}-${STAGE:-dev}"\n')
    assert world.load().namespace == "process-shop-dev"


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


def test_a_path_may_refer_to_a_variable_of_the_same_file(world: World) -> None:
    """``$NAME`` finds variables of the file, as ``${NAME}`` does. The process takes precedence here as well."""
    world.dotenv("DATA=/file\nSPARK_CACHE_DIR=$DATA/entries\n")
    assert str(world.load().cache_dir) == "/file/entries"
    world.environ["DATA"] = "/process"
    assert str(world.load().cache_dir) == "/process/entries"

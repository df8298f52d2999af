"""The ``.env`` file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config_world import World


def test_dotenv_is_found_above_the_working_directory(world: World) -> None:
    """The nearest file up to the project root counts."""
    path = world.dotenv("SPARK_CACHE_NAMESPACE=above\n")
    deep = world.project / "a" / "b"
    deep.mkdir(parents=True)
    config = world.load(cwd=deep)
    assert config.namespace == "above"
    assert config.origins["namespace"].path == path


def test_dotenv_is_not_looked_for_above_the_project(world: World) -> None:
    """A file beside the project is another's."""
    world.write(world.root / ".env", "SPARK_CACHE_NAMESPACE=outside\n")
    assert world.load().namespace is None


def test_foreign_variables_are_ignored(world: World) -> None:
    """What the application keeps there is none of our business."""
    world.dotenv("DATABASE_URL=postgres://x\nexport DEBUG=1\nBARE\nSPARK_CACHE_NAMESPACE=ours\n")
    assert world.load().namespace == "ours"


def test_variables_are_filled_in_and_the_process_wins(world: World) -> None:
    """A reference takes the process's value before the file's, and a default last."""
    world.environ["TEAM"] = "process"
    world.dotenv('TEAM=file\nAPP=shop\nSPARK_CACHE_NAMESPACE="${TEAM}-${APP}-${STAGE:-dev}"\n')
    assert world.load().namespace == "process-shop-dev"


def test_the_last_line_counts(world: World) -> None:
    """A variable set twice has its last value and line."""
    world.dotenv("SPARK_CACHE_NAMESPACE=one\n\nSPARK_CACHE_NAMESPACE=two\n")
    config = world.load()
    assert (config.namespace, config.origins["namespace"].line) == ("two", 3)


def test_a_value_over_several_lines_keeps_the_count_right(world: World) -> None:
    """The lines of a quoted value count for what follows."""
    world.dotenv('TEXT="one\ntwo\nthree"\n\n# more\nSPARK_CACHE_NAMESPACE=here\n')
    assert world.load().origins["namespace"].line == 6


def test_an_empty_variable_counts_as_unset(world: World) -> None:
    """An empty one lets lower layers speak, in the file as in the process."""
    world.environ["SPARK_CACHE_NAMESPACE"] = " "
    world.dotenv("SPARK_CACHE_NAMESPACE=\n")
    world.profile("mine", '[cache]\nnamespace = "profile"\n')
    assert world.load("mine").namespace == "profile"


def test_a_foreign_malformed_line_is_a_warning(world: World) -> None:
    """Another reader may understand it, so it stops nothing; it is named."""
    path = world.dotenv('SPARK_CACHE_NAMESPACE=x\nWELCOME "hello\n')
    resolution = world.resolve()
    assert resolution.config is not None
    assert [str(notice) for notice in resolution.notices] == [
        f"{path}:2: this line is malformed: write NAME=value, with quotes around a value of several words"
    ]


def test_a_byte_order_mark_is_no_part_of_a_name(world: World) -> None:
    """A file written by another system's editor is read as it is meant."""
    world.dotenv("\ufeffSPARK_CACHE_NAMESPACE=x\r\nSPARK_CACHE_TTL=90s\r\n")
    config = world.load()
    assert (config.namespace, config.ttl_seconds) == ("x", 90)
    assert config.origins["ttl_seconds"].line == 2


def test_a_path_may_name_a_variable_of_the_same_file(world: World) -> None:
    """``$NAME`` finds what the file sets, as ``${NAME}`` does, and the process wins here too."""
    world.dotenv("DATA=/file\nSPARK_CACHE_DIR=$DATA/entries\n")
    assert str(world.load().cache_dir) == "/file/entries"
    world.environ["DATA"] = "/process"
    assert str(world.load().cache_dir) == "/process/entries"

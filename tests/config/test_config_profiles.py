"""Where profiles are found, how their layers lie on each other, where their relative paths start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_cache.config.context import ConfigContext, shipped_profiles
from spark_cache.config.resolve import resolve
from spark_cache.errors import ConfigError

if TYPE_CHECKING:
    from config_world import World


def test_the_nearest_project_profile_counts(world: World) -> None:
    """A profile beside the working directory comes before one at the project root."""
    world.profile("mine", '[cache]\nnamespace = "root"\n')
    near = world.project / "service"
    world.write(near / "profiles" / "mine.toml", '[cache]\nnamespace = "near"\n')
    assert world.load("mine", cwd=near).namespace == "near"
    assert world.load("mine", cwd=world.project).namespace == "root"


def test_a_file_without_a_cache_table_belongs_to_somebody_else(world: World) -> None:
    """The search goes on above it, and says so."""
    world.profile("mine", '[cache]\nnamespace = "root"\n')
    near = world.project / "service"
    foreign = world.write(near / "profiles" / "mine.toml", "[server]\nport = 80\n")
    resolution = world.resolve("mine", cwd=near)
    assert resolution.config is not None
    assert resolution.config.namespace == "root"
    assert resolution.tried[foreign] == "passed over: no [cache] table"


def test_nothing_is_looked_for_above_the_project_root(world: World) -> None:
    """A profile of another project above is not ours."""
    world.write(world.root / "profiles" / "mine.toml", '[cache]\nnamespace = "above"\n')
    world.ship("mine", '[cache]\nnamespace = "shipped"\n')
    assert world.load("mine").namespace == "shipped"


def test_without_a_project_only_the_working_directory_counts(world: World) -> None:
    """Where there is neither pyproject.toml nor .git, parents are not looked at."""
    outside = world.root / "elsewhere" / "deep"
    outside.mkdir(parents=True)
    world.write(outside.parent / "profiles" / "mine.toml", '[cache]\nnamespace = "parent"\n')
    world.ship("mine", '[cache]\nnamespace = "shipped"\n')
    assert world.load("mine", cwd=outside).namespace == "shipped"
    world.write(outside / "profiles" / "mine.toml", '[cache]\nnamespace = "here"\n')
    assert world.load("mine", cwd=outside).namespace == "here"


@pytest.mark.parametrize("source", ["environment", ".env"])
def test_a_variable_names_the_folder_of_the_projects_profiles(world: World, source: str) -> None:
    """It replaces the search, and a relative one starts at the working directory."""
    world.profile("mine", '[cache]\nnamespace = "searched"\n')
    world.write(world.project / "settings" / "mine.toml", '[cache]\nnamespace = "named"\n')
    if source == "environment":
        world.environ["SPARK_PROFILES_DIR"] = "settings"
    else:
        world.dotenv("SPARK_PROFILES_DIR=settings\n")
    assert world.load("mine").namespace == "named"


def test_the_users_profiles_follow_xdg(world: World) -> None:
    """``XDG_CONFIG_HOME`` moves them; a relative one is ignored, as its specification says."""
    world.write(world.root / "xdg" / "spark-cache" / "profiles" / "mine.toml", '[cache]\nnamespace = "xdg"\n')
    world.user("mine", '[cache]\nnamespace = "home"\n')
    world.environ["XDG_CONFIG_HOME"] = str(world.root / "xdg")
    assert world.load("mine").namespace == "xdg"
    world.environ["XDG_CONFIG_HOME"] = "relative"
    assert world.load("mine").namespace == "home"


def test_layers_of_one_name_lie_on_each_other(world: World) -> None:
    """Each layer gives what those above it leave open."""
    world.ship("mine", '[cache]\nnamespace = "shipped"\nendpoint = "shipped"\ncache_version = "shipped"\n')
    world.user("mine", '[cache]\nnamespace = "user"\nendpoint = "user"\n')
    world.profile("mine", '[cache]\nnamespace = "project"\n')
    config = world.load("mine")
    assert (config.namespace, config.endpoint, config.cache_version) == ("project", "user", "shipped")


def test_extends_puts_another_profile_below(world: World) -> None:
    """The base replaces the layers of the same name, and brings its own."""
    world.ship("mine", '[cache]\nendpoint = "shipped mine"\n')
    world.ship("base", '[cache]\ncache_version = "shipped base"\n')
    world.user("base", '[cache]\nmode = "refresh"\n')
    world.profile("mine", 'extends = "base"\n\n[cache]\nnamespace = "project"\n')
    config = world.load("mine")
    assert (config.namespace, config.mode, config.cache_version) == ("project", "refresh", "shipped base")
    assert config.endpoint is None
    assert config.profile == "mine"


def test_extends_understands_aliases(world: World) -> None:
    """``extends = "prod"`` means production."""
    world.ship("production", '[cache]\nnamespace = "production"\n')
    world.profile("mine", 'extends = "prod"\n\n[cache]\n')
    assert world.load("mine").namespace == "production"


def test_extends_of_its_own_name_is_the_layer_below(world: World) -> None:
    """Naming oneself says what holds anyway."""
    world.ship("mine", '[cache]\nnamespace = "shipped"\n')
    world.profile("mine", 'extends = "mine"\n\n[cache]\n')
    assert world.load("mine").namespace == "shipped"


def test_a_relative_path_in_a_project_profile_starts_where_profiles_lies(world: World) -> None:
    """The working directory does not move the cache."""
    world.profile("mine", '[cache]\ncache_dir = "./dev_cache"\n')
    deep = world.project / "a" / "b"
    deep.mkdir(parents=True)
    assert world.load("mine", cwd=deep).cache_dir == world.project / "dev_cache"


@pytest.mark.parametrize("layer", ["user", "ship"])
def test_a_relative_path_in_any_other_profile_starts_at_the_project_root(world: World, layer: str) -> None:
    """Shipped and user profiles put the cache into the project."""
    getattr(world, layer)("mine", '[cache]\ncache_dir = "./dev_cache"\n')
    deep = world.project / "a" / "b"
    deep.mkdir(parents=True)
    assert world.load("mine", cwd=deep).cache_dir == world.project / "dev_cache"


@pytest.mark.parametrize("source", ["constructor", "environment", ".env"])
def test_a_relative_path_from_elsewhere_starts_at_the_working_directory(world: World, source: str) -> None:
    """What a person types is meant from where the person is."""
    deep = world.project / "a"
    deep.mkdir()
    overrides = {}
    if source == "constructor":
        overrides["cache_dir"] = "c"
    elif source == "environment":
        world.environ["SPARK_CACHE_DIR"] = "c"
    else:
        world.dotenv("SPARK_CACHE_DIR=c\n")
    assert world.load(cwd=deep, **overrides).cache_dir == deep / "c"


def test_the_default_directory_follows_xdg(world: World) -> None:
    """``~/.cache`` unless ``XDG_CACHE_HOME`` says otherwise."""
    assert world.load().cache_dir == world.root / "home" / ".cache" / "spark" / "llm-responses"
    world.environ["XDG_CACHE_HOME"] = "/var/tmp/x"
    assert world.load().cache_dir == Path("/var/tmp/x/spark/llm-responses")


def test_the_shipped_folder_is_no_project(world: World) -> None:
    """In a checkout of the library the same file is not two layers."""
    path = world.profile("mine", '[cache]\nnamespace = "once"\n')
    around = ConfigContext(world.environ, world.project, world.project_profiles)
    origin = resolve(None, {}, around).profiles.layers("mine")
    assert [(layer.kind, layer.path) for layer in origin] == [("shipped profile", path)]


def test_four_profiles_are_shipped() -> None:
    """The library comes with the four environments that people have."""
    assert {path.stem for path in shipped_profiles().glob("*.toml")} == {
        "development",
        "testing",
        "staging",
        "production",
    }


def test_a_home_that_may_not_be_searched_is_passed_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service without access to its home still loads."""
    real = os.lstat

    def lstat(path: str | Path, **options: object) -> os.stat_result:
        if str(path).startswith(str(world.root / "home")):
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    world.ship("mine", '[cache]\nnamespace = "shipped"\n')
    monkeypatch.setattr(os, "lstat", lstat)
    assert world.load("mine").namespace == "shipped"


def test_without_any_home_the_root_stands_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container user without an entry in the password file still loads."""
    del world.environ["HOME"]
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert world.load().cache_dir == Path("/.cache/spark/llm-responses")


def test_a_byte_order_mark_is_no_part_of_a_profile(world: World) -> None:
    """A profile written by another system's editor is read as it is meant, lines included."""
    world.profile("mine", '\ufeff[cache]\r\nttl = "90s"\r\n')
    config = world.load("mine")
    assert (config.ttl_seconds, config.origins["ttl_seconds"].line) == (90, 2)


def test_a_number_of_thousands_of_digits_is_an_error(world: World) -> None:
    """It is told like any other fault of a file."""
    path = world.profile("mine", f"[cache]\nttl = {'1' * 5000}\n")
    with pytest.raises(ConfigError) as caught:
        world.load("mine")
    assert str(caught.value) == f"{path}: holds a number too long to be read"


def test_a_profile_without_its_table_is_named(world: World) -> None:
    """A guard that nobody reads is worse than none, so a file that looks like ours is not silently passed over."""
    world.ship("production", "[cache]\n")
    path = world.profile("production", '[guard]\nmax_ttl = "1h"\n')
    assert [str(notice) for notice in world.resolve("production").notices] == [
        f"{path}: is passed over, as it has no [cache] table: add one, which may be empty"
    ]


def test_a_foreign_file_is_passed_over_in_silence(world: World) -> None:
    """A file with keys of its own belongs to another tool."""
    world.ship("production", "[cache]\n")
    world.profile("production", "[guard]\nheight = 2\n[castle]\n")
    assert world.resolve("production").notices == ()


def test_a_folder_of_profiles_given_with_dots(world: World) -> None:
    """Relative paths start at the folder that holds it, however it is written."""
    world.profile("mine", '[cache]\ncache_dir = "entries"\n')
    deep = world.project_profiles / "deep"
    deep.mkdir()
    world.environ["SPARK_PROFILES_DIR"] = ".."
    assert world.load("mine", cwd=deep).cache_dir == world.project / "entries"

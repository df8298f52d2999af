"""Finding profiles, layering them and resolving their relative paths."""

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


def test_the_nearest_project_profile_is_used(world: World) -> None:
    """A profile next to the working directory takes precedence over one at the project root."""
    world.profile("mine", '[cache]\nnamespace = "root"\n')
    near = world.project / "service"
    world.write(near / "profiles" / "mine.toml", '[cache]\nnamespace = "near"\n')
    assert world.load("mine", cwd=near).namespace == "near"
    assert world.load("mine", cwd=world.project).namespace == "root"


def test_a_file_without_a_cache_table_is_skipped(world: World) -> None:
    """The search continues in the parent folders, and the outcome is recorded."""
    world.profile("mine", '[cache]\nnamespace = "root"\n')
    near = world.project / "service"
    foreign = world.write(near / "profiles" / "mine.toml", "[server]\nport = 80\n")
    resolution = world.resolve("mine", cwd=near)
    assert resolution.config is not None
    assert resolution.config.namespace == "root"
    assert resolution.tried[foreign] == "skipped: no [cache] table"


def test_nothing_is_looked_for_above_the_project_root(world: World) -> None:
    """A profile outside the project is not used."""
    world.write(world.root / "profiles" / "mine.toml", '[cache]\nnamespace = "above"\n')
    world.ship("mine", '[cache]\nnamespace = "shipped"\n')
    assert world.load("mine").namespace == "shipped"


def test_without_a_project_root_only_the_working_directory_is_searched(world: World) -> None:
    """Without pyproject.toml and .git, parent folders are not searched."""
    outside = world.root / "elsewhere" / "deep"
    outside.mkdir(parents=True)
    world.write(outside.parent / "profiles" / "mine.toml", '[cache]\nnamespace = "parent"\n')
    world.ship("mine", '[cache]\nnamespace = "shipped"\n')
    assert world.load("mine", cwd=outside).namespace == "shipped"
    world.write(outside / "profiles" / "mine.toml", '[cache]\nnamespace = "here"\n')
    assert world.load("mine", cwd=outside).namespace == "here"


@pytest.mark.parametrize("source", ["environment", ".env"])
def test_a_variable_sets_the_folder_of_the_project_profiles(world: World, source: str) -> None:
    """The variable replaces the search. A relative path starts at the working directory."""
    world.profile("mine", '[cache]\nnamespace = "searched"\n')
    world.write(world.project / "settings" / "mine.toml", '[cache]\nnamespace = "named"\n')
    if source == "environment":
        world.environ["SPARK_PROFILES_DIR"] = "settings"
    else:
        world.dotenv("SPARK_PROFILES_DIR=settings\n")
    assert world.load("mine").namespace == "named"


def test_user_profiles_follow_xdg(world: World) -> None:
    """``XDG_CONFIG_HOME`` moves the profiles. As its specification requires, a relative path is ignored."""
    world.write(world.root / "xdg" / "spark-cache" / "profiles" / "mine.toml", '[cache]\nnamespace = "xdg"\n')
    world.user("mine", '[cache]\nnamespace = "home"\n')
    world.environ["XDG_CONFIG_HOME"] = str(world.root / "xdg")
    assert world.load("mine").namespace == "xdg"
    world.environ["XDG_CONFIG_HOME"] = "relative"
    assert world.load("mine").namespace == "home"


def test_profiles_with_the_same_name_are_layers(world: World) -> None:
    """Each layer provides the values that higher layers do not set."""
    world.ship("mine", '[cache]\nnamespace = "shipped"\nendpoint = "shipped"\ncache_version = "shipped"\n')
    world.user("mine", '[cache]\nnamespace = "user"\nendpoint = "user"\n')
    world.profile("mine", '[cache]\nnamespace = "project"\n')
    config = world.load("mine")
    assert (config.namespace, config.endpoint, config.cache_version) == ("project", "user", "shipped")


def test_extends_adds_the_layers_of_another_profile(world: World) -> None:
    """The layers of the base replace the lower layers with the same name."""
    world.ship("mine", '[cache]\nendpoint = "shipped mine"\n')
    world.ship("base", '[cache]\ncache_version = "shipped base"\n')
    world.user("base", '[cache]\nmode = "refresh"\n')
    world.profile("mine", 'extends = "base"\n\n[cache]\nnamespace = "project"\n')
    config = world.load("mine")
    assert (config.namespace, config.mode, config.cache_version) == ("project", "refresh", "shipped base")
    assert config.endpoint is None
    assert config.profile == "mine"


def test_extends_accepts_aliases(world: World) -> None:
    """``extends = "prod"`` means production."""
    world.ship("production", '[cache]\nnamespace = "production"\n')
    world.profile("mine", 'extends = "prod"\n\n[cache]\n')
    assert world.load("mine").namespace == "production"


def test_a_profile_that_extends_itself_means_the_layer_below(world: World) -> None:
    """The lower layers apply anyway."""
    world.ship("mine", '[cache]\nnamespace = "shipped"\n')
    world.profile("mine", 'extends = "mine"\n\n[cache]\n')
    assert world.load("mine").namespace == "shipped"


def test_a_relative_path_in_a_project_profile_starts_at_the_parent_of_profiles(world: World) -> None:
    """The working directory does not affect the location of the cache."""
    world.profile("mine", '[cache]\ncache_dir = "./dev_cache"\n')
    deep = world.project / "a" / "b"
    deep.mkdir(parents=True)
    assert world.load("mine", cwd=deep).cache_dir == world.project / "dev_cache"


@pytest.mark.parametrize("layer", ["user", "ship"])
def test_a_relative_path_in_any_other_profile_starts_at_the_project_root(world: World, layer: str) -> None:
    """With shipped and user profiles, the cache is inside the project."""
    getattr(world, layer)("mine", '[cache]\ncache_dir = "./dev_cache"\n')
    deep = world.project / "a" / "b"
    deep.mkdir(parents=True)
    assert world.load("mine", cwd=deep).cache_dir == world.project / "dev_cache"


@pytest.mark.parametrize("source", ["constructor", "environment", ".env"])
def test_any_other_relative_path_starts_at_the_working_directory(world: World, source: str) -> None:
    """A path from code, a variable or ``.env`` is relative to the working directory."""
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
    """The default is in ``~/.cache`` unless ``XDG_CACHE_HOME`` is set."""
    assert world.load().cache_dir == world.root / "home" / ".cache" / "spark" / "llm-responses"
    world.environ["XDG_CACHE_HOME"] = "/var/tmp/x"
    assert world.load().cache_dir == Path("/var/tmp/x/spark/llm-responses")


def test_the_shipped_folder_is_not_a_project_folder(world: World) -> None:
    """In a checkout of the library, a shipped profile does not count as two layers."""
    path = world.profile("mine", '[cache]\nnamespace = "once"\n')
    context = ConfigContext(world.environ, world.project, world.project_profiles)
    layers = resolve(None, {}, context).profiles.layers("mine")
    assert [(layer.kind, layer.path) for layer in layers] == [("shipped profile", path)]


def test_four_profiles_are_shipped() -> None:
    """The library ships profiles for the four common environments."""
    assert {path.stem for path in shipped_profiles().glob("*.toml")} == {
        "development",
        "testing",
        "staging",
        "production",
    }


def test_an_inaccessible_home_is_skipped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service without access to its home directory can load a configuration."""
    real = os.lstat

    def lstat(path: str | Path, **options: object) -> os.stat_result:
        if str(path).startswith(str(world.root / "home")):
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    world.ship("mine", '[cache]\nnamespace = "shipped"\n')
    monkeypatch.setattr(os, "lstat", lstat)
    assert world.load("mine").namespace == "shipped"


def test_without_a_home_directory_the_root_is_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container user without a passwd entry can load a configuration."""
    del world.environ["HOME"]
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert world.load().cache_dir == Path("/.cache/spark/llm-responses")


def test_a_byte_order_mark_is_not_part_of_a_profile(world: World) -> None:
    """A profile from a Windows editor is read correctly, including line numbers."""
    world.profile("mine", '\ufeff[cache]\r\nttl = "90s"\r\n')
    config = world.load("mine")
    assert (config.ttl_seconds, config.origins["ttl_seconds"].line) == (90, 2)


def test_a_number_of_thousands_of_digits_is_an_error(world: World) -> None:
    """The number is reported like any other problem in a file."""
    path = world.profile("mine", f"[cache]\nttl = {'1' * 5000}\n")
    with pytest.raises(ConfigError) as caught:
        world.load("mine")
    assert str(caught.value) == f"{path}: contains a number that is too long to be parsed"


def test_a_profile_without_a_cache_table_causes_a_warning(world: World) -> None:
    """A file that looks like a profile is not skipped silently, because its guard would be ignored."""
    world.ship("production", "[cache]\n")
    path = world.profile("production", '[guard]\nmax_ttl = "1h"\n')
    assert [str(warning) for warning in world.resolve("production").warnings] == [
        f"{path}: this file is skipped because it has no [cache] table: add one, which may be empty"
    ]


def test_a_file_of_another_tool_is_skipped_silently(world: World) -> None:
    """A file with unknown keys belongs to another tool."""
    world.ship("production", "[cache]\n")
    world.profile("production", "[guard]\nheight = 2\n[castle]\n")
    assert world.resolve("production").warnings == ()


def test_a_folder_of_profiles_may_contain_dots(world: World) -> None:
    """Relative paths start at the parent of the folder, however the folder is written."""
    world.profile("mine", '[cache]\ncache_dir = "entries"\n')
    deep = world.project_profiles / "deep"
    deep.mkdir()
    world.environ["SPARK_PROFILES_DIR"] = ".."
    assert world.load("mine", cwd=deep).cache_dir == world.project / "entries"

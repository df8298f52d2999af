"""What people get wrong is named exactly, all at once, and without a secret."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from config_mistakes import CASES, CONSTRUCTOR, SECRET

from spark_cache.config import CacheConfig
from spark_cache.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from config_world import World


@pytest.fixture(autouse=True)
def known_profiles(world: World) -> None:
    world.ship("production", "[cache]\n")
    world.ship("staging", "[cache]\n")


def problems_of(world: World, **overrides: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        world.load(**overrides)
    return caught.value


@pytest.mark.parametrize(("prepare", "message"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_a_mistake_is_named_exactly(world: World, prepare: Callable[[World], object], message: str) -> None:
    """Source, file, line, key, value, what is accepted and the way out; never a secret."""
    prepare(world)
    error = problems_of(world)
    assert str(error) == message.format(world=world)
    assert SECRET not in f"{error!s}{error!r}{error.problems!r}"


def test_there_is_a_case_for_everything() -> None:
    """The table is as long as it was meant to be, and no two of its names are alike."""
    assert len({case[0] for case in CASES}) == len(CASES) >= 40


def test_an_unreadable_profile_is_not_a_missing_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own word says why."""
    path = world.profile("mine", "[cache]\n")
    real = Path.read_bytes

    def read_bytes(self: Path) -> bytes:
        if self == path:
            raise PermissionError(13, os.strerror(13))
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    world.environ["SPARK_PROFILE"] = "mine"
    assert str(problems_of(world)) == f"{path}: cannot be read: Permission denied"


def test_a_key_file_of_another_user_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns it could put a key of their own there."""
    path = world.write(world.root / "keys", SECRET)
    path.chmod(0o600)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = str(path)
    assert str(problems_of(world)) == (
        f"environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {path} belongs to another user"
    )


def test_a_cache_directory_that_is_not_there_yet_breaks_no_guard(world: World) -> None:
    """The cache makes it, for its owner alone; a closed one is fine as well."""
    world.profile("mine", "[cache]\n[guard]\nforbid_world_readable_cache_dir = true\n")
    folder = world.root / "later"
    assert world.load("mine", cache_dir=folder).cache_dir == folder
    folder.mkdir(mode=0o700)
    assert world.load("mine", cache_dir=folder).cache_dir == folder


def test_a_guard_that_is_met_says_nothing(world: World) -> None:
    """Every condition, in force and kept."""
    world.profile(
        "mine",
        '[cache]\nttl = "1h"\nnamespace = "n"\n[guard]\nmax_ttl = "1h"\nrequire_namespace = true\n'
        'forbid_modes = ["replay"]\nrequire_encryption = "sensitive"\n',
    )
    assert world.load("mine").namespace == "n"


def test_all_problems_come_at_once(world: World) -> None:
    """One run shows everything that must be changed, guards included."""
    path = world.profile(
        "mine",
        'colour = "red"\n[cache]\nttl = "soon"\nmax_siez = 1\n\n[[rules]]\nmodel = "a"\nmode = "x"\n\n'
        "[guard]\nrequire_namespace = true\n",
    )
    dotenv_path = world.dotenv("SPARK_CACHE_FSYNC\nSPARK_CACHE_STORE=disk\nSPARK_CACHE_TTL 5\n")
    world.environ |= {"SPARK_PROFILE": "mine", "SPARK_CACHE_MODE": "fast"}
    error = problems_of(world, lock_timeout_seconds="x", colour=1)
    assert [(problem.source, problem.line, problem.key) for problem in error.problems] == [
        (str(dotenv_path), 3, None),
        ("constructor", None, "colour"),
        (str(path), 1, "colour"),
        (str(path), 4, "cache.max_siez"),
        (str(path), 8, "rules[0].mode"),
        (str(path), 3, "cache.ttl"),
        ("environment", None, "SPARK_CACHE_MODE"),
        ("constructor", None, "lock_timeout_seconds"),
        (str(dotenv_path), 2, "SPARK_CACHE_STORE"),
        ("default", None, "namespace"),
    ]
    assert str(error).startswith("10 problems:\n  ")


def test_a_shadowed_mistake_does_no_harm(world: World) -> None:
    """What a higher layer replaces is only looked at by a check."""
    world.dotenv("SPARK_CACHE_TTL=soon\n")
    world.environ["SPARK_CACHE_TTL"] = "90s"
    assert world.load().ttl_seconds == 90


def test_a_guard_of_a_higher_layer_replaces_the_one_below(world: World) -> None:
    """A project may loosen what a shipped profile demands, where everybody can read it."""
    world.ship("mine", '[cache]\n[guard]\nforbid_modes = ["replay"]\nmax_ttl = "30d"\n')
    world.profile("mine", "[cache]\n[guard]\nforbid_modes = []\n")
    world.environ |= {"SPARK_PROFILE": "mine", "SPARK_CACHE_MODE": "replay"}
    config = world.load()
    assert config.mode == "replay"
    assert {condition.name for condition in config.provenance.guard.conditions} == {"forbid_modes", "max_ttl"}


def test_a_change_in_code_meets_the_guard_as_well(world: World) -> None:
    """``with_`` is no way around it."""
    path = world.profile("mine", '[cache]\n[guard]\nforbid_modes = ["replay"]\n')
    config = world.load("mine")
    with pytest.raises(ConfigError) as caught:
        config.with_(mode="replay")
    assert str(caught.value) == (
        f"constructor: mode: mode is 'replay', and guard.forbid_modes at {path}:3 forbids it"
    )


def test_rules_given_to_with_are_one_place(world: World) -> None:
    """The code that gave them all is to blame."""
    path = world.profile(
        "mine", '[cache]\nttl = 1\n[[rules]]\nmodel = "a"\nttl = 5\n[guard]\nmax_ttl = "1h"\n'
    )
    with pytest.raises(ConfigError) as caught:
        world.load("mine").with_(rules=[{"model": "b", "ttl": 1}, {"model": "c", "ttl": "2h"}])
    assert str(caught.value) == (
        f"constructor: rules: ttl_seconds of a rule for */c is 2h, more than 1h, and guard.max_ttl at {path}:7 forbids it"
    )


@pytest.mark.parametrize(("arguments", "message"), CONSTRUCTOR)
def test_the_constructor_says_the_same(arguments: dict[str, Any], message: str) -> None:
    """A mistake in code is named like one in a file."""
    with pytest.raises(ConfigError) as caught:
        CacheConfig(**arguments)
    assert str(caught.value) == message
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [case for case in CONSTRUCTOR if "rules" in case[0] or "encryption_keys" not in case[0]],
)
def test_load_config_says_the_same(world: World, arguments: dict[str, Any], message: str) -> None:
    """An override is named like an argument of the constructor."""
    assert str(problems_of(world, **arguments)) == message


def test_keys_in_place_of_a_key_file_are_not_shown(world: World) -> None:
    """Several keys given as the path of a file are recognised, and covered."""
    world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = f"{SECRET},{SECRET}"
    (problem,) = problems_of(world).problems
    assert problem.message == (
        "this is a key, not the path of a file: set SPARK_CACHE_ENCRYPTION_KEY to it instead"
    )


def test_a_key_in_place_of_a_folder_is_not_shown(world: World) -> None:
    """Nor is one that strayed into the folder of the profiles."""
    world.environ["SPARK_PROFILES_DIR"] = SECRET
    (problem,) = problems_of(world).problems
    assert problem.message == f"there is no directory {world.project}/(a key)"


def test_a_key_file_with_a_byte_order_mark(world: World) -> None:
    """The mark is no part of the first key."""
    path = world.write(world.root / "keys", f"\ufeff{SECRET}\r\n")
    path.chmod(0o600)
    world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = str(path)
    assert world.load().fernet_keys() == (SECRET,)


def test_a_cache_directory_that_leads_nowhere_with_a_key_file(world: World) -> None:
    """A circle of links is the store's to speak of; the key file is still told to lie outside."""
    path = world.write(world.root / "keys", f"{SECRET}\n")
    path.chmod(0o600)
    circle = world.root / "circle"
    circle.symlink_to(circle)
    assert world.load(cache_dir=circle, encryption_key_file=path).fernet_keys() == (SECRET,)

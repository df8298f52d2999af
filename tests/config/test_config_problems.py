"""Error messages are exact, list all problems and contain no secrets."""

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
def test_the_message_for_a_mistake_is_exact(
    world: World, prepare: Callable[[World], object], message: str
) -> None:
    """The message contains source, file, line, key, value, accepted values and solution, but no secret."""
    prepare(world)
    error = problems_of(world)
    assert str(error) == message.format(world=world)
    assert SECRET not in f"{error!s}{error!r}{error.problems!r}"


def test_the_names_of_the_cases_are_unique() -> None:
    """No case replaces another, and the table has its expected size."""
    assert len({case[0] for case in CASES}) == len(CASES) >= 40


def test_an_unreadable_profile_does_not_count_as_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message contains the reason given by the operating system."""
    path = world.profile("mine", "[cache]\n")
    real = Path.read_bytes

    def read_bytes(self: Path) -> bytes:
        if self == path:
            raise PermissionError(13, os.strerror(13))
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    world.environ["SPARK_PROFILE"] = "mine"
    assert str(problems_of(world)) == f"{path}: cannot be read: Permission denied"


def test_a_key_file_of_another_user_is_rejected(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of the file could replace the key."""
    path = world.write(world.root / "keys", SECRET)
    path.chmod(0o600)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = str(path)
    assert str(problems_of(world)) == (
        f"environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {path} belongs to another user"
    )


def test_a_missing_cache_directory_violates_no_guard(world: World) -> None:
    """The cache creates the directory with access for its owner only. An existing private directory is fine as well."""
    world.profile("mine", "[cache]\n[guard]\nforbid_world_readable_cache_dir = true\n")
    folder = world.root / "later"
    assert world.load("mine", cache_dir=folder).cache_dir == folder
    folder.mkdir(mode=0o700)
    assert world.load("mine", cache_dir=folder).cache_dir == folder


def test_a_guard_that_is_met_reports_nothing(world: World) -> None:
    """Every condition is set, and the configuration meets all of them."""
    world.profile(
        "mine",
        '[cache]\nttl = "1h"\nnamespace = "n"\n[guard]\nmax_ttl = "1h"\nrequire_namespace = true\n'
        'forbid_modes = ["replay"]\nrequire_encryption = "sensitive"\n',
    )
    assert world.load("mine").namespace == "n"


def test_an_error_lists_all_problems(world: World) -> None:
    """A single run shows everything that must be fixed, including violated guards."""
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


def test_a_shadowed_mistake_is_not_an_error(world: World) -> None:
    """Only a check reports values that a higher layer shadows."""
    world.dotenv("SPARK_CACHE_TTL=soon\n")
    world.environ["SPARK_CACHE_TTL"] = "90s"
    assert world.load().ttl_seconds == 90


def test_a_guard_of_a_higher_layer_replaces_the_one_below(world: World) -> None:
    """A project may relax the guard of a shipped profile, in a file that every developer can read."""
    world.ship("mine", '[cache]\n[guard]\nforbid_modes = ["replay"]\nmax_ttl = "30d"\n')
    world.profile("mine", "[cache]\n[guard]\nforbid_modes = []\n")
    world.environ |= {"SPARK_PROFILE": "mine", "SPARK_CACHE_MODE": "replay"}
    config = world.load()
    assert config.mode == "replay"
    assert {condition.name for condition in config.provenance.guard.conditions} == {"forbid_modes", "max_ttl"}


def test_a_change_in_code_must_meet_the_guard(world: World) -> None:
    """``with_`` cannot bypass a guard."""
    path = world.profile("mine", '[cache]\n[guard]\nforbid_modes = ["replay"]\n')
    config = world.load("mine")
    with pytest.raises(ConfigError) as caught:
        config.with_(mode="replay")
    assert str(caught.value) == (
        f"constructor: mode: mode is 'replay', which violates guard.forbid_modes at {path}:3"
    )


def test_rules_given_to_with_share_one_origin(world: World) -> None:
    """The message names the argument that sets all the rules."""
    path = world.profile(
        "mine", '[cache]\nttl = 1\n[[rules]]\nmodel = "a"\nttl = 5\n[guard]\nmax_ttl = "1h"\n'
    )
    with pytest.raises(ConfigError) as caught:
        world.load("mine").with_(rules=[{"model": "b", "ttl": 1}, {"model": "c", "ttl": "2h"}])
    assert str(caught.value) == (
        f"constructor: rules: ttl_seconds in the rule for */c is 2h, longer than 1h, which violates guard.max_ttl at {path}:7"
    )


@pytest.mark.parametrize(("arguments", "message"), CONSTRUCTOR)
def test_the_message_for_a_constructor_argument_is_exact(arguments: dict[str, Any], message: str) -> None:
    """A mistake in code is reported like a mistake in a file."""
    with pytest.raises(ConfigError) as caught:
        CacheConfig(**arguments)
    assert str(caught.value) == message
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [case for case in CONSTRUCTOR if "rules" in case[0] or "encryption_keys" not in case[0]],
)
def test_the_message_for_an_override_is_exact(world: World, arguments: dict[str, Any], message: str) -> None:
    """An override is reported like an argument of the constructor."""
    assert str(problems_of(world, **arguments)) == message


def test_keys_in_place_of_a_key_file_are_not_shown(world: World) -> None:
    """Several keys given as a file path are recognised and redacted."""
    world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = f"{SECRET},{SECRET}"
    (problem,) = problems_of(world).problems
    assert problem.message == (
        "this is an encryption key, not a file path: set SPARK_CACHE_ENCRYPTION_KEY to it instead"
    )


def test_a_key_in_place_of_a_folder_is_not_shown(world: World) -> None:
    """A key given as the folder of the profiles is redacted."""
    world.environ["SPARK_PROFILES_DIR"] = SECRET
    (problem,) = problems_of(world).problems
    assert problem.message == f"no such directory: {world.project}/(a key)"


def test_a_key_file_with_a_byte_order_mark(world: World) -> None:
    """The mark is not part of the first key."""
    path = world.write(world.root / "keys", f"\ufeff{SECRET}\r\n")
    path.chmod(0o600)
    world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = str(path)
    assert world.load().fernet_keys() == (SECRET,)


def test_a_cache_directory_in_a_link_cycle_with_a_key_file(world: World) -> None:
    """The store reports a cycle of links. The check that the key file is outside the cache directory still works."""
    path = world.write(world.root / "keys", f"{SECRET}\n")
    path.chmod(0o600)
    link = world.root / "link"
    link.symlink_to(link)
    assert world.load(cache_dir=link, encryption_key_file=path).fernet_keys() == (SECRET,)

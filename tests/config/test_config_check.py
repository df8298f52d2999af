"""A check looks where a load does not: shadowed values, and files of secrets."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

from spark_cache.config.check import check
from spark_cache.config.context import shipped_profiles
from spark_cache.config.load import asked_profile

if TYPE_CHECKING:
    from config_world import World

KEY = Fernet.generate_key().decode()


def problems(world: World, profile: str | None = None) -> list[str]:
    return [str(problem) for problem in check(asked_profile(profile), world.around()).problems]


@pytest.mark.parametrize("name", ["development", "testing", "staging", "production"])
def test_the_shipped_profiles_pass(world: World, name: str) -> None:
    """All four, with nothing else set."""
    world.shipped = shipped_profiles()
    verdict = check(asked_profile(name), world.around())
    assert (verdict.profile, verdict.problems, verdict.warnings) == (name, (), ())


def test_a_shadowed_value_is_checked(world: World) -> None:
    """It would fail on the day the value above it is removed."""
    path = world.profile("mine", '[cache]\nttl = "soon"\ncache_dir = "$NOWHERE"\n')
    world.environ |= {"SPARK_CACHE_TTL": "1h", "SPARK_CACHE_DIR": "/x"}
    assert problems(world, "mine") == [
        f"{path}:2: cache.ttl: 'soon' is not a duration: write seconds, or 90s, 30m, 24h, 7d, 1h30m, or never",
        f"{path}:3: cache.cache_dir: '$NOWHERE' names the variable NOWHERE, which is not set",
    ]


def test_a_shadowed_name_of_a_profile_is_checked(world: World) -> None:
    """It would fail on the day the variable above it is removed."""
    world.ship("testing", "[cache]\n")
    world.environ["ENVIRONMENT"] = "testing"
    path = world.dotenv("SPARK_PROFILE=testin\n")
    assert problems(world) == [
        f"{path}:1: SPARK_PROFILE: there is no profile 'testin'; did you mean testing?"
    ]


def test_a_variable_nobody_reads_is_a_problem(world: World) -> None:
    """A load only warns of it."""
    world.environ["SPARK_CACHE_TLL"] = "1h"
    assert problems(world) == [
        "environment: SPARK_CACHE_TLL: nothing reads the variable SPARK_CACHE_TLL; did you mean SPARK_CACHE_TTL?"
    ]


def test_an_unknown_environment_is_a_problem(world: World) -> None:
    """A load only warns of it."""
    world.ship("production", "[cache]\n")
    world.environ["ENVIRONMENT"] = "producton"
    assert problems(world) == [
        (
            "environment: ENVIRONMENT: there is no profile 'producton'; did you mean production?; "
            "the values of production are taken, without its guards"
        )
    ]


def test_a_broken_guard_is_a_problem(world: World) -> None:
    """As it is for a load."""
    world.profile("mine", "[cache]\n[guard]\nrequire_namespace = true\n")
    assert len(problems(world, "mine")) == 1


def test_a_foreign_malformed_line_is_a_warning(world: World) -> None:
    """Somebody else's reader may understand it."""
    path = world.dotenv("WELCOME hello\n")
    verdict = check(None, world.around())
    assert verdict.problems == ()
    assert [warning.source for warning in verdict.warnings] == [str(path)]


def test_a_dotenv_with_a_key_must_be_closed_to_others(world: World) -> None:
    """The file holds a secret, whatever else it holds."""
    path = world.dotenv(f"A=1\nSPARK_CACHE_ENCRYPTION_KEY={KEY}\n")
    path.chmod(0o644)
    assert problems(world) == [
        (
            f"{path}:2: SPARK_CACHE_ENCRYPTION_KEY: this file holds a key and is open to others (mode 0644): "
            "run chmod 600 on it"
        )
    ]


def git(world: World, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(world.project), *arguments], check=True, capture_output=True)


def test_a_dotenv_with_a_key_must_be_ignored_by_git(world: World) -> None:
    """One ``git add .`` would publish it."""
    git(world, "init")
    path = world.dotenv(f"SPARK_CACHE_ENCRYPTION_KEY={KEY}\n")
    path.chmod(0o600)
    assert problems(world) == [
        (
            f"{path}:1: SPARK_CACHE_ENCRYPTION_KEY: this file holds a key and git does not ignore it: "
            "add it to .gitignore"
        )
    ]
    world.write(world.project / ".gitignore", ".env\n")
    assert problems(world) == []


def test_a_key_file_that_git_tracks_is_a_problem_though_ignored(world: World) -> None:
    """A pattern does not remove what was added before."""
    git(world, "init")
    keys = world.write(world.project / "cache.keys", KEY)
    keys.chmod(0o600)
    git(world, "add", "cache.keys")
    world.write(world.project / ".gitignore", "*.keys\n")
    world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = str(keys)
    assert problems(world) == [
        (
            f"environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: git does not ignore the key file {keys}: "
            "add it to .gitignore, or keep it elsewhere"
        )
    ]


def test_a_key_file_outside_of_any_work_tree_is_fine(world: World) -> None:
    """There is nothing to commit it to."""
    keys = world.write(world.root / "home" / "cache.keys", KEY)
    keys.chmod(0o600)
    world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = str(keys)
    assert problems(world) == []


def test_without_git_nothing_is_said_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without git has no work tree to look into."""
    git(world, "init")
    world.dotenv(f"SPARK_CACHE_ENCRYPTION_KEY={KEY}\n").chmod(0o600)
    monkeypatch.setenv("PATH", "")
    assert problems(world) == []


def test_sensitive_rules_need_a_key(world: World) -> None:
    """Without one, what they call sensitive is never cached, and nobody would notice."""
    path = world.profile(
        "mine", '[cache]\nenabled = true\n\n[[rules]]\nmodel = "*-internal"\nsensitive = true\n'
    )
    message = (
        f"{path}:4: rules: the rule for */*-internal says sensitive, and there is no encryption key: its requests are "
        "never cached. Give a key, for example with SPARK_CACHE_ENCRYPTION_KEY_FILE"
    )
    assert problems(world, "mine") == [message]
    world.environ["SPARK_CACHE_ENCRYPTION"] = "off"
    assert problems(world, "mine") == [message.replace("there is no encryption key", "encryption is off")]
    world.environ |= {"SPARK_CACHE_ENCRYPTION": "sensitive", "SPARK_CACHE_ENCRYPTION_KEY": KEY}
    assert problems(world, "mine") == []

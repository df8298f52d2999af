"""A check finds problems that a load does not report, such as shadowed values and files with secrets."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

from spark_cache.config.check import check
from spark_cache.config.context import shipped_profiles
from spark_cache.config.load import profile_from_code

if TYPE_CHECKING:
    from config_world import World

KEY = Fernet.generate_key().decode()


def problems(world: World, profile: str | None = None) -> list[str]:
    return [str(problem) for problem in check(profile_from_code(profile), world.context()).problems]


@pytest.mark.parametrize("name", ["development", "testing", "staging", "production"])
def test_the_shipped_profiles_pass(world: World, name: str) -> None:
    """All four pass with nothing else set."""
    world.shipped = shipped_profiles()
    verdict = check(profile_from_code(name), world.context())
    assert (verdict.profile, verdict.problems, verdict.warnings) == (name, (), ())


def test_a_shadowed_value_is_checked(world: World) -> None:
    """The value would fail as soon as the value that shadows it is removed."""
    path = world.profile("mine", '[cache]\nttl = "soon"\ncache_dir = "$NOWHERE"\n')
    world.environ |= {"SPARK_CACHE_TTL": "1h", "SPARK_CACHE_DIR": "/x"}
    assert problems(world, "mine") == [
        (
            f"{path}:2: cache.ttl: 'soon' is not a duration: "
            "use a number of seconds, a value such as 90s, 30m, 24h, 7d or 1h30m, or never"
        ),
        (
            f"{path}:3: cache.cache_dir: '$NOWHERE' refers to the variable NOWHERE: "
            "profiles and .env files can only use ~, $HOME, $USER, $TMPDIR and $XDG_…"
        ),
    ]


def test_a_shadowed_name_of_a_profile_is_checked(world: World) -> None:
    """The name would fail as soon as the variable that shadows it is removed."""
    world.ship("testing", "[cache]\n")
    world.environ["ENVIRONMENT"] = "testing"
    path = world.dotenv("SPARK_PROFILE=testin\n")
    assert problems(world) == [f"{path}:1: SPARK_PROFILE: unknown profile 'testin'; did you mean testing?"]


def test_an_unknown_variable_is_a_problem(world: World) -> None:
    """A load only logs a warning."""
    world.environ["SPARK_CACHE_TLL"] = "1h"
    assert problems(world) == [
        "environment: SPARK_CACHE_TLL: unknown variable SPARK_CACHE_TLL is ignored; did you mean SPARK_CACHE_TTL?"
    ]


def test_an_unknown_environment_is_a_problem(world: World) -> None:
    """A load only logs a warning."""
    world.ship("production", "[cache]\n")
    world.environ["ENVIRONMENT"] = "producton"
    assert problems(world) == [
        (
            "environment: ENVIRONMENT: unknown profile 'producton'; did you mean production?; "
            "the values of production are used, without its guards"
        )
    ]


def test_a_broken_guard_is_a_problem(world: World) -> None:
    """A check reports it like a load does."""
    world.profile("mine", "[cache]\n[guard]\nrequire_namespace = true\n")
    assert len(problems(world, "mine")) == 1


def test_a_malformed_line_of_another_program_is_a_warning(world: World) -> None:
    """Another program may understand the line."""
    path = world.dotenv("WELCOME hello\n")
    verdict = check(None, world.context())
    assert verdict.problems == ()
    assert [warning.source for warning in verdict.warnings] == [str(path)]


def test_a_dotenv_with_a_key_must_be_private(world: World) -> None:
    """A file with an encryption key must not be readable by other users."""
    path = world.dotenv(f"A=1\nSPARK_CACHE_ENCRYPTION_KEY={KEY}\n")
    path.chmod(0o644)
    assert problems(world) == [
        (
            f"{path}:2: SPARK_CACHE_ENCRYPTION_KEY: this file contains an encryption key and is accessible to "
            "other users (mode 0644): run chmod 600 on it"
        )
    ]


def git(world: World, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(world.project), *arguments], check=True, capture_output=True)


def test_a_dotenv_with_a_key_must_be_ignored_by_git(world: World) -> None:
    """A single ``git add .`` would publish the key."""
    git(world, "init")
    path = world.dotenv(f"SPARK_CACHE_ENCRYPTION_KEY={KEY}\n")
    path.chmod(0o600)
    assert problems(world) == [
        (
            f"{path}:1: SPARK_CACHE_ENCRYPTION_KEY: this file contains an encryption key and git does not "
            "ignore it: add it to .gitignore"
        )
    ]
    world.write(world.project / ".gitignore", ".env\n")
    assert problems(world) == []


def test_a_key_file_that_git_tracks_is_a_problem_even_if_ignored(world: World) -> None:
    """An ignore pattern does not untrack a file."""
    git(world, "init")
    keys = world.write(world.project / "cache.keys", KEY)
    keys.chmod(0o600)
    git(world, "add", "cache.keys")
    world.write(world.project / ".gitignore", "*.keys\n")
    world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = str(keys)
    assert problems(world) == [
        (
            f"environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: git does not ignore the key file {keys}: "
            "add it to .gitignore, or move it elsewhere"
        )
    ]


def test_a_key_file_outside_any_work_tree_is_fine(world: World) -> None:
    """There is no repository to commit it to."""
    keys = world.write(world.root / "home" / "cache.keys", KEY)
    keys.chmod(0o600)
    world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = str(keys)
    assert problems(world) == []


def test_without_git_nothing_is_reported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a git executable, the check for ignored files is skipped."""
    git(world, "init")
    world.dotenv(f"SPARK_CACHE_ENCRYPTION_KEY={KEY}\n").chmod(0o600)
    monkeypatch.setenv("PATH", "")
    assert problems(world) == []


def test_sensitive_rules_need_a_key(world: World) -> None:
    """Without a key, sensitive requests are silently never cached."""
    path = world.profile(
        "mine", '[cache]\nenabled = true\n\n[[rules]]\nmodel = "*-internal"\nsensitive = true\n'
    )
    message = (
        f"{path}:4: rules[0]: the rule for */*-internal marks requests as sensitive, but no encryption key is set: "
        "they are never cached. Provide a key, for example with SPARK_CACHE_ENCRYPTION_KEY_FILE"
    )
    assert problems(world, "mine") == [message]
    world.environ["SPARK_CACHE_ENCRYPTION"] = "off"
    assert problems(world, "mine") == [message.replace("no encryption key is set", "encryption is off")]
    world.environ |= {"SPARK_CACHE_ENCRYPTION": "sensitive", "SPARK_CACHE_ENCRYPTION_KEY": KEY}
    assert problems(world, "mine") == []

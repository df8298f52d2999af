"""The ``spark-cache profile`` commands."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from spark_cache.cli import main
from spark_cache.config import load_config
from spark_cache.config.context import shipped_profiles

if TYPE_CHECKING:
    from collections.abc import Callable

SHIPPED = shipped_profiles()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(project: Path) -> Callable[..., Result]:
    def run(*arguments: str, code: int = 0, **environ: str) -> Result:
        result = CliRunner().invoke(main, ["profile", *arguments], env=environ)
        assert result.exit_code == code, result.output
        return result

    return run


def as_json(result: Result) -> Any:
    return json.loads(result.stdout)


def test_list_shows_every_profile_and_the_one_in_effect(run: Callable[..., Result], project: Path) -> None:
    """The list contains shipped and project profiles. A star marks the one in effect."""
    run("new", "mine", "--description", "for me")
    listed = {row["name"]: row for row in as_json(run("list", "--json", ENVIRONMENT="mine"))}
    assert set(listed) == {"development", "testing", "staging", "production", "mine"}
    assert listed["mine"] == {
        "name": "mine",
        "in_effect": True,
        "description": "for me",
        "layers": ["project"],
        "files": [str(project / "profiles" / "mine.toml")],
    }
    lines = [line.split() for line in run("list", ENVIRONMENT="mine").stdout.splitlines()]
    assert [line[1:3] for line in lines if line[:1] == ["*"]] == [["mine", "project"]]
    assert ["project", "profiles", "are", "in", str(project / "profiles")] in lines


def test_list_shows_an_unreadable_profile(run: Callable[..., Result], project: Path) -> None:
    """The profile is listed. ``config check`` reports its problem."""
    (project / "profiles").mkdir()
    (project / "profiles" / "broken.toml").write_text("[cache")
    listed = {row["name"]: row for row in as_json(run("list", "--json"))}
    assert listed["broken"]["files"] == [str(project / "profiles" / "broken.toml")]
    assert listed["broken"]["layers"] == ["unusable"]


def test_show_lists_the_settings_of_each_layer(run: Callable[..., Result], project: Path) -> None:
    """The project profile comes before the shipped one. Rules and guards are included."""
    (project / "profiles").mkdir()
    path = project / "profiles" / "production.toml"
    path.write_text(
        '[cache]\nenabled = true\n\n[[rules]]\nmodel = "a"\nttl = "1h"\n\n[guard]\nmax_ttl = "1d"\n'
    )
    lines = [line.split() for line in run("show", "prod").stdout.splitlines()]
    assert lines[0] == ["profile", "production"]
    assert ["enabled", "true", f"{path}:2"] in lines
    assert ["enabled", "false", "(shadowed)", f"{SHIPPED}/production.toml:5"] in lines
    assert ["rule", "*/a:", "ttl_seconds", "=", "1h", f"{path}:4"] in lines
    assert ["guard.max_ttl", "1d", f"{path}:9"] in lines
    assert [line for line in lines if line[:1] == ["guard.forbid_modes"]]


def test_show_as_json(run: Callable[..., Result]) -> None:
    """Files are listed in order of precedence, each with its settings."""
    shown = as_json(run("show", "testing", "--json"))
    assert shown["name"] == "testing"
    assert [layer["file"] for layer in shown["files"]] == [str(SHIPPED / "testing.toml")]
    assert shown["files"][0]["cache"]["ttl_seconds"]["value"] == "30d"


def test_a_description_cannot_steer_the_terminal(run: Callable[..., Result], project: Path) -> None:
    """Control characters in a profile from an untrusted source are escaped."""
    (project / "profiles").mkdir()
    path = project / "profiles" / "mine.toml"
    path.write_text('description = "a\\u001b[31mb"\n\n[cache]\n')
    assert "\x1b" not in run("show", "mine").stdout + run("list").stdout


def test_show_as_json_contains_rules_and_guards(run: Callable[..., Result], project: Path) -> None:
    """Rules contain seconds as numbers, guards contain the value as written."""
    (project / "profiles").mkdir()
    path = project / "profiles" / "mine.toml"
    path.write_text(
        '[cache]\n[[rules]]\nmodel = "a"\nttl = "1h"\nsensitive = true\n[guard]\nmax_ttl = "1d"\n'
    )
    shown = as_json(run("show", "mine", "--json"))
    assert shown["files"][0]["rules"] == [
        {"model": "a", "ttl_seconds": 3600, "sensitive": True, "place": f"{path}:2"}
    ]
    assert shown["guard"]["max_ttl"]["value"] == "1d"


def test_show_of_an_unknown_profile_is_misuse(run: Callable[..., Result]) -> None:
    """The exit code is 2, and the closest name is suggested."""
    assert "unknown profile 'tseting'; did you mean testing?" in run("show", "tseting", code=2).stderr


def test_new_creates_a_profile_that_loads(run: Callable[..., Result], project: Path) -> None:
    """The file contains the base, the settings and the guards."""
    path = project / "profiles" / "nightly.toml"
    options = ("--extends", "testing", "--set", "ttl=12h", "--set", "fsync=true", "--set", "guard.max_ttl=1d")
    assert run("new", "nightly", *options, "--description", "Every night").stdout == f"wrote {path}\n"
    assert tomllib.loads(path.read_text()) == {
        "description": "Every night",
        "extends": "testing",
        "cache": {"ttl": "12h", "fsync": True},
        "guard": {"max_ttl": "1d"},
    }
    config = load_config("nightly")
    assert (config.ttl_seconds, config.fsync, config.enabled) == (43200, True, True)


def test_new_can_create_a_user_profile(run: Callable[..., Result]) -> None:
    """``--user`` writes to the home directory."""
    path = Path(os.environ["HOME"]) / ".config" / "spark-cache" / "profiles" / "mine.toml"
    assert as_json(run("new", "mine", "--user", "--json")) == {"name": "mine", "file": str(path)}
    assert path.is_file()


def test_new_writes_to_the_project_root(
    run: Callable[..., Result], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a subfolder, the profile is still created at the project root."""
    monkeypatch.chdir(project / "src")
    run("new", "mine")
    assert (project / "profiles" / "mine.toml").is_file()


def test_new_writes_to_the_folder_from_the_variable(run: Callable[..., Result], project: Path) -> None:
    """``SPARK_PROFILES_DIR`` sets the folder of the project profiles."""
    (project / "settings").mkdir()
    run("new", "mine", SPARK_PROFILES_DIR="settings")
    assert (project / "settings" / "mine.toml").is_file()


def test_new_never_overwrites(run: Callable[..., Result], project: Path) -> None:
    """Creating an existing profile is misuse, and the file does not change."""
    run("new", "mine", "--set", "ttl=1h")
    before = (project / "profiles" / "mine.toml").read_text()
    result = run("new", "mine", "--set", "ttl=2h", code=2)
    assert "already exists and is not overwritten" in result.stderr
    assert (project / "profiles" / "mine.toml").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("../mine",), "'../mine' is not a valid profile name"),
        (("mine", "--extends", "tesing"), "extends: unknown profile 'tesing'; did you mean testing?"),
        (("mine", "--set", "tll=1h"), "cache.tll: unknown key in [cache]; did you mean ttl?"),
        (("mine", "--set", "ttl=soon"), "cache.ttl: 'soon' is not a duration"),
        (("mine", "--set", "guard.max=1"), "guard.max: unknown condition in [guard]"),
        (("mine", "--set", "ttl"), "--set ttl: use KEY=VALUE"),
        (("mine", "--set", "rules.ttl=1"), "--set rules.ttl=1: use KEY=VALUE"),
        (("mine", "--set", "encryption_keys=secret"), "a profile must not contain encryption keys"),
    ],
)
def test_new_rejects_a_profile_that_would_not_load(
    run: Callable[..., Result], project: Path, arguments: tuple[str, ...], message: str
) -> None:
    """The exit code is 2, and no file is written."""
    assert message in run("new", *arguments, code=2).stderr
    assert not (project / "profiles").exists()


def test_new_reports_a_file_that_cannot_be_written(run: Callable[..., Result], project: Path) -> None:
    """If a file has the name of the folder, the error is a single line."""
    (project / "profiles").touch()
    assert run("new", "mine", code=2).stderr == (
        f"Error: {project}/profiles/mine.toml: cannot be written: File exists\n"
    )


def test_new_redacts_a_misplaced_key(run: Callable[..., Result]) -> None:
    """A part of the assignment that looks like an encryption key is redacted in the message."""
    key = "A" * 43 + "="
    assert "--set rules.key=(a key): use" in run("new", "mine", "--set", f"rules.key={key}", code=2).stderr


def test_show_lists_the_problems_of_a_profile(run: Callable[..., Result], project: Path) -> None:
    """An unreadable file and an invalid value are listed, and the exit code is 1."""
    folder = project / "profiles"
    folder.mkdir()
    (folder / "broken.toml").write_text("[cache\n")
    (folder / "half.toml").write_text('extends = "broken"\n[cache]\nttl = "soon"\n')
    lines = run("show", "half", code=1).stdout.splitlines()
    assert [line.split(": ")[:2] for line in lines if line.startswith("problem")] == [
        ["problem", f"{folder}/broken.toml:1"],
        ["problem", f"{folder}/half.toml:3"],
    ]
    problems = json.loads(run("show", "half", "--json", code=1).stdout)["problems"]
    assert [(problem["source"], problem["line"]) for problem in problems] == [
        (f"{folder}/broken.toml", 1),
        (f"{folder}/half.toml", 3),
    ]

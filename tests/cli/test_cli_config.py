"""The ``spark-cache config`` commands."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from spark_cache.cli import main
from spark_cache.cli.output import table
from spark_cache.config.context import shipped_profiles
from spark_cache.config.reference import dotenv_example
from spark_cache.config.secret import key_id

if TYPE_CHECKING:
    from collections.abc import Callable

SHIPPED = shipped_profiles()
KEY = Fernet.generate_key().decode()
COMMANDS = (
    ("show",),
    ("show", "--origin"),
    ("explain", "encryption_keys"),
    ("diff", "staging", "production"),
    ("check",),
    ("check", "--all-profiles"),
    ("schema",),
    ("env",),
    ("export",),
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(project: Path) -> Callable[..., Result]:
    def run(*arguments: str, code: int = 0, **environ: str) -> Result:
        result = CliRunner().invoke(main, ["config", *arguments], env=environ)
        assert result.exit_code == code, result.output
        return result

    return run


def as_json(result: Result) -> Any:
    return json.loads(result.stdout)


def test_show_names_the_file_of_every_value(run: Callable[..., Result]) -> None:
    """The origin of a value from a profile is the real file and line."""
    lines = run("show", ENVIRONMENT="testing", SPARK_CACHE_TTL="90s").stdout.splitlines()
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line}
    assert rows["enabled"].split() == ["true", "shipped", "testing.toml:5"]
    assert rows["ttl_seconds"].split(maxsplit=1) == ["90s", "SPARK_CACHE_TTL in the environment"]
    assert rows["mode"].split() == ["read-write", "default"]
    assert lines[-1] == f"shipped testing.toml is {SHIPPED}/testing.toml"


def test_show_can_list_shadowed_values(run: Callable[..., Result]) -> None:
    """``--origin`` adds a line for each shadowed value."""
    output = run("show", "--origin", ENVIRONMENT="testing", SPARK_CACHE_TTL="90s").stdout
    assert ["over", "30d", "shipped", "testing.toml:6"] in [line.split() for line in output.splitlines()]


def test_show_of_another_profile(run: Callable[..., Result]) -> None:
    """``--profile`` takes precedence over the environment."""
    shown = as_json(run("show", "--json", "--profile", "staging", ENVIRONMENT="testing"))
    assert shown["profile"]["value"] == "staging"
    assert shown["ttl_seconds"]["value"] == 3600
    assert shown["ttl_seconds"]["origin"]["file"] == str(SHIPPED / "staging.toml")
    assert shown["ttl_seconds"]["origin"]["line"] == 6


def test_explain_shows_the_chain_down_to_the_default(run: Callable[..., Result], project: Path) -> None:
    """The winning value comes first, then all shadowed values, each with file and line."""
    (project / ".env").write_text("SPARK_CACHE_TTL=5m\n")
    output = run("explain", "ttl_seconds", ENVIRONMENT="testing", SPARK_CACHE_TTL="90s").stdout
    assert output.startswith(
        "ttl_seconds = 90s\n"
        "How long an entry may be served. With 0, responses are neither read nor stored.\n"
        "\n"
        "wins      90s  SPARK_CACHE_TTL in the environment\n"
        "shadowed  5m   SPARK_CACHE_TTL in .env\n"
        f"               {project}/.env:1\n"
        "shadowed  30d  cache.ttl in the shipped profile testing\n"
        f"               {SHIPPED}/testing.toml:6\n"
        "shadowed  24h  built-in default\n"
    )


def test_explain_lists_every_file_that_was_tried(run: Callable[..., Result], project: Path) -> None:
    """Files are listed in order of precedence, whether they exist or not."""
    explained = as_json(run("explain", "ttl", "--json", ENVIRONMENT="testing"))
    home = Path(os.environ["HOME"])
    assert [(tried["file"], tried["outcome"]) for tried in explained["tried"]] == [
        (str(project / ".env"), "absent"),
        (str(project / "profiles" / "testing.toml"), "absent"),
        (str(home / ".config/spark-cache/profiles/testing.toml"), "absent"),
        (str(SHIPPED / "testing.toml"), "read"),
    ]


def test_explain_shows_the_value_under_other_conditions(run: Callable[..., Result]) -> None:
    """The value without a variable and under another profile is shown."""
    arguments = ("explain", "SPARK_CACHE_TTL", "--unset", "SPARK_CACHE_TTL", "--as", "staging")
    environ = {"ENVIRONMENT": "testing", "SPARK_CACHE_TTL": "90s"}
    lines = run(*arguments, **environ).stdout.splitlines()
    assert f"Without SPARK_CACHE_TTL: 30d, from {SHIPPED}/testing.toml:6." in lines
    assert "As staging: 90s, from SPARK_CACHE_TTL in the environment." in lines
    instead = as_json(run(*arguments, "--json", **environ))["instead"]
    assert [(other["if"], other["value"]) for other in instead] == [
        ("without SPARK_CACHE_TTL", 2592000),
        ("as staging", 90),
    ]


def test_explain_shows_the_rules_that_set_the_field(run: Callable[..., Result], project: Path) -> None:
    """A rule that a higher layer shadows is marked."""
    (project / "profiles").mkdir()
    text = '[cache]\n\n[[rules]]\nmodel = "gpt-4o*"\nttl = "1h"\n'
    (project / "profiles" / "testing.toml").write_text(text)
    shown = run("explain", "ttl", ENVIRONMENT="testing").stdout
    assert f"A rule for */gpt-4o*: ttl_seconds = 1h\n  {project}/profiles/testing.toml:3\n" in shown
    assert "shadowed by a higher layer" not in shown
    shadowed = run("explain", "ttl", ENVIRONMENT="testing", SPARK_CACHE_TTL="5s").stdout
    assert "shadowed by a higher layer" in shadowed


def test_explain_of_the_rules(run: Callable[..., Result], project: Path) -> None:
    """Every rule is listed with its origin."""
    (project / "profiles").mkdir()
    text = '[cache]\n\n[[rules]]\nmodel = "a"\nttl = "1h"\n\n[[rules]]\nmodel = "b"\nsensitive = true\n'
    (project / "profiles" / "testing.toml").write_text(text)
    shown = run("explain", "rules", ENVIRONMENT="testing").stdout
    assert shown.startswith("rules = */a: ttl_seconds = 1h; */b: sensitive = true\n")
    assert f"{project}/profiles/testing.toml:7" in shown


def test_explain_says_why_production_is_used(run: Callable[..., Result]) -> None:
    """An unknown name in ``ENVIRONMENT`` selects the values of production, and a note says so."""
    shown = run("explain", "profile", ENVIRONMENT="qa").stdout
    assert "unknown profile 'qa': the values of production are used, without its guards" in shown


def test_explain_works_if_a_load_fails(run: Callable[..., Result]) -> None:
    """The output contains the chain and the problem, and the exit code is 1."""
    environ = {"ENVIRONMENT": "production", "SPARK_CACHE_MODE": "replay"}
    shown = run("explain", "mode", code=1, **environ).stdout
    assert shown.startswith("mode = replay\n")
    assert (
        f"problem: environment: SPARK_CACHE_MODE: mode is 'replay', which violates guard.forbid_modes at {SHIPPED}"
        in shown
    )
    explained = as_json(run("explain", "mode", "--json", code=1, **environ))
    assert (explained["value"], explained["origin"]["value"]) == (None, "replay")
    assert len(explained["problems"]) == 1


def test_explain_of_an_unknown_setting_is_misuse(run: Callable[..., Result]) -> None:
    """The exit code is 2, and the closest name is suggested."""
    result = run("explain", "ttl_second", code=2)
    assert "unknown setting 'ttl_second'; did you mean ttl_seconds?" in result.stderr


def test_diff_shows_both_values_with_their_origins(run: Callable[..., Result]) -> None:
    """Each field has two lines: the values and their origins."""
    output = run("diff", "staging", "production").stdout
    lines = [line.split() for line in output.splitlines()]
    at = lines.index(["ttl_seconds", "1h", "24h"])
    assert lines[at + 1] == ["shipped", "staging.toml:6", "default"]
    assert f"shipped staging.toml is {SHIPPED}/staging.toml" in output.splitlines()
    assert "guard.forbid_modes" in output


def test_diff_fits_a_terminal_of_80_columns(run: Callable[..., Result]) -> None:
    """The table fits. The full paths of the files are listed below it."""
    output = run("diff", "staging", "production").stdout
    table = [line for line in output.splitlines() if " is /" not in line]
    assert len(table) > 5
    assert max(len(line) for line in table) <= 80 + len(os.environ["HOME"])


def test_files_with_the_same_name_are_distinguished(run: Callable[..., Result], project: Path) -> None:
    """The project profile and the shipped profile have the same file name."""
    (project / "profiles").mkdir()
    (project / "profiles" / "staging.toml").write_text('[cache]\nttl = "2h"\n')
    lines = run("diff", "staging", "production").stdout.splitlines()
    assert ["project", "staging.toml:2", "default"] in [line.split() for line in lines]
    assert f"project staging.toml is {project}/profiles/staging.toml" in lines
    assert f"shipped staging.toml is {SHIPPED}/staging.toml" in lines


def test_diff_as_json(run: Callable[..., Result]) -> None:
    """Values are numbers, and origins include file and line."""
    found = {row["field"]: row for row in as_json(run("diff", "staging", "production", "--json"))}
    assert (found["ttl_seconds"]["left"], found["ttl_seconds"]["right"]) == (3600, 86400)
    assert found["ttl_seconds"]["left_origin"]["line"] == 6
    assert found["guard.forbid_modes"]["right"] == ["replay"]


def test_diff_of_equal_profiles(run: Callable[..., Result]) -> None:
    """The command prints that there are no differences."""
    assert run("diff", "test", "testing").stdout == "testing and testing have the same settings here.\n"


def test_check_of_the_shipped_profiles(run: Callable[..., Result]) -> None:
    """All four profiles pass."""
    verdicts = as_json(run("check", "--all-profiles", "--json"))
    assert {verdict["profile"]: verdict["ok"] for verdict in verdicts} == {
        None: True,
        "development": True,
        "testing": True,
        "staging": True,
        "production": True,
    }


def test_check_exits_1_on_a_problem(run: Callable[..., Result], project: Path) -> None:
    """The problem is printed on a separate line."""
    (project / ".env").write_text("SPARK_CACHE_TTL=soon\n")
    result = run("check", code=1, SPARK_CACHE_TTL="1h")
    assert "none     1 problem" in result.stdout
    assert f"problem: {project}/.env:1: SPARK_CACHE_TTL: 'soon' is not a duration" in result.stdout
    verdict = as_json(run("check", "--json", code=1, SPARK_CACHE_TTL="1h"))[0]
    assert verdict["problems"][0]["line"] == 1


def test_check_finds_a_broken_project_profile(run: Callable[..., Result], project: Path) -> None:
    """``--all-profiles`` also checks profiles that are not in effect."""
    (project / "profiles").mkdir()
    (project / "profiles" / "mine.toml").write_text("[cache]\nttl = 1h\n")
    assert run("check").stdout.endswith("ok\n")
    result = run("check", "--all-profiles", code=1)
    assert f"problem: {project}/profiles/mine.toml:2: is not valid TOML" in result.stdout


def test_check_prints_warnings(run: Callable[..., Result], project: Path) -> None:
    """Warnings do not change the exit code."""
    (project / ".env").write_text("WELCOME hello\n")
    assert f"warning: {project}/.env:1: malformed line" in run("check").stdout


def test_schema_is_json(run: Callable[..., Result]) -> None:
    """The output is the same with and without ``--json``."""
    assert as_json(run("schema")) == as_json(run("schema", "--json"))
    jsonschema.Draft202012Validator.check_schema(as_json(run("schema")))


def test_env_lists_every_variable(run: Callable[..., Result]) -> None:
    """Each variable has a type, a default and a description."""
    listed = {row["name"]: row for row in as_json(run("env", "--json"))}
    assert listed["SPARK_CACHE_TTL"] == {
        "name": "SPARK_CACHE_TTL",
        "field": "ttl_seconds",
        "type": "seconds, or 90s, 30m, 24h, 7d, or never",
        "default": "24h",
        "description": "How long an entry may be served. With 0, responses are neither read nor stored.",
    }
    assert all(name in run("env").stdout for name in listed)


def test_env_prints_a_dotenv_file(run: Callable[..., Result]) -> None:
    """The output is the text of ``.env.example``."""
    assert run("env", "--dotenv").stdout == dotenv_example()
    assert "--dotenv and --json cannot be used together" in run("env", "--dotenv", "--json", code=2).stderr


def test_export_is_a_profile(run: Callable[..., Result], project: Path) -> None:
    """The output can be saved and loaded, and gives the same settings."""
    before = as_json(run("show", "--json", "--profile", "testing", SPARK_CACHE_TTL="90s"))
    text = run("export", "--profile", "testing", SPARK_CACHE_TTL="90s").stdout
    assert tomllib.loads(text) == as_json(
        run("export", "--json", "--profile", "testing", SPARK_CACHE_TTL="90s")
    )
    (project / "profiles").mkdir()
    (project / "profiles" / "testing.toml").write_text(text)
    after = as_json(run("show", "--json", "--profile", "testing"))
    assert {name: field["value"] for name, field in after.items()} == {
        name: field["value"] for name, field in before.items()
    }


def test_an_invalid_configuration_is_misuse(run: Callable[..., Result]) -> None:
    """The exit code is 2, and the problem is printed without a traceback."""
    result = run("show", code=2, SPARK_CACHE_TTL="soon")
    assert "environment: SPARK_CACHE_TTL: 'soon' is not a duration" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_shows_a_key(
    run: Callable[..., Result], command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    """Neither the key from the environment nor the shadowed key is shown."""
    other = Fernet.generate_key().decode()
    Path(".env").write_text(f"SPARK_CACHE_ENCRYPTION_KEY={other}\n")
    Path(".env").chmod(0o600)
    result = run(*command, *options, SPARK_CACHE_ENCRYPTION_KEY=KEY, SPARK_CACHE_ENCRYPTION="all")
    assert KEY not in result.output
    assert other not in result.output


def test_a_key_is_shown_by_its_id(run: Callable[..., Result]) -> None:
    """The ID has 16 hex digits."""
    environ = {"SPARK_CACHE_ENCRYPTION_KEY": KEY}
    assert f"encryption_keys = key id {key_id(KEY)}\n" in run("explain", "encryption_keys", **environ).stdout
    shown = as_json(run("show", "--json", **environ))["encryption_keys"]
    assert shown["value"] == [key_id(KEY)]
    assert shown["origin"]["value"] == f"key id {key_id(KEY)}"


@pytest.mark.parametrize("form", ["", "!" * 44])
def test_an_invalid_key_is_not_shown(run: Callable[..., Result], form: str) -> None:
    """The message only states the number of characters."""
    secret = "correct-horse-battery" + form
    result = run("show", code=2, SPARK_CACHE_ENCRYPTION_KEY=secret)
    assert secret not in result.output
    assert "is not a Fernet key" in result.stderr


def test_long_cells_wrap_in_a_terminal(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """A long cell continues on the next line and is not truncated."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    table(("name", ">size"), [("x" * 60, 5)], title="A title")
    lines = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue()).splitlines()
    assert lines[0].strip() == "A title"
    assert sum(line.count("x") for line in lines) == 60
    assert max(len(line.rstrip()) for line in lines) <= 40


def test_rules_in_json(run: Callable[..., Result], project: Path) -> None:
    """Rules are a list of objects, like the tables in a profile."""
    (project / "profiles").mkdir()
    text = '[cache]\n[[rules]]\nmodel = "a"\nttl = "never"\nsensitive = true\n'
    (project / "profiles" / "mine.toml").write_text(text)
    shown = as_json(run("show", "--json", "--profile", "mine"))
    assert shown["rules"]["value"] == [{"model": "a", "ttl_seconds": None, "sensitive": True}]


def test_piped_output_is_plain_and_complete(project: Path) -> None:
    """The output has no colours and no truncated cells, whatever the terminal width."""
    done = subprocess.run(
        [sys.executable, "-m", "spark_cache.cli", "config", "show"],
        env=os.environ | {"COLUMNS": "20", "ENVIRONMENT": "testing"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert f"shipped testing.toml is {SHIPPED}/testing.toml\n" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_explain_rejects_a_misspelt_variable_to_unset(run: Callable[..., Result]) -> None:
    """Otherwise the output would suggest that the variable has no effect."""
    result = run("explain", "ttl", "--unset", "SPARK_CACHE_TLL", code=2)
    assert (
        "--unset SPARK_CACHE_TLL: unknown variable, which is not set either; did you mean SPARK_CACHE_TTL?"
        in result.stderr
    )


def test_explain_accepts_the_variable_of_the_profile(run: Callable[..., Result]) -> None:
    """Any variable of a setting can be used as its name, including those that select the profile."""
    output = run("explain", "ENVIRONMENT", "--profile", "testing").stdout
    assert output.startswith("profile = testing\n")
    assert "--profile on the command line" in output


def test_a_misspelt_profile_on_the_command_line(run: Callable[..., Result]) -> None:
    """The error names the option and suggests the closest name."""
    assert run("show", "--profile", "tesing", code=2).stderr == (
        "Error: command line: --profile: unknown profile 'tesing'; did you mean testing?\n"
    )

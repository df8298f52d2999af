"""``spark-cache demo``."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from spark_cache.cli.demo_run import QUESTIONS
from spark_cache.errors import StoreError
from spark_cache.stores import FileStore
from spark_cache.testing import StandInProvider


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch):
    monkeypatch.setattr("spark_cache.cli.demo._LATENCY", 0.0)


@pytest.fixture
def demo(command):
    """Run the demo in the folder ``demo`` and return its figures."""

    def run(*arguments, **environment):
        result = command("demo", "--dir", "demo", "--json", *arguments, **environment)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return run


@pytest.mark.parametrize("profile", ["development", "testing"])
def test_the_second_pass_comes_from_the_cache(demo, profile):
    """With caching on, every question reaches the provider once, and the second answers equal the first."""
    figures = demo()["profiles"][profile]
    first, second = figures["first"], figures["second"]

    assert (first["calls"], first["hits"]) == (len(QUESTIONS), 0)
    assert (second["calls"], second["hits"]) == (0, len(QUESTIONS))
    assert figures["same_answers"]
    assert 0 == second["tokens_paid"] < second["tokens_saved"] == first["tokens_paid"]
    assert figures["speed_up"] == first["seconds"] / second["seconds"]
    assert figures["seconds_saved"] == first["seconds"] - second["seconds"]


def test_production_caches_nothing(demo):
    """Under production both passes call the provider, and no cache directory is created."""
    figures = demo()["profiles"]["production"]

    assert (figures["enabled"], figures["cache_dir"]) == (False, None)
    assert [figures[each]["calls"] for each in ("first", "second")] == [len(QUESTIONS)] * 2
    assert [figures[each]["hits"] for each in ("first", "second")] == [0, 0]
    assert {path.name for path in Path("demo").iterdir()} == {"pyproject.toml", "dev_cache", "test_cache"}


def test_the_entry_is_a_real_one(demo):
    """The printed entry is at the printed path and contains the labelled answer to the first question."""
    entry = demo()["entry"]

    assert Path(entry["path"]).parent == Path.cwd() / "demo" / "dev_cache" / "openai" / "gpt-4o-mini"
    assert entry["content"] == json.loads(Path(entry["path"]).read_text())
    assert entry["content"]["content"].startswith(f"[stand-in] You asked: {QUESTIONS[0]}")


def test_the_log_lines_are_those_of_the_entry(demo):
    """The printed miss and hit belong to the entry, and contain no question and no answer."""
    figures = demo()
    name = Path(figures["entry"]["path"]).stem

    for event, line in figures["log"].items():
        assert line.startswith(f"cache.{event} ")
        assert f"key={name[:12]} " in line
        assert "profile=development" in line
        assert not any(question in line for question in QUESTIONS)


def test_nothing_is_left_outside_the_folder(demo, listing):
    """The demo adds only its folder to the working directory and to the home directory."""
    demo()

    assert [name for name in listing(Path.cwd()) if not name.startswith("demo")] == []


def test_settings_of_the_user_are_ignored(demo, monkeypatch):
    """Variables, project profiles, user profiles and proxies change neither the cache directory nor the provider."""
    for folder in (Path("profiles"), Path(".config/spark-cache/profiles")):
        folder.mkdir(parents=True)
        (folder / "development.toml").write_text('[cache]\nenabled = false\ncache_dir = "/nowhere"\n')
    Path("pyproject.toml").touch()
    Path(".env").write_text("SPARK_CACHE_DIR=/nowhere\n")

    figures = demo(
        SPARK_ENABLE_CACHE="false",
        SPARK_PROFILE="production",
        OPENAI_BASE_URL="http://127.0.0.1:9",
        HTTP_PROXY="http://127.0.0.1:9",
        ALL_PROXY="http://127.0.0.1:9",
    )

    assert figures["profiles"]["development"]["second"]["calls"] == 0
    assert figures["profiles"]["development"]["cache_dir"] == str(Path.cwd() / "demo" / "dev_cache")


def test_the_logger_is_restored(demo):
    """The demo attaches its handler to the logger only while it runs."""
    logger = logging.getLogger("spark_cache")
    before = logger.level, list(logger.handlers)

    demo()

    assert (logger.level, logger.handlers) == before


def test_output_fits_in_80_columns(command):
    """Only paths and commands to copy are wider than 80 columns."""
    output = command("demo", "--dir", "demo").stdout

    wide = [line for line in output.splitlines() if len(line) > 80]
    assert all(str(Path.cwd()) in line for line in wide)
    assert not any(line.endswith(" ") for line in output.splitlines())
    assert "\x1b" not in output


def test_text_output_shows_the_figures(command):
    """The tables show the calls of every pass, and the text says that a stand-in provider answers."""
    output = command("demo", "--dir", "demo").stdout
    rows = [line.split() for line in output.splitlines() if line.split()[:1] in (["first"], ["second"])]

    assert [row[:3] for row in rows] == [
        ["first", "12", "0"],
        ["second", "0", "12"],
        ["first", "12", "0"],
        ["second", "0", "12"],
        ["first", "12", "0"],
        ["second", "12", "0"],
    ]
    assert "A stand-in provider on this machine answers" in " ".join(output.split())
    assert (
        "ENVIRONMENT=development\n  Caching is on. Entries are stored in dev_cache and expire after 24h.\n"
        in output
    )
    assert (
        "ENVIRONMENT=testing\n  Caching is on. Entries are stored in test_cache until they are re-recorded.\n"
        in output
    )
    assert "ENVIRONMENT=production\n  Caching is off" in output


def test_the_printed_commands_work(command):
    """Every command under "Next steps" works. The last one removes everything."""
    output = command("demo", "--dir", "demo").stdout
    next_steps = [line.strip() for line in output.split("Next steps\n")[1].splitlines() if "/demo" in line]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    assert [line.split(" ")[1] for line in next_steps] == ["stats", "ls", "show", "-r"]
    for line in next_steps:
        subprocess.run(line, shell=True, check=True, capture_output=True, env=environment)
    assert not Path("demo").exists()


def test_the_printed_commands_do_not_need_the_path(command):
    """In a checkout without an active environment, the commands contain the path of the script."""
    output = command("demo", "--dir", "demo", PATH=os.defpath).stdout

    script = Path(sys.executable).with_name("spark-cache")
    assert f"\n  {script} stats --dir {Path.cwd() / 'demo' / 'dev_cache'}\n" in output


def test_the_printed_commands_do_not_need_the_script(command, monkeypatch):
    """Without a script next to the interpreter, the commands run the package as a module."""
    monkeypatch.setattr(sys, "executable", "/a place/python")

    output = command("demo", "--dir", "demo", PATH=os.defpath).stdout

    assert "\n  '/a place/python' -m spark_cache.cli stats --dir " in output


def test_without_a_folder_it_creates_a_temporary_one(command, monkeypatch):
    """The temporary folder is kept, and the last printed command removes it."""
    monkeypatch.setattr(tempfile, "tempdir", str(Path.cwd()))

    output = command("demo").stdout

    (folder,) = Path.cwd().glob("spark-cache-demo-*")
    assert (folder / "dev_cache").is_dir()
    assert output.endswith(f"\n  rm -r {folder}\n")


def test_a_folder_that_is_not_empty_is_misuse(command, listing):
    """The demo refuses a folder with files and leaves them unchanged."""
    Path("mine").mkdir()
    Path("mine/pyproject.toml").write_text("mine")
    before = listing(Path("mine"))

    result = command("demo", "--dir", "mine")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "mine is not empty: name a new folder" in result.stderr
    assert listing(Path("mine")) == before


def test_a_folder_that_cannot_be_created_is_one_message(command):
    """If the folder cannot be created, there is one message and exit code 2."""
    Path("file").touch()

    result = command("demo", "--dir", "file/demo")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: cannot use file/demo: Not a directory\n"


def test_without_the_sdk_it_shows_how_to_install_it(command, monkeypatch, listing):
    """Without the OpenAI SDK there is one message, and nothing is created."""
    monkeypatch.setitem(sys.modules, "openai", None)

    result = command("demo", "--dir", "demo")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("not installed: pip install 'spark-cache[openai]'\n")
    assert listing(Path.cwd()) == {}


def test_a_cache_that_does_not_work_is_a_problem(command, monkeypatch):
    """If the second pass calls the provider, the demo fails after a warning with the reason."""

    def refuse(*_arguments, **_keywords):
        raise StoreError("write", "ENOSPC (No space left on device)")

    monkeypatch.setattr(FileStore, "write_many", refuse)

    result = command("demo", "--dir", "demo")

    assert result.exit_code == 1
    assert "cache.error" in result.stderr
    assert "ENOSPC" in result.stderr
    assert result.stderr.endswith(
        "Error: the second pass made API calls although caching is on; see the warnings above\n"
    )


# -- with --live ----------------------------------------------------------------------------------


def test_live_needs_a_key(command, listing):
    """Without an API key no call is made and nothing is created."""
    result = command("demo", "--live", "--dir", "demo")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: --live requires an OpenAI API key in OPENAI_API_KEY\n"
    assert listing(Path.cwd()) == {}


def test_live_prints_the_maximum_cost_first(command):
    """The number of calls and their maximum cost are printed before the calls are made."""
    with StandInProvider() as service:
        result = command(
            "demo",
            *("--live", "--json", "--dir", "demo"),
            OPENAI_API_KEY="key",
            OPENAI_BASE_URL=service.base_url,
        )
        calls = service.calls

    assert result.stderr == "This run makes 48 calls to gpt-4o-mini. They cost at most $0.01.\n"
    figures = json.loads(result.stdout)
    assert figures["service"] == "live"
    passes = [run[each] for run in figures["profiles"].values() for each in ("first", "second")]
    assert sum(each["calls"] for each in passes) == calls == 48


def test_live_shows_the_error_of_the_provider(command):
    """An error of the provider is one message with exit code 1."""
    with StandInProvider() as service:
        service.fail_next(401, {"error": {"message": "Incorrect API key provided."}}, times=4)
        result = command(
            "demo", "--live", "--dir", "demo", OPENAI_API_KEY="key", OPENAI_BASE_URL=service.base_url
        )

    assert result.exit_code == 1
    assert "Error: the API call failed: " in result.stderr
    assert "Incorrect API key provided." in result.stderr


# -- the complete demo ----------------------------------------------------------------------------


def test_the_whole_demo_runs():
    """As in ``make demo``, API calls take as long as with a real service, and hits take almost no time."""
    done = subprocess.run(
        [sys.executable, "-m", "spark_cache.cli", "demo", "--json", "--dir", "demo"],
        check=True,
        capture_output=True,
        text=True,
    )

    figures = json.loads(done.stdout)["profiles"]
    assert done.stderr == ""
    for run in figures.values():
        # With four calls at a time there are three rounds of at least 0.3 s.
        assert run["first"]["seconds"] > 0.9
        assert (run["second"]["seconds"] > 0.9) == (not run["enabled"])

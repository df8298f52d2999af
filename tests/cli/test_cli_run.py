"""``spark-cache run``: programs that nobody edits go through the cache, and behave as they do without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from spark_cache.testing import StandInProvider

_ASK = """
    import openai
    client = openai.OpenAI()
    question = [{"role": "user", "content": "What is Python?"}]
    print(client.chat.completions.create(model="gpt-4o", messages=question).choices[0].message.content)
"""


@pytest.fixture
def provider():
    with StandInProvider() as running:
        yield running


@pytest.fixture
def program(tmp_path):
    """Return a function that writes a program and returns the command that runs it."""

    def program(code: str) -> list[str]:
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(code))
        return [sys.executable, str(path)]

    return program


@pytest.fixture
def environ(tmp_path, provider):
    return {
        **os.environ,
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_API_KEY": "any",
        "SPARK_ENABLE_CACHE": "true",
        "SPARK_CACHE_DIR": str(tmp_path / "cache"),
    }


@pytest.fixture
def run(environ):
    """Return a function that runs the command line in a process of its own."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "spark_cache.cli", "run", *arguments],
            env={**environ, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_a_second_run_makes_no_call(run, program, provider):
    """The second run prints the same without a call. The summary says what it saved."""
    command = program(_ASK)
    first, second = run("--", *command), run("--", *command)
    assert provider.calls == 1
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == second.stdout != ""
    assert first.stderr == "spark-cache: 0 hits, 1 miss, 0 tokens and 0.0 ms saved\n"
    assert second.stderr.startswith("spark-cache: 1 hit, 0 misses, ")


def test_replay_and_quiet(run, program, provider):
    """A mode is passed on: a miss in replay mode ends the program with our error. Quiet prints no summary."""
    done = run("--mode", "replay", "--quiet", *program(_ASK))
    assert done.returncode == 1
    assert "CacheMissError" in done.stderr
    assert "spark-cache: " not in done.stderr
    assert provider.calls == 0


def test_a_profile(run, program, provider, tmp_path):
    """A profile decides as everywhere else: production caches nothing."""
    command = program(_ASK)
    for _ in range(2):
        run("--profile", "production", *command, SPARK_ENABLE_CACHE="")
    assert provider.calls == 2
    assert not (tmp_path / "cache").exists()


def test_children_inherit_it(run, program, provider):
    """Python processes that the program starts go through the cache and are part of the summary."""
    code = textwrap.dedent(_ASK)
    command = program(f"""
        import subprocess, sys
        for _ in range(3):
            subprocess.run([sys.executable, "-c", {code!r}], check=True)
    """)
    assert run(*command).stderr.startswith("spark-cache: 2 hits, 1 miss, ")
    assert provider.calls == 1


def test_streams_and_status(run, program):
    """Standard input and output are those of the program, and so is the exit status."""
    command = program("import sys; print(sys.stdin.read().upper(), end=''); sys.exit(7)")
    done = run("--quiet", *command, stdin="some text\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, "SOME TEXT\n", "")


def test_options_of_the_program(run, program):
    """Options behind the command belong to it."""
    command = program("import sys; print(sys.argv[1:])")
    assert run("--quiet", *command, "--quiet", "--mode", "x").stdout == "['--quiet', '--mode', 'x']\n"


def test_a_signal_ends_both(run, program):
    """If a signal ends the program, the command line ends with the same signal."""
    done = run("--quiet", *program("import os, signal; os.kill(os.getpid(), signal.SIGTERM)"))
    assert done.returncode == -signal.SIGTERM


def test_signals_are_passed_on(environ, program, tmp_path):
    """A signal that is sent to the command line reaches the program, which decides what happens."""
    ready = tmp_path / "ready"
    command = program(f"""
        import pathlib, signal, sys
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
        pathlib.Path({str(ready)!r}).touch()
        signal.pause()
    """)
    process = subprocess.Popen(
        [sys.executable, "-m", "spark_cache.cli", "run", "--quiet", *command], env=environ
    )
    deadline = time.monotonic() + 30
    while not ready.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 5


def test_another_sitecustomize_runs_too(run, program, tmp_path):
    """The module that Python would import at its start is imported, and sees its own name."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("print('mine', __name__, __file__)")
    done = run(
        "--quiet", *program("import sitecustomize; print(sitecustomize.__file__)"), PYTHONPATH=str(site)
    )
    path = site / "sitecustomize.py"
    # The command line itself is a Python process too, and starts first.
    assert done.stdout == f"mine sitecustomize {path}\n" * 2 + f"{path}\n"


def test_an_interpreter_without_the_package(run, program):
    """Where the package cannot be imported, the program runs as it is."""
    command = program("print('ran')")
    done = run("--quiet", command[0], "-S", "-c", "import sitecustomize; print('ran')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no-such-command"], 127, "no-such-command: command not found"),
        (["/"], 126, "/: Permission denied"),
        (["--mode", "sometimes", "true"], 2, "SPARK_CACHE_MODE"),
        ([], 2, "Missing argument"),
    ],
    ids=["missing", "directory", "mode", "nothing"],
)
def test_what_cannot_run(run, arguments, code, message):
    """A command that cannot run, and settings that cannot be used, are errors before anything runs."""
    done = run(*arguments)
    assert done.returncode == code
    assert message in done.stderr

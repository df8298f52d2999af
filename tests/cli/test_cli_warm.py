"""``spark-cache warm``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spark_cache.testing import StandInProvider

WARM = ("warm", "requests.jsonl", "--provider", "openai", "--model", "gpt-4o")


@pytest.fixture
def provider(monkeypatch, development):
    with StandInProvider() as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "stand-in")
        yield running


@pytest.fixture
def write():
    """Write the file of requests."""

    def written(*requests):
        Path("requests.jsonl").write_text("".join(f"{json.dumps(request)}\n" for request in requests))

    return written


def test_it_asks_what_is_missing(command, provider, write):
    """The first run asks everything and says what it cost; the second asks nothing."""
    write("one", [{"role": "user", "content": "two"}], {"messages": [{"role": "user", "content": "three"}]})

    first, second = command(*WARM), command(*WARM)

    assert first.exit_code == second.exit_code == 0
    assert first.stdout.splitlines()[0].startswith("3 stored, 0 cached before, in ")
    assert "of output: $0." in first.stdout
    assert second.stdout.splitlines()[0].startswith("0 stored, 3 cached before, in ")
    assert provider.calls == 3


def test_a_dry_run_asks_nothing(command, provider, write, development):
    """It says what is missing and what that would cost, as far as can be known."""
    write({"messages": [{"role": "user", "content": "word " * 800}], "max_tokens": 100}, "two")

    done = command(*WARM, "--dry-run")

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "2 missing, 0 cached",
        "input   about 1,002 tokens, by the length of the texts",
        "output  not known: no answer is cached, and not every request has a limit",
        "cost    for the input alone about $0.0025, by the list price",
    ]
    assert provider.calls == 0
    assert not development.exists()


def test_a_dry_run_knows_the_limits_and_the_answers(command, provider, write):
    """With answers to go by, and limits on every request, it gives both."""
    write({"messages": [{"role": "user", "content": "one"}], "max_tokens": 100})
    command(*WARM)
    write(
        {"messages": [{"role": "user", "content": "one"}], "max_tokens": 100},
        {"messages": [{"role": "user", "content": "two"}], "max_tokens": 100},
    )

    lines = command(*WARM, "--dry-run").stdout.splitlines()

    assert lines[0] == "1 missing, 1 cached"
    assert lines[2].endswith("tokens, if as long as the cached answers")
    assert lines[3] == "output  at most 100 tokens, by the limits of the requests"
    assert ", at most about $0.0010, by the list price" in lines[4]


def test_json_for_programs(command, provider, write):
    """Both kinds of run speak to programs."""
    write("one")

    plan = json.loads(command(*WARM, "--dry-run", "--json").stdout)
    done = json.loads(command(*WARM, "--json").stdout)

    assert (plan["missing"], plan["output_tokens"]) == (1, None)
    assert (done["stored"], done["failures"]) == (1, [])


def test_a_failure_names_its_line(command, provider, write):
    """A request that fails is told by its line, the others are stored, and the exit code is 1."""
    write("one", "two")
    provider.fail_next(400)

    done = command(*WARM, "--concurrency", "1")

    assert done.exit_code == 1
    assert "1 stored" in done.stdout
    assert "  requests.jsonl:1: BadRequestError: " in done.stdout


def test_an_answer_that_may_not_be_stored_is_told(command, provider, write):
    """An answer cut at its limit leaves the cache as it was, which is not what was asked for."""
    write({"messages": [{"role": "user", "content": "one"}], "max_tokens": 1})

    done = command(*WARM)

    assert done.exit_code == 1
    assert "1 answer may not be stored" in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"one"\n{"messages"\n', "requests.jsonl:2: is not JSON: "),
        ('\n\n{"prompt": "one"}\n', "requests.jsonl:3: a request is a text, a list of messages, or "),
        ("3", "requests.jsonl:1: a request is a text, "),
    ],
)
def test_a_wrong_line_is_found_before_anything_is_asked(command, provider, text, message):
    """The file is checked whole before the first call."""
    Path("requests.jsonl").write_text(text)

    done = command(*WARM)

    assert done.exit_code == 2
    assert message in done.stderr
    assert provider.calls == 0


def test_a_file_that_is_no_text_is_named(command, provider):
    """A file in another encoding is an error with its name."""
    Path("requests.jsonl").write_bytes(b"\xff\xfe\x00")

    assert "requests.jsonl: cannot be read: " in command(*WARM).stderr


def test_a_cache_that_is_off_is_said(command, monkeypatch, write):
    """Without a profile nothing would be stored, so nothing is asked."""
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    write("one")

    done = command(*WARM)

    assert done.exit_code == 2
    assert "caching is off for openai/gpt-4o" in done.stderr


def test_an_unknown_provider_is_refused_with_those_there_are(command, write):
    """A mistyped provider is answered with the four."""
    write("one")

    done = command("warm", "requests.jsonl", "--provider", "opanai", "--model", "gpt-4o")

    assert done.exit_code == 2
    assert "'anthropic', 'bedrock', 'gemini', 'openai'" in done.stderr

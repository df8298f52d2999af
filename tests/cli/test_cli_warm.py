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
    """Write the requests to a file."""

    def written(*requests):
        Path("requests.jsonl").write_text("".join(f"{json.dumps(request)}\n" for request in requests))

    return written


def test_missing_requests_are_sent(command, provider, write):
    """The first run sends all requests and prints the cost. The second run makes no API call."""
    write("one", [{"role": "user", "content": "two"}], {"messages": [{"role": "user", "content": "three"}]})

    first, second = command(*WARM), command(*WARM)

    assert first.exit_code == second.exit_code == 0
    assert first.stdout.splitlines()[0].startswith("3 stored, 0 already cached, in ")
    assert "of output: $0." in first.stdout
    assert second.stdout.splitlines()[0].startswith("0 stored, 3 already cached, in ")
    assert provider.calls == 3


def test_a_dry_run_makes_no_call(command, provider, write, development):
    """A dry run prints what is missing and what is known about the cost."""
    write({"messages": [{"role": "user", "content": "word " * 800}], "max_tokens": 100}, "two")

    done = command(*WARM, "--dry-run")

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "2 missing, 0 cached",
        "input   about 1,002 tokens, by the length of the text",
        "output  unknown: no response is cached, and not every request has a limit",
        "cost    for the input only, about $0.0025, by the list price",
    ]
    assert provider.calls == 0
    assert not development.exists()


def test_a_dry_run_uses_limits_and_cached_responses(command, provider, write):
    """With a cached response and a limit on every request, it prints the estimate and the maximum."""
    write({"messages": [{"role": "user", "content": "one"}], "max_tokens": 100})
    command(*WARM)
    write(
        {"messages": [{"role": "user", "content": "one"}], "max_tokens": 100},
        {"messages": [{"role": "user", "content": "two"}], "max_tokens": 100},
    )

    lines = command(*WARM, "--dry-run").stdout.splitlines()

    assert lines[0] == "1 missing, 1 cached"
    assert lines[2].endswith("tokens, if as long as the cached responses")
    assert lines[3] == "output  at most 100 tokens, by the limits of the requests"
    assert ", at most about $0.0010, by the list price" in lines[4]


def test_json_output(command, provider, write):
    """Dry runs and real runs can print JSON."""
    write("one")

    plan = json.loads(command(*WARM, "--dry-run", "--json").stdout)
    done = json.loads(command(*WARM, "--json").stdout)

    assert (plan["missing"], plan["output_tokens"]) == (1, None)
    assert (done["stored"], done["failures"]) == (1, [])


def test_a_failure_names_its_line(command, provider, write):
    """A failed request is reported with its line, the others are stored, and the exit code is 1."""
    write("one", "two")
    provider.fail_next(400)

    done = command(*WARM, "--concurrency", "1")

    assert done.exit_code == 1
    assert "1 stored" in done.stdout
    assert "  requests.jsonl:1: BadRequestError: " in done.stdout


def test_a_response_that_is_not_stored_is_reported(command, provider, write):
    """A response that is cut off at its limit is not stored, and the exit code is 1."""
    write({"messages": [{"role": "user", "content": "one"}], "max_tokens": 1})

    done = command(*WARM)

    assert done.exit_code == 1
    assert "1 response not stored" in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"one"\n{"messages"\n', "requests.jsonl:2: invalid JSON: "),
        ('\n\n{"prompt": "one"}\n', "requests.jsonl:3: a request must be a string, a list of messages, or "),
        ("3", "requests.jsonl:1: a request must be a string, "),
    ],
)
def test_an_invalid_line_is_found_before_any_call(command, provider, text, message):
    """The whole file is checked before the first call."""
    Path("requests.jsonl").write_text(text)

    done = command(*WARM)

    assert done.exit_code == 2
    assert message in done.stderr
    assert provider.calls == 0


def test_a_file_in_another_encoding(command, provider):
    """A file that is not UTF-8 is an error that contains its name."""
    Path("requests.jsonl").write_bytes(b"\xff\xfe\x00")

    assert "cannot read requests.jsonl: " in command(*WARM).stderr


def test_a_cache_that_is_off_is_an_error(command, monkeypatch, write):
    """Without a profile, no response would be stored, so no call is made."""
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    write("one")

    done = command(*WARM)

    assert done.exit_code == 2
    assert "caching is off for openai/gpt-4o" in done.stderr


def test_an_unknown_provider_is_refused(command, write):
    """The message lists the four valid providers."""
    write("one")

    done = command("warm", "requests.jsonl", "--provider", "opanai", "--model", "gpt-4o")

    assert done.exit_code == 2
    assert "'anthropic', 'bedrock', 'gemini', 'openai'" in done.stderr

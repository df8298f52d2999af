"""The ``spark-cache savings`` command."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import genai_prices
import jsonschema
import pytest

from spark_cache import CacheManager, load_config
from spark_cache.cli.savings import _GROUPINGS
from spark_cache.cli.text import bar_text, dollars_text
from spark_cache.savings.report import GROUPINGS

_COUNT = {"type": "integer", "minimum": 0}
_TOTALS = {
    "hits": _COUNT,
    "shared": _COUNT,
    "misses": _COUNT,
    "tokens_saved": _COUNT,
    "input_tokens": _COUNT,
    "output_tokens": _COUNT,
    "cached_tokens": _COUNT,
    "cache_write_tokens": _COUNT,
    "reasoning_tokens": _COUNT,
    "seconds_saved": {"type": "number", "minimum": 0},
    "dollars_saved": {"type": ["number", "null"], "minimum": 0},
    "unpriced": _COUNT,
}
_NAMES = {
    "model": ("provider", "model"),
    "provider": ("provider",),
    "profile": ("profile",),
    "day": ("day",),
}


def _schema(by: str) -> dict:
    names = {name: {"type": ["string", "null"] if name == "profile" else "string"} for name in _NAMES[by]}
    row = {"type": "object", "additionalProperties": False, "properties": _TOTALS | names}
    shown = {
        "by": {"const": by},
        "cache_dir": {"type": "string"},
        "price_table": {"type": "string"},
        "rows": {"type": "array", "items": {**row, "required": [*_TOTALS, *names]}},
        "since": {"type": ["string", "null"]},
        "total": {**row, "properties": _TOTALS, "required": [*_TOTALS]},
    }
    return {"type": "object", "additionalProperties": False, "properties": shown, "required": [*shown]}


@pytest.fixture
def hits(development):
    """Return a function that causes hits of a new entry, ``days`` ago."""

    def counted(
        number, *, provider="openai", model="gpt-4o", days=0, usage=(100_000, 0), cached=0, written=0
    ):
        then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        manager = CacheManager(load_config(), clock=lambda: then)
        key = manager.generate_cache_key(provider, model, f"{days} {usage} {number}")
        consumed = {"input_tokens": usage[0], "output_tokens": usage[1], "total_tokens": sum(usage)}
        consumed |= {"cached_tokens": cached, "cache_write_tokens": written}
        answer = {"content": "Paris.", "stop_reason": "end_turn", "usage": consumed, "latency_seconds": 0.5}
        assert manager.set(key, provider, model, {}, answer)
        for _ in range(number):
            assert manager.get(key) == answer
        manager.flush()

    return counted


def _day(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).date().isoformat()


def test_a_table_and_its_bars(command, hits, development):
    """The table lists each model with what it saved, most expensive first, with a bar for each, and the total."""
    hits(4)
    hits(1, provider="anthropic", model="claude-3-haiku-20240307")
    hits(2, model="house-model", usage=(1_500, 500))

    result = command("savings")

    *lines, prices, unpriced = result.stdout.splitlines()
    assert [line.split() for line in lines] == [
        [str(development)],
        ["since", "the", "cache", "was", "created"],
        [],
        ["provider", "model", "calls", "saved", "tokens", "time", "cost"],
        ["openai", "gpt-4o", "4", "400,000", "2.00", "s", "$1.00", "█" * 20],
        ["anthropic", "claude-3-haiku-20240307", "1", "100,000", "0.50", "s", "$0.0250", "▌"],
        ["openai", "house-model", "2", "4,000", "1.00", "s", "unknown"],
        ["total", "7", "504,000", "3.50", "s", "$1.02"],
        [],
    ]
    assert prices == f"prices: genai-prices {genai_prices.__version__}, as of each day"
    assert unpriced == "cost excludes 2 saved calls without a known price"


def test_tokens_of_prompt_caches(command, hits):
    """If a provider read tokens from its prompt cache, or wrote some to it, a line says how many."""
    hits(1)
    assert "prompt caches" not in command("savings").stdout
    hits(2, usage=(1_000, 0), cached=300, written=500)

    assert "\ntokens include 600 read from and 1,000 written to prompt caches of providers\n" in (
        command("savings").stdout
    )


def test_names_with_a_lone_surrogate(command, hits, development):
    """A name from an argument that is not UTF-8 is shown escaped, in tables and in JSON."""
    manager = CacheManager(load_config())
    manager.get("ab", provider="\udc80")
    manager.flush()

    for arguments in (
        ("savings", "--by", "provider"),
        ("savings", "--json"),
        ("stats",),
        ("stats", "--json"),
    ):
        assert command(*arguments).exit_code == 0
    assert "\\udc80" in command("savings", "--by", "provider").stdout
    assert (
        json.loads(command("savings", "--by", "provider", "--json").stdout)["rows"][0]["provider"]
        == "\\udc80"
    )


def test_bars_show_tokens_if_no_price_is_known(command, hits):
    """If no row has a price, the bars compare tokens."""
    hits(1, model="house-model", usage=(1_000, 0))
    hits(2, model="summer-house-model", usage=(1_000, 0))

    lines = command("savings").stdout.splitlines()

    assert [line.split()[-1] for line in lines[4:6]] == ["█" * 20, "█" * 10]


@pytest.mark.parametrize("by", GROUPINGS)
def test_json_has_its_schema(command, hits, development, by):
    """The JSON output has the same fields for every grouping."""
    hits(2)
    hits(1, model="house-model")

    shown = json.loads(command("savings", "--json", "--by", by).stdout)

    jsonschema.validate(shown, _schema(by))
    assert (shown["cache_dir"], shown["total"]["hits"]) == (str(development), 3)
    assert shown["total"]["dollars_saved"] == pytest.approx(0.5)


def test_groupings_match_the_manager():
    """The command offers the groupings that the manager accepts."""
    assert _GROUPINGS == GROUPINGS


def test_by_day(command, hits):
    """``--by day`` lists the days in order, with a bar for each."""
    hits(1, days=1)
    hits(2, days=0)

    lines = command("savings", "--by", "day").stdout.splitlines()

    assert [(line.split()[0], line.split()[-1]) for line in lines[4:6]] == [
        (_day(1), "█" * 10),
        (_day(0), "█" * 20),
    ]


def test_by_profile(command, hits):
    """``--by profile`` has a row for each profile."""
    hits(1)

    assert command("savings", "--by", "profile").stdout.splitlines()[4].split()[:2] == ["development", "1"]


@pytest.mark.parametrize(("since", "expected"), [("2d", 2), (_day(0), 1), ("400d", 4)], ids=str)
def test_since(command, hits, since, expected):
    """``--since`` includes only the days from then on."""
    hits(2, days=30)
    hits(1, days=1)
    hits(1, days=0)

    assert json.loads(command("savings", "--json", "--since", since).stdout)["total"]["hits"] == expected


def test_since_is_shown(command, hits):
    """The output names the first day that is included."""
    hits(1)

    assert command("savings", "--since", "7d").stdout.splitlines()[1] == f"since {_day(7)}"


@pytest.mark.parametrize("arguments", [("--since", "last week"), ("--by", "colour")], ids=str)
def test_invalid_options(command, development, arguments):
    """An invalid span, day or grouping is a usage error, and the cache is not opened."""
    result = command("savings", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Invalid value for '{arguments[0]}'" in result.stderr or arguments[0] in result.stderr
    assert not development.exists()


def test_nothing_saved(command, development):
    """An unused cache has saved nothing, and the command does not create it."""
    result = command("savings")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[4].split() == ["total", "0", "0", "-", "-"]
    assert not development.exists()


def test_bars_in_a_limited_encoding(hits):
    """If the output encoding lacks block characters, bars are drawn with ``#``."""
    hits(1)
    environment = {"PYTHONIOENCODING": "latin-1", "ENVIRONMENT": "development", "HOME": str(Path.cwd())}

    done = subprocess.run(
        [sys.executable, "-m", "spark_cache.cli", "savings"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.splitlines()[4].endswith("#" * 20)


def test_names_cannot_control_the_terminal(command, hits):
    """Names of models are shown without control characters."""
    hits(1, model="a\x1b[31mb")

    assert "\x1b" not in command("savings").stdout


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (None, "unknown"),
        (0.0, "$0.00"),
        (0.00001, "<$0.0001"),
        (0.01253, "$0.0125"),
        (1.0, "$1.00"),
        (12345.678, "$12,345.68"),
    ],
    ids=str,
)
def test_dollars_are_readable(dollars, text):
    """Amounts have two decimals, and amounts between zero and one dollar have four."""
    assert dollars_text(dollars) == text


@pytest.mark.parametrize(
    ("share", "bar"), [(0.0, ""), (0.0001, "▏"), (0.5, "██"), (0.53, "██▏"), (1.0, "████")], ids=str
)
def test_bar_length_is_proportional(share, bar):
    """A bar is drawn to an eighth of a character, and a small share still shows a sliver."""
    assert bar_text(share, 4) == bar

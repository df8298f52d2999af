"""The savings report, compared with amounts calculated by hand."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import genai_prices
import pytest
from savings_world import ScriptedCache, usage

from spark_cache import CacheConfig, CacheManager, OpenAIModel
from spark_cache.testing import StandInProvider
from spark_cache.types import Request

# Dollars per million tokens of input, cached input and output:
#   openai/gpt-4o              2.50   1.25   10.00
#   openai/o3                  2.00          8.00    (10.00 and 40.00 until 9 June 2025)
#   anthropic/claude-sonnet-4-5  3.00   0.30   15.00   or above 200,000 input tokens 6.00, 0.60 and 22.50
#   gemini/gemini-2.5-pro      1.25          10.00   or above 200,000 input tokens 2.50 and 15.00
#   bedrock/us.amazon.nova-lite-v1:0  0.06   0.24
_EXPECTED = {
    # 7 x (80,000 x 2.50 + 40,000 x 1.25 + 30,000 x 10.00) = 7 x 0.55
    "gpt-4o": 3.85,
    # 2 x (100,000 x 3.00 + 10,000 x 15.00) + 200,000 x 6.00 + 100,000 x 0.60 + 20,000 x 22.50 = 2 x 0.45 + 1.71
    "claude-sonnet-4-5": 2.61,
    # 2 x (200,000 x 1.25 + 10,000 x 10.00) + 240,000 x 2.50 + 10,000 x 15.00 = 2 x 0.35 + 0.75
    "gemini-2.5-pro": 1.45,
    # 3 x (1,000,000 x 0.06 + 500,000 x 0.24) = 3 x 0.18
    "us.amazon.nova-lite-v1:0": 0.54,
    # 5 x (10,000 x 2.00 + 5,000 x 8.00) = 5 x 0.06
    "o3": 0.30,
    "house-model": None,
}


def _script_a_day(cache: ScriptedCache) -> None:
    cache.answered("openai", "gpt-4o", usage(120_000, 30_000, cached=40_000), hits=7, seconds=2.5)
    cache.answered("openai", "o3", usage(10_000, 5_000, reasoning=4_000), hits=5, seconds=8.0)
    cache.answered("anthropic", "claude-sonnet-4-5", usage(100_000, 10_000), hits=2, seconds=1.0)
    cache.answered("anthropic", "claude-sonnet-4-5", usage(300_000, 20_000, cached=100_000), hits=1)
    cache.answered("gemini", "gemini-2.5-pro", usage(200_000, 10_000), hits=2)
    cache.answered("gemini", "gemini-2.5-pro", usage(240_000, 10_000), hits=1)
    cache.answered("bedrock", "us.amazon.nova-lite-v1:0", usage(1_000_000, 500_000), hits=3)
    cache.answered("openai", "house-model", usage(4_000, 1_000), hits=4)


def test_dollars_of_a_scripted_day(cache):
    """Rows have the expected dollars, highest first. A model that is not in the price table is unknown."""
    _script_a_day(cache)
    savings = cache.manager.get_savings()
    dollars = {row["model"]: row["dollars_saved"] for row in savings["rows"]}
    assert dollars == {
        model: None if cost is None else pytest.approx(cost) for model, cost in _EXPECTED.items()
    }
    assert list(dollars) == list(_EXPECTED)
    assert savings["total"]["dollars_saved"] == pytest.approx(8.75)
    assert savings["total"]["unpriced"] == 4


def test_tokens_of_a_scripted_day(cache):
    """Each row adds up the hits, misses, tokens by kind and seconds of its model."""
    _script_a_day(cache)
    rows = {row["model"]: row for row in cache.manager.get_savings()["rows"]}
    assert rows["gpt-4o"] == {
        "provider": "openai",
        "model": "gpt-4o",
        "hits": 7,
        "shared": 0,
        "misses": 1,
        "tokens_saved": 1_050_000,
        "input_tokens": 840_000,
        "output_tokens": 210_000,
        "cached_tokens": 280_000,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "seconds_saved": 17.5,
        "dollars_saved": pytest.approx(3.85),
        "unpriced": 0,
    }
    assert (rows["o3"]["reasoning_tokens"], rows["o3"]["seconds_saved"]) == (20_000, 40.0)
    assert (rows["claude-sonnet-4-5"]["hits"], rows["claude-sonnet-4-5"]["misses"]) == (3, 2)
    assert (rows["house-model"]["tokens_saved"], rows["house-model"]["unpriced"]) == (20_000, 4)


def test_tokens_written_to_a_prompt_cache(cache):
    """Tokens that the provider wrote to its prompt cache are reported, and have their own price."""
    tokens = usage(100_000, 0, cached=30_000, written=60_000)
    cache.answered("anthropic", "claude-sonnet-4-5", tokens, hits=2)
    (row,) = cache.manager.get_savings()["rows"]
    assert (row["cached_tokens"], row["cache_write_tokens"]) == (60_000, 120_000)
    # 2 x (10,000 x 3.00 + 30,000 x 0.30 + 60,000 x 3.75)
    assert row["dollars_saved"] == pytest.approx(0.528)


def test_names_with_a_lone_surrogate(cache):
    """A name from an argument that is not UTF-8 breaks neither the counts nor the report."""
    assert cache.manager.get("ab", provider="\udc80") is None
    cache.manager.flush()
    (row,) = cache.manager.get_savings("provider")["rows"]
    assert (row["provider"], row["misses"]) == ("\\udc80", 1)


def test_the_price_table_is_named(cache):
    """The report names the version of the price table."""
    assert cache.manager.get_savings()["price_table"] == f"genai-prices {genai_prices.__version__}"


def test_a_price_change_does_not_affect_earlier_days(cache):
    """Hits before a price change have the old price, and hits from that day on have the new one."""
    cache.now = datetime(2025, 6, 9, 12, tzinfo=UTC)
    cache.answered("openai", "o3", usage(100_000, 0), hits=1)
    cache.next_day()
    cache.answered("openai", "o3", usage(100_000, 0), hits=1)
    rows = cache.manager.get_savings("day")["rows"]
    assert [(row["day"], row["dollars_saved"]) for row in rows] == [("2025-06-09", 1.0), ("2025-06-10", 0.2)]


def test_a_response_without_usage_has_no_price(cache):
    """A hit on a response without usage is counted, and its dollars are unknown."""
    cache.answered("openai", "gpt-4o", None, hits=2, seconds=1.5)
    total = cache.manager.get_savings()["total"]
    assert (total["hits"], total["seconds_saved"], total["dollars_saved"]) == (2, 3.0, None)
    assert total["unpriced"] == 2


def test_known_and_unknown_prices_in_one_row(cache):
    """The dollars of a row add up the known prices, and ``unpriced`` counts the other hits."""
    cache.answered("openai", "gpt-4o", None, hits=2)
    cache.answered("openai", "gpt-4o", usage(100_000, 0), hits=2)
    (row,) = cache.manager.get_savings()["rows"]
    assert (row["hits"], row["dollars_saved"], row["unpriced"]) == (4, 0.5, 2)


def test_nothing_saved_is_zero(cache):
    """Without a hit, zero dollars are saved and nothing is unpriced."""
    cache.answered("openai", "gpt-4o", usage(100, 100), hits=0)
    (row,) = cache.manager.get_savings()["rows"]
    assert (row["misses"], row["dollars_saved"], row["unpriced"]) == (1, 0.0, 0)


def test_the_report_creates_no_cache(cache):
    """The report of a cache that does not exist is empty, and creates no directory."""
    savings = cache.manager.get_savings()
    assert (savings["rows"], savings["total"]["hits"]) == ([], 0)
    assert not cache.cache_dir.exists()


# -- grouping and time range --------------------------------------------------------------------------------------


def test_by_profile(cache):
    """Savings are grouped by the active profile, or None without a profile."""
    cache.answered("openai", "gpt-4o", usage(100_000, 0), hits=1)
    cache.manager.flush()
    cache.manager = cache.another(profile="testing")
    cache.answered("openai", "gpt-4o", usage(100_000, 0), hits=3)
    rows = cache.manager.get_savings(by="profile")["rows"]
    assert [(row["profile"], row["hits"]) for row in rows] == [("testing", 3), (None, 1)]


def test_by_provider(cache):
    """Savings are grouped by provider."""
    _script_a_day(cache)
    rows = cache.manager.get_savings(by="provider")["rows"]
    assert {row["provider"]: row["dollars_saved"] for row in rows} == {
        "openai": pytest.approx(4.15),
        "anthropic": pytest.approx(2.61),
        "gemini": pytest.approx(1.45),
        "bedrock": pytest.approx(0.54),
    }


def test_by_day(cache):
    """Savings are grouped by day, in order."""
    for hits in (1, 3, 2):
        cache.answered("openai", "gpt-4o", usage(100_000, 0), hits=hits)
        cache.next_day()
    rows = cache.manager.get_savings(by="day")["rows"]
    assert [(row["day"], row["hits"]) for row in rows] == [
        ("2025-11-03", 1),
        ("2025-11-04", 3),
        ("2025-11-05", 2),
    ]


@pytest.mark.parametrize(
    ("since", "day", "hits"),
    [
        (None, None, 6),
        ("2025-11-04", "2025-11-04", 5),
        (date(2025, 11, 5), "2025-11-05", 2),
        (datetime(2025, 11, 5, 0, 30, tzinfo=UTC), "2025-11-05", 2),
        ("1d", "2025-11-04", 5),
        ("12h", "2025-11-05", 2),
        ("13h", "2025-11-04", 5),
        (timedelta(days=2), "2025-11-03", 6),
        (86400, "2025-11-04", 5),
        ("0s", "2025-11-05", 2),
        ("2025-11-06", "2025-11-06", 0),
    ],
    ids=str,
)
def test_since(cache, since, day, hits):
    """Whole days are included, from the given day or from the day on which the span begins."""
    for number in (1, 3, 2):
        cache.answered("openai", "gpt-4o", usage(100_000, 0), hits=number)
        cache.next_day()
    cache.now -= timedelta(days=1)
    savings = cache.manager.get_savings(since=since)
    assert (savings["since"], savings["total"]["hits"]) == (day, hits)


@pytest.mark.parametrize("since", ["yesterday", "7x", "-1d", "2025-13-01", "", float("nan"), True, "1000y"])
def test_an_invalid_since(cache, since):
    """A value that is neither a day nor a span raises an error that shows accepted values."""
    with pytest.raises(ValueError, match=r"7d|month"):
        cache.manager.get_savings(since=since)


def test_an_invalid_by(cache):
    """An unknown grouping raises an error that lists the accepted ones."""
    with pytest.raises(ValueError, match="model, provider, profile, day"):
        cache.manager.get_savings(by="colour")


# -- shared calls ----------------------------------------------------------------------------------------------


_REQUEST = Request("openai", "gpt-4o", {"messages": [{"role": "user", "content": "Hello"}]})


def _plan(cache: ScriptedCache):
    return cache.manager.calls.plan(_REQUEST)


def test_a_shared_call_is_counted_once(cache):
    """A lookup that missed and shared the response of an equal call counts as shared, not as a hit."""
    answer = {"content": "Hi.", "stop_reason": "end_turn", "usage": usage(100_000, 0), "latency_seconds": 2.0}
    plan = _plan(cache)
    cache.manager.calls.look_up(plan)
    cache.manager.calls.note_shared(plan, answer)
    (row,) = cache.manager.get_savings()["rows"]
    assert (row["hits"], row["shared"], row["misses"]) == (0, 1, 1)
    assert (row["dollars_saved"], row["seconds_saved"]) == (0.25, 2.0)


def test_a_response_stored_in_the_meantime_is_shared(cache):
    """A call that finds the response on its second lookup counts as shared."""
    answer = {"content": "Hi.", "stop_reason": "end_turn", "usage": usage(100_000, 0)}
    plan = _plan(cache)
    cache.manager.calls.look_up(plan)
    cache.manager.calls.store([(plan, _REQUEST, answer)])
    cache.manager.calls.look_again([plan], parse=lambda response: response)
    total = cache.manager.get_savings()["total"]
    assert (total["hits"], total["shared"], total["misses"]) == (0, 1, 1)


# -- processes and files -----------------------------------------------------------------------------------------

_HITS = """
import sys
from spark_cache import CacheConfig, CacheManager, OpenAIModel
from spark_cache.testing import StandInProvider
manager = CacheManager(CacheConfig(enabled=True, cache_dir=sys.argv[1]))
key = manager.generate_cache_key("openai", "gpt-4o", "Hello")
sys.stdin.readline()
for number in range(50):
    assert manager.get(key) is not None
    if number % 20 == 0:
        manager.flush()
"""


def test_eight_processes_count_each_hit_once(tmp_path):
    """Eight processes that hit one entry fifty times each report four hundred hits and their savings."""
    manager = CacheManager(CacheConfig(enabled=True, cache_dir=tmp_path / "cache"))
    key = manager.generate_cache_key("openai", "gpt-4o", "Hello")
    answer = {"content": "", "stop_reason": None, "usage": usage(1_000, 100), "latency_seconds": 0.25}
    manager.set(key, "openai", "gpt-4o", None, answer)
    command = [sys.executable, "-c", _HITS, str(tmp_path / "cache")]
    programs = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(8)]
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
    for program in programs:
        program.communicate(timeout=100)
        assert program.returncode == 0
    total = manager.get_savings()["total"]
    assert (total["hits"], total["misses"], total["tokens_saved"]) == (400, 0, 440_000)
    assert (total["seconds_saved"], total["dollars_saved"]) == (100.0, pytest.approx(1.40))


def test_a_disabled_cache_counts_nothing(tmp_path):
    """With the cache disabled nothing is counted or written."""
    manager = CacheManager(CacheConfig(enabled=False, cache_dir=tmp_path / "cache"))
    manager.set("a", "openai", "gpt-4o", {}, {"content": "", "usage": usage(1, 1)})
    manager.get(manager.generate_cache_key("openai", "gpt-4o", "Hello"))
    manager.flush()
    assert manager.get_savings()["rows"] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["read-only", "replay"])
def test_a_read_only_mode_does_not_write_the_ledger(cache, mode):
    """The counts of a read-only process stay in memory, and the ledger file does not change."""
    cache.answered("openai", "gpt-4o", usage(1_000, 0), hits=1)
    cache.manager.flush()
    file = cache.cache_dir / ".spark-cache" / "savings.sqlite3"
    before = file.read_bytes(), file.stat().st_mtime_ns
    reader = cache.another(mode=mode)
    (entry,) = reader.entries()
    assert reader.get(entry.name) is not None
    reader.flush()
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


def test_the_ledger_holds_only_names_of_sensitive_entries(tmp_path, fernet_key):
    """For encrypted entries the ledger holds provider, model and profile, but no prompt, response, key or file name."""
    config = CacheConfig(
        enabled=True, cache_dir=tmp_path / "cache", encryption="all", encryption_keys=fernet_key
    )
    manager = CacheManager(config)
    key = manager.generate_cache_key("openai", "gpt-4o", "the secret question")
    answer = {"content": "the secret answer", "stop_reason": "end_turn", "usage": usage(1_000, 0)}
    manager.set(key, "openai", "gpt-4o", {"messages": "the secret question"}, answer)
    assert manager.get(key) == answer
    manager.get(manager.generate_cache_key("openai", "gpt-4o", "another secret question"))
    manager.flush()
    (entry,) = (tmp_path / "cache").glob("*/*/*.json")
    written = b"".join(
        path.read_bytes() for path in (tmp_path / "cache" / ".spark-cache").glob("savings.sqlite3*")
    )
    assert b"gpt-4o" in written
    digests = [str(key), entry.stem, *key.digests.values()]
    for secret in ("secret", fernet_key, *digests, *(digest[:12] for digest in digests)):
        assert secret.encode() not in written
    assert not os.path.exists(tmp_path / "cache" / ".spark-cache" / "savings.sqlite3-journal")


async def test_waiters_are_counted_once_each(tmp_path):
    """Of five concurrent equal calls one reaches the provider and four are shared. A later call is a hit."""
    question = [{"role": "user", "content": "What is Python?"}]
    with StandInProvider(latency_seconds=0.05) as provider:
        model = OpenAIModel(
            "gpt-4o",
            enable_cache=True,
            cache_dir=tmp_path / "cache",
            client_args={"base_url": provider.base_url, "api_key": "test", "max_retries": 0},
        )
        async with model:
            answers = await asyncio.gather(*(model.get_text(question) for _ in range(5)))
            await model.get_text(question)
        assert provider.calls == 1
    total = model.cache.get_savings()["total"]
    assert (total["hits"], total["shared"], total["misses"]) == (1, 4, 5)
    assert total["tokens_saved"] == 5 * answers[0].usage.total_tokens

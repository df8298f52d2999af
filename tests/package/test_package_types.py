"""The small types used throughout the package."""

from __future__ import annotations

import copy
import pickle

import pytest

from spark_cache.types import CacheKey, EntryMeta, Mode, Request

_DIGITS = "3f2a" * 16


def _key(digests=None) -> CacheKey:
    return CacheKey(_DIGITS, "openai", "gpt-4o", {"messages": "aa"} if digests is None else digests)


@pytest.mark.parametrize(
    ("mode", "reads", "writes"),
    [
        (Mode.READ_WRITE, True, True),
        (Mode.READ_ONLY, True, False),
        (Mode.REFRESH, False, True),
        (Mode.REPLAY, True, False),
        (Mode.BYPASS, False, False),
    ],
)
def test_a_mode_reads_and_writes(mode, reads, writes):
    """Each mode reads and writes as its name says."""
    assert (mode.reads, mode.writes) == (reads, writes)


def test_a_key_is_the_string_of_its_digits():
    """A key compares, hashes, prints and joins like the plain string."""
    key = _key()
    assert key == _DIGITS
    assert {key: 1}[_DIGITS] == 1
    assert str(key) == f"{key}" == _DIGITS
    assert type(str(key)) is str


@pytest.mark.parametrize("travel", [lambda key: pickle.loads(pickle.dumps(key)), copy.copy, copy.deepcopy])
def test_a_key_survives_pickling_and_copying(travel):
    """A copy of a key has the provider, the model and the digests of the original."""
    arrived = travel(_key(lambda: {"messages": "aa"}))
    assert (arrived, arrived.provider, arrived.model_id) == (_DIGITS, "openai", "gpt-4o")
    assert arrived.digests == {"messages": "aa"}


def test_digests_are_computed_once_on_first_access():
    """The digests of a request are computed on first access and only once."""
    calls = []
    key = _key(lambda: calls.append(1) or {"messages": "aa"})
    assert calls == []
    assert [key.digests, key.digests] == [{"messages": "aa"}] * 2
    assert calls == [1]


def test_a_request_shows_no_content():
    """The ``repr`` of a request contains no part of the prompt."""
    assert "secret" not in repr(Request("openai", "gpt-4o", [{"content": "secret"}]))


@pytest.mark.parametrize(
    ("ttl", "now", "expired"),
    [(10, 1009.9, False), (10, 1010, True), (None, 1e12, False), (0, 1000, True), (10, 900, False)],
)
def test_a_listed_entry_knows_whether_it_has_expired(ttl, now, expired):
    """An entry has expired when its age reaches its TTL."""
    assert EntryMeta("ab", "openai", "gpt-4o", 100, 1000.0, ttl, encrypted=False).expired(now) is expired

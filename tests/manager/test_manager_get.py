"""A lookup by key and a lookup by string give the same result, whatever the file of the entry holds."""

from __future__ import annotations

import errno
import json
import logging
import os

import pytest
from cryptography.fernet import Fernet
from manager_world import ANSWER, QUESTION, manager_of

from spark_cache.types import CacheKey, Mode, Request


def _edited(**changes):
    def edit(path):
        document = json.loads(path.read_text())
        path.write_text(json.dumps({**document, **changes}))

    return edit


def _link(path):
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def _folder(path):
    path.unlink()
    path.mkdir()


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


_CHANGES = {
    "whole": lambda _path: None,
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "an array": lambda path: path.write_bytes(b"[1]"),
    "another key": _edited(key="0" * 64),
    "another version": _edited(schema=99),
    "another namespace": _edited(namespace="other"),
    "a token": _edited(token="any"),
    "no time": _edited(timestamp=None),
    "from the future": _edited(timestamp=1_800_000_000),
    "long expired": _edited(timestamp=1),
    "a shorter TTL": _edited(ttl=0.5),
    "an unlimited TTL": _edited(ttl=None),
    "a response of its own": _edited(response={"text": "Paris"}),
    "more fields": _edited(raw={"id": 1}, note="mine"),
    "content of another type": _edited(content=["Paris"]),
    "usage of another type": _edited(usage=[1]),
    "a link": _link,
    "a folder": _folder,
    "a pipe": _pipe,
    "too large": lambda path: os.truncate(path, 2**30),
    "longer than a piece": _edited(content="x" * 200_000),
}


@pytest.fixture
def key(manager):
    """Return the key of a stored response."""
    made = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    assert manager.set(made, "openai", "gpt-4o", {}, ANSWER)
    return made


@pytest.fixture
def path(cache_dir, key):
    return cache_dir / "openai" / "gpt-4o" / f"{key}.json"


def _looked_up(cache_dir, clock, key, **values):
    """Return what a manager returns and counts for a key."""
    manager = manager_of(cache_dir, clock=clock, **values)
    before = manager.get_stats()
    answered = manager.get(key)
    after = manager.get_stats()
    reasons = {
        reason: count - before["misses_by_reason"].get(reason, 0)
        for reason, count in after["misses_by_reason"].items()
    }
    return answered, after["hits"] - before["hits"], {name: count for name, count in reasons.items() if count}


@pytest.mark.parametrize(
    "values", [{}, {"mode": Mode.REPLAY}, {"ttl_seconds": 0.25}], ids=["plain", "replay", "ttl"]
)
@pytest.mark.parametrize("change", _CHANGES)
def test_both_ways_agree(cache_dir, clock, key, path, change, values):
    """The result, the count and the reason do not depend on whether the key knows its model."""
    _CHANGES[change](path)
    clock.now += 1
    by_key = _looked_up(cache_dir, clock, key, **values)
    assert by_key == _looked_up(cache_dir, clock, str(key), **values)


_ENCRYPTED_CHANGES = {
    name: _CHANGES[name]
    for name in (
        "whole",
        "gone",
        "cut off",
        "an array",
        "another version",
        "from the future",
        "long expired",
        "a link",
    )
} | {
    "another TTL": _edited(ttl=5),
    "another token": _edited(token="gAAAAA"),
    "a token of another type": _edited(token=[1]),
    "an unknown key": _edited(key_id="0" * 16),
    "plain text": lambda path: path.write_text(json.dumps({"schema": 1, **ANSWER})),
}


@pytest.mark.parametrize("change", _ENCRYPTED_CHANGES)
def test_both_ways_agree_on_encrypted_entries(cache_dir, clock, change):
    """The same holds for an encrypted entry."""
    values = {"encryption": "all", "encryption_keys": Fernet.generate_key().decode()}
    manager = manager_of(cache_dir, clock=clock, **values)
    key = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    assert manager.set(key, "openai", "gpt-4o", {}, ANSWER)
    (path,) = cache_dir.glob("openai/gpt-4o/*.json")
    _ENCRYPTED_CHANGES[change](path)
    by_key = _looked_up(cache_dir, clock, key, **values)
    if change == "plain text":
        # A string does not name a model, so the file must name it, and this one does not.
        assert by_key == (None, 0, {"wrong_key": 1})
    else:
        assert by_key == _looked_up(cache_dir, clock, str(key), **values)
    assert (by_key[0] == ANSWER) is (change == "whole")


def test_a_plain_entry_is_found_although_encryption_keys_exist(cache_dir, clock):
    """If only sensitive requests are encrypted, other entries stay plain and are found."""
    manager = manager_of(cache_dir, clock=clock, encryption_keys=Fernet.generate_key().decode())
    key = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    assert manager.set(key, "openai", "gpt-4o", {}, ANSWER)
    assert manager.get(key) == ANSWER


def test_an_encrypted_hit_is_logged_by_the_name_of_its_file(cache_dir, clock, caplog):
    """The log never shows a digest of a request that is encrypted."""
    manager = manager_of(
        cache_dir, clock=clock, encryption="all", encryption_keys=Fernet.generate_key().decode()
    )
    key = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    assert manager.set(key, "openai", "gpt-4o", {}, ANSWER)
    (path,) = cache_dir.glob("openai/gpt-4o/*.json")
    with caplog.at_level(logging.INFO, logger="spark_cache"):
        manager.get(key)
    assert [record.key for record in caplog.records] == [path.stem[:12]]


def test_a_lookup_opens_one_file_once(manager, key, path, monkeypatch):
    """A hit and a miss each open the path of their entry once."""
    opened = []
    whole = os.open

    def counting(name, *arguments, **options):
        opened.append(str(name))
        return whole(name, *arguments, **options)

    monkeypatch.setattr(os, "open", counting)
    assert manager.get(key) == ANSWER
    assert opened == [str(path)]
    path.unlink()
    assert manager.get(key) is None
    assert opened == [str(path)] * 2


def test_a_hit_is_logged(manager, key, caplog):
    """A hit is logged with its provider, its model and the start of its entry's name."""
    with caplog.at_level(logging.INFO, logger="spark_cache"):
        manager.get(key)
    (record,) = caplog.records
    assert (record.event, record.provider, record.model, record.key) == (
        "cache.hit",
        "openai",
        "gpt-4o",
        key[:12],
    )


def test_a_fault_is_reported_again_after_a_hit(cache_dir, clock, key, path, monkeypatch, caplog):
    """A fault is reported once, until a hit shows that reading works again. The next fault is reported again."""
    manager = manager_of(cache_dir, clock=clock, hot_entries=False)
    whole = os.open

    def failing(name, *arguments, **options):
        if str(name) == str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return whole(name, *arguments, **options)

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", failing)
            assert [manager.get(key), manager.get(key)] == [None, None]
        assert manager.get(key) == ANSWER
    assert [record.event for record in caplog.records].count("cache.error") == 2


@pytest.mark.parametrize("text", ["../../outside", "a/b", "nul\0", "", ".", "x" * 300])
def test_a_made_up_key_misses(manager, cache_dir, key, text):
    """A made-up key is looked for in the cache directory only, and misses."""
    outside = cache_dir.parent / "outside.json"
    outside.write_bytes((cache_dir / "openai" / "gpt-4o" / f"{key}.json").read_bytes())
    assert manager.get(CacheKey(text, "openai", "gpt-4o", {})) is None


def test_each_caller_gets_its_own_response(manager, key):
    """Changing a response does not change the next one."""
    manager.get(key)["usage"]["total_tokens"] = 0
    assert manager.get(key) == ANSWER
    assert manager.get_stats()["tokens_saved"] == 2 * ANSWER["usage"]["total_tokens"]


def test_a_use_is_recorded(manager, clock, key, path):
    """A hit more than a minute after the last one updates the access time of the file, so that it is evicted later."""
    written = path.stat().st_mtime_ns
    for _ in range(2):
        clock.now += 120
        manager.get(key)
        assert path.stat().st_atime == clock.now
    assert path.stat().st_mtime_ns == written


def test_a_reload_with_another_namespace_changes_keys(manager):
    """Parts of keys that were remembered before a reload are not used after it."""
    before = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    manager.reload(manager.config.with_(namespace="other"))
    assert manager.generate_cache_key("openai", "gpt-4o", QUESTION) != before


@pytest.mark.parametrize("names", [("openai", "gpt-\ud800"), ("open\ud800", "gpt-4o")])
def test_a_request_that_cannot_be_keyed_bypasses_the_cache(manager, names):
    """A provider or model name that cannot be part of a key raises nothing, on the fast path either."""
    provider, model_id = names
    request = Request(provider=provider, model_id=model_id, body={"messages": QUESTION})
    assert manager.calls.try_fast_hit(request, lambda *_: "an answer") is None
    assert manager.calls.plan(request).refusal is not None

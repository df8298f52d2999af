"""Entries by key: get, set, and the methods that manage them."""

from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manager_world import ANSWER, QUESTION, fill, manager_of

from spark_cache import CacheKey, Mode, UncacheableResponseError
from spark_cache.types import EntryMeta

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
field_names = st.sampled_from(
    ["content", "stop_reason", "usage", "tool_calls", "raw", "latency_seconds", "response", "schema", "key"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(response=st.dictionaries(field_names | st.text(), json_values, max_size=6), key=st.text(max_size=80))
def test_get_equals_set(tmp_path_factory, response, key):
    """Any dictionary of JSON values that is set under any string is returned equal by get."""
    manager = manager_of(tmp_path_factory.mktemp("cache"))
    if not _is_text(key):
        with pytest.raises(UncacheableResponseError):
            manager.set(key, "openai", "gpt-4o", {}, response)
        return
    assert manager.set(key, "openai", "gpt-4o", {}, response)
    assert _exactly(manager.get(key)) == _exactly(response)


def _is_text(key: str) -> bool:
    return all(not "\ud800" <= letter <= "\udfff" for letter in key)


def _exactly(value):
    """Return the value with its types, regardless of order: in Python, 1 equals 1.0 and True."""
    return json.dumps(value, sort_keys=True)


def test_key_that_knows_its_model(manager):
    """A key of generate_cache_key finds its entry without a search."""
    key = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    assert isinstance(key, CacheKey)
    assert manager.get(key) is None
    assert manager.set(key, "openai", "gpt-4o", {"messages": QUESTION}, ANSWER)
    assert manager.get(key) == ANSWER


def test_key_as_a_string(manager):
    """The digits of a key, as read from a file name, find the same entry."""
    key = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    manager.set(key, "openai", "gpt-4o", {}, ANSWER)
    assert manager.get(str.__str__(key)) == ANSWER
    assert type(str.__str__(key)) is str


@pytest.mark.parametrize("key", ["my key", "../../etc/passwd", "", "a/b:c", "é", "x" * 500, "\0"])
def test_any_string_is_a_key(manager, cache_dir, tmp_path, key):
    """Any string can be a key. Its entry stays inside the cache directory."""
    assert manager.set(key, "openai", "gpt-4o", {}, ANSWER)
    assert manager.get(key) == ANSWER
    assert manager.has_entry(key)
    (path,) = cache_dir.glob("openai/gpt-4o/*.json")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert manager.remove_entry(key)
    assert not path.exists()


def test_provider_narrows_a_string_key(manager):
    """A string key is searched for under the given provider, or under all providers."""
    fill(manager, "openai/gpt-4o/k")
    assert manager.get("k", provider="openai") == manager.get("k") == ANSWER
    assert manager.get("k", provider="gemini") is None


def test_folders_of_the_directory(manager, cache_dir):
    """An entry is stored in the folder of its model, inside that of its provider."""
    key = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    manager.set(key, "openai", "gpt-4o", {}, ANSWER)
    assert (cache_dir / "openai" / "gpt-4o" / f"{key}.json").is_file()


@pytest.mark.parametrize("name", ["../../etc", "a/b:c", ".", "CON", "x" * 500, "nul\0", ""])
def test_names_stay_inside(manager, cache_dir, tmp_path, name):
    """Providers and models of any name have folders inside the cache directory."""
    manager.set("k1", name, "gpt-4o", {}, ANSWER)
    manager.set("k2", "openai", name, {}, ANSWER)
    assert (manager.get("k1"), manager.get("k2")) == (ANSWER, ANSWER)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert len(list(cache_dir.glob("*/*/*.json"))) == 2
    assert manager.clear_provider(name) == 1
    assert manager.clear_model("openai", name) == 1


def test_key_of_another_model(manager):
    """A key of one model cannot be used for another."""
    key = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    with pytest.raises(ValueError, match="was made for openai/gpt-4o, not for openai/gpt-4o-mini"):
        manager.set(key, "openai", "gpt-4o-mini", {}, ANSWER)


@pytest.mark.parametrize(
    "response", [{"x": (1, 2)}, {"x": float("nan")}, {"x": {1, 2}}, {1: "x"}, {"x": b"x"}], ids=str
)
def test_response_that_json_would_change(manager, cache_dir, response):
    """A response that JSON would change is refused, and nothing is stored."""
    with pytest.raises(UncacheableResponseError):
        manager.set("k", "openai", "gpt-4o", {}, response)
    assert list(cache_dir.glob("*/*/*.json")) == []


def test_store_requests(cache_dir):
    """No request prevents its response from being stored, not even one that JSON cannot represent."""
    manager = manager_of(cache_dir, store_requests=True)
    manager.set("k1", "openai", "gpt-4o", {"messages": QUESTION}, ANSWER)
    manager.set("k2", "openai", "gpt-4o", {"fn": len}, ANSWER)
    assert manager.get_entry("k1").request == {"messages": QUESTION}
    assert manager.get("k2") == ANSWER


def test_each_reader_gets_its_own_response(manager):
    """A change that a reader makes to a response does not change the next one."""
    fill(manager, "openai/gpt-4o/k")
    manager.get("k")["content"] = "changed"
    assert manager.get("k") == ANSWER


def test_get_entry(manager, clock):
    """get_entry returns the whole entry whatever its age, and does not count as a use."""
    fill(manager, "openai/gpt-4o/k")
    clock.now += 10**6
    entry = manager.get_entry("k")
    assert (entry.provider, entry.model_id, entry.response) == ("openai", "gpt-4o", ANSWER)
    assert (entry.timestamp, entry.ttl) == (1_700_000_000.0, 86400)
    assert manager.get("k") is None
    assert manager.get_stats()["hits"] == 0
    assert manager.get_entry("other") is None
    assert "Paris" not in repr(entry)


@pytest.mark.parametrize(("age", "found"), [(9.9, True), (10, False)])
def test_ttl_of_one_entry(manager, clock, age, found):
    """An entry can have its own TTL, shorter than the configured one."""
    manager.set("k", "openai", "gpt-4o", {}, ANSWER, ttl_seconds=10)
    clock.now += age
    assert (manager.get("k") == ANSWER) is found
    assert manager.has_entry("k") is found


def test_ttl_of_never(cache_dir, clock, caplog):
    """An entry can be stored forever, for readers without their own TTL."""
    caplog.set_level("INFO", logger="spark_cache")
    manager_of(cache_dir, clock=clock).set("k", "openai", "gpt-4o", {}, ANSWER, ttl_seconds=float("inf"))
    assert "cache.store" in caplog.text
    assert "ttl=" not in caplog.text
    clock.now += 10**10
    assert manager_of(cache_dir, clock=clock, ttl_seconds="never").get("k") == ANSWER
    assert manager_of(cache_dir, clock=clock).get("k") is None


def test_ttl_of_zero(manager):
    """With a TTL of 0, nothing is stored."""
    assert manager.set("k", "openai", "gpt-4o", {}, ANSWER, ttl_seconds=0) is False
    assert manager.get_entry("k") is None


def test_reader_with_a_ttl_of_zero(manager, cache_dir, clock):
    """A reader with a TTL of 0 gets nothing, not even an entry dated in the future."""
    fill(manager, "openai/gpt-4o/k")
    clock.now -= 60
    assert manager_of(cache_dir, clock=clock, ttl_seconds=0).get("k") is None
    assert not manager_of(cache_dir, clock=clock, ttl_seconds=0).has_entry("k")


@pytest.mark.parametrize("ttl", [-1, float("nan"), "1h"])
def test_invalid_ttl(manager, ttl):
    """A TTL that is not a number from 0 up is refused."""
    with pytest.raises(ValueError, match="ttl_seconds"):
        manager.set("k", "openai", "gpt-4o", {}, ANSWER, ttl_seconds=ttl)


def test_has_and_remove(manager):
    """remove_entry returns whether the entry existed, has_entry whether it exists."""
    fill(manager, "openai/gpt-4o/k")
    assert manager.has_entry("k")
    assert manager.remove_entry("k")
    assert not manager.has_entry("k")
    assert not manager.remove_entry("k")


def test_key_of_a_request_can_be_removed(manager):
    """The key of a request removes its entry and no other."""
    key = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    manager.set(key, "openai", "gpt-4o", {}, ANSWER)
    fill(manager, "openai/gpt-4o/k")
    assert manager.remove_entry(key)
    assert manager.get("k") == ANSWER


def test_cleanup_expired(manager, clock):
    """Expired entries are removed and counted, for one provider or for all. Others stay."""
    for name, ttl in (("old1", 10), ("old2", 10), ("young", 1000)):
        manager.set(name, "openai", "gpt-4o", {}, ANSWER, ttl_seconds=ttl)
    manager.set("old3", "gemini", "flash", {}, ANSWER, ttl_seconds=10)
    clock.now += 11
    assert manager.cleanup_expired("openai") == 2
    assert manager.get_entry("old3") is not None
    assert manager.cleanup_expired() == 1
    assert manager.cleanup_expired() == 0
    assert manager.get("young") == ANSWER


@pytest.mark.parametrize(
    ("clear", "removed", "left"),
    [
        (lambda manager: manager.clear_all(), 4, set()),
        (lambda manager: manager.clear_provider("openai"), 3, {"d"}),
        (lambda manager: manager.clear_model("openai", "gpt-4o"), 2, {"c", "d"}),
        (lambda manager: manager.clear_provider("unknown"), 0, {"a", "b", "c", "d"}),
    ],
    ids=["all", "provider", "model", "unknown"],
)
def test_clear(manager, clear, removed, left):
    """Clearing removes what it names and nothing else, and returns the number of entries."""
    fill(manager, "openai/gpt-4o/a", "openai/gpt-4o/b", "openai/o3/c", "gemini/flash/d")
    assert clear(manager) == removed
    assert {name for name in "abcd" if manager.has_entry(name)} == left


def test_clear_removes_broken_entries(manager, cache_dir):
    """Clearing also removes corrupt entries."""
    fill(manager, "openai/gpt-4o/a")
    (path,) = cache_dir.glob("*/*/*.json")
    path.write_bytes(path.read_bytes()[:-40])
    assert manager.clear_all() == 1
    assert not path.exists()


@pytest.mark.parametrize("hidden_folder", [True, False])
def test_cleaning_up_removes_entries_dated_in_the_future(manager, clock, cache_dir, hidden_folder):
    """Entries that no reader would use for a long time are removed, whether or not there is an index."""
    fill(manager, "openai/gpt-4o/a")
    clock.now -= 1000
    fill(manager, "openai/gpt-4o/b")
    if not hidden_folder:
        shutil.rmtree(cache_dir / ".spark-cache")
    assert manager.cleanup_expired() == 1
    assert (manager.has_entry("a"), manager.has_entry("b")) == (False, True)


@pytest.mark.parametrize("content", ["notes", "[]", '{"name": "package"}'])
def test_clear_leaves_foreign_files(manager, cache_dir, content):
    """Clearing neither removes nor counts files that were never entries."""
    fill(manager, "openai/gpt-4o/a", "openai/gpt-4o/b")
    path = cache_dir / "openai" / "gpt-4o" / "a.json"
    path.write_text(content)
    assert manager.clear_all() == 1
    assert path.read_text() == content


def test_a_foreign_file_is_no_entry(manager, cache_dir):
    """A file that was never an entry is neither there, nor counted, nor removed, nor replaced."""
    fill(manager, "openai/gpt-4o/a")
    path = cache_dir / "openai" / "gpt-4o" / "a.json"
    path.write_text("[]")
    assert not manager.has_entry("a")
    assert manager.get_stats()["total_entries"] == 0
    assert manager.remove_entry("a") is False
    assert manager.set("a", "openai", "gpt-4o", {}, ANSWER) is False
    assert path.read_text() == "[]"


def test_entries(manager, clock):
    """A listing shows the details of every entry, or of those of a provider or a model."""
    fill(manager, "openai/gpt-4o/a", "openai/o3/b", "gemini/flash/c")
    assert {(meta.provider, meta.model_id) for meta in manager.entries()} == {
        ("openai", "gpt-4o"),
        ("openai", "o3"),
        ("gemini", "flash"),
    }
    (meta,) = manager.entries("openai", "o3")
    assert isinstance(meta, EntryMeta)
    assert (meta.timestamp, meta.ttl, meta.encrypted) == (clock.now, 86400, False)
    assert meta.expired(clock.now + 86400)
    assert not meta.expired(clock.now + 86399)


@pytest.mark.parametrize(
    "values", [{"enabled": False}, {"mode": "bypass"}, {"mode": "read-only"}, {"mode": "replay"}], ids=str
)
def test_set_in_read_only_modes(cache_dir, values):
    """With the cache off, and in modes that do not write, set stores nothing and returns False."""
    manager = manager_of(cache_dir, **values)
    assert manager.set("k", "openai", "gpt-4o", {}, ANSWER) is False
    assert not cache_dir.exists()


@pytest.mark.parametrize("values", [{"enabled": False}, {"mode": "bypass"}, {"mode": "refresh"}], ids=str)
def test_get_in_modes_that_do_not_read(manager, cache_dir, values):
    """With the cache off, and in modes that do not read, get returns nothing."""
    key = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    manager.set(key, "openai", "gpt-4o", {}, ANSWER)
    reader = manager_of(cache_dir, **values)
    assert reader.get(key) is None
    assert reader.get(str.__str__(key)) is None


def test_managing_works_with_the_cache_off(manager, cache_dir, clock):
    """Off affects only get and set: existing entries can be read and removed."""
    fill(manager, "openai/gpt-4o/a", "openai/gpt-4o/b")
    off = manager_of(cache_dir, clock=clock, enabled=False)
    assert off.has_entry("a")
    assert off.get_entry("a").response == ANSWER
    assert off.get_stats()["total_entries"] == 2
    assert off.remove_entry("a")
    assert off.clear_all() == 1


@pytest.mark.parametrize("mode", Mode)
def test_managing_works_in_every_mode(manager, cache_dir, mode):
    """Entries can be removed in every mode."""
    fill(manager, "openai/gpt-4o/a")
    assert manager_of(cache_dir, mode=mode).remove_entry("a")


def test_rule_decides_for_one_model(cache_dir):
    """A rule that turns the cache off for one model does not affect the others."""
    manager = manager_of(cache_dir, rules=[{"model": "secret-*", "enabled": False}])
    assert not manager.set("a", "openai", "secret-1", {}, ANSWER)
    assert manager.set("b", "openai", "gpt-4o", {}, ANSWER)


def test_rule_turns_the_cache_on_for_one_model(cache_dir):
    """A rule can turn the cache on for one model while it is off for the others."""
    manager = manager_of(cache_dir, enabled=False, rules=[{"model": "gpt-4o", "enabled": True}])
    key = manager.generate_cache_key("openai", "gpt-4o", QUESTION)
    assert manager.set(key, "openai", "gpt-4o", {}, ANSWER)
    assert manager.get(key) == manager.get(str.__str__(key)) == ANSWER
    assert not manager.set("k", "openai", "o3", {}, ANSWER)


def test_sensitive_response_without_an_encryption_key(manager, cache_dir):
    """A sensitive response is not stored in plain text."""
    assert manager.set("k", "openai", "gpt-4o", {}, ANSWER, sensitive=True) is False
    assert list(cache_dir.glob("*/*/*.json")) == []

"""An entry whose response was changed after it was stored: what reads and writes say of it, and who replaces it."""

from __future__ import annotations

import json
import time

import pytest
from models_world import EchoModel, Events

from spark_cache import CacheConfig, CacheManager, CacheMissError
from spark_cache.entries import CacheEntry, decrypt_entry, encode, encrypt_bytes
from spark_cache.entries.keyring import KeyRing

KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
QUESTION = [{"role": "user", "content": "Paris?"}]
CAUSE = "its response was changed after it was stored; `spark-cache verify --accept` keeps the change"


@pytest.fixture
def model_of(tmp_path):
    """Return a function that makes a model of one directory, whose entries may be committed if asked."""

    def make(*, commit=False, sink=None, **values):
        config = CacheConfig(
            enabled=True, cache_dir=tmp_path, allow_plaintext=True, commit_entries=commit, **values
        )
        # Users of a directory with different clocks share nothing, like programs of their own.
        clock = lambda: time.time()  # noqa: E731, PLW0108
        return EchoModel("echo-1", cache_manager=CacheManager(config, clock=clock, sink=sink))

    return make


async def record_and_edit(model, folder):
    """Record a response, change it in the file, and return the path."""
    await model.get_text(QUESTION)
    (path,) = folder.glob("echo/*/*.json")
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "content": "My edit."}, indent=2))
    return path


async def test_replay_says_what_happened_and_what_to_do(model_of, tmp_path):
    """The error of replay, its explanation and ``explain`` name the cause and the way out."""
    path = await record_and_edit(model_of(), tmp_path)
    model = model_of(mode="replay")

    with pytest.raises(CacheMissError) as missed:
        await model.get_text(QUESTION)

    assert missed.value.reason == "corrupt"
    assert missed.value.detail == CAUSE
    assert "SPARK_CACHE_MODE=refresh" in str(missed.value)
    for explanation in (
        missed.value.explanation,
        model.cache.explain(path.stem),
        model.cache.explain(model.cache_key(QUESTION)),
    ):
        assert explanation.summary.endswith(f"its entry cannot be used: {CAUSE}.")


async def test_one_warning_names_the_cause(model_of, tmp_path):
    """The log has the cause, once for each entry."""
    path = await record_and_edit(model_of(), tmp_path)
    sink = Events()
    manager = model_of(mode="read-only", sink=sink).cache
    key = json.loads(path.read_bytes())["key"]

    assert [manager.get(key), manager.get(key)] == [None, None]

    assert [(event.reason, event.detail) for event in sink.events if event.name == "cache.corrupt"] == [
        ("corrupt", CAUSE)
    ]


async def test_the_next_response_replaces_an_edited_entry(model_of, tmp_path):
    """Where entries are not committed, an edit is replaced like any damaged entry."""
    path = await record_and_edit(model_of(), tmp_path)
    model = model_of()

    assert [(await model.get_text(QUESTION)).cached for _ in range(2)] == [False, True]
    assert json.loads(path.read_bytes())["content"] == "Paris?"


async def test_an_edited_recording_is_not_replaced(model_of, tmp_path):
    """Where entries may be committed, only a refresh replaces an edit. The caller gets the provider's answer, and a warning."""
    path = await record_and_edit(model_of(commit=True), tmp_path)
    edited = path.read_bytes()
    sink = Events()
    model = model_of(commit=True, sink=sink)

    answers = [await model.get_text(QUESTION) for _ in range(2)]

    assert [(answer.content, answer.cached) for answer in answers] == [("Paris?", False)] * 2
    assert path.read_bytes() == edited
    (warning,) = [event for event in sink.events if event.name == "cache.error"]
    assert (warning.operation, warning.error) == ("replace an entry", CAUSE)
    assert [event.reason for event in sink.events if event.name == "cache.bypass"] == ["edited"] * 2
    assert not model.cache.set(
        model.cache_key(QUESTION), "echo", "echo-1", {}, {"content": "", "stop_reason": None, "usage": None}
    )

    await model.get_text(QUESTION, cache="refresh")
    assert json.loads(path.read_bytes())["content"] == "Paris?"


async def test_a_damaged_recording_is_replaced(model_of, tmp_path):
    """The remains of a recording are nobody's edit."""
    path = await record_and_edit(model_of(commit=True), tmp_path)
    path.write_bytes(path.read_bytes()[:-9])

    await model_of(commit=True).get_text(QUESTION)

    assert json.loads(path.read_bytes())["content"] == "Paris?"


@pytest.mark.parametrize("written", ["now", "before there were checksums"])
async def test_an_equal_response_leaves_a_recording_alone(model_of, tmp_path, written):
    """A refresh that hears the same changes no byte, also not of a recording without a checksum."""
    model = model_of(commit=True)
    await model.get_text(QUESTION)
    (path,) = tmp_path.glob("echo/*/*.json")
    if written != "now":
        document = json.loads(path.read_bytes())
        del document["checksum"]
        path.write_text(json.dumps(document, indent=2))
    before = path.read_bytes(), path.stat().st_mtime_ns

    await model.get_text(QUESTION, cache="refresh")

    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_the_checksum_survives_encryption():
    """Encrypting an entry and decrypting it again gives the same bytes, and an edited entry is not converted."""
    entry = CacheEntry("key", "echo", "echo-1", {"content": "Paris."}, 1.0, None)
    plain, ring = encode(entry), KeyRing([KEY])
    opened = decrypt_entry(encrypt_bytes(plain, entry, ring), ring)
    assert opened == (entry, plain)
    assert decrypt_entry(plain.replace(b"Paris.", b"Lyon.."), ring) == "corrupt"

"""A program that lacks the key of the entries it needs is told once, with the variables that help."""

from __future__ import annotations

import time

import pytest
from encryption_world import NEW, OLD, Parrot, answer, ask, manager_of, put

from spark_cache import CacheConfig, CacheManager

QUESTIONS = [[{"role": "user", "content": f"question {number}"}] for number in range(5)]


def _another_process():
    """Return a clock. Users of a directory with different clocks share nothing, like programs of their own."""
    return lambda: time.time()  # noqa: PLW0108 - each clock is an object of its own


def warnings(sink):
    """Return the cause and the way out of each warning."""
    return [(event.error, event.hint) for event in sink.events if event.name == "cache.error"]


async def ask_all(model, **options):
    for question in QUESTIONS:
        await model.get_text(question, **options)


@pytest.fixture
def model_of(cache_dir):
    """Return a function that makes a model whose events go to a sink."""

    def make(*keys, sink=None, model_id="p", **values):
        config = CacheConfig(
            enabled=True, cache_dir=cache_dir, encryption_keys=list(keys), allow_plaintext=True, **values
        )
        return Parrot(model_id, cache_manager=CacheManager(config, clock=_another_process(), sink=sink))

    return make


@pytest.mark.parametrize("mode", ["read-write", "read-only"])
@pytest.mark.parametrize(
    ("level", "sensitive", "keys", "reader_level"),
    [
        ("all", None, [NEW], "all"),
        ("sensitive", True, [NEW], "sensitive"),
        ("all", None, [NEW], "sensitive"),
        ("all", None, [], "sensitive"),
    ],
    ids=["all", "sensitive calls", "plain calls", "plain calls without a key"],
)
async def test_one_warning_names_the_variables(model_of, sink, mode, level, sensitive, keys, reader_level):
    """Whatever the calls are and however many entries there are, one warning says what is missing."""
    await ask_all(model_of(OLD, encryption=level), sensitive=sensitive)
    reader = model_of(*keys, encryption=reader_level, mode=mode, sink=sink)

    await ask_all(reader, sensitive=sensitive)

    ((error, hint),) = warnings(sink)
    assert error == "some entries are encrypted under a key that is not configured"
    assert "SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE" in hint
    assert sink.reasons() == ["absent"] * len(QUESTIONS)


async def test_a_sensitive_call_without_a_key_has_a_warning_of_its_own(model_of, sink):
    """Without a key, a sensitive call is refused before anything is looked up, and one warning says so."""
    await ask_all(model_of(OLD), sensitive=True)

    await ask_all(model_of(sink=sink), sensitive=True)

    ((error, hint),) = warnings(sink)
    assert error == "encryption is off or has no key"
    assert "SPARK_CACHE_ENCRYPTION_KEY" in hint


async def test_plain_calls_beside_encrypted_entries_are_no_reason_to_warn(model_of, sink):
    """A program without a key that makes plain calls has what it needs if the model has plain entries too."""
    writer = model_of(OLD)
    await writer.get_text(QUESTIONS[0], sensitive=True)
    await writer.get_text(QUESTIONS[1])

    await ask_all(model_of(sink=sink))

    assert warnings(sink) == []


@pytest.mark.parametrize("keys", [[OLD], [NEW, OLD]])
async def test_the_right_key_is_no_reason_to_warn(model_of, sink, keys):
    """A miss of a program that can decrypt every entry is an ordinary one."""
    await model_of(OLD).get_text(QUESTIONS[0], sensitive=True)

    await ask_all(model_of(*keys, sink=sink), sensitive=True)

    assert warnings(sink) == []


async def test_only_the_entries_of_the_model_count(model_of, sink):
    """Encrypted entries of another model do not explain a miss."""
    await model_of(OLD, model_id="other").get_text(QUESTIONS[0], sensitive=True)

    await ask_all(model_of(NEW, sink=sink), sensitive=True)

    assert warnings(sink) == []


def test_a_key_of_the_manager_is_told_too(cache_dir, sink):
    """A program that holds keys gets the same warning, and a hit gives none."""
    key = put(manager_of(cache_dir, OLD), "one")
    cache = manager_of(cache_dir, NEW, clock=_another_process(), sink=sink)
    for model in ("gpt-4o", "gpt-5"):
        cache.set(ask(cache, "two", model=model), "openai", model, {}, answer("two"))
        assert cache.get(ask(cache, "two", model=model)) == answer("two")
    assert warnings(sink) == []
    assert [cache.get(key), cache.get(ask(cache, "three"))] == [None, None]
    assert len(warnings(sink)) == 1


def test_few_files_are_read(cache_dir, sink, monkeypatch):
    """The look is bounded, however many entries the model has, and is not repeated."""
    cache = manager_of(cache_dir, OLD)
    for number in range(40):
        put(cache, f"question {number}")
    reader = manager_of(cache_dir, OLD, clock=_another_process(), sink=sink)
    read = []
    monkeypatch.setattr("spark_cache.core.other_keys.read_head", lambda path, _size: read.append(path))

    assert [reader.get(ask(reader, f"unknown {number}")) for number in range(3)] == [None] * 3

    assert len(read) == 16

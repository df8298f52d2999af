"""The sentence for each reason for a miss, with the setting that caused it."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet
from explain_world import make_request

from spark_cache import CacheMissError
from spark_cache.core.plan import Miss
from spark_cache.entries.codec import SCHEMA_VERSION
from spark_cache.types import MissReason

HELLO = make_request("Hello")


def sentence(explanation):
    """Return the part of the summary after the model and the name of the entry."""
    return explanation.summary.partition(": ")[2]


def entry_file(cache_dir, name):
    (path,) = cache_dir.glob(f"*/*/{name}.json")
    return path


@pytest.mark.parametrize(
    ("values", "reason", "text"),
    [
        ({"enabled": False}, "disabled", "caching is off for this request (enabled: constructor)."),
        (
            {"rules": [{"model": "gpt-*", "enabled": False}]},
            "disabled",
            "caching is off for this request (enabled: a rule for this model).",
        ),
        (
            {"mode": "refresh"},
            "bypassed",
            "the mode does not read the cache (mode: constructor, or the cache= argument of the call).",
        ),
        (
            {"ttl_seconds": 0},
            "no_ttl",
            "its TTL is 0, so the cache is neither read nor written (ttl_seconds: constructor).",
        ),
    ],
)
def test_a_setting_that_bypasses_the_cache(make_world, values, reason, text):
    """The summary names the setting and its origin."""
    make_world().store(HELLO)

    explanation = make_world(**values).explain(HELLO)

    assert (explanation.reason, sentence(explanation)) == (reason, text)


@pytest.mark.parametrize(
    ("parameters", "reason", "text"),
    [
        (
            {"metadata": {"fn": print}},
            "uncacheable",
            (
                "the request has no exact cache key, so it is never cached: "
                "body.metadata.fn: type builtin_function_or_method cannot be part of a cache key."
            ),
        ),
        (
            {"previous_response_id": "r1"},
            "stateful",
            "the response depends on state at the provider, so it is never cached: body.previous_response_id.",
        ),
    ],
)
def test_a_request_that_is_never_cached(world, parameters, reason, text):
    """The summary gives the path of the value that prevents caching."""
    explanation = world.explain(make_request("Hello", parameters=parameters))

    assert (explanation.reason, sentence(explanation)) == (reason, text)


def test_an_entry_older_than_its_own_ttl(world, clock):
    """The summary gives the age of the entry and its own TTL."""
    world.store(HELLO)
    clock.now += 2 * 86400

    assert sentence(world.explain(HELLO)) == "its entry is 2d old, and it was stored with a TTL of 24h."


def test_an_entry_older_than_the_readers_ttl(make_world, clock):
    """The summary gives the TTL of the reader and its origin."""
    make_world().store(HELLO)
    clock.now += 7200

    assert sentence(make_world(ttl_seconds="1h").explain(HELLO)) == (
        "its entry is 2h old, and the TTL is 1h (ttl_seconds: constructor)."
    )


def test_replay_accepts_an_entry_of_any_age(world, clock):
    """A call in replay mode would hit, so there is no reason."""
    world.store(HELLO)
    clock.now += 2 * 86400

    assert world.explain(HELLO, mode="replay").reason is None


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(b"{"), "corrupt"),
        (
            lambda path: path.write_text(
                path.read_text().replace(f'"schema": {SCHEMA_VERSION}', '"schema": 9')
            ),
            "other_version",
        ),
        (lambda path: path.write_text(path.read_text().replace(path.stem, "0" * 64)), "wrong_key"),
        (lambda path: (path.unlink(), path.mkdir()), "not_a_file"),
    ],
)
def test_an_entry_that_cannot_be_used(world, cache_dir, damage, reason):
    """The summary says why the file of the entry cannot be used."""
    damage(entry_file(cache_dir, world.store(HELLO)))

    explanation = world.explain(HELLO)

    assert explanation.reason == reason
    assert sentence(explanation)[0].islower()


@pytest.mark.parametrize("reason", MissReason)
def test_every_reason_has_a_sentence(world, reason):
    """Each reason has a complete sentence."""
    explanation = world.manager.calls.explain(
        HELLO, mode=None, sensitive=None, missed=Miss(reason, "body.fn: is a function")
    )

    assert explanation.reason is reason
    assert explanation.summary.endswith(".")
    assert "None" not in explanation.summary


def test_an_entry_that_was_removed(world):
    """A removed entry is distinguished from one that never existed."""
    world.store(HELLO)
    key = world.manager.key(HELLO)
    assert world.manager.remove_entry(key)

    explanation = world.explain(HELLO)

    assert sentence(explanation) == (
        "no entry has its key. Its entry existed until 2023-11-14 22:13:20 UTC: it was removed on request."
    )
    assert explanation.nearest is None


def test_an_entry_that_was_evicted(make_world, clock):
    """An evicted entry is distinguished from one that never existed."""
    world = make_world(max_cache_size_mb=1)
    world.store(HELLO)
    for number in range(300):
        clock.now += 1
        world.store(make_request(f"Question {number}"))

    assert "it was evicted to keep the cache within its size limit" in sentence(world.explain(HELLO))


def test_an_unknown_name(world):
    """The summary says that neither an entry nor a miss has the name."""
    world.store(HELLO)

    assert sentence(world.manager.explain("ab")) == "no entry has this name, and no miss of it is logged."


def test_clearing_a_cache_records_no_names(world, cache_dir):
    """The note of a clear does not say which entries there were."""
    name = world.store(HELLO)
    world.manager.clear_all()
    world.manager.flush()

    (written,) = cache_dir.glob(".spark-cache/savings.sqlite3*")
    assert name.encode() not in written.read_bytes()


def test_a_key_is_explained_by_its_digests(world):
    """A key shows which parts differ, but not how."""
    world.store(make_request("Hello", "anthropic", "claude-haiku-4-5", system_prompt="Be brief."))
    key = world.manager.key(make_request("Hello", "anthropic", "claude-haiku-4-5", system_prompt="Be long."))

    explanation = world.manager.explain(key)

    assert [str(difference) for difference in explanation.differences] == ["body.system: differs"]
    assert explanation.notes == (
        "at least one of the two requests is not stored, so only the parts that differ are known (SPARK_CACHE_STORE_REQUESTS).",
    )


def test_explain_accepts_the_arguments_of_a_key(world):
    """`explain` accepts the arguments of `generate_cache_key`."""
    world.store(make_request("Hello", parameters={"temperature": 0.7}))

    explanation = world.manager.explain(
        "openai", "gpt-4o", make_request("Hello").body["messages"], temperature=0.9
    )

    assert [str(difference) for difference in explanation.differences] == ["body.temperature: 0.7 -> 0.9"]


def test_an_entry_is_compared_with_those_before_it(world, clock):
    """An existing entry is compared with older entries, which shows why its request missed."""
    world.store(make_request("Hello", parameters={"seed": 1}))
    clock.now += 1
    name = world.store(make_request("Hello", parameters={"seed": 2}))
    clock.now += 1
    world.store(make_request("Hello", parameters={"seed": 3}))

    explanation = world.manager.explain(name)

    assert explanation.reason is None
    assert [str(difference) for difference in explanation.differences] == ["body.seed: 1 -> 2"]


def test_a_request_stored_with_set(world):
    """A body that was stored alone, as `set` accepts it, is compared like any other."""
    messages = make_request("Hello").body["messages"]
    manager = world.manager
    key = manager.generate_cache_key("openai", "gpt-4o", messages, temperature=0.7)
    manager.set(key, "openai", "gpt-4o", {"messages": messages, "temperature": 0.7}, {"content": "Yes."})

    explanation = manager.explain("openai", "gpt-4o", messages, temperature=0.9)

    assert [str(difference) for difference in explanation.differences] == ["body.temperature: 0.7 -> 0.9"]


def test_cache_miss_error_carries_the_explanation(world):
    """An error with an explanation shows it below its message and has it as an attribute."""
    explanation = world.explain(HELLO)

    error = CacheMissError("absent", "openai", "gpt-4o", "0" * 64, None, explanation)

    assert str(error).endswith(f"\n{explanation}")
    assert error.explanation is explanation
    assert str(CacheMissError("absent", "openai", "gpt-4o")).count("\n") == 0


def test_explaining_writes_nothing(world, cache_dir, clock):
    """An explanation changes no file, no modification time and no statistics."""
    path = entry_file(cache_dir, world.store(HELLO))
    world.manager.flush()
    clock.now += 3600
    before = {file: file.stat().st_mtime_ns for file in cache_dir.rglob("*")}
    stats = world.manager.get_stats()

    world.explain(HELLO)
    world.explain(make_request("Hello you"))
    world.manager.explain(path.stem)
    world.manager.flush()

    assert {file: file.stat().st_mtime_ns for file in cache_dir.rglob("*")} == before
    assert world.manager.get_stats() == stats


def test_a_lost_encryption_key_is_noted(make_world):
    """Entries that cannot be decrypted are counted, because the response may be among them."""
    key = Fernet.generate_key().decode()
    make_world(encryption="all", encryption_keys=[key]).store(HELLO)

    explanation = make_world().explain(HELLO)

    assert explanation.reason == "absent"
    assert (
        "1 encrypted entries could not be compared: no available encryption key decrypts them "
        "(SPARK_CACHE_ENCRYPTION_KEY, SPARK_CACHE_ENCRYPTION_KEY_FILE)." in explanation.notes
    )


def test_a_foreign_entry_nested_without_end_does_no_harm(world, cache_dir):
    """A deeply nested file from another source cannot break an explanation."""
    path = entry_file(
        cache_dir,
        world.store(make_request("Hello", "anthropic", "claude-haiku-4-5", system_prompt="Be brief.")),
    )
    document = json.loads(path.read_text())
    document["request"] = {"body": {"system": "Be brief.", "messages": "DEEP"}}
    path.write_text(json.dumps(document).replace('"DEEP"', "[" * 1000 + "]" * 1000))

    explanation = world.explain(
        make_request("Good-bye", "anthropic", "claude-haiku-4-5", system_prompt="Be brief.")
    )

    assert [str(difference) for difference in explanation.differences] == ["body.messages: differs"]

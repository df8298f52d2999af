"""Each reason for a miss in words, with the setting that decides it."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet
from explain_world import asked

from spark_cache import CacheMissError
from spark_cache.core.plan import Miss
from spark_cache.types import MissReason

HELLO = asked("Hello")


def sentence(explanation):
    """What is said after the model and the name of the entry."""
    return explanation.summary.partition(": ")[2]


def entry_file(cache_dir, name):
    (path,) = cache_dir.glob(f"*/*/{name}.json")
    return path


@pytest.mark.parametrize(
    ("values", "reason", "text"),
    [
        ({"enabled": False}, "disabled", "caching is off for it (enabled: constructor)."),
        (
            {"rules": [{"model": "gpt-*", "enabled": False}]},
            "disabled",
            "caching is off for it (enabled: a rule for this model).",
        ),
        (
            {"mode": "refresh"},
            "bypassed",
            "the mode does not read the cache (mode: constructor, or cache= of the call).",
        ),
        (
            {"ttl_seconds": 0},
            "no_ttl",
            "its time to live is 0, so it is neither read nor stored (ttl_seconds: constructor).",
        ),
    ],
)
def test_a_setting_that_keeps_the_cache_out(make_world, values, reason, text):
    """The setting is named, with the place that it comes from."""
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
                "the request holds something that cannot be keyed exactly, so it is never cached: "
                "parameters.metadata.fn: is a builtin_function_or_method, which cannot be keyed exactly."
            ),
        ),
        (
            {"previous_response_id": "r1"},
            "stateful",
            (
                "the answer depends on state that the provider keeps, so it is never cached: "
                "parameters.previous_response_id."
            ),
        ),
    ],
)
def test_a_request_that_is_never_cached(world, parameters, reason, text):
    """What cannot be keyed is named by its path."""
    explanation = world.explain(asked("Hello", parameters=parameters))

    assert (explanation.reason, sentence(explanation)) == (reason, text)


def test_an_entry_that_is_too_old_for_its_own_lifetime(world, clock):
    """The age and the lifetime it was stored with are given."""
    world.store(HELLO)
    clock.now += 2 * 86400

    assert sentence(world.explain(HELLO)) == "its entry is 2d old, and it was stored to live 24h."


def test_an_entry_that_is_too_old_for_its_reader(make_world, clock):
    """A reader with a shorter time to live is told where that comes from."""
    make_world().store(HELLO)
    clock.now += 7200

    assert sentence(make_world(ttl_seconds="1h").explain(HELLO)) == (
        "its entry is 2h old, and answers are served for 1h (ttl_seconds: constructor)."
    )


def test_replay_takes_an_entry_of_any_age(world, clock):
    """A call in replay mode would be answered, so there is nothing to explain."""
    world.store(HELLO)
    clock.now += 2 * 86400

    assert world.explain(HELLO, mode="replay").reason is None


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(b"{"), "corrupt"),
        (
            lambda path: path.write_text(path.read_text().replace('"schema": 1', '"schema": 9')),
            "other_version",
        ),
        (lambda path: path.write_text(path.read_text().replace(path.stem, "0" * 64)), "wrong_key"),
        (lambda path: (path.unlink(), path.mkdir()), "not_a_file"),
    ],
)
def test_an_entry_that_cannot_be_used(world, cache_dir, damage, reason):
    """What is wrong with the file in the entry's place is said in words."""
    damage(entry_file(cache_dir, world.store(HELLO)))

    explanation = world.explain(HELLO)

    assert explanation.reason == reason
    assert sentence(explanation)[0].islower()


@pytest.mark.parametrize("reason", MissReason)
def test_every_reason_has_a_sentence(world, reason):
    """No reason is left without words."""
    explanation = world.explain(HELLO, missed=Miss(reason, "parameters.fn: is a function"))

    assert explanation.reason is reason
    assert explanation.summary.endswith(".")
    assert "None" not in explanation.summary


def test_an_entry_that_was_removed(world):
    """An entry that somebody removed is told from one that was never there."""
    world.store(HELLO)
    key = world.manager.key(HELLO)
    assert world.manager.remove_entry(key)

    explanation = world.explain(HELLO)

    assert sentence(explanation) == (
        "no entry has its key. Its entry was there until 2023-11-14 22:13:20 UTC: it was removed on demand."
    )
    assert explanation.nearest is None


def test_an_entry_that_was_evicted(make_world, clock):
    """An entry that went because the cache was full is told from one that was never there."""
    world = make_world(max_cache_size_mb=1)
    world.store(HELLO)
    for number in range(300):
        clock.now += 1
        world.store(asked(f"Question {number}"))

    assert "it was removed to keep the cache within its size" in sentence(world.explain(HELLO))


def test_an_entry_that_is_removed_by_everybody_at_once_leaves_no_trace(world, cache_dir):
    """Whoever clears a cache wants nothing left of it, so nothing is remembered."""
    name = world.store(HELLO)
    world.manager.clear_all()
    world.manager.flush()

    assert world.manager.explain(name).summary.endswith("no entry has this name, and none is remembered.")


def test_a_key_is_explained_by_its_digests(world):
    """A key knows which parts differ, and not how."""
    world.store(asked("Hello", system_prompt="Be brief."))
    key = world.manager.key(asked("Hello", system_prompt="Be long."))

    explanation = world.manager.explain(key)

    assert [str(difference) for difference in explanation.differences] == ["system_prompt: differs"]
    assert explanation.notes == (
        "requests are not stored for both, so only the parts that differ are known (SPARK_CACHE_STORE_REQUESTS).",
    )


def test_the_arguments_of_a_key_are_taken(world):
    """What `generate_cache_key` takes can be explained as it is."""
    world.store(asked("Hello", parameters={"temperature": 0.7}))

    explanation = world.manager.explain("openai", "gpt-4o", asked("Hello").messages, temperature=0.9)

    assert [str(difference) for difference in explanation.differences] == [
        "parameters.temperature: 0.7 -> 0.9"
    ]


def test_an_entry_is_compared_with_those_before_it(world, clock):
    """The name of an entry that is there tells why it was asked for: what older one it was near to."""
    world.store(asked("Hello", parameters={"seed": 1}))
    clock.now += 1
    name = world.store(asked("Hello", parameters={"seed": 2}))
    clock.now += 1
    world.store(asked("Hello", parameters={"seed": 3}))

    explanation = world.manager.explain(name)

    assert explanation.reason is None
    assert [str(difference) for difference in explanation.differences] == ["parameters.seed: 1 -> 2"]


def test_a_code_of_its_own_stores_requests_of_its_own(world):
    """A request that was stored flat, as `set` takes it, is compared like any other."""
    messages = asked("Hello").messages
    manager = world.manager
    key = manager.generate_cache_key("openai", "gpt-4o", messages, temperature=0.7)
    manager.set(key, "openai", "gpt-4o", {"messages": messages, "temperature": 0.7}, {"content": "Yes."})

    explanation = manager.explain("openai", "gpt-4o", messages, temperature=0.9)

    assert [str(difference) for difference in explanation.differences] == [
        "parameters.temperature: 0.7 -> 0.9"
    ]


def test_the_error_of_replay_carries_the_explanation(world):
    """An error that is given an explanation shows it below its message, and keeps it as a value."""
    explanation = world.explain(HELLO)

    error = CacheMissError("absent", "openai", "gpt-4o", "0" * 64, None, explanation)

    assert str(error).endswith(f"\n{explanation}")
    assert error.explanation is explanation
    assert str(CacheMissError("absent", "openai", "gpt-4o")).count("\n") == 0


def test_explaining_writes_nothing(world, cache_dir, clock):
    """Not a file, not a file's time, and no figure."""
    path = entry_file(cache_dir, world.store(HELLO))
    world.manager.flush()
    clock.now += 3600
    before = {file: file.stat().st_mtime_ns for file in cache_dir.rglob("*")}
    figures = world.manager.get_stats()

    world.explain(HELLO)
    world.explain(asked("Hello you"))
    world.manager.explain(path.stem)
    world.manager.flush()

    assert {file: file.stat().st_mtime_ns for file in cache_dir.rglob("*")} == before
    assert world.manager.get_stats() == figures


def test_a_lost_encryption_key_is_noted(make_world):
    """Entries that nobody here can open are counted: the answer may be among them."""
    key = Fernet.generate_key().decode()
    make_world(encryption="all", encryption_keys=[key]).store(HELLO)

    explanation = make_world().explain(HELLO)

    assert explanation.reason == "absent"
    assert "1 encrypted entries could not be looked at: no key at hand opens them." in explanation.notes


def test_a_foreign_entry_nested_without_end_does_no_harm(world, cache_dir):
    """A file that somebody put there cannot break an explanation."""
    path = entry_file(cache_dir, world.store(asked("Hello", system_prompt="Be brief.")))
    document = json.loads(path.read_text())
    document["request"] = {"system_prompt": "Be brief.", "messages": "DEEP"}
    path.write_text(json.dumps(document).replace('"DEEP"', "[" * 1000 + "]" * 1000))

    explanation = world.explain(asked("Good-bye", system_prompt="Be brief."))

    assert [str(difference) for difference in explanation.differences] == ["messages: differs"]

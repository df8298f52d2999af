"""What is said of the usual causes of a miss."""

from __future__ import annotations

import pickle

import pytest
from explain_causes import CAUSES
from explain_world import asked, differences

from spark_cache.types import Request


@pytest.mark.parametrize("name", CAUSES)
def test_a_usual_cause_is_named(make_world, name):
    """The difference stands there by its path, with the cause and the way out, and nothing else."""
    cause = CAUSES[name]
    stored = make_world().store(cause.stored)

    explanation = make_world(**cause.config or {}).explain(cause.asked)

    assert (explanation.reason, explanation.nearest.name) == ("absent", stored)
    assert differences(explanation) == cause.differences
    assert list(explanation.hints) == cause.hints


def test_every_provider_is_in_the_table():
    """The pairs are in the forms of four providers, at least five of each."""
    providers = [cause.stored.provider for cause in CAUSES.values()]

    assert len(CAUSES) >= 25
    assert min(providers.count(name) for name in ("openai", "anthropic", "bedrock", "gemini")) >= 5


def test_the_whole_text(world):
    """A person reads the reason, the nearest entry, the differences and the hints, in this order."""
    stored = world.store(asked("Hello", parameters={"temperature": 0.7}))
    request = asked("Hello", parameters={"temperature": 0.9})

    explanation = world.explain(request)

    assert str(explanation).splitlines() == [
        f"openai/gpt-4o, entry {explanation.name[:12]}: no entry has its key.",
        f"The nearest entry is {stored[:12]} (openai/gpt-4o, stored 2023-11-14 22:13:20 UTC). From it to this request:",
        "  parameters.temperature: 0.7 -> 0.9",
        "Hint: the temperature is part of the request: calls that are to share an answer give the same one.",
    ]
    assert pickle.loads(pickle.dumps(explanation)) == explanation


@pytest.mark.parametrize(
    "same",
    [
        asked("Hello", parameters={"seed": None}),
        asked("Hello", parameters={"timeout": 5, "stream": True}),
        Request("openai", "gpt-4o", ({"content": [{"text": "Hello"}], "role": "user"},)),
    ],
)
def test_what_is_the_same_request_is_no_miss(world, same):
    """Two ways to write one request are one: a parameter of None, transport options, a text as a block."""
    world.store(asked("Hello"))

    explanation = world.explain(same)

    assert explanation.reason is None
    assert explanation.summary.endswith(": its answer is in the cache, stored 2023-11-14 22:13:20 UTC.")


def test_two_ways_to_write_a_message_are_no_difference(world):
    """Only what makes another key is a difference."""
    world.store(asked("Hello", parameters={"seed": 1}))

    explanation = world.explain(
        Request(
            "openai", "gpt-4o", [{"role": "user", "content": [{"text": "Hello"}]}], parameters={"seed": 2.0}
        )
    )

    assert differences(explanation) == ["parameters.seed: 1 -> 2.0"]


def test_the_nearest_of_many_is_found(world):
    """Of many entries the one with the words that are most alike counts, however old."""
    nearest = world.store(asked("List the members of the city council of Lisbon as of 2026-11-20."))
    for number in range(40):
        world.manager._clock.now += 1
        world.store(asked(f"Write poem number {number} about the sea and the council of fish."))

    explanation = world.explain(asked("List the members of the city council of Lisbon as of 2026-11-21."))

    assert explanation.nearest.name == nearest


def test_the_newest_of_equally_near_entries_counts(world):
    """Entries that differ in the same way are told apart by their age."""
    world.store(asked("Hello", parameters={"temperature": 0.1}))
    world.manager._clock.now += 60
    newest = world.store(asked("Hello", parameters={"temperature": 0.2}))

    assert world.explain(asked("Hello", parameters={"temperature": 0.3})).nearest.name == newest


def test_what_is_like_nothing_has_no_nearest_entry(world):
    """An entry that shares nothing with the request is not held against it."""
    world.store(asked("Write a poem about the sea."))

    explanation = world.explain(asked("2 + 2 = ?"))

    assert (explanation.nearest, explanation.differences) == (None, ())
    assert explanation.notes == ("none of the 1 entries that were looked at is like it.",)


def test_an_empty_cache_says_so(world):
    """Where nothing is stored, there is nothing to compare with."""
    assert world.explain(asked("Hello")).notes == ("the cache holds no entry of openai.",)


def test_what_steers_a_terminal_is_escaped(world):
    """Control characters of a prompt come out as escapes."""
    world.store(asked("Hello \x1b[31m you"))

    (line,) = differences(world.explain(asked("Hello \x1b[32m you")))

    assert line == 'messages[0].content: "Hello \\u001b[31m you" -> "Hello \\u001b[32m you"'


def test_many_differences_are_cut(world):
    """The text lists ten differences, and counts the rest."""
    world.store(asked("Hello", parameters={f"p{number}": 1 for number in range(30)}))

    text = str(world.explain(asked("Hello", parameters={f"p{number}": 2 for number in range(30)})))

    assert "  p" not in text.split("  and 20 more")[1]
    assert text.count("1 -> 2") == 10


@pytest.mark.parametrize("size", [10, 5000])
def test_a_long_list_is_compared_by_place(world, size):
    """An item that is inserted is one difference in a list of usual length; a very long one is compared place by place."""
    world.store(asked("Hello", parameters={"stop": [f"s{number}" for number in range(size)]}))

    found = differences(
        world.explain(asked("Hello", parameters={"stop": ["new", *(f"s{number}" for number in range(size))]}))
    )

    assert found[0] == (
        'parameters.stop[0]: absent -> "new"' if size == 10 else 'parameters.stop[0]: "s0" -> "new"'
    )
    assert len(found) == (1 if size == 10 else 100)

"""Explanations of the usual causes of a miss."""

from __future__ import annotations

import pickle

import pytest
from explain_causes import CAUSES
from explain_world import differences, make_request, request_to


@pytest.mark.parametrize("name", CAUSES)
def test_a_usual_cause_is_named(make_world, name):
    """An explanation contains the difference with its path, the matching hint, and nothing else."""
    cause = CAUSES[name]
    stored = make_world().store(cause.stored)

    explanation = make_world(**cause.config or {}).explain(cause.request)

    assert (explanation.reason, explanation.nearest.name) == ("absent", stored)
    assert differences(explanation) == cause.differences
    assert list(explanation.hints) == cause.hints


def test_every_provider_is_in_the_table():
    """The table has at least five pairs in the format of each of the four providers."""
    providers = [cause.stored.provider for cause in CAUSES.values()]

    assert len(CAUSES) >= 25
    assert min(providers.count(name) for name in ("openai", "anthropic", "bedrock", "gemini")) >= 5


def test_text_of_an_explanation(world):
    """The text contains the reason, the nearest entry, the differences and the hints, in this order."""
    stored = world.store(make_request("Hello", parameters={"temperature": 0.7}))
    request = make_request("Hello", parameters={"temperature": 0.9})

    explanation = world.explain(request)

    assert str(explanation).splitlines() == [
        f"openai/gpt-4o, entry {explanation.name[:12]}: no entry has its key.",
        f"The nearest entry is {stored[:12]} (openai/gpt-4o, stored 2023-11-14 22:13:20 UTC). Changes from it to this request:",
        "  body.temperature: 0.7 -> 0.9",
        "Hint: the temperature is part of the request: use the same value in all calls that should share a response.",
    ]
    assert pickle.loads(pickle.dumps(explanation)) == explanation


@pytest.mark.parametrize(
    "same",
    [
        make_request("Hello", parameters={"seed": None}),
        make_request("Hello", parameters={"timeout": 5, "stream": True}),
        request_to("openai", "gpt-4o", ({"content": [{"text": "Hello"}], "role": "user"},)),
    ],
)
def test_equal_requests_hit(world, same):
    """A parameter of None, transport options and text written as a block do not change a request."""
    world.store(make_request("Hello"))

    explanation = world.explain(same)

    assert explanation.reason is None
    assert explanation.summary.endswith(": its response is in the cache, stored 2023-11-14 22:13:20 UTC.")


def test_two_forms_of_a_message_are_equal(world):
    """Only values that change the key are differences."""
    world.store(make_request("Hello", parameters={"seed": 1}))

    explanation = world.explain(
        request_to(
            "openai", "gpt-4o", [{"role": "user", "content": [{"text": "Hello"}]}], parameters={"seed": 2.0}
        )
    )

    assert differences(explanation) == ["body.seed: 1 -> 2.0"]


def test_nearest_of_many_entries(world):
    """The nearest entry is the one with the most similar words, whatever its age."""
    nearest = world.store(make_request("List the members of the city council of Lisbon as of 2026-11-20."))
    for number in range(40):
        world.manager._clock.now += 1
        world.store(make_request(f"Write poem number {number} about the sea and the council of fish."))

    explanation = world.explain(
        make_request("List the members of the city council of Lisbon as of 2026-11-21.")
    )

    assert explanation.nearest.name == nearest


def test_newest_of_equally_near_entries(world):
    """Among equally near entries, the newest is the nearest."""
    world.store(make_request("Hello", parameters={"temperature": 0.1}))
    world.manager._clock.now += 60
    newest = world.store(make_request("Hello", parameters={"temperature": 0.2}))

    assert world.explain(make_request("Hello", parameters={"temperature": 0.3})).nearest.name == newest


def test_dissimilar_entries_are_not_nearest(world):
    """An entry that shares nothing with the request is not the nearest entry."""
    world.store(make_request("Write a poem about the sea."))

    explanation = world.explain(make_request("2 + 2 = ?"))

    assert (explanation.nearest, explanation.differences) == (None, ())
    assert explanation.notes == ("none of the 1 compared entries is similar.",)


def test_empty_cache(world):
    """A note says that the cache has no entries to compare."""
    assert world.explain(make_request("Hello")).notes == ("the cache has no entries for openai.",)


def test_control_characters_are_escaped(world):
    """Control characters in a prompt are escaped."""
    world.store(make_request("Hello \x1b[31m you"))

    (line,) = differences(world.explain(make_request("Hello \x1b[32m you")))

    assert line == 'body.messages[0].content: "Hello \\u001b[31m you" -> "Hello \\u001b[32m you"'


def test_many_differences_are_shortened(world):
    """The text lists ten differences and counts the rest."""
    world.store(make_request("Hello", parameters={f"p{number}": 1 for number in range(30)}))

    text = str(world.explain(make_request("Hello", parameters={f"p{number}": 2 for number in range(30)})))

    assert "  body.p" not in text.split("  and 20 more")[1]
    assert text.count("1 -> 2") == 10


@pytest.mark.parametrize("size", [10, 5000])
def test_a_very_long_list_is_compared_item_by_item(world, size):
    """An inserted item is one difference in a list of usual length. A very long list is compared item by item."""
    world.store(make_request("Hello", parameters={"stop": [f"s{number}" for number in range(size)]}))

    found = differences(
        world.explain(
            make_request("Hello", parameters={"stop": ["new", *(f"s{number}" for number in range(size))]})
        )
    )

    assert found[0] == ('body.stop[0]: absent -> "new"' if size == 10 else 'body.stop[0]: "s0" -> "new"')
    assert len(found) == (1 if size == 10 else 100)

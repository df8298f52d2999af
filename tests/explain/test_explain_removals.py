"""Explanations of misses that are logged, and of entries that were removed."""

from __future__ import annotations

import pytest
from explain_world import make_request

from spark_cache.savings import SAVINGS_FILE

HELLO = make_request("Hello")
DAY = 86400


def test_a_model_logs_its_misses(world, cache_dir):
    """A miss is logged with its reason, under the name that its entry would have."""
    world.store(HELLO)
    name = world.miss(make_request("Good-bye"))
    world.manager.flush()

    explanation = world.manager.explain(name)

    assert explanation.reason == "absent"
    assert "missed on 2023-11-14 22:13:20 UTC: no entry has its key." in explanation.summary
    assert [str(difference) for difference in explanation.differences] == ["body.messages: differs"]
    assert (cache_dir / ".spark-cache" / SAVINGS_FILE).is_file()


@pytest.mark.parametrize(
    ("clear", "what"),
    [
        (lambda manager: manager.clear_all(), "The cache was cleared"),
        (lambda manager: manager.clear_provider("openai"), "The cache of openai was cleared"),
        (lambda manager: manager.clear_model("openai", "gpt-4o"), "The cache of openai/gpt-4o was cleared"),
    ],
    ids=["all", "provider", "model"],
)
def test_a_cleared_cache(make_world, clock, clear, what):
    """After a clear, the explanation says what was cleared and when: of a request, and of its logged miss."""
    world = make_world()
    world.store(HELLO)
    assert clear(world.manager) == 1
    clock.now += DAY
    name = world.miss(HELLO)
    world.manager.flush()
    expected = (
        f"no entry has its key. {what} on 2023-11-14 22:13:20 UTC, "
        "which removed any earlier entry of this request."
    )

    asked, logged = make_world().explain(HELLO), make_world().manager.explain(name)

    assert asked.summary == f"openai/gpt-4o, entry {name[:12]}: {expected}"
    assert (
        logged.summary == f"openai/gpt-4o, entry {name[:12]}: missed on 2023-11-15 22:13:20 UTC: {expected}"
    )


def test_a_clear_of_other_entries_is_not_mentioned(world):
    """Clearing another provider or model explains nothing."""
    for provider, model in (("anthropic", "claude-x"), ("openai", "o3")):
        world.store(make_request("Hello", provider, model))
    world.manager.clear_provider("anthropic")
    world.manager.clear_model("openai", "o3")

    assert "cleared" not in world.explain(HELLO).summary


def test_a_clear_without_entries_is_not_mentioned(world):
    """A clear that found nothing to remove removed no entry of the request."""
    assert world.manager.clear_all() == 0

    assert "cleared" not in world.explain(HELLO).summary


def test_a_later_clear_does_not_explain_a_miss(world, clock):
    """Only what happened before a logged miss explains it."""
    world.store(make_request("Good-bye"))
    name = world.miss(HELLO)
    clock.now += DAY
    world.manager.clear_all()

    assert "cleared" not in world.manager.explain(name).summary


def test_after_a_clear_the_nearest_entry_is_found_too(world, clock):
    """The request may also never have been stored, so it is compared with the entries stored since."""
    world.store(HELLO)
    world.manager.clear_all()
    clock.now += DAY
    world.store(make_request("Hello", parameters={"temperature": 0.7}))

    explanation = world.explain(make_request("Hello", parameters={"temperature": 0.9}))

    assert "The cache was cleared" in explanation.summary
    assert [difference.path for difference in explanation.differences] == ["body.temperature"]


def test_a_cleared_name(world, clock):
    """Of a name without a logged miss, only a clear of the whole cache is known to concern it."""
    name = world.store(HELLO)
    world.manager.clear_model("openai", "gpt-4o")
    assert "cleared" not in world.manager.explain(name).summary
    world.store(HELLO)
    clock.now += DAY
    world.manager.clear_all()

    assert world.manager.explain(name).summary == (
        f"entry {name[:12]}: no entry has this name, and no miss of it is logged. "
        "The cache was cleared on 2023-11-15 22:13:20 UTC, which removed any earlier entry of this request."
    )


@pytest.mark.parametrize(("provider", "of"), [(None, ""), ("openai", " of openai")])
def test_a_cleanup(world, clock, provider, of):
    """After a cleanup, the explanation says that the entry may have expired."""
    world.store(HELLO)
    clock.now += 2 * DAY
    assert world.manager.cleanup_expired(provider) == 1

    assert world.explain(HELLO).summary.partition(": ")[2] == (
        f"no entry has its key. Expired entries{of} were removed on 2023-11-16 22:13:20 UTC, "
        "perhaps with an earlier entry of this request."
    )


def test_a_removal_before_a_cleanup(world, clock):
    """A removal that is certain is reported before later cleanups that may have removed the entry."""
    world.store(make_request("Good-bye"))
    world.manager.remove_entry(world.store(HELLO))
    for _ in range(2):
        clock.now += 2 * DAY
        assert world.manager.cleanup_expired() == 1
        world.store(make_request("Good-bye"))

    assert world.explain(HELLO).summary.partition(": ")[2] == (
        "no entry has its key. Its entry existed until 2023-11-14 22:13:20 UTC: it was removed on request. "
        "Expired entries were removed on 2023-11-18 22:13:20 UTC, perhaps with an earlier entry of this request."
    )


def test_a_removal_explains_a_logged_miss(world, clock):
    """The explanation of a logged miss names the removal before it."""
    world.manager.remove_entry(world.store(HELLO))
    clock.now += DAY
    name = world.miss(HELLO)

    assert "Its entry existed until 2023-11-14 22:13:20 UTC" in world.manager.explain(name).summary


@pytest.mark.parametrize("mode", ["read-only", "replay"])
def test_a_removal_in_a_mode_that_does_not_write(make_world, cache_dir, mode):
    """Entries are removed on request in every mode, but nothing is noted."""
    writer = make_world()
    name = writer.store(HELLO)
    writer.store(make_request("Good-bye"))
    writer.manager.flush()
    before = (cache_dir / ".spark-cache" / SAVINGS_FILE).read_bytes()
    world = make_world(mode=mode)

    assert world.manager.remove_entry(name)
    assert world.manager.clear_all() == 1
    world.manager.flush()
    assert (cache_dir / ".spark-cache" / SAVINGS_FILE).read_bytes() == before


@pytest.mark.parametrize("mode", ["read-only", "replay"])
def test_an_explanation_writes_nothing(make_world, cache_dir, mode):
    """A mode that does not write explains from the database, and creates no file."""
    writer = make_world()
    writer.store(HELLO)
    writer.manager.flush()
    before = sorted(cache_dir.rglob("*"))
    world = make_world(mode=mode)
    name = world.miss(make_request("Good-bye"))

    assert world.manager.explain(name).reason == "absent"
    assert world.explain(make_request("Good-bye")).reason == "absent"
    world.manager.get_stats()
    world.manager.flush()
    assert sorted(cache_dir.rglob("*")) == before

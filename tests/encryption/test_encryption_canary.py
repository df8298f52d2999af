"""A phrase in prompts and responses occurs nowhere in plain text if it must be encrypted."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
from encryption_world import (
    CANARY,
    NEW,
    OLD,
    Clock,
    Parrot,
    answer,
    entry_files,
    harness,
    manager_of,
    places_of,
    put,
    turn,
)

from spark_cache import CacheConfig, CacheManager

MEGABYTE = 2**20


async def exercise(
    cache_dir: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, **values
) -> dict[str, int]:
    """Exercise every operation of a cache with the phrase, and return the statistics."""
    sensitive = values.get("encryption") != "off" or None
    config = CacheConfig(
        enabled=True,
        cache_dir=cache_dir,
        max_cache_size_mb=1,
        cleanup_interval_seconds=60,
        store_requests=True,
        **values,
    )
    cache = CacheManager(config, clock=clock)
    model = Parrot("p", cache_manager=cache)
    for text in (CANARY, f"{CANARY} again", CANARY):
        await model.get_text([{"role": "user", "content": text}], f"about {CANARY}", sensitive=sensitive)
    with pytest.raises(RuntimeError):
        await model.get_text([{"role": "user", "content": f"{CANARY}, fail"}], sensitive=sensitive)
    question = [{"role": "user", "content": CANARY}]
    await model.get_text(question, metadata={CANARY: {CANARY: print}}, sensitive=sensitive)
    key = cache.generate_cache_key("parrot", "p", question)
    with pytest.raises(TypeError):
        cache.set(key, "parrot", "p", CANARY, {"content": {CANARY}}, sensitive=sensitive)
    cache.set(f"key of {CANARY}", "parrot", "p", CANARY, answer(CANARY), sensitive=sensitive)
    assert cache.get(f"key of {CANARY}") == answer(CANARY)
    assert cache.get(f"no key of {CANARY}") is None
    _break_one(cache_dir)
    await model.get_text([{"role": "user", "content": CANARY}], f"about {CANARY}", sensitive=sensitive)
    _fail_to_write(cache, monkeypatch, sensitive)
    for number in range(8):
        put(cache, f"{CANARY} {number}", CANARY + "x" * (MEGABYTE // 4), sensitive=sensitive)
    clock.now += 2 * 86400
    cache.get(key)
    for number in range(4):
        put(cache, f"{CANARY} once more {number}", CANARY, sensitive=sensitive)
    cache.cleanup_expired()
    put(cache, f"{CANARY} to keep", CANARY, sensitive=sensitive)
    await model.get_text(question, f"about {CANARY}", sensitive=sensitive)
    cache.flush()
    return cache.get_stats()


def _break_one(cache_dir: Path) -> None:
    for path in entry_files(cache_dir):
        path.write_bytes(path.read_bytes()[:-9])


def _fail_to_write(cache: CacheManager, monkeypatch: pytest.MonkeyPatch, sensitive: bool | None) -> None:
    def full(source, target):
        raise OSError(28, "No space left on device", str(target))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        cache.set(
            cache.generate_cache_key("parrot", "p", CANARY),
            "parrot",
            "p",
            CANARY,
            answer(CANARY),
            sensitive=sensitive,
        )


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return every log line with all its fields."""
    return "\n".join(json.dumps(record.__dict__, default=repr) for record in caplog.records)


@pytest.mark.parametrize("level", ["all", "sensitive"])
async def test_the_phrase_is_found_nowhere(cache_dir, clock, monkeypatch, caplog, capfd, level):
    """After puts, hits, misses, errors, evictions and rotation, the phrase is in no file, name or log line, and not on standard error."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "spark_cache")
    stats = await exercise(cache_dir, clock, monkeypatch, encryption=level, encryption_keys=[OLD])
    assert turn(manager_of(cache_dir, NEW, OLD, clock=clock), NEW, OLD).moved > 0
    printed = capfd.readouterr()
    assert min(stats[name] for name in ("hits", "misses", "stores", "evictions")) > 0
    assert {
        "cache.hit",
        "cache.miss",
        "cache.store",
        "cache.evict",
        "cache.corrupt",
        "cache.error",
        "cache.bypass",
    } <= {record.__dict__.get("event") for record in caplog.records}
    assert places_of(CANARY, cache_dir, log=logged(caplog), out=printed.out, err=printed.err) == []


async def test_the_same_search_finds_the_phrase_in_plain_text(cache_dir, clock, monkeypatch):
    """With encryption off, the same operations leave the phrase in the entries. This proves that the search works."""
    await exercise(cache_dir, clock, monkeypatch, encryption="off")
    found = places_of(CANARY, cache_dir)
    assert {Path(name).parts[0] for name in found} == {"parrot", "openai"}


def test_a_writer_killed_at_any_step_leaves_no_plain_text(tmp_path):
    """A writer killed at any system call leaves the phrase nowhere, and either a complete entry or none."""
    steps = harness("steps", "store", str(tmp_path))
    assert steps > 20
    assert places_of(CANARY, tmp_path) == []
    for step in range(1, steps + 1):
        cache_dir = tmp_path / f"{step:03}"
        cache = manager_of(cache_dir, NEW, encryption="sensitive")
        key = put(manager_of(tmp_path / "other"), CANARY)
        assert cache.get(key) in (None, answer(f"{CANARY} is the answer"))


def test_the_same_search_finds_plain_text_of_a_killed_writer(tmp_path):
    """A temporary file of a plain writer contains the phrase, so the test above could fail."""
    folder = tmp_path / "cache" / ".spark-cache" / "temporary"
    folder.mkdir(parents=True)
    put(manager_of(tmp_path / "other"), CANARY)
    (folder / "1-2-left").write_bytes(entry_files(tmp_path / "other")[0].read_bytes())
    assert places_of("answer to", tmp_path / "cache") == [".spark-cache/temporary/1-2-left"]

"""Entries that may be committed: what changes in a working tree, and what does not."""

from __future__ import annotations

import json
import subprocess

import pytest

from spark_cache import CacheConfig, CacheManager, Mode
from spark_cache.types import Request

DAY = 86_400


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """The time, in seconds since the epoch."""
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "recordings"


@pytest.fixture
def manager(folder, clock):
    return manager_of(folder, clock)


def manager_of(folder, clock, **values):
    values = {"commit_entries": True, "store_requests": True, "ttl_seconds": "30d", **values}
    return CacheManager(CacheConfig(enabled=True, cache_dir=folder, **values), clock=clock)


def request(text="Hello?", **parts):
    return Request("openai", "gpt-4o", [{"role": "user", "content": text}], **parts)


def answer(content="Hello!", **parts):
    raw = {
        "id": parts.pop("id", "chatcmpl-1"),
        "created": parts.pop("created", 1),
        "choices": [{"message": {"content": content}}],
        "usage": {"prompt_tokens_details": {"cached_tokens": parts.pop("cached", 0)}},
    }
    return {
        "content": content,
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12},
        "latency_seconds": parts.pop("latency", 0.5),
        "raw": raw,
        **parts,
    }


def record(manager, asked, response):
    """Store an answer as a model does; the file's text."""
    plan = manager.calls.plan(asked, mode=Mode.REFRESH)
    readable = {"messages": asked.messages, "parameters": dict(asked.parameters)}
    assert manager.calls.store(plan, readable, response)
    (path,) = manager.cache_dir.glob(f"*/*/{plan.key}.json")
    return path.read_text()


def test_a_recording_is_sorted_and_indented(manager):
    """Names are in order at every level, one to a line, and text is readable."""
    text = record(manager, request("Grüß dich?", parameters={"top_p": 1, "seed": 2}), answer())

    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert "Grüß dich?" in text


def test_an_equal_answer_leaves_the_file_alone(manager, clock):
    """Recording the same answer a day later changes no byte."""
    first = record(manager, request(), answer())
    clock.now += DAY

    assert record(manager, request(), answer()) == first


def test_ids_and_times_of_the_call_are_no_change(manager, clock):
    """A provider gives each call new ids and times; the answer is the same."""
    first = record(manager, request(), answer())
    clock.now += DAY

    assert record(manager, request(), answer(id="chatcmpl-2", created=2, latency=0.7, cached=9)) == first


@pytest.mark.parametrize(
    "changed",
    [
        answer("Good day!"),
        answer(stop_reason="max_tokens"),
        answer(usage={"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}),
        answer(tool_calls=[{"id": "call_2", "name": "wave", "arguments": "{}"}]),
    ],
    ids=["content", "stop reason", "usage", "tool calls"],
)
def test_another_answer_is_written(manager, changed):
    """Whatever a caller can tell apart replaces the recording."""
    first = record(manager, request(), answer())

    assert record(manager, request(), changed) != first


def test_what_set_is_given_comes_back_equal(manager, clock):
    """A response that a program stores itself is not taken for another that only resembles it."""
    key = manager.generate_cache_key("openai", "gpt-4o", [{"role": "user", "content": "Hello?"}])
    manager.set(key, "openai", "gpt-4o", None, answer(id="one"))
    manager.set(key, "openai", "gpt-4o", None, answer(id="two"))

    assert manager.get(key) == answer(id="two")


def test_an_equal_response_of_set_leaves_the_file_alone(manager, clock, folder):
    """Setting the same response again changes nothing."""
    texts = set()
    for _ in range(2):
        manager.set("abc", "openai", "gpt-4o", {"asked": "it"}, answer())
        clock.now += DAY
        texts.add((folder / "openai" / "gpt-4o" / "abc.json").read_text())

    assert len(texts) == 1


def test_a_damaged_recording_is_written_again(manager, folder):
    """What cannot be read says nothing, and is replaced."""
    first = record(manager, request(), answer())
    (path,) = folder.glob("*/*/*.json")
    path.write_text(first[:-20])

    assert record(manager, request(), answer()) == first


def test_a_change_of_what_is_stored_of_requests_is_written(folder, clock):
    """A pattern that hides more takes effect when the answer is recorded again, equal or not."""
    record(manager_of(folder, clock), request("case Falcon"), answer())

    text = record(manager_of(folder, clock, redact=["case \\w+"]), request("case Falcon"), answer())

    assert "Falcon" not in text


def test_recordings_do_not_grow_old(manager, clock, folder):
    """The time to live does not apply to what may be committed."""
    record(manager, request(), answer())
    clock.now += 400 * DAY

    assert manager.get(manager.key(request())) == answer()
    assert manager.cleanup_expired() == 0


def test_recordings_grow_old_on_request(folder, clock):
    """With ``recordings_expire`` they are like any entry, and an equal answer renews one that is too old."""
    manager = manager_of(folder, clock, recordings_expire=True)
    first = record(manager, request(), answer())
    clock.now += 31 * DAY

    assert manager.get(manager.key(request())) is None
    assert record(manager, request(), answer()) != first
    assert manager.get(manager.key(request())) == answer()


def test_no_ttl_still_means_no_cache(folder, clock):
    """A time to live of 0 switches recordings off like any entry."""
    manager = manager_of(folder, clock, ttl_seconds=0)

    assert not manager.set("abc", "openai", "gpt-4o", None, answer())


def test_entries_that_are_not_committed_are_written_each_time(folder, clock):
    """Elsewhere a stored answer begins a new life."""
    manager = manager_of(folder, clock, commit_entries=False)
    first = record(manager, request(), answer())
    clock.now += DAY

    assert record(manager, request(), answer()) != first


def git(folder, *arguments):
    """Run git in a folder; what it prints."""
    settings = ("-c", "user.name=A", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *settings, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_git_sees_what_changed_and_nothing_else(manager, folder, clock):
    """Recording all again leaves the tree clean, and a changed answer changes its file alone."""
    for text in ("one", "two", "three"):
        record(manager, request(text), answer(text))
    manager.get(manager.key(request("one")))
    manager.flush()
    git(folder.parent, "init", "-q")
    git(folder.parent, "add", "-A")
    git(folder.parent, "commit", "-q", "-m", "recorded")

    clock.now += DAY
    for text in ("one", "two", "three"):
        record(manager, request(text), answer(text, id=f"chatcmpl-{text}", latency=9.9))
    manager.flush()
    assert git(folder.parent, "status", "--short") == ""

    record(manager, request("two"), answer("zwei"))
    (line,) = git(folder.parent, "status", "--short").splitlines()
    assert line.startswith(" M recordings/openai/gpt-4o/")
    changed = git(folder.parent, "diff", "-U0")
    assert '-  "content": "two",' in changed
    assert '+  "content": "zwei",' in changed


def test_only_recordings_are_committed(manager, folder):
    """Beside the recordings stands the .gitignore, which hides all that is derived."""
    record(manager, request(), answer())
    manager.get(manager.key(request()))
    manager.flush()
    git(folder.parent, "init", "-q")

    listed = git(folder.parent, "status", "--short", "--untracked-files=all").split()[1::2]

    assert len(listed) == 2
    assert listed[0] == "recordings/.gitignore"
    assert listed[1].startswith("recordings/openai/gpt-4o/")

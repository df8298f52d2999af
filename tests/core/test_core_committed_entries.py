"""Entries that may be committed: what changes in a working tree, and what does not."""

from __future__ import annotations

import json
import subprocess

import pytest

from spark_cache import CacheConfig, CacheManager, Mode
from spark_cache.types import Request

DAY = 86_400


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
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


def request(text="Hello?", **parameters):
    return Request("openai", "gpt-4o", {"messages": [{"role": "user", "content": text}], **parameters})


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


def record(manager, request_, response):
    """Store a response as a model does, and return the text of the file."""
    plan = manager.calls.plan(request_, mode=Mode.REFRESH)
    manager.calls.store([(plan, request_, response)])
    (path,) = manager.cache_dir.glob(f"*/*/{plan.key}.json")
    return path.read_text()


def test_a_recording_is_sorted_and_indented(manager):
    """Between the key and the checksum, names are sorted at every level, one to a line, and text is readable."""
    text = record(manager, request("Grüß dich?", top_p=1, seed=2), answer())

    document = json.loads(text)
    others = json.loads(json.dumps(document, sort_keys=True))
    first, last = ({name: others.pop(name) for name in names} for names in (["schema", "key"], ["checksum"]))
    assert text == json.dumps(first | others | last, indent=2, ensure_ascii=False) + "\n"
    assert "Grüß dich?" in text


def test_an_equal_response_does_not_change_the_file(manager, clock):
    """Recording the same response a day later changes no byte."""
    first = record(manager, request(), answer())
    clock.now += DAY

    assert record(manager, request(), answer()) == first


def test_ids_and_times_of_the_call_do_not_count_as_changes(manager, clock):
    """Providers give each call new IDs and times. The response is still the same."""
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
def test_a_different_response_is_written(manager, changed):
    """Any difference that a caller can see replaces the recording."""
    first = record(manager, request(), answer())

    assert record(manager, request(), changed) != first


def test_set_replaces_a_similar_response(manager, clock):
    """A response that a program stores with set replaces one that is only similar."""
    key = manager.generate_cache_key("openai", "gpt-4o", [{"role": "user", "content": "Hello?"}])
    manager.set(key, "openai", "gpt-4o", None, answer(id="one"))
    manager.set(key, "openai", "gpt-4o", None, answer(id="two"))

    assert manager.get(key) == answer(id="two")


def test_an_equal_response_given_to_set_does_not_change_the_file(manager, clock, folder):
    """Setting the same response again changes nothing."""
    texts = set()
    for _ in range(2):
        manager.set("abc", "openai", "gpt-4o", {"asked": "it"}, answer())
        clock.now += DAY
        texts.add((folder / "openai" / "gpt-4o" / "abc.json").read_text())

    assert len(texts) == 1


def test_a_damaged_recording_is_written_again(manager, folder):
    """An unreadable recording is replaced."""
    first = record(manager, request(), answer())
    (path,) = folder.glob("*/*/*.json")
    path.write_text(first[:-20])

    assert record(manager, request(), answer()) == first


def test_a_change_of_request_redaction_is_written(folder, clock):
    """A pattern that redacts more takes effect when the response is recorded again, equal or not."""
    record(manager_of(folder, clock), request("case Falcon"), answer())

    text = record(manager_of(folder, clock, redact=["case \\w+"]), request("case Falcon"), answer())

    assert "Falcon" not in text


def test_recordings_do_not_expire(manager, clock, folder):
    """The TTL does not apply to recordings that may be committed."""
    record(manager, request(), answer())
    clock.now += 400 * DAY

    assert manager.get(manager.key(request())) == answer()
    assert manager.cleanup_expired() == 0


def test_recordings_expire_on_request(folder, clock):
    """With ``recordings_expire`` they expire like any entry, and an equal response renews an expired one."""
    manager = manager_of(folder, clock, recordings_expire=True)
    first = record(manager, request(), answer())
    clock.now += 31 * DAY

    assert manager.get(manager.key(request())) is None
    assert record(manager, request(), answer()) != first
    assert manager.get(manager.key(request())) == answer()


def test_a_ttl_of_zero_still_disables_the_cache(folder, clock):
    """A TTL of 0 disables recordings like any entry."""
    manager = manager_of(folder, clock, ttl_seconds=0)

    assert not manager.set("abc", "openai", "gpt-4o", None, answer())


def test_entries_that_are_not_committed_are_written_each_time(folder, clock):
    """Outside recordings, storing an equal response restarts the TTL."""
    manager = manager_of(folder, clock, commit_entries=False)
    first = record(manager, request(), answer())
    clock.now += DAY

    assert record(manager, request(), answer()) != first


def git(folder, *arguments):
    """Run git in a folder and return its output."""
    settings = ("-c", "user.name=A", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *settings, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_git_sees_what_changed_and_nothing_else(manager, folder, clock):
    """Recording everything again leaves the tree clean, and a changed response changes only its file."""
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
    """The .gitignore next to the recordings excludes all derived files."""
    record(manager, request(), answer())
    manager.get(manager.key(request()))
    manager.flush()
    git(folder.parent, "init", "-q")

    listed = git(folder.parent, "status", "--short", "--untracked-files=all").split()[1::2]

    assert len(listed) == 2
    assert listed[0] == "recordings/.gitignore"
    assert listed[1].startswith("recordings/openai/gpt-4o/")

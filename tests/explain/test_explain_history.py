"""What was missed and removed, in a small file of its own."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from multiprocessing import get_context

import pytest
from explain_world import Clock, asked

from spark_cache.events import HISTORY_FILE, History


@pytest.fixture
def folder(tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    return hidden


@pytest.fixture
def history(folder, clock):
    return History(str(folder), clock=clock)


def note(history, name, **facts):
    history.missed(name, **{"provider": "openai", "model": "gpt-4o", "reason": "absent", **facts})


def test_misses_come_back_newest_first(history, folder, clock):
    """Another process reads what this one wrote, with everything that is known of each."""
    note(history, "a", digests={"messages": "1234"})
    clock.now += 1
    note(history, "b", reason="expired")
    history.flush()

    newest, oldest = History(str(folder), clock=clock).misses()

    assert (newest.name, newest.reason, newest.digests) == ("b", "expired", {})
    assert (oldest.name, oldest.at, oldest.provider, oldest.model) == (
        "a",
        1_700_000_000.0,
        "openai",
        "gpt-4o",
    )
    assert oldest.digests == {"messages": "1234"}


def test_pending_notes_are_read_too(history):
    """What is not written yet is remembered all the same."""
    note(history, "a")
    history.removed("b", "evict")

    assert [found.name for found in history.misses()] == ["a"]
    assert history.removal("b").why == "evict"
    assert history.removal("a") is None


def test_the_last_removal_counts(history, clock):
    """An entry that was removed twice is remembered by the last time."""
    history.removed("a", "evict")
    history.flush()
    clock.now += 1
    history.removed("a", "expire")

    assert history.removal("a").why == "expire"


def test_a_second_is_enough_to_write(history, folder):
    """Nobody has to ask for it: the file is there a second later."""
    note(history, "a")
    history._timer.join(10)

    assert (folder / HISTORY_FILE).read_text().count("\n") == 1


def test_the_file_is_its_owners_alone(history, folder):
    """Nobody else may read what was asked when."""
    old = os.umask(0)
    try:
        note(history, "a")
        history.flush()
    finally:
        os.umask(old)

    assert stat.S_IMODE((folder / HISTORY_FILE).stat().st_mode) == 0o600


def test_the_file_is_bounded(history, folder):
    """However much is missed, two files of a megabyte and a batch are the most, and the newest notes are kept."""
    for number in range(40_000):
        note(history, f"{number:064}")
        if number % 1000 == 999:
            history.flush()

    assert sum(path.stat().st_size for path in folder.iterdir()) < 2.5 * 2**20
    assert next(history.misses()).name == f"{39_999:064}"


def test_a_batch_is_bounded_too(folder, clock):
    """Where nothing can be written, memory does not fill up either."""
    history = History(str(folder / "missing"), clock=clock)
    for number in range(12_000):
        note(history, str(number))
        if number % 4000 == 0:
            history.flush()

    assert next(history.misses()).name == "11999"
    assert len(list(history.misses())) == 5000


def test_what_waits_is_written_when_the_folder_is_there(tmp_path, clock):
    """A miss before the first answer is stored comes into the file with the next batch."""
    history = History(str(tmp_path / "hidden"), clock=clock)
    note(history, "a")
    history.flush()
    (tmp_path / "hidden").mkdir(mode=0o700)
    history.flush()

    assert [found.name for found in History(str(tmp_path / "hidden"), clock=clock).misses()] == ["a"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{"at":1,"name":5,"why":"evict"}',
        b'{"at":"x","name":"n","why":"evict"}',
        b'{"at":1,"name":"n","provider":"p","model":"m","reason":"absent","digests":[]}',
        b'{"at":1,"name":"n","provider":"p","model":"m","reason":"absent","digests":{"a":1}}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_a_line_that_is_none_is_passed_over(history, folder, line):
    """Whatever stands in the file, the notes around it are read."""
    (folder / HISTORY_FILE).write_bytes(line + b"\n")
    note(history, "a")
    history.flush()

    assert [found.name for found in history.misses()] == ["a"]


@pytest.mark.parametrize("kind", ["link", "hard link", "fifo", "folder"])
def test_what_stands_in_its_place_is_left_alone(history, folder, tmp_path, kind):
    """A link, a pipe or a folder is neither written through nor read."""
    other, path = tmp_path / "other", folder / HISTORY_FILE
    other.write_text("precious\n")
    {
        "link": lambda: path.symlink_to(other),
        "hard link": lambda: path.hardlink_to(other),
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[kind]()

    note(history, "a")
    history.flush()

    assert other.read_text() == "precious\n"
    assert [found.name for found in history.misses()] == ["a"]


def test_a_hidden_folder_that_is_a_link_is_not_written_to(tmp_path, clock):
    """What a link leads to is not the cache's."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "hidden").symlink_to(tmp_path / "elsewhere")
    history = History(str(tmp_path / "hidden"), clock=clock)
    note(history, "a")
    history.flush()

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_memory_alone_needs_no_file(clock):
    """A store in memory remembers as long as the program runs."""
    history = History(None, clock=clock)
    note(history, "a")
    history.flush()

    assert [found.name for found in history.misses()] == ["a"]


def _note_many(folder, who):
    history = History(folder, clock=Clock())
    for number in range(500):
        note(history, f"{who}-{number}")
        if number % 7 == 0:
            history.flush()
    history.flush()


def test_processes_share_the_file(folder, clock):
    """Lines of several processes do not mix."""
    context = get_context("spawn")
    workers = [context.Process(target=_note_many, args=(str(folder), who)) for who in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert len({found.name for found in History(str(folder), clock=clock).misses()}) == 1000


def test_a_forked_child_begins_anew(history, folder):
    """The parent's notes are written by the parent, once."""
    note(history, "a")
    child = os.fork()
    if child == 0:
        history.flush()
        os._exit(0)
    os.waitpid(child, 0)
    history.flush()

    assert (folder / HISTORY_FILE).read_text().count("\n") == 1


def test_the_end_of_a_program_writes_what_waits(folder):
    """A program that ends within a second of a miss loses nothing."""
    code = (
        "import sys, time; from spark_cache.events import History\n"
        "History = History(sys.argv[1], clock=time.time)\n"
        "History.missed('a', provider='p', model='m', reason='absent')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)

    assert (folder / HISTORY_FILE).read_text().count("\n") == 1


def test_a_model_remembers_its_misses(world, cache_dir):
    """A call that missed is remembered with its reason, under the name that its entry gets."""
    world.store(asked("Hello"))
    name = world.miss(asked("Good-bye"))
    world.manager.flush()

    explanation = world.manager.explain(name)

    assert explanation.reason == "absent"
    assert "missed on 2023-11-14 22:13:20 UTC: no entry has its key." in explanation.summary
    assert [str(difference) for difference in explanation.differences] == ["messages: differs"]
    assert (cache_dir / ".spark-cache" / HISTORY_FILE).is_file()

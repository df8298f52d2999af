"""The log of misses and removals."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from multiprocessing import get_context

import pytest
from explain_world import Clock, make_request

from spark_cache.savings import MISS_LOG_FILE, MissLog


@pytest.fixture
def folder(tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    return hidden


@pytest.fixture
def miss_log(folder, clock):
    return MissLog(str(folder), clock=clock)


def note(miss_log, name, **facts):
    miss_log.missed(name, **{"provider": "openai", "model": "gpt-4o", "reason": "absent", **facts})


def test_misses_come_back_newest_first(miss_log, folder, clock):
    """Another process reads the notes with all their fields, newest first."""
    note(miss_log, "a", digests={"messages": "1234"})
    clock.now += 1
    note(miss_log, "b", reason="expired")
    miss_log.flush()

    newest, oldest = MissLog(str(folder), clock=clock).misses()

    assert (newest.name, newest.reason, newest.digests) == ("b", "expired", {})
    assert (oldest.name, oldest.at, oldest.provider, oldest.model) == (
        "a",
        1_700_000_000.0,
        "openai",
        "gpt-4o",
    )
    assert oldest.digests == {"messages": "1234"}


def test_pending_notes_are_read_too(miss_log):
    """Notes that are not written yet are returned too."""
    note(miss_log, "a")
    miss_log.removed("b", "evict")

    assert [found.name for found in miss_log.misses()] == ["a"]
    assert miss_log.removal("b").why == "evict"
    assert miss_log.removal("a") is None


def test_latest_removal(miss_log, clock):
    """If an entry was removed twice, the log returns the latest removal."""
    miss_log.removed("a", "evict")
    miss_log.flush()
    clock.now += 1
    miss_log.removed("a", "expire")

    assert miss_log.removal("a").why == "expire"


def test_notes_are_written_within_a_second(miss_log, folder):
    """Notes are written after one second without a call to flush."""
    note(miss_log, "a")
    miss_log._timer.join(10)

    assert (folder / MISS_LOG_FILE).read_text().count("\n") == 1


def test_only_the_owner_can_read_the_file(miss_log, folder):
    """The file has mode 0600 whatever the umask."""
    old = os.umask(0)
    try:
        note(miss_log, "a")
        miss_log.flush()
    finally:
        os.umask(old)

    assert stat.S_IMODE((folder / MISS_LOG_FILE).stat().st_mode) == 0o600


def test_the_file_is_bounded(miss_log, folder):
    """The log never exceeds two files of one megabyte plus a batch, and it keeps the newest notes."""
    for number in range(40_000):
        note(miss_log, f"{number:064}")
        if number % 1000 == 999:
            miss_log.flush()

    assert sum(path.stat().st_size for path in folder.iterdir()) < 2.5 * 2**20
    assert next(miss_log.misses()).name == f"{39_999:064}"


def test_a_batch_is_bounded_too(folder, clock):
    """Memory use is bounded if nothing can be written."""
    miss_log = MissLog(str(folder / "missing"), clock=clock)
    for number in range(12_000):
        note(miss_log, str(number))
        if number % 4000 == 0:
            miss_log.flush()

    assert next(miss_log.misses()).name == "11999"
    assert len(list(miss_log.misses())) == 5000


def test_pending_notes_are_written_once_the_folder_exists(tmp_path, clock):
    """A miss that precedes the first stored entry is written with the next batch."""
    miss_log = MissLog(str(tmp_path / "hidden"), clock=clock)
    note(miss_log, "a")
    miss_log.flush()
    (tmp_path / "hidden").mkdir(mode=0o700)
    miss_log.flush()

    assert [found.name for found in MissLog(str(tmp_path / "hidden"), clock=clock).misses()] == ["a"]


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
def test_an_invalid_line_is_skipped(miss_log, folder, line):
    """The notes around an invalid line are read."""
    (folder / MISS_LOG_FILE).write_bytes(line + b"\n")
    note(miss_log, "a")
    miss_log.flush()

    assert [found.name for found in miss_log.misses()] == ["a"]


@pytest.mark.parametrize("kind", ["link", "hard link", "fifo", "folder"])
def test_anything_but_a_regular_file_is_left_alone(miss_log, folder, tmp_path, kind):
    """A link, a pipe or a folder at the path of the log is neither read nor written."""
    other, path = tmp_path / "other", folder / MISS_LOG_FILE
    other.write_text("precious\n")
    {
        "link": lambda: path.symlink_to(other),
        "hard link": lambda: path.hardlink_to(other),
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[kind]()

    note(miss_log, "a")
    miss_log.flush()

    assert other.read_text() == "precious\n"
    assert [found.name for found in miss_log.misses()] == ["a"]


def test_a_hidden_folder_that_is_a_link_is_not_written_to(tmp_path, clock):
    """The log does not follow a hidden folder that is a link."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "hidden").symlink_to(tmp_path / "elsewhere")
    miss_log = MissLog(str(tmp_path / "hidden"), clock=clock)
    note(miss_log, "a")
    miss_log.flush()

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_memory_store_needs_no_file(clock):
    """The log of a memory store lasts as long as the program runs."""
    miss_log = MissLog(None, clock=clock)
    note(miss_log, "a")
    miss_log.flush()

    assert [found.name for found in miss_log.misses()] == ["a"]


def _note_many(folder, worker):
    miss_log = MissLog(folder, clock=Clock())
    for number in range(500):
        note(miss_log, f"{worker}-{number}")
        if number % 7 == 0:
            miss_log.flush()
    miss_log.flush()


def test_processes_share_the_file(folder, clock):
    """Lines from several processes are not interleaved."""
    context = get_context("spawn")
    workers = [context.Process(target=_note_many, args=(str(folder), worker)) for worker in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert len({found.name for found in MissLog(str(folder), clock=clock).misses()}) == 1000


def test_a_forked_child_starts_empty(miss_log, folder):
    """Only the parent writes its notes, once."""
    note(miss_log, "a")
    child = os.fork()
    if child == 0:
        miss_log.flush()
        os._exit(0)
    os.waitpid(child, 0)
    miss_log.flush()

    assert (folder / MISS_LOG_FILE).read_text().count("\n") == 1


def test_pending_notes_are_written_at_exit(folder):
    """A program that exits within a second of a miss loses no note."""
    code = (
        "import sys, time; from spark_cache.savings import MissLog\n"
        "log = MissLog(sys.argv[1], clock=time.time)\n"
        "log.missed('a', provider='p', model='m', reason='absent')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)

    assert (folder / MISS_LOG_FILE).read_text().count("\n") == 1


def test_a_model_logs_its_misses(world, cache_dir):
    """A miss is logged with its reason, under the name that its entry would have."""
    world.store(make_request("Hello"))
    name = world.miss(make_request("Good-bye"))
    world.manager.flush()

    explanation = world.manager.explain(name)

    assert explanation.reason == "absent"
    assert "missed on 2023-11-14 22:13:20 UTC: no entry has its key." in explanation.summary
    assert [str(difference) for difference in explanation.differences] == ["body.messages: differs"]
    assert (cache_dir / ".spark-cache" / MISS_LOG_FILE).is_file()

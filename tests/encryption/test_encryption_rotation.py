"""Rotation moves every entry to the newest key, while programs read and write, and even if processes are killed."""

from __future__ import annotations

import json
import os

import pytest
from encryption_harness import QUESTIONS
from encryption_world import (
    NEW,
    OLD,
    OTHER,
    answer,
    ask,
    encrypt_all,
    entry_files,
    harness,
    id_of,
    key_ids,
    manager_of,
    put,
    store_of,
    turn,
)

from spark_cache.entries import decode, decrypt_entry
from spark_cache.entries.keyring import KeyRing
from spark_cache.errors import StoreError
from spark_cache.maintenance.rotation import Census, count, decrypt, purge, rotation_lock


def nothing() -> None:
    """Report no progress."""


def counted(cache) -> Census:
    """Return the entries of a cache under each key."""
    return count(store_of(cache), step=nothing)


def test_rotation_moves_every_entry_to_the_newest_key(cache_dir):
    """This includes entries with string keys and in other namespaces. Plain entries are unchanged."""
    put(manager_of(cache_dir), "plain")
    for namespace in (None, "team"):
        old = manager_of(cache_dir, OLD, namespace=namespace)
        put(old, "one")
        old.set(f"text of {namespace}", "openai", "gpt-4o", {}, answer("two"))
    new = manager_of(cache_dir, NEW, OLD)
    assert turn(new, NEW, OLD).moved == 4
    assert key_ids(cache_dir) == {id_of(NEW), None}
    for namespace in (None, "team"):
        alone_with_new = manager_of(cache_dir, NEW, namespace=namespace)
        assert alone_with_new.get(ask(alone_with_new, "one")) == answer("answer to one")
        assert alone_with_new.get(f"text of {namespace}") == answer("two")


def test_rotation_preserves_the_content_byte_for_byte(cache_dir, clock):
    """Timestamp, TTL and all other content are unchanged."""
    put(manager_of(cache_dir, OLD, clock=clock, store_requests=True), "one", ttl_seconds=1234)
    ring = KeyRing([NEW, OLD])
    _, before = decrypt_entry(entry_files(cache_dir)[0].read_bytes(), ring)
    turn(manager_of(cache_dir, NEW, OLD, clock=clock), NEW, OLD)
    (path,) = entry_files(cache_dir)
    entry, after = decrypt_entry(path.read_bytes(), ring)
    assert before == after
    assert (entry.timestamp, entry.ttl, entry.request) == (clock.now, 1234, {"messages": "one"})


def test_the_old_key_decrypts_nothing_afterwards(cache_dir):
    """With only the old key, no entry is found or decrypted."""
    key = put(manager_of(cache_dir, OLD), "one")
    turn(manager_of(cache_dir, NEW, OLD), NEW, OLD)
    assert manager_of(cache_dir, OLD).get(key) is None
    assert [decode(path.read_bytes(), ring=KeyRing([OLD])) for path in entry_files(cache_dir)] == [
        "undecryptable"
    ]


def test_a_second_rotation_has_nothing_to_do(cache_dir):
    """Entries that are already under the newest key are not moved again."""
    put(manager_of(cache_dir, OLD), "one")
    new = manager_of(cache_dir, NEW, OLD)
    turn(new, NEW, OLD)
    before = [path.stat().st_ino for path in entry_files(cache_dir)]
    assert turn(new, NEW, OLD).moved == 0
    assert [path.stat().st_ino for path in entry_files(cache_dir)] == before


def test_a_newer_response_is_not_overwritten(cache_dir, clock):
    """If the new key already has a newer response, the old one is removed."""
    new = manager_of(cache_dir, NEW, OLD, clock=clock)
    key = put(new, "one", "newer")
    (newer,) = entry_files(cache_dir)
    kept = newer.read_bytes()
    clock.now -= 60
    put(manager_of(cache_dir, OLD, clock=clock), "one", "older")
    newer.write_bytes(kept)
    done = turn(new, NEW, OLD)
    assert (done.moved, done.superseded) == (0, 1)
    assert new.get(key) == answer("newer")
    assert key_ids(cache_dir) == {id_of(NEW)}


@pytest.mark.parametrize("state", ["older", "cut off", "empty"])
def test_an_older_or_broken_entry_is_replaced(cache_dir, clock, state):
    """An entry under the new name that is older or damaged is replaced."""
    new = manager_of(cache_dir, NEW, OLD, clock=clock)
    key = put(new, "one", "older")
    (path,) = entry_files(cache_dir)
    whole = path.read_bytes()
    older = {"older": whole, "cut off": whole[:-40], "empty": b""}[state]
    clock.now += 60
    put(manager_of(cache_dir, OLD, clock=clock), "one", "newer")
    path.write_bytes(older)
    assert turn(new, NEW, OLD).moved == 1
    assert new.get(key) == answer("newer")


def test_a_foreign_file_is_not_replaced(cache_dir):
    """A file under the new name that was never an entry is left alone, and the old entry is kept."""
    new = manager_of(cache_dir, NEW, OLD)
    put(new, "one")
    (path,) = entry_files(cache_dir)
    key = put(manager_of(cache_dir, OLD), "one")
    path.write_text("notes")
    with pytest.raises(StoreError, match="not an entry of this cache"):
        turn(new, NEW, OLD)
    assert path.read_text() == "notes"
    assert new.get(key) == answer("answer to one")


def test_an_entry_of_a_later_release_is_kept(cache_dir):
    """An entry that this release cannot read is not removed. The old entry is kept too and reported."""
    new = manager_of(cache_dir, NEW, OLD)
    put(new, "one")
    (path,) = entry_files(cache_dir)
    later = json.dumps(json.loads(path.read_bytes()) | {"schema": 3}).encode()
    put(manager_of(cache_dir, OLD), "one")
    path.write_bytes(later)
    assert turn(new, NEW, OLD).unusable == {"unwritten": 1}
    assert path.read_bytes() == later
    assert len(entry_files(cache_dir)) == 2


def _before_the_next_write(monkeypatch, cache, change) -> None:
    """Make a change just before the store of a cache writes the next entry."""
    store = store_of(cache)
    write = store.write

    def interrupted(*arguments, **options):
        monkeypatch.setattr(store, "write", write)
        change()
        return write(*arguments, **options)

    monkeypatch.setattr(store, "write", interrupted)


def test_a_response_stored_during_the_move_wins(cache_dir, monkeypatch):
    """A newer response that a program stores just before the old one is moved is kept."""
    put(manager_of(cache_dir, OLD), "one", "older")
    new = manager_of(cache_dir, NEW, OLD)
    _before_the_next_write(monkeypatch, new, lambda: put(new, "one", "newer"))
    turn(new, NEW, OLD)
    assert new.get(ask(new, "one")) == answer("newer")
    assert key_ids(cache_dir) == {id_of(NEW)}


def test_an_entry_removed_during_the_move_stays_removed(cache_dir, monkeypatch):
    """An entry that is removed while it is being moved does not reappear under its new name."""
    put(manager_of(cache_dir, OLD), "one")
    new = manager_of(cache_dir, NEW, OLD)
    removed = []
    _before_the_next_write(monkeypatch, new, lambda: removed.append(new.remove_entry(ask(new, "one"))))
    assert turn(new, NEW, OLD).moved == 0
    assert removed == [True]
    assert entry_files(cache_dir) == []


@pytest.mark.parametrize("as_text", [False, True])
def test_a_reader_finds_an_entry_that_is_being_moved(cache_dir, monkeypatch, as_text):
    """An entry that moves between the lookups under the new and the old name is found."""
    key = put(manager_of(cache_dir, OLD), "one")
    reader, store = manager_of(cache_dir, NEW, OLD), store_of(manager_of(cache_dir, NEW, OLD))
    old_name = KeyRing([OLD]).names(key)[0]
    waiting, moved = [old_name], []

    def rotate_before(look, name):
        if name in waiting:
            waiting.clear()
            moved.append(turn(reader, NEW, OLD).moved)
        return look()

    read, find = store.read, store.find
    with monkeypatch.context() as patch:
        patch.setattr(
            store,
            "read",
            lambda at, **options: rotate_before(lambda: read(at, **options), "" if as_text else at.name),
        )
        patch.setattr(store, "find", lambda name: rotate_before(lambda: find(name), name))
        assert reader.get(str(key) if as_text else key) == answer("answer to one")
    assert moved == [1]


def test_a_misplaced_entry_is_not_repaired(cache_dir):
    """An entry under a wrong name is a miss before and after, and is reported."""
    put(manager_of(cache_dir, OLD), "one")
    (path,) = entry_files(cache_dir)
    path.rename(path.with_name("ab" * 32 + ".json"))
    new = manager_of(cache_dir, NEW, OLD)
    assert turn(new, NEW, OLD).unusable == {"wrong_key": 1}
    assert new.get(ask(new, "one")) is None


def test_entries_of_a_lost_key_are_reported_and_kept(cache_dir):
    """Entries that no available key decrypts are unchanged."""
    put(manager_of(cache_dir, OTHER), "one")
    assert turn(manager_of(cache_dir, NEW, OLD), NEW, OLD).unusable == {"undecryptable": 1}
    assert key_ids(cache_dir) == {id_of(OTHER)}


def test_only_one_rotates_at_a_time(cache_dir):
    """A second rotation is refused with the reason."""
    put(manager_of(cache_dir, OLD), "one")
    with (
        rotation_lock(str(cache_dir)),
        pytest.raises(StoreError, match="another process is rewriting its entries"),
    ):
        turn(manager_of(cache_dir, NEW, OLD), NEW, OLD)
    assert turn(manager_of(cache_dir, NEW, OLD), NEW, OLD).moved == 1


def test_nothing_is_created_in_a_directory_of_another_user(cache_dir, monkeypatch):
    """Not even the lock file is created, because the owner could not open it afterwards."""
    old = manager_of(cache_dir, OLD)
    put(old, "one")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StoreError, match="it belongs to another user"):
        turn(manager_of(cache_dir, NEW, OLD), NEW, OLD)
    assert key_ids(cache_dir) == {id_of(OLD)}
    assert not (cache_dir / ".spark-cache" / "locks" / "rotation").exists()


def test_rotating_a_missing_directory_creates_nothing(cache_dir):
    """A directory that does not exist is not created."""
    assert turn(manager_of(cache_dir, NEW), NEW).moved == 0
    assert not cache_dir.exists()


def test_a_full_disk_loses_nothing(cache_dir, monkeypatch):
    """An entry that cannot be written under its new name stays under its old one."""
    key = put(manager_of(cache_dir, OLD), "one")
    new = manager_of(cache_dir, NEW, OLD)

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        with pytest.raises(StoreError, match="ENOSPC"):
            turn(new, NEW, OLD)
    assert new.get(key) == answer("answer to one")


def test_a_rotation_killed_at_any_step_loses_nothing(tmp_path):
    """A process killed at any system call loses no response, and the work can be resumed."""
    steps = harness("steps", "rotate", str(tmp_path))
    assert steps > 30
    for step in range(1, steps + 1):
        cache_dir = tmp_path / f"{step:03}"
        new = manager_of(cache_dir, NEW, OLD)
        for text in ("one", "two", "three"):
            assert new.get(ask(new, text)) == answer(f"answer to {text}")
        turn(new, NEW, OLD)
        assert (key_ids(cache_dir), len(entry_files(cache_dir))) == ({id_of(NEW)}, 3)


def test_rotation_under_live_traffic(cache_dir):
    """While processes that read and write are killed at random, no response is wrong or lost, and no entry stays under the old key."""
    wrong = harness("traffic", str(cache_dir), "7")
    assert wrong == 0
    assert key_ids(cache_dir) == {id_of(NEW)}
    assert len(entry_files(cache_dir)) == QUESTIONS
    new, old = manager_of(cache_dir, NEW), manager_of(cache_dir, OLD)
    for number in range(QUESTIONS):
        text = f"question {number}"
        assert new.get(ask(new, text))["content"].startswith(f"{text} at")
        assert old.get(ask(old, text)) is None


# -- encrypt and decrypt ------------------------------------------------------------------


def test_plain_entries_are_encrypted_in_place(cache_dir):
    """Afterwards, no plain entry is left and every response is present."""
    key = put(manager_of(cache_dir, namespace="team"), "one")
    cache = manager_of(cache_dir, NEW, namespace="team")
    assert encrypt_all(cache, NEW).moved == 1
    assert key_ids(cache_dir) == {id_of(NEW)}
    assert cache.get(key) == answer("answer to one")


def test_encrypting_killed_at_any_step_loses_nothing(tmp_path):
    """A process killed at any system call loses no response, and the work can be resumed."""
    for step in range(1, harness("steps", "encrypt", str(tmp_path)) + 1):
        cache_dir = tmp_path / f"{step:03}"
        reader = manager_of(cache_dir, NEW, encryption="sensitive")
        for text in ("one", "two", "three"):
            assert reader.get(ask(reader, text)) == answer(f"answer to {text}")
        encrypt_all(reader, NEW)
        assert (key_ids(cache_dir), len(entry_files(cache_dir))) == ({id_of(NEW)}, 3)


def test_encrypted_entries_are_decrypted(cache_dir):
    """The plain file equals, byte for byte, the one that would have been written without encryption."""
    cache = manager_of(cache_dir, NEW)
    key = put(cache, "one")
    entry, plain = decrypt_entry(entry_files(cache_dir)[0].read_bytes(), KeyRing([NEW]))
    done = decrypt(store_of(cache), KeyRing([NEW]), may_be_plain=lambda _entry: True, step=nothing)
    assert done.moved == 1
    assert (cache_dir / "openai" / "gpt-4o" / f"{key}.json").read_bytes() == plain
    assert manager_of(cache_dir).get(key) == entry.response


def test_entries_that_must_stay_encrypted_are_kept(cache_dir):
    """An entry that must not be plain is unchanged and counted."""
    cache = manager_of(cache_dir, NEW)
    put(cache, "one")
    done = decrypt(store_of(cache), KeyRing([NEW]), may_be_plain=lambda _entry: False, step=nothing)
    assert (done.moved, done.kept, key_ids(cache_dir)) == (0, 1, {id_of(NEW)})


# -- count and purge -------------------------------------------------------------------------


def test_entries_are_counted_by_key(cache_dir):
    """The census counts entries for each key, plain entries and damaged entries."""
    put(manager_of(cache_dir, OLD), "one")
    put(manager_of(cache_dir, NEW), "two")
    put(manager_of(cache_dir, NEW), "three")
    put(manager_of(cache_dir), "four")
    damaged = entry_files(cache_dir)[0].read_bytes()[:20]
    whole = sum(path.stat().st_size for path in entry_files(cache_dir))
    (cache_dir / "openai" / "gpt-4o" / "ab.json").write_bytes(damaged)
    (cache_dir / "openai" / "gpt-4o" / "cd.json").write_text("a foreign file")
    census = counted(manager_of(cache_dir))
    assert census.entries == {id_of(OLD): 1, id_of(NEW): 2, None: 1}
    assert census.size_bytes.total() == whole
    assert census.unreadable == 1


def test_an_entry_of_a_later_release_needs_its_key(cache_dir):
    """This release cannot read it, but it would be lost with its key."""
    put(manager_of(cache_dir, OLD), "one")
    (path,) = entry_files(cache_dir)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"schema": 3}))
    census = counted(manager_of(cache_dir))
    assert (census.entries, census.unreadable) == ({id_of(OLD): 1}, 0)


def test_purging_removes_the_entries_of_one_key(cache_dir):
    """All other entries are kept."""
    put(manager_of(cache_dir, OLD), "one")
    put(manager_of(cache_dir, NEW), "two")
    cache = manager_of(cache_dir, NEW)
    assert purge(store_of(cache), id_of(OLD), step=nothing) == 1
    assert key_ids(cache_dir) == {id_of(NEW)}

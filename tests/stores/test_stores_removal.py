"""What goes by the books, and what stays: ends of life that were replaced, uses that nobody noted, faults on the way."""

from __future__ import annotations

import os

import pytest

from spark_cache.errors import StoreError
from spark_cache.stores import Address, added_up, block_size, file
from spark_cache.stores.index import maintenance, removal

_BLOCK = 4096
_NEVER = float("inf")


@pytest.fixture(autouse=True)
def _by_the_books(monkeypatch):
    """Have few entries counted like many."""
    monkeypatch.setattr(file, "_FEW", 0)


def _at(number: int, model: str = "gpt-4o") -> Address:
    return Address("openai", model, f"{number:04x}")


def _names(store) -> set[int]:
    return {int(stored.address.name, 16) for stored in store.scan()}


@pytest.fixture
def reads(monkeypatch):
    """Count the entries that are read."""
    found: list[str] = []
    real = file.read_file

    def read(path):
        found.append(path)
        return real(path)

    monkeypatch.setattr(file, "read_file", read)
    return found


def test_what_is_known_to_be_over_goes_unread(open_store, clock, reads):
    """A clean-up reads none of the entries whose end the store was told."""
    store = open_store()
    for number in range(400):
        store.write(_at(number), b"x", expires_at=clock.now + (10 if number % 2 else _NEVER))
    clock.now += 20
    assert store.expire() == 200
    assert _names(store) == set(range(0, 400, 2))
    assert reads == []


def test_what_nobody_told_is_asked_once(open_store, clock, reads):
    """Entries whose end only they know are read by the first clean-up, and not by the next."""
    store = open_store()
    for number in range(300):
        store.write(_at(number), b"%d x" % (clock.now + 100))
    assert store.expire() == 0
    assert len(reads) == 300
    assert store.expire() == 0
    clock.now += 200
    assert store.expire() == 300
    assert len(reads) == 300


@pytest.mark.parametrize("between", ["nothing", "a fold", "a removal"])
def test_an_entry_that_was_replaced_lives_as_long_as_the_last_one(open_store, clock, between):
    """An earlier end of an entry, also one that is filed, does not end the one that took its place at the same moment."""
    store = open_store()
    for number in range(200):
        store.write(_at(number), b"%d x" % (clock.now + 10), expires_at=clock.now + 10)
    if between == "a fold":
        store.expire()
    for number in range(0, 200, 2):
        if between == "a removal":
            store.remove(_at(number))
        store.write(_at(number), b"%d x" % (clock.now + 99), expires_at=clock.now + 99)
    clock.now += 20
    assert store.expire() == 100
    assert _names(store) == set(range(0, 200, 2))
    clock.now += 100
    assert store.expire() == 100
    assert _names(store) == set()


def test_what_was_evicted_is_not_ended_by_what_is_filed_of_it(open_store, clock, monkeypatch):
    """An entry that was filed twice, evicted by the one and written anew, lives as long as it says."""
    monkeypatch.setattr(maintenance, "_FOLDED_AT_ONCE", 1)
    store = open_store(cap_bytes=4.0 * _BLOCK)

    def write(number: int, life: float) -> None:
        clock.now += 0.01
        store.write(_at(number), b"x" * number, expires_at=clock.now + life)

    write(1, 1000)
    write(2, 1000)
    write(1, 10)
    write(3, 1000)
    write(4, 1000)
    write(5, 1000)
    assert 1 not in _names(store)
    write(1, 1000)
    clock.now += 20
    assert store.expire() == 0
    assert 1 in _names(store)
    assert sorted(store.totals(write=False)) == sorted(added_up(store.scan()))


def test_what_was_cleared_is_not_ended_by_what_is_filed_of_it(open_store, clock, tmp_path):
    """An entry that was cleared and written anew lives as long as it says, also where its folder stayed."""
    store = open_store()
    store.write(_at(1), b"x", expires_at=clock.now + 10)
    store.expire()
    (tmp_path / "cache" / "openai" / "gpt-4o" / "notes.txt").touch()
    store.totals(write=True)
    store.write(_at(2), b"x", expires_at=clock.now + 10)
    store.expire()
    assert store.clear() == 2
    store.write(_at(2), b"xx", expires_at=clock.now + 1000)
    clock.now += 20
    assert store.expire() == 0
    assert _names(store) == {2}
    assert sorted(store.totals(write=False)) == sorted(added_up(store.scan()))


def test_what_is_removed_is_as_long_as_it_is_by_then(open_store):
    """An entry that was replaced after it was listed is subtracted with its present length."""
    store = open_store()
    store.write(_at(1), b"x", expires_at=_NEVER)
    store.write(_at(2), b"x", expires_at=_NEVER)
    listed = [stored for stored in store.scan() if stored.address == _at(1)]
    store.write(_at(1), b"x" * 9000, expires_at=_NEVER)
    assert store._index.remove_all(listed) == (1, True)
    assert store.totals(write=False) == [("openai", "gpt-4o", 1, 1, _BLOCK)]


def test_what_somebody_else_put_in_place_is_asked(open_store, clock, tmp_path):
    """A file that somebody moved over an entry that is over is judged by its own word."""
    store = open_store()
    for number in range(10):
        store.write(_at(number), b"%d x" % (clock.now + 10), expires_at=clock.now + 10)
    (tmp_path / "new").write_bytes(b"%d x" % (clock.now + 1000))
    (tmp_path / "new").rename(store.path(_at(3)))
    clock.now += 20
    assert store.expire() == 9
    assert _names(store) == {3}


def test_recordings_are_cleaned_up_when_asked_alone(open_store, clock, removed):
    """Entries that may be committed go when somebody asks for a clean-up, and never in passing."""
    store = open_store(commit_entries=True, cleanup_interval=1.0)
    for number in range(10):
        store.write(_at(number), b"x", expires_at=clock.now + 5)
    clock.now += 100
    for number in range(10, 20):
        clock.now += 10
        store.write(_at(number), b"x", expires_at=_NEVER)
    assert removed == []
    assert store.expire() == 10


def test_an_entry_that_cannot_be_read_is_left_and_asked_later(open_store, clock, monkeypatch):
    """A clean-up leaves alone what it cannot read, and ends; hours later it asks again."""
    store = open_store()
    for number in range(5):
        store.write(_at(number), b"%d x" % (clock.now + 10))
    clock.now += 20
    real = file.read_file
    with monkeypatch.context() as patched:
        patched.setattr(file, "read_file", lambda path: _fail() if "0003" in path else real(path))
        assert store.expire() == 4
    clock.now += 10_000
    assert store.expire() == 1


def _fail():
    raise StoreError("read", "EIO")


def test_a_clean_up_that_is_refused_says_so(open_store, clock, monkeypatch):
    """What could not be removed is an error, and goes the next time."""
    store = open_store()
    for number in range(5):
        store.write(_at(number), b"x", expires_at=clock.now + 10)
    clock.now += 20

    def refuse(path):
        raise PermissionError(13, os.strerror(13), path)

    with monkeypatch.context() as patched:
        patched.setattr(removal.os, "unlink", refuse)
        with pytest.raises(StoreError, match="cannot remove: EACCES"):
            store.expire()
        with pytest.raises(StoreError, match="cannot remove: EACCES"):
            store.clear()
    assert store.expire() == 5


def test_what_was_used_since_it_was_filed_outlives_what_was_not(open_store, clock):
    """Of many entries, those that were read stay in place of older and of newer ones that were not."""
    store = open_store(cap_bytes=1000.0 * _BLOCK)
    for number in range(1000):
        clock.now += 1
        store.write(_at(number), b"x")
    used = set(range(0, 1000, 5))
    clock.now += 100
    for number in used:
        store.read(_at(number), note_use=True)
    for number in range(1000, 1500):
        clock.now += 1
        store.write(_at(number), b"x")
    left = _names(store)
    assert used <= left
    assert set(range(1000, 1500)) <= left


def test_a_store_in_which_everything_was_used_keeps_its_cap(open_store, clock):
    """Where every entry was read, some go all the same."""
    store = open_store(cap_bytes=2000.0 * _BLOCK)
    for number in range(2000):
        store.write(_at(number), b"x")
    clock.now += 100
    for number in range(2000):
        store.read(_at(number), note_use=True)
    occupied = []
    for number in range(2000, 2040):
        clock.now += 1
        store.write(_at(number), b"x")
        occupied.append(sum(block_size(stored.size_bytes) for stored in store.scan()))
    assert max(occupied) <= 2000 * _BLOCK


def test_one_write_removes_a_slice(open_store, clock, removed):
    """A cap that was lowered is reached over many writes: no single one pays for all."""
    store = open_store()
    for number in range(1000):
        clock.now += 1
        store.write(_at(number), b"x")
    store.require(fsync=False, cap_bytes=100.0 * _BLOCK, cleanup_interval=3600.0)
    before = len(removed)
    most = 0
    for number in range(1000, 1100):
        clock.now += 1
        store.write(_at(number), b"x")
        most, before = max(most, len(removed) - before), len(removed)
    assert most <= 200
    assert sum(block_size(stored.size_bytes) for stored in store.scan()) <= 100 * _BLOCK

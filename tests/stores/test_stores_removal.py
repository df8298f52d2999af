"""Which entries are removed by the index: expired ones, replaced ones, used ones, and those that cannot be removed."""

from __future__ import annotations

import os

import pytest

from spark_cache.errors import StoreError
from spark_cache.stores import Address, EntryFormat, FileStore, Proof, added_up, block_size, file
from spark_cache.stores.index import removal

_BLOCK = 4096
_NEVER = float("inf")


@pytest.fixture(autouse=True)
def _use_the_index(monkeypatch):
    """Use the index even for a few entries."""
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

    def read(path, **options):
        found.append(path)
        return real(path, **options)

    monkeypatch.setattr(file, "read_file", read)
    return found


def test_entries_known_to_have_expired_are_not_read(open_store, clock, reads):
    """A clean-up reads none of the entries whose expiry the store was told."""
    store = open_store()
    for number in range(400):
        store.write(_at(number), b"x", expires_at=clock.now + (10 if number % 2 else _NEVER))
    clock.now += 20
    assert store.expire() == 200
    assert _names(store) == set(range(0, 400, 2))
    assert reads == []


def test_an_unknown_expiry_is_read_once(open_store, clock, reads):
    """Entries whose expiry the store was not told are read by the first clean-up and not by the next."""
    store = open_store()
    for number in range(300):
        store.write(_at(number), b"%d x" % (clock.now + 100))
    assert store.expire() == 0
    assert len(reads) == 300
    assert store.expire() == 0
    clock.now += 200
    assert store.expire() == 300
    assert len(reads) == 300


@pytest.mark.parametrize("between", ["nothing", "a clean-up", "a removal"])
def test_a_replaced_entry_has_the_last_expiry(open_store, clock, between):
    """An entry that was written at the same time as the one it replaced expires at its own time."""
    store = open_store()
    for number in range(200):
        store.write(_at(number), b"%d x" % (clock.now + 10), expires_at=clock.now + 10)
    if between == "a clean-up":
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


def test_an_evicted_entry_that_is_written_again_has_its_own_expiry(open_store, clock):
    """An entry that was evicted before it expired is kept when it is written with a later expiry."""
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
    write(6, 1000)
    assert 1 not in _names(store)
    write(1, 1000)
    clock.now += 20
    assert store.expire() == 0
    assert 1 in _names(store)
    assert sorted(store.totals(write=True).folders) == sorted(added_up(store.scan()))


def test_a_cleared_entry_that_is_written_again_has_its_own_expiry(open_store, clock, tmp_path):
    """An entry that was cleared before it expired is kept when it is written with a later expiry."""
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
    assert sorted(store.totals(write=True).folders) == sorted(added_up(store.scan()))


def test_a_removal_is_counted_with_the_present_size(open_store):
    """An entry that was replaced by a larger one is subtracted with the size of the larger one."""
    store = open_store()
    store.write(_at(1), b"x", expires_at=_NEVER)
    store.write(_at(2), b"x", expires_at=_NEVER)
    store.write(_at(1), b"x" * 9000, expires_at=_NEVER)
    store.remove(_at(1))
    assert store.totals(write=True).folders == [("openai", "gpt-4o", 1, 1, _BLOCK)]


def test_the_expiry_of_a_file_from_another_program_is_read(open_store, clock, tmp_path):
    """A file that another program moved over an expired entry expires at its own time."""
    store = open_store()
    for number in range(10):
        store.write(_at(number), b"%d x" % (clock.now + 10), expires_at=clock.now + 10)
    (tmp_path / "new").write_bytes(b"%d x" % (clock.now + 1000))
    (tmp_path / "new").rename(store.path(_at(3)))
    clock.now += 20
    assert store.expire() == 9
    assert _names(store) == {3}


def test_entries_that_may_be_committed_expire_on_demand_only(open_store, clock, removed):
    """Entries that may be committed are removed by a clean-up, and never in passing."""
    store = open_store(commit_entries=True, cleanup_interval=1.0)
    for number in range(10):
        store.write(_at(number), b"x", expires_at=clock.now + 5)
    clock.now += 100
    for number in range(10, 20):
        clock.now += 10
        store.write(_at(number), b"x", expires_at=_NEVER)
    assert removed == []
    assert store.expire() == 10


def test_an_entry_that_cannot_be_read_is_kept_until_later(open_store, clock, monkeypatch):
    """A clean-up skips an entry that it cannot read, and a later one removes it."""
    store = open_store()
    for number in range(5):
        store.write(_at(number), b"%d x" % (clock.now + 10))
    clock.now += 20
    real = file.read_file
    with monkeypatch.context() as patched:
        patched.setattr(
            file, "read_file", lambda path, **options: _fail() if "0003" in path else real(path, **options)
        )
        assert store.expire() == 4
    clock.now += 10_000
    assert store.expire() == 1


def _fail():
    raise StoreError("read", "EIO")


def test_a_clean_up_that_is_refused_is_an_error(open_store, clock, monkeypatch):
    """An entry that could not be removed is an error, and the next clean-up removes it."""
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


def test_used_entries_outlive_unused_ones(open_store, clock):
    """Entries that were read are kept while older and newer ones that were not read are evicted."""
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


def test_a_store_in_which_every_entry_was_used_keeps_its_cap(open_store, clock):
    """Entries are evicted even if all of them were read since they were written."""
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


def test_the_least_recently_used_of_many_used_entries_goes(open_store, clock, removed):
    """Where hundreds of entries were read, the least recently used of the oldest 256 or a few more is evicted."""
    store = open_store(cap_bytes=600.0 * _BLOCK)
    for number in range(600):
        clock.now += 1
        store.write(_at(number), b"x")
    for number in reversed(range(600)):
        clock.now += 1
        store.read(_at(number), note_use=True)
    store.write(_at(1000), b"x")
    ((name, _),) = removed
    assert 255 <= int(name, 16) < 320


def test_a_lowered_cap_holds_after_one_write(open_store, clock, removed):
    """The first write after the cap was lowered brings the store within it."""
    store = open_store()
    for number in range(1000):
        clock.now += 1
        store.write(_at(number), b"x")
    store.require(fsync=False, cap_bytes=100.0 * _BLOCK, cleanup_interval=3600.0)
    clock.now += 1
    store.write(_at(1000), b"x")
    assert _names(store) == set(range(901, 1001))
    assert [name for name, _ in removed] == [_at(number).name for number in range(901)]


def test_expired_entries_of_one_provider_are_removed(open_store, clock):
    """A clean-up of one provider keeps the expired entries of the others."""
    store = open_store()
    others = [Address("gemini", "flash", f"{number:04x}") for number in range(300)]
    for number, at in enumerate(others):
        store.write(at, b"x", expires_at=clock.now + 5)
        store.write(_at(number), b"x", expires_at=clock.now + 5)
    clock.now += 10
    assert store.expire("openai") == 300
    assert [stored.address for stored in store.scan()] == others


def test_entries_from_the_future_are_cleaned_up(tmp_path, clock):
    """A clean-up removes entries that were written more than five minutes in the future, and keeps the others."""
    entry_format = EntryFormat(lambda *_: Proof.ENTRY, lambda data: (float(data), _NEVER))
    store = FileStore(
        str(tmp_path / "cache"),
        clock=clock,
        commit_entries=False,
        entry_format=entry_format,
        on_removed=lambda *_: None,
    )
    store.require(fsync=False, cap_bytes=None, cleanup_interval=3600.0)
    clock.now += 86_400
    for number in range(300):
        store.write(_at(number), b"%d" % clock.now, expires_at=_NEVER)
    clock.now -= 86_400 - 200
    store.write(_at(1000), b"%d" % clock.now)
    clock.now -= 200
    store.write(_at(1001), b"%d" % clock.now)
    assert store.expire() == 300
    assert _names(store) == {1000, 1001}


def test_an_eviction_that_is_refused_fails_the_write(open_store, clock, monkeypatch):
    """A write for which no room can be made is an error, and the cap holds."""
    store = open_store(cap_bytes=4.0 * _BLOCK)
    for number in range(4):
        clock.now += 1
        store.write(_at(number), b"x")

    def refuse(path):
        raise PermissionError(13, os.strerror(13), path)

    with monkeypatch.context() as patched:
        patched.setattr(removal.os, "unlink", refuse)
        with pytest.raises(StoreError, match="cannot write: EACCES"):
            store.write(_at(4), b"x")
    assert _names(store) == {0, 1, 2, 3}
    assert store.write(_at(4), b"x") is True


def test_an_entry_that_cannot_be_evicted_is_skipped(open_store, clock, monkeypatch):
    """If the least recently used entry cannot be removed, the next one is evicted."""
    store = open_store(cap_bytes=4.0 * _BLOCK)
    for number in range(4):
        clock.now += 1
        store.write(_at(number), b"x")
    real = os.unlink

    def refuse(path, *arguments):
        if _at(0).name in str(path):
            raise PermissionError(13, os.strerror(13), path)
        real(path, *arguments)

    monkeypatch.setattr(removal.os, "unlink", refuse)
    clock.now += 1
    assert store.write(_at(4), b"x") is True
    assert _names(store) == {0, 2, 3, 4}

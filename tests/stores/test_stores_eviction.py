"""Which entries go, and when: the policy by itself, and both stores that follow it."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_cache.stores import Address, MemoryStore, Stored, block_size
from spark_cache.stores.base import LOW_WATER, victims

_BLOCK = 4096

_entries = st.lists(
    st.builds(
        Stored,
        address=st.builds(
            Address, st.just("p"), st.just("m"), st.text("0123456789abcdef", min_size=1, max_size=6)
        ),
        size_bytes=st.integers(0, 10 * _BLOCK),
        used_at=st.floats(0, 1000, allow_nan=False),
    ),
    max_size=20,
    unique_by=lambda stored: stored.address,
)


def _total(entries) -> int:
    return sum(block_size(stored.size_bytes) for stored in entries)


def _at(number: int) -> Address:
    return Address("openai", "gpt-4o", f"{number:04x}")


@settings(deadline=None, max_examples=200)
@given(_entries, st.integers(0, 60 * _BLOCK))
def test_nothing_goes_while_there_is_room(entries, cap):
    """A store within its cap loses nothing; one beyond it comes down to the low-water mark."""
    gone = victims(entries, cap)
    if _total(entries) <= cap:
        assert gone == []
    else:
        assert _total(entries) - _total(gone) <= cap * LOW_WATER


@settings(deadline=None, max_examples=200)
@given(_entries, st.integers(0, 60 * _BLOCK))
def test_the_least_recently_used_go_first(entries, cap):
    """What goes was used no later than anything that stays."""
    gone = victims(entries, cap)
    stay = [stored for stored in entries if stored not in gone]
    assert len(gone) + len(stay) == len(entries)
    assert all(left.used_at <= right.used_at for left, right in pairwise(gone))
    assert max((stored.used_at for stored in gone), default=0) <= min(
        (stored.used_at for stored in stay), default=1000
    )


@settings(deadline=None, max_examples=200)
@given(_entries, st.integers(0, 60 * _BLOCK))
def test_no_more_goes_than_has_to(entries, cap):
    """Without its last victim, the store would still be above the low-water mark."""
    gone = victims(entries, cap)
    if gone:
        assert _total(entries) - _total(gone[:-1]) > cap * LOW_WATER


@settings(deadline=None, max_examples=200)
@given(_entries, st.integers(0, 60 * _BLOCK), st.randoms())
def test_the_order_of_the_listing_does_not_matter(entries, cap, chance):
    """However a directory is listed, the same entries go."""
    shuffled = list(entries)
    chance.shuffle(shuffled)
    assert victims(shuffled, cap) == victims(entries, cap)


@pytest.mark.parametrize(("size", "occupied"), [(0, 0), (1, 4096), (4096, 4096), (4097, 8192)])
def test_a_file_occupies_whole_blocks(size, occupied):
    """What a file takes is rounded up to blocks of 4 KiB."""
    assert block_size(size) == occupied


@pytest.fixture(params=["file", "memory"])
def bounded(request, open_store, clock, removed):
    """Open a store of either kind within bounds."""

    def make(**bounds):
        if request.param == "file":
            return open_store(**bounds)
        store = MemoryStore(
            clock=clock,
            ends_at=lambda data: float(data.split()[0]) if data[:1].isdigit() else float("inf"),
            on_removed=lambda at, _size, why: removed.append((at.name, why)),
        )
        store.require(**{"fsync": False, "cap_bytes": None, "cleanup_interval": 3600.0, **bounds})
        return store

    return make


def test_the_cap_holds_after_every_write(bounded, clock):
    """A store never occupies more than its cap, and always keeps what was written last."""
    cap = 40 * _BLOCK
    store = bounded(cap_bytes=float(cap))
    for number in range(200):
        clock.now += 1
        assert store.write(_at(number), b"x" * (5_000 + 40 * number)) is True
        listed = list(store.scan())
        assert _total(listed) <= cap
        assert _at(number) in {stored.address for stored in listed}
    assert _total(listed) > cap * LOW_WATER / 2


def test_eviction_rests_at_the_low_water_mark(bounded, clock, removed):
    """What was brought down to the low-water mark fills up again before anything else goes."""
    store = bounded(cap_bytes=1000.0 * _BLOCK)
    for number in range(1001):
        clock.now += 1
        store.write(_at(number), b"x")
    while len(removed) < 101:
        clock.now += 1
        store.write(_at(0xFFFF), b"x")
    for number in range(2000, 2050):
        clock.now += 1
        store.write(_at(number), b"x")
    assert len(removed) <= 102


def test_writing_one_entry_again_and_again_evicts_nothing(bounded, clock, removed):
    """An entry that replaces itself does not count twice."""
    store = bounded(cap_bytes=8.0 * _BLOCK)
    store.write(_at(1), b"x")
    for _ in range(100):
        clock.now += 1
        store.write(_at(2), b"y")
    assert {stored.address for stored in store.scan()} == {_at(1), _at(2)}
    assert removed == []


def test_what_is_used_stays(bounded, clock, removed):
    """The entries that nobody asked for go before those that were read, whatever their age."""
    store = bounded(cap_bytes=10.0 * _BLOCK)
    for number in range(10):
        clock.now += 1
        store.write(_at(number), b"x")
    for number in (0, 3):
        clock.now += 61
        store.read(_at(number), note_use=True)
    clock.now += 1
    store.write(_at(10), b"x")
    assert removed == [(_at(1).name, "evict"), (_at(2).name, "evict")]
    assert {0, 3, 10} <= {int(stored.address.name, 16) for stored in store.scan()}


def test_a_read_that_is_not_noted_saves_nothing(bounded, clock, removed):
    """A reader that writes nothing has no say in what stays."""
    store = bounded(cap_bytes=4.0 * _BLOCK)
    for number in range(4):
        clock.now += 1
        store.write(_at(number), b"x")
    clock.now += 100
    store.read(_at(0), note_use=False)
    store.write(_at(4), b"x")
    assert removed[0] == (_at(0).name, "evict")


def test_an_entry_larger_than_the_cap_is_declined(bounded, removed):
    """What could never fit evicts nothing."""
    store = bounded(cap_bytes=2.0 * _BLOCK)
    store.write(_at(1), b"x")
    assert store.write(_at(2), b"x" * (2 * _BLOCK + 1)) is False
    assert {stored.address for stored in store.scan()} == {_at(1)}
    assert removed == []


def test_the_strictest_bound_holds(bounded, clock):
    """Of all who share a store, the one with the smallest cap decides; none at all is no bound."""
    store = bounded(cap_bytes=4.0 * _BLOCK)
    store.require(fsync=False, cap_bytes=100.0 * _BLOCK, cleanup_interval=3600.0)
    store.require(fsync=False, cap_bytes=None, cleanup_interval=3600.0)
    for number in range(20):
        clock.now += 1
        store.write(_at(number), b"x")
    assert _total(store.scan()) <= 4 * _BLOCK


def test_expired_entries_go_in_passing(bounded, clock, removed):
    """Writes after the clean-up interval remove what has expired, and nothing else."""
    store = bounded(cleanup_interval=60.0)
    for number in range(100):
        store.write(_at(number), b"%d x" % (clock.now + (30 if number % 2 else 1e6)))
    clock.now += 59
    store.write(_at(1000), b"x")
    assert removed == []
    clock.now += 2
    for number in range(10):
        store.write(_at(2000 + number), b"x")
    assert sorted(removed) == [(_at(number).name, "expire") for number in range(1, 100, 2)]


def test_expired_entries_stay_between_two_intervals(bounded, clock, removed):
    """A sweep that is done is not begun again before its interval is over."""
    store = bounded(cleanup_interval=60.0)
    store.write(_at(0), b"x")
    clock.now += 61
    store.write(_at(1), b"%d x" % (clock.now + 5))
    store.write(_at(2), b"x")
    clock.now += 50
    store.write(_at(3), b"x")
    assert removed == []
    clock.now += 61
    for number in range(4, 8):
        store.write(_at(number), b"x")
    assert removed == [(_at(1).name, "expire")]


def test_processes_share_the_work_of_sweeping(open_store, clock, removed):
    """What one process swept a moment ago, another one does not sweep again."""
    first = open_store(cleanup_interval=60.0)
    first.write(_at(0), b"x")
    clock.now += 61
    first.write(_at(1), b"%d x" % (clock.now + 1))
    clock.now += 2
    second = open_store(cleanup_interval=60.0)
    second.write(_at(2), b"x")
    clock.now += 30
    second.write(_at(3), b"x")
    assert removed == []
    clock.now += 30
    second.write(_at(4), b"x")
    assert removed == [(_at(1).name, "expire")]


def test_the_cap_holds_for_all_who_write(open_store, clock):
    """Two stores that fill one directory, as two processes do, never exceed the cap together."""
    cap = 20 * _BLOCK
    stores = [open_store(cap_bytes=float(cap)) for _ in range(2)]
    for number in range(60):
        clock.now += 1
        stores[number % 2].write(_at(number), b"x")
        assert _total(stores[0].scan()) <= cap


def _refuse(*_args):
    raise PermissionError(13, "Permission denied")


def test_a_fault_of_upkeep_is_not_the_writers(open_store, clock, monkeypatch):
    """A folder that cannot be listed stops eviction, and no write."""
    store = open_store(cap_bytes=4.0 * _BLOCK)
    for number in range(4):
        clock.now += 1
        store.write(_at(number), b"x")
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", _refuse)
        assert store.write(_at(5), b"x") is True
    clock.now += 1
    store.write(_at(6), b"x")
    assert _total(store.scan()) <= 4 * _BLOCK


def test_a_sweep_that_failed_is_tried_again_at_once(open_store, clock, removed, monkeypatch):
    """A sweep that met a fault does not count as done."""
    store = open_store(cleanup_interval=60.0)
    store.write(_at(0), b"%d x" % (clock.now + 1))
    clock.now += 61
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", _refuse)
        store.write(_at(1), b"x")
    store.write(_at(2), b"x")
    assert removed == [(_at(0).name, "expire")]


def test_a_memory_store_knows_what_it_occupies(clock):
    """Replacing, removing, declining and evicting leave the count that a listing gives."""
    store = MemoryStore(clock=clock, ends_at=lambda _data: float("inf"), on_removed=lambda *_entry: None)
    store.require(fsync=False, cap_bytes=10.0 * _BLOCK, cleanup_interval=60.0)
    for number in range(40):
        clock.now += 1
        store.write(_at(number % 12), b"x" * (1 + 300 * number))
        if number % 5 == 0:
            store.remove(_at(number % 7))
        assert store._occupied == _total(store.scan())


def test_a_marker_from_the_future_does_not_stop_sweeps(open_store, tmp_path, clock, removed):
    """After the clock was set back, sweeps go on after one interval."""
    store = open_store(cleanup_interval=60.0)
    store.write(_at(0), b"%d x" % (clock.now + 1))
    os.utime(tmp_path / "cache" / ".spark-cache" / "swept", (clock.now + 1e6, clock.now + 1e6))
    again = open_store(cleanup_interval=60.0)
    again.write(_at(1), b"x")
    clock.now += 61
    for number in range(2, 5):
        again.write(_at(number), b"x")
    assert removed == [(_at(0).name, "expire")]

"""Which entries are removed to keep a store within its bounds, and when."""

from __future__ import annotations

import os
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_cache.stores import Address, Stored, block_size
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
    """A store within its cap loses nothing, and one above it is brought down to the low-water mark."""
    gone = victims(entries, cap)
    if _total(entries) <= cap:
        assert gone == []
    else:
        assert _total(entries) - _total(gone) <= cap * LOW_WATER


@settings(deadline=None, max_examples=200)
@given(_entries, st.integers(0, 60 * _BLOCK))
def test_the_least_recently_used_go_first(entries, cap):
    """What is evicted was used no later than anything that stays."""
    gone = victims(entries, cap)
    stay = [stored for stored in entries if stored not in gone]
    assert len(gone) + len(stay) == len(entries)
    assert all(left.used_at <= right.used_at for left, right in pairwise(gone))
    assert max((stored.used_at for stored in gone), default=0) <= min(
        (stored.used_at for stored in stay), default=1000
    )


@settings(deadline=None, max_examples=200)
@given(_entries, st.integers(0, 60 * _BLOCK))
def test_no_more_is_evicted_than_necessary(entries, cap):
    """Without the last eviction, the store would still be above the low-water mark."""
    gone = victims(entries, cap)
    if gone:
        assert _total(entries) - _total(gone[:-1]) > cap * LOW_WATER


@settings(deadline=None, max_examples=200)
@given(_entries, st.integers(0, 60 * _BLOCK), st.randoms())
def test_the_order_of_the_listing_does_not_matter(entries, cap, chance):
    """The same entries are evicted in whatever order they are listed."""
    shuffled = list(entries)
    chance.shuffle(shuffled)
    assert victims(shuffled, cap) == victims(entries, cap)


@pytest.mark.parametrize(("size", "occupied"), [(0, 0), (1, 4096), (4096, 4096), (4097, 8192)], ids=str)
def test_a_file_occupies_whole_blocks(size, occupied):
    """The size of a file is rounded up to blocks of 4 KiB."""
    assert block_size(size) == occupied


@pytest.fixture(params=["file", "file without index", "memory"])
def kind(request):
    """The kind of a store."""
    if request.param == "file without index":
        request.getfixturevalue("on_network")
    return request.param


@pytest.fixture
def bounded(kind, open_store, open_memory_store):
    """Open a store of each kind within bounds."""
    return open_memory_store if kind == "memory" else open_store


def test_the_cap_holds_after_every_write(bounded, clock):
    """A store never occupies more than its cap, and keeps what was written last."""
    cap = 40 * _BLOCK
    store = bounded(cap_bytes=float(cap))
    for number in range(200):
        clock.now += 1
        assert store.write(_at(number), b"x" * (5_000 + 40 * number)) is True
        listed = list(store.scan())
        assert _total(listed) <= cap
        assert _at(number) in {stored.address for stored in listed}
    assert _total(listed) > cap * LOW_WATER / 2


def test_entries_of_any_size_make_room_for_each_other(open_store, clock):
    """The cap holds while entries grow and shrink, in several folders."""
    cap = 60 * _BLOCK
    store = open_store(cap_bytes=float(cap))
    chance = random.Random(8)
    for _ in range(400):
        clock.now += 1
        at = Address("openai", chance.choice(["gpt-4o", "o1"]), f"{chance.randrange(30):04x}")
        assert store.write(at, bytes(chance.randrange(20 * _BLOCK))) is True
        listed = list(store.scan())
        assert at in {stored.address for stored in listed}
        assert _total(listed) <= cap


@pytest.mark.parametrize("kind", ["file without index", "memory"], indirect=True)
def test_eviction_by_listing_goes_down_to_the_low_water_mark(bounded, clock, removed):
    """A store that lists its entries to evict some makes room for many writes at once."""
    store = bounded(cap_bytes=1000.0 * _BLOCK)
    for number in range(1001):
        clock.now += 1
        store.write(_at(number), b"x")
    for _ in range(200):
        clock.now += 1
        store.write(_at(1000), b"x")
    before = len(removed)
    assert 100 <= before <= 110
    for number in range(2000, 2050):
        clock.now += 1
        store.write(_at(number), b"x")
    assert len(removed) == before


def test_an_index_evicts_no_more_than_necessary(open_store, clock, removed):
    """A store with an index is always filled up to its cap."""
    store = open_store(cap_bytes=50.0 * _BLOCK)
    for number in range(100):
        clock.now += 1
        store.write(_at(number), b"x")
    assert removed == [(_at(number).name, "evict") for number in range(50)]
    clock.now += 1
    store.write(_at(100), b"x" * 3 * _BLOCK)
    assert _total(store.scan()) == 50 * _BLOCK


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
    """Entries that were not read are evicted before those that were, whatever their age."""
    store = bounded(cap_bytes=10.0 * _BLOCK)
    for number in range(10):
        clock.now += 1
        store.write(_at(number), b"x")
    for number in (0, 3):
        clock.now += 61
        store.read(_at(number), note_use=True)
    clock.now += 1
    store.write(_at(10), b"x")
    assert removed[0] == (_at(1).name, "evict")
    assert {0, 3, 10} <= {int(stored.address.name, 16) for stored in store.scan()}


def test_a_read_that_is_not_noted_does_not_count(bounded, clock, removed):
    """A read with ``note_use=False`` does not protect an entry."""
    store = bounded(cap_bytes=4.0 * _BLOCK)
    for number in range(4):
        clock.now += 1
        store.write(_at(number), b"x")
    clock.now += 100
    store.read(_at(0), note_use=False)
    store.write(_at(4), b"x")
    assert removed[0] == (_at(0).name, "evict")


def test_the_least_recently_used_entries_go_first(open_store, clock):
    """The oldest entries survive as many writes as there are entries if they were read."""
    store = open_store(cap_bytes=300.0 * _BLOCK)
    for number in range(200):
        clock.now += 1
        store.write(_at(number), b"x")
    for number in range(20):
        clock.now += 1
        store.read(_at(number), note_use=True)
    for number in range(200, 400):
        clock.now += 1
        store.write(_at(number), b"x")
    left = {int(stored.address.name, 16) for stored in store.scan()}
    assert left == {*range(20), *range(120, 400)}


def test_a_use_counts_for_every_later_eviction(open_store, clock):
    """An entry that is read again and again is never evicted."""
    store = open_store(cap_bytes=20.0 * _BLOCK)
    store.write(_at(0), b"x")
    for number in range(1, 200):
        clock.now += 61
        store.read(_at(0), note_use=True)
        store.write(_at(number), b"x")
    left = {int(stored.address.name, 16) for stored in store.scan()}
    assert left == {0, *range(181, 200)}


@pytest.mark.parametrize("kind", ["file", "memory"], indirect=True)
def test_entries_dated_in_the_future_go_first(bounded, clock):
    """After a cap was filled by a clock one day ahead, one cap's worth of new entries is kept."""
    store = bounded(cap_bytes=100.0 * _BLOCK)
    clock.now += 86_400
    for number in range(100):
        clock.now += 1
        store.write(_at(number), b"x")
    clock.now -= 86_400
    for number in range(1000, 1090):
        clock.now += 1
        store.write(_at(number), b"x")
    assert all(store.read(_at(number), note_use=True) == b"x" for number in range(1000, 1090))


def test_a_clock_that_is_a_little_ahead_changes_nothing(open_store, clock, removed):
    """Entries of a machine whose clock is a minute ahead are evicted by their last use."""
    store = open_store(cap_bytes=10.0 * _BLOCK)
    store.write(_at(0), b"x")
    clock.now += 60
    store.write(_at(1), b"x")
    clock.now -= 60
    for number in range(2, 11):
        store.write(_at(number), b"x")
    assert removed == [(_at(0).name, "evict")]


def test_an_entry_that_may_not_be_replaced_evicts_nothing(open_store, clock, removed):
    """A write that keeps the existing entry makes no room for another one."""
    store = open_store(cap_bytes=4.0 * _BLOCK)
    for number in range(4):
        clock.now += 1
        store.write(_at(number), b"x")
    assert store.write(_at(3), b"x" * 2 * _BLOCK, replace=False) is False
    assert removed == []


def test_an_entry_larger_than_the_cap_is_declined(bounded, removed):
    """An entry that cannot fit is declined and evicts nothing."""
    store = bounded(cap_bytes=2.0 * _BLOCK)
    store.write(_at(1), b"x")
    assert store.write(_at(2), b"x" * (2 * _BLOCK + 1)) is False
    assert {stored.address for stored in store.scan()} == {_at(1)}
    assert removed == []


def test_the_strictest_bound_holds(bounded, clock):
    """The smallest cap that was required holds, and a requirement without a cap does not lift it."""
    store = bounded(cap_bytes=4.0 * _BLOCK)
    store.require(fsync=False, cap_bytes=100.0 * _BLOCK, cleanup_interval=3600.0)
    store.require(fsync=False, cap_bytes=None, cleanup_interval=3600.0)
    for number in range(20):
        clock.now += 1
        store.write(_at(number), b"x")
    assert _total(store.scan()) <= 4 * _BLOCK


def test_expired_entries_are_removed_in_passing(bounded, clock, removed):
    """Writes after the clean-up interval remove expired entries and nothing else."""
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
    """A sweep that has ended is not repeated before the interval is over."""
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
    """A process does not repeat the sweep that another process has just ended."""
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


def test_the_cap_holds_for_all_writers(open_store, clock):
    """Two stores on one directory never exceed the cap together."""
    cap = 20 * _BLOCK
    stores = [open_store(cap_bytes=float(cap)) for _ in range(2)]
    for number in range(60):
        clock.now += 1
        stores[number % 2].write(_at(number), b"x")
        assert _total(stores[0].scan()) <= cap


def _refuse(*_args):
    raise PermissionError(13, "Permission denied")


def test_a_fault_of_upkeep_does_not_fail_the_write(open_store, clock, monkeypatch):
    """A write succeeds although folders cannot be listed, and the cap holds afterwards."""
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
    """A sweep that failed is repeated with the next write."""
    store = open_store(cleanup_interval=60.0)
    store.write(_at(0), b"%d x" % (clock.now + 1))
    clock.now += 61
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", _refuse)
        store.write(_at(1), b"x")
    store.write(_at(2), b"x")
    assert removed == [(_at(0).name, "expire")]


def test_a_memory_store_counts_what_it_occupies(open_memory_store, clock):
    """The count equals that of a listing after replacements, removals and evictions."""
    store = open_memory_store(cap_bytes=10.0 * _BLOCK, cleanup_interval=60.0)
    for number in range(40):
        clock.now += 1
        store.write(_at(number % 12), b"x" * (1 + 300 * number))
        if number % 5 == 0:
            store.remove(_at(number % 7))
        assert store._occupied == _total(store.scan())


def test_a_sweep_in_the_future_does_not_stop_sweeps(open_store, clock, removed):
    """After the clock was set back, the next sweep comes after one interval."""
    clock.now += 1e6
    open_store(cleanup_interval=60.0).write(_at(0), b"x")
    clock.now -= 1e6
    store = open_store(cleanup_interval=60.0)
    store.write(_at(1), b"%d x" % (clock.now + 1))
    clock.now += 61
    for number in range(2, 5):
        store.write(_at(number), b"x")
    assert (_at(1).name, "expire") in removed

# ruff: noqa: S101 - tests assert
"""The tests that every store must pass.

To test a store, derive a class from :class:`StoreContract` and give it a fixture named ``store``; pytest collects the tests::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self):
            return MyStore()
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING

from spark_cache.stores import Address, NewEntry, added_up, address
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from spark_cache.stores import Store

__all__ = ["StoreContract"]

_AT = address("openai", "gpt-4o", "ab" * 32)
_SIZES = (1, 4095, 4096, 65_535, 65_536, 65_537, 1_000_000)
_HOSTILE_NAMES = (
    "../../etc",
    "/etc",
    "a/b:c",
    ".",
    "..",
    "CON",
    "GPT-4o",
    "gpt-4o",
    "x" * 500,
    "a\0b",
    "",
    "\ud800",
)


class StoreContract:
    """The test suite of the store contract.

    It needs a fixture ``store`` that returns a new, empty store for each test. The store must have no size cap and must not be
    due for cleanup.
    """

    def test_an_unknown_address_is_absent(self, store: Store) -> None:
        """A read from an empty store reports the entry as absent."""
        assert store.read(_AT, note_use=True) is MissReason.ABSENT
        assert store.read(_AT, note_use=False) is MissReason.ABSENT

    def test_what_is_written_is_read(self, store: Store) -> None:
        """A read returns the bytes that were written, whatever their length."""
        for size in _SIZES:
            data = bytes(number % 251 for number in range(size))
            assert store.write(_AT, data) is True
            assert store.read(_AT, note_use=True) == data

    def test_the_last_write_counts(self, store: Store) -> None:
        """A write replaces the previous data, even with shorter data."""
        for data in (b"first", b"the second", b"3"):
            store.write(_AT, data)
            assert store.read(_AT, note_use=False) == data

    def test_addresses_are_distinct(self, store: Store) -> None:
        """Entries are distinguished by provider, model and name."""
        addresses = [Address(p, m, n) for p in ("a", "b") for m in ("c", "d") for n in ("01", "02")]
        for number, at in enumerate(addresses):
            store.write(at, b"%d" % number)
        assert [store.read(at, note_use=False) for at in addresses] == [b"%d" % number for number in range(8)]

    def test_hostile_names_do_not_collide(self, store: Store) -> None:
        """Entries never share an address, whatever the names of provider, model and key contain."""
        addresses = {name: address(name, name, name) for name in _HOSTILE_NAMES}
        for name, at in addresses.items():
            store.write(at, repr(name).encode())
        found = {name: store.read(at, note_use=False) for name, at in addresses.items()}
        assert found == {name: repr(name).encode() for name in _HOSTILE_NAMES}
        assert {stored.address for stored in store.scan()} == set(addresses.values())

    def test_remove_returns_whether_an_entry_existed(self, store: Store) -> None:
        """A removed entry is absent: it cannot be removed again, found or listed."""
        store.write(_AT, b"data")
        assert [store.remove(_AT), store.remove(_AT)] == [True, False]
        assert store.read(_AT, note_use=False) is MissReason.ABSENT
        assert store.find(_AT.name) == []
        assert list(store.scan()) == []

    def test_a_removed_entry_can_be_written_again(self, store: Store) -> None:
        """A removal does not get in the way of a later write."""
        for data in (b"first", b"second"):
            store.write(_AT, data)
            store.remove(_AT)
        store.write(_AT, b"third")
        assert store.read(_AT, note_use=False) == b"third"

    def test_a_name_is_found_in_every_folder(self, store: Store) -> None:
        """A lookup by name finds every entry with that name and no others."""
        wanted = {Address("a", "m", "ab"), Address("b", "n", "ab")}
        for at in (*wanted, Address("a", "m", "ac"), Address("a", "m", "abc")):
            store.write(at, b"data")
        found = store.find("ab")
        assert len(found) == len(wanted)
        assert set(found) == wanted
        assert store.find("ff") == []

    def test_scan_lists_every_entry_with_its_size(self, store: Store) -> None:
        """A scan lists all entries, those of one provider, or those of one model."""
        sizes = {Address("a", "m", "01"): 1, Address("a", "n", "02"): 5000, Address("b", "m", "03"): 9}
        for at, size in sizes.items():
            store.write(at, b"x" * size)
        assert {stored.address: stored.size_bytes for stored in store.scan()} == sizes
        assert {stored.address.name for stored in store.scan("a")} == {"01", "02"}
        assert {stored.address.name for stored in store.scan("a", "n")} == {"02"}
        assert list(store.scan("c")) == []
        assert list(store.scan("b", "n")) == []

    def test_a_read_without_note_use_leaves_no_trace(self, store: Store) -> None:
        """A read with ``note_use=False`` does not change what a scan shows."""
        store.write(_AT, b"data")
        before = list(store.scan())
        store.read(_AT, note_use=False)
        assert list(store.scan()) == before

    def test_scan_tolerates_concurrent_changes(self, store: Store) -> None:
        """Entries may be added and removed during a scan; every entry that remains is listed once."""
        addresses = [Address("a", f"m{number % 3}", f"{number:02x}") for number in range(30)]
        for at in addresses:
            store.write(at, b"data")
        listed = []
        for stored in store.scan():
            listed.append(stored.address)
            if stored.address == listed[0]:
                store.remove(addresses[-1] if addresses[-1] != listed[0] else addresses[-2])
                store.write(Address("z", "m", "ff"), b"new")
        assert len(listed) == len(set(listed))
        assert len(set(addresses) - set(listed)) <= 1

    def test_totals_match_the_scan(self, store: Store) -> None:
        """The totals of each model follow every write, replacement and removal."""
        for number in range(30):
            store.write(Address("a", f"m{number % 3}", f"{number % 20:02x}"), b"x" * (number * 500))
            if number % 4 == 0:
                store.remove(Address("a", f"m{number % 3}", f"{number % 7:02x}"))
        assert sorted(store.totals(write=False).folders) == sorted(added_up(store.scan()))
        assert sorted(store.totals(write=True).folders) == sorted(added_up(store.scan()))

    def test_expire_removes_expired_entries(self, store: Store) -> None:
        """Expired entries of one provider, or of all providers, are removed; entries that never expire stay."""
        for provider in ("a", "b"):
            store.write(Address(provider, "m", "01"), b"data", expires_at=1.0)
            store.write(Address(provider, "m", "02"), b"data", expires_at=float("inf"))
        assert store.expire("a") == 1
        assert {stored.address for stored in store.scan()} == {
            Address("a", "m", "02"),
            Address("b", "m", "01"),
            Address("b", "m", "02"),
        }
        assert store.expire() == 1
        assert store.expire() == 0

    def test_the_last_expiry_counts(self, store: Store) -> None:
        """A replaced entry expires at the time given with the last write."""
        store.write(_AT, b"data", expires_at=1.0)
        store.write(_AT, b"data", expires_at=float("inf"))
        assert store.expire() == 0
        store.remove(_AT)
        store.write(_AT, b"data", expires_at=float("inf"))
        assert store.expire() == 0
        store.write(_AT, b"data", expires_at=1.0)
        assert store.expire() == 1

    def test_clear_removes_the_selected_entries(self, store: Store) -> None:
        """All entries of a model, of a provider or of the whole store are removed and counted."""
        for at in (Address(p, m, n) for p in ("a", "b") for m in ("c", "d") for n in ("01", "02")):
            store.write(at, b"data")
        assert [store.clear("a", "c"), store.clear("a"), store.clear("nobody")] == [2, 2, 0]
        assert {stored.address.provider_folder for stored in store.scan()} == {"b"}
        assert [store.clear(), store.clear()] == [4, 0]
        assert list(store.scan()) == []

    def test_has_agrees_with_read(self, store: Store) -> None:
        """``has`` tells whether a read would find an entry."""
        assert store.has(_AT) is False
        store.write(_AT, b"data")
        assert store.has(_AT) is True
        store.remove(_AT)
        assert store.has(_AT) is False

    def test_many_entries_are_written_and_read_in_order(self, store: Store) -> None:
        """``write_many`` and ``read_many`` do what ``write`` and ``read`` do, for entries of different models."""
        entries = [
            NewEntry(Address("a", f"m{number % 3}", f"{number:03x}"), b"%d" % number, float("inf"))
            for number in range(200)
        ]
        assert store.write_many(entries) == [True] * len(entries)
        addresses = [entry.address for entry in entries]
        missing = Address("a", "m0", "fff")
        found = store.read_many([*addresses, missing], note_use=False)
        assert found == [*(entry.data for entry in entries), MissReason.ABSENT]
        assert store.totals(write=True).folders == added_up(store.scan())
        assert store.write_many([]) == []
        assert store.read_many([], note_use=True) == []

    def test_write_without_replace_keeps_the_present_entry(self, store: Store) -> None:
        """With ``replace=False``, an entry that is there stays, and the result says so."""
        other = Address("a", "m", "01")
        assert store.write(_AT, b"first", replace=False) is True
        assert store.write(_AT, b"second", replace=False) is False
        assert store.write_many([NewEntry(_AT, b"third"), NewEntry(other, b"new")], replace=False) == [
            False,
            True,
        ]
        assert store.read_many([_AT, other], note_use=False) == [b"first", b"new"]

    def test_scan_continues_behind_a_cursor(self, store: Store) -> None:
        """A scan that is given a cursor lists the entries behind it, even if the entry of the cursor is gone."""
        for number in range(20):
            store.write(Address("a", f"m{number % 3}", f"{number:02x}"), b"data")
        listed = list(store.scan())
        for position in (0, 7, 18, 19):
            assert list(store.scan(after=listed[position].cursor)) == listed[position + 1 :]
        store.remove(listed[7].address)
        assert list(store.scan(after=listed[7].cursor)) == listed[8:]

    def test_totals_tell_whether_they_are_estimates(self, store: Store) -> None:
        """Totals that are not marked as estimates equal the listed entries."""
        store.write(_AT, b"data")
        totals = store.totals(write=False)
        assert totals.estimated or totals.folders == added_up(store.scan())

    def test_a_deadline_in_the_future_is_kept(self, store: Store) -> None:
        """A write and a removal that have time enough are done."""
        deadline = monotonic() + 60
        assert store.write(_AT, b"data", deadline=deadline) is True
        assert store.remove(_AT, deadline=deadline) is True

    def test_threads_see_complete_values(self, store: Store) -> None:
        """While several threads write one address, a read returns one of their values, complete."""
        values = [bytes([65 + number]) * (50_000 + number) for number in range(4)]
        store.write(_AT, values[0])

        def write(value: bytes) -> set[bytes | MissReason]:
            seen = set()
            for _ in range(25):
                store.write(_AT, value)
                seen.add(store.read(_AT, note_use=True))
            return seen

        with ThreadPoolExecutor(len(values)) as pool:
            seen = set().union(*pool.map(write, values))
        assert seen <= set(values)

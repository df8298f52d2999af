"""A store changes only its own files: what an entry is, and what happens to all other files in the same folders."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest

from spark_cache.core.entry_format import ENTRY_FORMAT
from spark_cache.entries import CacheEntry, encode
from spark_cache.errors import StoreError
from spark_cache.stores import HIDDEN, INDEX_FILE, Address, FileStore, NewEntry, added_up, entry_name, file
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 4096
_KEY = "ab" * 32
_OTHER_KEY = "cd" * 32
_HEX = "0123456789abcdef" * 4


def _entry(
    key: str = _KEY, *, ttl: float | None = None, size: int = 10, written: float = 1_700_000_000.0
) -> bytes:
    return encode(CacheEntry(key, "reports", "daily", {"content": "x" * size}, written, ttl))


def _at(name: str, provider: str = "reports", model: str = "daily") -> Address:
    return Address(provider, model, name)


class _Status(NamedTuple):
    """What must not change about a file: its mode, its inode, its modification time, its content."""

    mode: int
    inode: int
    mtime_ns: int
    content: bytes | str | None


def _status(path: Path) -> _Status:
    status = os.lstat(path)
    content = None
    if path.is_symlink():
        content = os.readlink(path)
    elif path.is_file():
        content = path.read_bytes()
    return _Status(status.st_mode, status.st_ino, status.st_mtime_ns if content is not None else 0, content)


_FILES: dict[str, bytes] = {
    "20240131.json": b'{"date": "2024-01-31", "visits": 12}\n',
    "20240201.json": b"[1, 2, 3]",
    "deadbeef.json": b'{"title": "beef"}',
    "cafe.json": b'"only text"',
    f"{_HEX}.json": json.dumps({"digest": _HEX, "rows": [1, 2]}, indent=2).encode(),
    f"{'e' * 64}.json": json.dumps({"schema": "http://json-schema.org", "type": "object"}).encode(),
    f"{'1' * 64}.json": json.dumps({"schema": 3, "name": "a form"}).encode(),
    f"{'2' * 64}.json": json.dumps({"schema": 3, "key": {"n": 1}}).encode(),
    f"{'3' * 64}.json": json.dumps({"key": "another name", "value": 1}).encode(),
    f"{'4' * 64}.json": b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 20,
    f"{'5' * 64}.json": b'{"name": "\xff\xfe"}',
    f"{'6' * 64}.json": b'{"a": 1}\0\0\0',
    f"{'7' * 64}.json": b"date,visits\n2024-01-31,12\n",
    f"{'8' * 64}.json": b'{"rows": [' + b"1, " * 200_000 + b"1]}",
    f"{'9' * 64}.json": b" \n\t",
    "empty.json": b"",
    "settings.json": b'{"schema": 2, "key": "' + _KEY.encode() + b'"}',
    "notes.txt": b"notes",
    "ab.json.bak": _entry("ab"),
    "AB.json": _entry("AB"),
    ".hidden.json": b"{}",
    ".ab.json": _entry("ab"),
    "data": b"\0" * 5000,
}
"""The content of the user's files, by their names."""

_KINDS = ("link", "dangling link", "fifo", "folder", "hard link")

_OCCUPIED = sorted(
    name.removesuffix(".json")
    for name in _FILES
    if name.endswith(".json") and all(digit in "0123456789abcdef" for digit in name.removesuffix(".json"))
)
"""The names of entries in whose place there is a file."""


@pytest.fixture(autouse=True)
def _use_the_index(monkeypatch):
    """Use the index even for a few entries."""
    monkeypatch.setattr(file, "_FEW", 0)


@pytest.fixture
def root(tmp_path):
    """A directory of the user, which is the cache directory as well."""
    return tmp_path / "home"


@pytest.fixture
def open_real_store(root, clock):
    """Open a store that knows the entries of this release."""

    def make(**bounds) -> FileStore:
        store = FileStore(
            str(root),
            clock=clock,
            commit_entries=False,
            entry_format=ENTRY_FORMAT,
            on_removed=lambda *_: None,
        )
        store.require(**{"fsync": False, "cap_bytes": None, "cleanup_interval": 60.0, **bounds})
        return store

    return make


@pytest.fixture
def user_files(root, tmp_path):
    """Put files of the user where entries could be. Return a function that returns what they are now."""
    folder = root / "reports" / "daily"
    folder.mkdir(parents=True)
    for number, (name, content) in enumerate(_FILES.items()):
        (folder / name).write_bytes(content)
        (folder / name).chmod((0o644, 0o600, 0o755, 0o640)[number % 4])
        os.utime(folder / name, (1_500_000_000 + number, 1_400_000_000 + number))
    outside = tmp_path / "outside.json"
    outside.write_bytes(b'{"mine": true}')
    (folder / f"{'a' * 63}0.json").symlink_to(outside)
    (folder / f"{'a' * 63}1.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / f"{'a' * 63}2.json")
    (folder / f"{'a' * 63}3.json").mkdir()
    (folder / f"{'a' * 63}3.json" / "inner.json").write_text("{}")
    (folder / f"{'a' * 63}4.json").hardlink_to(outside)
    (root / "deadbeef.json").write_text("{}")
    (root / "reports" / "cafe.json").write_text("{}")
    (root / "src").mkdir()
    (root / "src" / "main.py").write_text("print()")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "weekly").mkdir(parents=True)
    (elsewhere / "weekly" / f"{_KEY}.json").write_bytes(_entry())
    (root / "linked").symlink_to(elsewhere)
    paths = [path for path in (*root.rglob("*"), *elsewhere.rglob("*"), outside) if HIDDEN not in path.parts]

    def now() -> dict[str, _Status]:
        return {str(path.relative_to(tmp_path)): _status(path) for path in paths}

    return now


_EVERY_OCCUPIED = [*_OCCUPIED, *(f"{'a' * 63}{number}" for number in range(len(_KINDS)))]
_OCCUPIED_IDS = [*(name[:12] for name in _OCCUPIED), *_KINDS]


def test_there_are_files_of_every_kind(user_files):
    """The files of these tests are of more than twenty kinds, and most of them are in the place of an entry."""
    assert len(user_files()) > 30
    assert len(_EVERY_OCCUPIED) >= 20


def test_eviction_keeps_the_files_of_the_user(open_real_store, user_files, clock):
    """Writes with a tiny cap evict entries only, in the same folder and in others."""
    before = user_files()
    store = open_real_store(cap_bytes=6.0 * _BLOCK)
    for number in range(200):
        clock.now += 1
        name = f"{number:064x}"
        assert store.write(_at(name, model=("daily", "monthly")[number % 2]), _entry(name)) is True
    assert user_files() == before
    assert len(list(store.scan())) == 6


def test_eviction_without_an_index_keeps_the_files_of_the_user(
    open_real_store, user_files, clock, on_network
):
    """Writes with a tiny cap that list the directory evict entries only."""
    before = user_files()
    store = open_real_store(cap_bytes=6.0 * _BLOCK)
    for number in range(100):
        clock.now += 1
        name = f"{number:064x}"
        store.write(_at(name, model=("daily", "monthly")[number % 2]), _entry(name))
    assert user_files() == before
    assert 0 < len(list(store.scan())) <= 7


def test_cleaning_up_keeps_the_files_of_the_user(open_real_store, user_files, clock):
    """Clean-ups, on demand and in passing, remove expired entries only."""
    before = user_files()
    store = open_real_store(cleanup_interval=1.0)
    for number in range(100):
        name = f"{number:064x}"
        store.write(_at(name), _entry(name, ttl=50.0, written=clock.now))
    clock.now += 60
    for number in range(1000, 1010):
        name = f"{number:064x}"
        store.write(_at(name), _entry(name, written=clock.now))
    assert store.expire() + store.expire("reports") < 100
    assert user_files() == before
    assert len(list(store.scan())) == 10


@pytest.mark.parametrize("with_index", [True, False], ids=["index", "no index"])
def test_clearing_keeps_the_files_of_the_user(open_real_store, root, user_files, with_index):
    """The whole cache, a provider and a model are cleared of entries only."""
    before = user_files()
    store = open_real_store()
    names = [f"{number:064x}" for number in range(100)]
    store.write_many([NewEntry(_at(name), _entry(name)) for name in names])
    for arguments in ((), ("reports",), ("reports", "daily"), ("linked",), ("linked", "weekly"), ("src",)):
        if not with_index:
            shutil.rmtree(root / HIDDEN)
        store.clear(*arguments)
        assert user_files() == before
        assert len(list(store.scan())) == (0 if arguments[:1] in ((), ("reports",)) else 100)
        store.write_many([NewEntry(_at(name), _entry(name)) for name in names])
    assert user_files() == before


@pytest.mark.parametrize("harm", ["hidden folder deleted", "index deleted", "index damaged"])
def test_scanning_again_keeps_the_files_of_the_user(open_real_store, root, user_files, clock, harm):
    """After the index was lost, entries only are counted and evicted."""
    before = user_files()
    for round_ in range(3):
        store = open_real_store(cap_bytes=10.0 * _BLOCK)
        for number in range(40):
            clock.now += 1
            name = f"{100 * round_ + number:064x}"
            store.write(_at(name), _entry(name))
        if harm == "hidden folder deleted":
            shutil.rmtree(root / HIDDEN)
        elif harm == "index deleted":
            (root / HIDDEN / INDEX_FILE).unlink()
        else:
            (root / HIDDEN / INDEX_FILE).write_bytes(b"noise" * 2000)
        assert sorted(store.totals(write=True).folders) == sorted(added_up(store.scan()))
        assert [folder.entries for folder in store.totals(write=True).folders] == [10]
    assert user_files() == before


def test_counting_leaves_out_the_files_of_the_user(open_real_store, user_files):
    """Scans and totals consist of entries only."""
    before = user_files()
    store = open_real_store()
    store.write(_at(_OTHER_KEY), _entry(_OTHER_KEY))
    for write in (False, True):
        assert [folder[:3] for folder in store.totals(write=write).folders] == [("reports", "daily", 1)]
    assert [stored.address for stored in store.scan()] == [_at(_OTHER_KEY)]
    assert list(store.damaged()) == []
    for name in _EVERY_OCCUPIED:
        assert not store.has(_at(name))
        store.find(name)
    assert user_files() == before


@pytest.mark.parametrize("name", _EVERY_OCCUPIED, ids=_OCCUPIED_IDS)
@pytest.mark.parametrize("replace", [True, False], ids=["replace", "keep"])
def test_a_write_onto_a_file_of_the_user_is_refused(open_real_store, user_files, name, replace):
    """A write to an occupied place is an error, changes nothing, and later writes to other places work."""
    before = user_files()
    store = open_real_store(cap_bytes=4.0 * _BLOCK)
    with suppress(StoreError):
        assert store.write(_at(name), _entry(name), replace=replace) is False
    if replace:
        with pytest.raises(StoreError, match="not an entry of this cache"):
            store.write(_at(name), _entry(name))
    assert user_files() == before
    assert store.write(_at(_KEY), _entry()) is True


@pytest.mark.parametrize("name", _EVERY_OCCUPIED, ids=_OCCUPIED_IDS)
def test_a_removal_of_a_file_of_the_user_is_refused(open_real_store, user_files, name):
    """The removal of an occupied address reports that there is no entry, and changes nothing."""
    before = user_files()
    store = open_real_store()
    assert store.remove(_at(name)) is False
    store.write(_at(_KEY), _entry())
    assert store.remove(_at(name)) is False
    assert user_files() == before


def test_an_entry_that_the_user_turns_into_another_file_is_kept(open_real_store, root, clock):
    """An entry that was replaced by a foreign file is neither evicted nor cleaned up, nor counted."""
    store = open_real_store(cap_bytes=4.0 * _BLOCK)
    store.write(_at(_KEY), _entry(ttl=5.0))
    path = root / "reports" / "daily" / f"{_KEY}.json"
    path.write_text("my notes")
    for number in range(10):
        clock.now += 10
        name = f"{number:064x}"
        store.write(_at(name), _entry(name))
    store.expire()
    store.clear()
    assert path.read_text() == "my notes"
    assert store.totals(write=True).folders == []


def test_a_linked_folder_is_not_written_to(open_real_store, user_files):
    """A write below a link is an error and changes nothing behind it."""
    before = user_files()
    store = open_real_store()
    with pytest.raises(StoreError, match="symbolic link"):
        store.write(_at(_KEY, "linked", "weekly"), _entry())
    assert store.remove(_at(_KEY, "linked", "weekly")) is False
    assert user_files() == before


# -- what an entry is --------------------------------------------------------------------------------------------------------------


def _reordered(*, indent: int | None) -> bytes:
    document = json.loads(_entry())
    key = document.pop("key")
    return json.dumps({**document, "key": key}, indent=indent).encode()


def _first_schema(*, indent: int | None) -> bytes:
    document = json.loads(_entry())
    del document["schema"]
    return json.dumps({**document, "schema": 1}, indent=indent).encode()


_ENTRIES = {
    "as written": _entry(),
    "compact": json.dumps(json.loads(_entry()), separators=(",", ":")).encode(),
    "indented": json.dumps(json.loads(_entry()), indent=8).encode(),
    "reordered": _reordered(indent=None),
    "reordered and indented": _reordered(indent=2),
    "first schema": _first_schema(indent=2),
    "first schema, compact": _first_schema(indent=None),
    "large": _entry(size=100_000),
    "large and reordered": json.dumps(
        {**dict(reversed(json.loads(_entry(size=100_000)).items()))}, indent=1
    ).encode(),
}


@pytest.mark.parametrize("data", _ENTRIES.values(), ids=_ENTRIES)
def test_entries_in_any_layout_are_entries(open_real_store, root, data):
    """An entry is listed, counted and replaced, whoever has formatted it."""
    place = root / "reports" / "daily" / f"{_KEY}.json"
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    store = open_real_store()
    assert [stored.address for stored in store.scan()] == [_at(_KEY)]
    assert store.has(_at(_KEY))
    store.write(_at(_OTHER_KEY), _entry(_OTHER_KEY))
    assert [folder.entries for folder in store.totals(write=True).folders] == [2]
    assert store.write(_at(_KEY), _entry(size=20)) is True
    assert store.read(_at(_KEY), note_use=True) == _entry(size=20)


@pytest.mark.parametrize("data", _ENTRIES.values(), ids=_ENTRIES)
@pytest.mark.parametrize("verb", ["remove", "clear"])
def test_entries_in_any_layout_are_removed(open_real_store, root, data, verb):
    """An entry is removed, whoever has formatted it."""
    place = root / "reports" / "daily" / f"{_KEY}.json"
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    store = open_real_store()
    assert (store.remove(_at(_KEY)) if verb == "remove" else store.clear()) == 1
    assert not place.exists()


@pytest.mark.parametrize("layout", [name for name in _ENTRIES if "large" not in name])
def test_entries_in_any_layout_expire(open_real_store, root, clock, layout):
    """An expired entry is removed by a clean-up, whoever has formatted it."""
    document = json.loads(_ENTRIES[layout])
    place = root / "reports" / "daily" / f"{_KEY}.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({**document, "ttl": 5.0}, indent=2))
    clock.now = document["timestamp"] + 1
    store = open_real_store()
    assert store.expire() == 0
    clock.now += 10
    assert store.expire() == 1


_REMAINS = {
    "empty": b"",
    "zeros": bytes(3000),
    "torn": _entry(size=20_000)[:9000],
    "torn at the first line": _entry()[:14],
    "first schema, torn": b'{\n  "content": "Hel',
    "another name": _entry(_OTHER_KEY),
    "another name, reordered": json.dumps(dict(reversed(json.loads(_entry(_OTHER_KEY)).items()))).encode(),
}


@pytest.mark.parametrize("data", _REMAINS.values(), ids=_REMAINS)
def test_the_remains_of_an_entry_are_replaced(open_real_store, root, data):
    """A write replaces an empty or torn entry, and the entry of another name."""
    place = root / "reports" / "daily" / f"{_KEY}.json"
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    store = open_real_store(cap_bytes=16.0 * _BLOCK)
    assert store.write(_at(_KEY), _entry()) is True
    assert store.read(_at(_KEY), note_use=True) == _entry()
    assert [folder[2:4] for folder in store.totals(write=True).folders] == [(1, len(_entry()))]


@pytest.mark.parametrize("kind", [kind for kind in _REMAINS if kind != "torn"])
def test_the_remains_of_an_entry_are_removed_on_demand(open_real_store, root, kind):
    """A removal by address removes what does not say that it is the entry of its name, and nothing else does."""
    data = _REMAINS[kind]
    place = root / "reports" / "daily" / f"{_KEY}.json"
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    store = open_real_store()
    store.write(_at(_OTHER_KEY), _entry(_OTHER_KEY))
    assert (store.clear(), store.expire()) == (1, 0)
    assert place.read_bytes() == data
    assert store.remove(_at(_KEY)) is True
    assert store.read(_at(_KEY), note_use=True) is MissReason.ABSENT


def test_an_unknown_key_is_proved_by_its_digest(open_real_store):
    """An entry whose key is not hexadecimal has the digest of its key as its name."""
    store = open_real_store()
    at = _at(entry_name("my key"))
    store.write(at, _entry("my key"))
    shutil.rmtree(f"{store.root}/{HIDDEN}")
    assert store.has(at)
    assert store.remove(at) is True

"""The index of a file store: its totals are those of the files, whatever changes them."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from spark_cache.errors import StoreError
from spark_cache.stores import (
    HIDDEN,
    INDEX_FILE,
    LOCKS,
    Address,
    EntryFormat,
    FileStore,
    NewEntry,
    Proof,
    added_up,
    block_size,
    file,
)
from spark_cache.stores.index import rescan, upkeep

_BLOCK = 4096
_MODELS = ("gpt-4o", "o1", "odd~name")
_LOCK_FILE = f"{LOCKS}/index"
_NEVER = float("inf")


@pytest.fixture(autouse=True)
def _use_the_index(monkeypatch):
    """Use the index even for a few entries."""
    monkeypatch.setattr(file, "_FEW", 0)


@pytest.fixture
def root(tmp_path):
    """The cache directory."""
    return tmp_path / "cache"


@pytest.fixture
def database(root):
    """Open the database of the index."""

    def make():
        return closing(sqlite3.connect(root / HIDDEN / INDEX_FILE))

    return make


@pytest.fixture
def always_compared(monkeypatch):
    """Compare the index with the folders before every change, and not once a second."""
    monkeypatch.setattr(upkeep, "_COMPARE_EVERY", 0.0)
    monkeypatch.setattr(upkeep, "_SHARE", 0)


@pytest.fixture
def no_listing(root, monkeypatch):
    """Make it an error to list the entries of a model."""

    def refuse() -> None:
        scandir = os.scandir

        def list_others(path):
            assert Path(path).parent.parent != root, "the entries of a model were listed"
            return scandir(path)

        monkeypatch.setattr(os, "scandir", list_others)

    return refuse


def _at(number: int, model: str = "gpt-4o") -> Address:
    return Address("openai", model, f"{number:04x}")


def _place(root: Path, at: Address) -> Path:
    return root / at.provider_folder / at.model_folder / f"{at.name}.json"


def _truth(store: FileStore) -> list[tuple]:
    return sorted(added_up(store.scan()))


def _figures(store: FileStore, *, write: bool = True) -> list[tuple]:
    return sorted(store.totals(write=write).folders)


def _end(data: bytes) -> float:
    return float(data.split()[0]) if data[:1].isdigit() else _NEVER


def _fill(store: FileStore, numbers, model: str = "gpt-4o", *, size: int = 10, end: float = _NEVER) -> None:
    start = b"" if end == _NEVER else b"%d " % end
    entries = [NewEntry(_at(number, model), start + b"x" * size, end) for number in numbers]
    assert store.write_many(entries) == [True] * len(entries)


# -- changes by the store itself -----------------------------------------------------------------------------------------------


def test_an_unchanged_directory_is_not_listed_to_be_counted(open_store, no_listing):
    """The totals of a store, and of another store on its directory, come from the index after any change."""
    store = open_store()
    _fill(store, range(300))
    _fill(store, range(50), "o1", size=5000)
    _fill(store, range(20), size=5000)
    for number in range(20, 40):
        store.remove(_at(number))
    truth = _truth(store)
    no_listing()
    assert _figures(store) == truth
    assert _figures(open_store()) == truth
    assert [folder.entries for folder in truth] == [280, 50]


def test_an_unchanged_directory_is_not_listed_to_be_written_to(open_store, no_listing, clock):
    """Writes, evictions, removals and the clean-up of expired entries list no entries."""
    store = open_store(cap_bytes=40.0 * _BLOCK, cleanup_interval=10.0)
    _fill(store, range(30))
    no_listing()
    for number in range(30, 100):
        clock.now += 1
        store.write(_at(number), b"x" * 5000, expires_at=clock.now + 5)
    assert store.remove(_at(99))
    clock.now += 100
    assert store.expire() > 0


def test_a_model_without_entries_has_no_totals(open_store):
    """The totals of a model disappear with its last entry and come back with the next one."""
    store = open_store()
    _fill(store, range(200))
    for number in range(200):
        store.remove(_at(number))
    assert _figures(store) == []
    _fill(store, [7])
    assert _figures(store) == [("openai", "gpt-4o", 1, 10, _BLOCK)]


def test_clearing_a_model_keeps_the_totals_of_others(open_store):
    """The totals of cleared entries are gone, and those of the others are unchanged."""
    store = open_store()
    _fill(store, range(300))
    _fill(store, range(5), "o1")
    assert store.clear("openai", "gpt-4o") == 300
    assert _figures(store) == _truth(store) == [("openai", "o1", 5, 50, 5 * _BLOCK)]
    assert store.clear() == 5
    assert _figures(store) == []


def test_totals_are_exact(open_store):
    """The totals of a file store are not estimates."""
    store = open_store()
    _fill(store, range(3))
    assert [store.totals(write=write).estimated for write in (True, False)] == [False, False]


def test_an_entry_before_a_failure_is_counted(open_store, root):
    """The entries that ``write_many`` has stored before it fails are counted."""
    store = open_store()
    _place(root, _at(1)).mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot write"):
        store.write_many([NewEntry(_at(0), b"x"), NewEntry(_at(1), b"x"), NewEntry(_at(2), b"x")])
    assert store.read(_at(0), note_use=False) == b"x"
    assert _figures(store) == _truth(store) == [("openai", "gpt-4o", 1, 1, _BLOCK)]


@pytest.fixture
def coarse_clock(root, monkeypatch):
    """Keep the modification time of a folder when files in it change, as within one step of a coarse kernel clock."""

    def keep_time(name):
        real = getattr(os, name)

        def changed(*arguments):
            folder = Path(arguments[-1]).parent
            before = folder.stat()
            real(*arguments)
            if folder.parent.parent == root:
                os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))

        monkeypatch.setattr(os, name, changed)

    return lambda: [keep_time(name) for name in ("replace", "unlink")]


def test_an_entry_before_a_failure_is_counted_on_a_coarse_clock(open_store, root, coarse_clock):
    """The entries before a failure are counted even if the time of their folder did not advance."""
    store = open_store()
    _fill(store, [5])
    _place(root, _at(1)).mkdir(parents=True)
    store.totals(write=True)
    coarse_clock()
    with pytest.raises(StoreError, match="cannot write"):
        store.write_many([NewEntry(_at(0), b"x"), NewEntry(_at(1), b"x")])
    assert _figures(store) == _truth(store)


def test_an_eviction_before_a_failure_is_counted_on_a_coarse_clock(
    open_store, clock, monkeypatch, coarse_clock
):
    """The evictions before a failure are counted even if the time of their folder did not advance."""
    store = open_store(cap_bytes=4.0 * _BLOCK)
    for number in range(4):
        clock.now += 1
        _fill(store, [number])
    coarse_clock()
    with monkeypatch.context() as patched:

        def refuse(*_arguments):
            raise OSError(28, os.strerror(28))

        patched.setattr(os, "replace", refuse)
        with pytest.raises(StoreError, match="ENOSPC"):
            store.write(_at(10), b"x")
    assert _figures(store) == _truth(store)


def test_the_index_does_not_grow_with_replacements(open_store, root, clock, database):
    """After thousands of rewrites of one key, the database has at most twice the entries plus 1,000 rows."""
    store = open_store()
    for number in range(3000):
        clock.now += 0.001
        assert store.write(_at(1), b"%d" % number)
        if number % 100 == 0:
            # An edit in place, which does not change the time of the folder, leaves a row without its file.
            _place(root, _at(1)).write_bytes(b"edited")
    with database() as opened:
        ((rows,),) = opened.execute("SELECT COUNT(*) FROM entries").fetchall()
    assert rows <= 2 * 1 + 1000
    assert _figures(store) == _truth(store)


def test_rows_of_lost_files_are_removed(open_store, root, clock, database, always_compared):
    """A folder with many more rows than entries is scanned again, which removes the rows."""
    store = open_store()
    for number in range(1200):
        clock.now += 0.001
        store.write(_at(1), b"%d" % number)
        _place(root, _at(1)).write_bytes(b"edited")
    for number in range(10):
        store.write(_at(2), b"%d" % number)
    with database() as opened:
        ((rows,),) = opened.execute("SELECT COUNT(*) FROM entries").fetchall()
    assert rows < 1000
    assert [folder.entries for folder in store.totals(write=True).folders] == [2]


# -- readers ---------------------------------------------------------------------------------------------------------------------


def test_totals_for_a_reader_write_nothing(open_store, root, listing):
    """Totals without write access leave every file unchanged, even after another program changed a folder."""
    store = open_store()
    _fill(store, range(200))
    _figures(store)
    shutil.copytree(root / "openai" / "gpt-4o", root / "openai" / "copied")
    before = listing(root)
    assert _figures(store, write=False) == _truth(store)
    assert listing(root) == before


def test_totals_for_a_reader_open_no_database(open_store, monkeypatch):
    """Totals without write access list the files."""
    store = open_store()
    _fill(store, range(3))

    def refuse(*_args, **_keywords):
        raise AssertionError("a database was opened")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    assert _figures(open_store(), write=False) == [("openai", "gpt-4o", 3, 30, 3 * _BLOCK)]


def test_totals_create_no_index(open_store, root, listing):
    """A directory without an index, such as a checkout, is counted and left unchanged."""
    store = open_store()
    _fill(store, range(10))
    shutil.rmtree(root / HIDDEN)
    before = listing(root)
    for write in (False, True):
        assert _figures(open_store(), write=write) == _truth(store)
    assert listing(root) == before


# -- comparing the index with the files ------------------------------------------------------------------------------------------


def test_an_index_that_is_right_compares_as_right(open_store):
    """The comparison finds no difference in a directory that only the store has changed."""
    store = open_store()
    _fill(store, range(30))
    _fill(store, range(5), "o1")
    assert store.compare_index() == (2, 0)


def test_a_model_that_another_program_changed_compares_as_wrong(open_store, root):
    """The comparison counts the models whose folders have changed since the index was last written."""
    store = open_store()
    _fill(store, range(30))
    _fill(store, range(5), "o1")
    _place(root, _at(3)).unlink()
    shutil.copytree(root / "openai" / "o1", root / "openai" / "o3")
    assert store.compare_index() == (3, 2)


def test_wrong_totals_in_the_index_compare_as_wrong(open_store, database):
    """The comparison counts the models whose totals are not those of the files."""
    store = open_store()
    _fill(store, range(30))
    with database() as opened, opened:
        opened.execute("UPDATE folders SET entries = entries + 1")
    assert store.compare_index() == (1, 1)


def test_a_comparison_changes_no_file(open_store, root, listing):
    """The comparison leaves the size, the mode and the modification time of every file as they are."""
    store = open_store()
    _fill(store, range(30))
    before = {path: status[:3] for path, status in listing(root).items()}
    open_store().compare_index()
    assert {path: status[:3] for path, status in listing(root).items()} == before


@pytest.mark.parametrize("state", ["no cache", "no index", "damaged", "another release"])
def test_an_index_that_cannot_be_read_is_not_compared(open_store, root, database, state):
    """There is no comparison without an index that can be read."""
    store = open_store()
    if state != "no cache":
        _fill(store, range(3))
    match state:
        case "no index":
            shutil.rmtree(root / HIDDEN)
        case "damaged":
            (root / HIDDEN / INDEX_FILE).write_text("noise" * 1000)
        case "another release":
            with database() as opened:
                opened.execute("PRAGMA user_version = 99")
    assert open_store().compare_index() is None


# -- changes by other programs -------------------------------------------------------------------------------------------------


def _add(root: Path) -> None:
    source = _place(root, _at(0))
    for number in range(500, 510):
        shutil.copy(source, _place(root, _at(number)))


def _remove_some(root: Path) -> None:
    for number in range(0, 200, 3):
        _place(root, _at(number)).unlink()


def _remove_model(root: Path) -> None:
    shutil.rmtree(root / "openai" / "gpt-4o")


def _add_model(root: Path) -> None:
    shutil.copytree(root / "openai" / "gpt-4o", root / "gemini" / "flash")


def _rename_model(root: Path) -> None:
    (root / "openai" / "gpt-4o").rename(root / "openai" / "gpt-5")


def _replace_model(root: Path) -> None:
    shutil.copytree(root / "openai" / "gpt-4o", root / "openai" / "other")
    shutil.rmtree(root / "openai" / "gpt-4o")
    (root / "openai" / "other").rename(root / "openai" / "gpt-4o")
    _place(root, _at(3)).unlink()


def _replace_files(root: Path) -> None:
    for number in range(10):
        new = root / "new"
        new.write_bytes(b"y" * 9000)
        new.rename(_place(root, _at(number)))


_CHANGES = [_add, _remove_some, _remove_model, _add_model, _rename_model, _replace_model, _replace_files]


@pytest.mark.parametrize("change", _CHANGES, ids=lambda change: change.__name__.strip("_"))
@pytest.mark.parametrize("then", ["count", "write, then count", "write much, then count"])
def test_changes_by_other_programs_are_counted(open_store, root, change, then):
    """Entries that another program adds, removes or replaces are counted, even if the store has written since."""
    store = open_store()
    _fill(store, range(200))
    _figures(store)
    change(root)
    if then != "count":
        _fill(store, range(1000, 1001 if then == "write, then count" else 1300))
    assert _figures(store) == _truth(store)
    assert _figures(open_store()) == _truth(store)


@pytest.mark.parametrize("change", _CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_the_cap_holds_after_changes_by_other_programs(open_store, root, clock, change, always_compared):
    """Writes bring a store back within its cap, and evict no more than necessary."""
    cap = 250 * _BLOCK
    store = open_store(cap_bytes=float(cap))
    _fill(store, range(200))
    change(root)
    for number in range(1000, 1400):
        clock.now += 1
        _fill(store, [number])
    occupied = sum(block_size(stored.size_bytes) for stored in store.scan())
    assert cap * 0.8 < occupied <= cap
    assert _figures(store) == _truth(store)


def test_a_change_is_noticed_by_writes_alone(open_store, root, always_compared):
    """A folder that another program changed is scanned a slice at a time by the writes that follow."""
    store = open_store()
    _fill(store, range(500))
    _add_model(root)
    assert store.compare_index() == (2, 1)
    for number in range(30):
        _fill(store, [number], "o1")
    assert store.compare_index() == (3, 0)


def test_a_folder_is_written_to_while_it_is_scanned(open_store, root, monkeypatch):
    """Entries that are written, replaced and removed during a long scan are counted once."""
    monkeypatch.setattr(rescan, "_PER_SLICE", 7)
    store = open_store()
    _fill(store, range(2000))
    (root / HIDDEN / INDEX_FILE).unlink()
    store = open_store()
    chance = random.Random(3)
    for number in range(300):
        _fill(store, [3000 + number], size=5000)
        _fill(store, [chance.randrange(2000)], size=9000)
        store.remove(_at(chance.randrange(2000)))
    assert store.compare_index() == (1, 0)
    assert _figures(store) == _truth(store)


def test_two_stores_scan_one_folder(open_store, root, monkeypatch):
    """Two stores that write in turn while a folder must be scanned count it once."""
    monkeypatch.setattr(rescan, "_PER_SLICE", 7)
    _fill(open_store(), range(300))
    (root / HIDDEN / INDEX_FILE).unlink()
    stores = [open_store(), open_store()]
    for number in range(200):
        _fill(stores[number % 2], [1000 + number])
        if number == 20:
            assert _figures(stores[0]) == _truth(stores[0])
    assert _figures(stores[1]) == _truth(stores[1])


# -- damage ----------------------------------------------------------------------------------------------------------------------


def _scribble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    chance = random.Random(1)
    for _ in range(len(data) // 8):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data)


_DAMAGE = {
    "deleted": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3]),
    "scribbled over": _scribble,
    "noise": lambda path: path.write_bytes(random.Random(2).randbytes(30_000)),
    "text": lambda path: path.write_text("not an index\n" * 1000),
}


@pytest.mark.parametrize(
    "names",
    [(_LOCK_FILE,), (INDEX_FILE,), (_LOCK_FILE, INDEX_FILE)],
    ids=["lock file", "database", "both"],
)
@pytest.mark.parametrize("damage", _DAMAGE)
@pytest.mark.parametrize("reopened", [False, True], ids=["running", "reopened"])
def test_a_damaged_index_is_rebuilt(open_store, root, clock, names, damage, reopened):
    """Whatever happens to the files of the index, totals, writes and the clean-up of expired entries stay right."""
    store = open_store(cap_bytes=2000.0 * _BLOCK)
    _fill(store, range(200), end=clock.now + 10)
    _fill(store, range(200, 300))
    for name in names:
        _DAMAGE[damage](root / HIDDEN / name)
    store = open_store(cap_bytes=2000.0 * _BLOCK) if reopened else store
    assert _figures(store) == _truth(store)
    _fill(store, range(300, 600))
    assert _figures(store) == _truth(store)
    for name in names:
        _DAMAGE[damage](root / HIDDEN / name)
    _fill(store, range(600, 610), end=clock.now + 10)
    clock.now += 20
    assert store.expire() == 210
    assert _figures(store) == _truth(store)
    assert len(_truth(store)) == 1


def test_an_index_of_a_newer_release_is_rebuilt(open_store, database):
    """A database with another version number is replaced, and the totals are right."""
    _fill(open_store(), range(10))
    with database() as opened:
        opened.execute("PRAGMA user_version = 99")
    store = open_store()
    _fill(store, range(10, 20))
    assert _figures(store) == _truth(store) == [("openai", "gpt-4o", 20, 200, 20 * _BLOCK)]
    assert store.compare_index() == (1, 0)


def test_a_copied_index_is_rebuilt(open_store, root, tmp_path):
    """A copy of a cache directory has the totals of its own files."""
    store = open_store()
    _fill(store, range(20))
    shutil.copytree(root, tmp_path / "copy")
    for number in range(5):
        _place(tmp_path / "copy", _at(number)).unlink()
    copy = open_store(tmp_path / "copy")
    _fill(copy, [100])
    assert _figures(copy) == _truth(copy) == [("openai", "gpt-4o", 16, 160, 16 * _BLOCK)]
    assert copy.compare_index() == (1, 0)


def test_the_hidden_folder_may_be_deleted_at_any_time(open_store, root):
    """Without the hidden folder, totals are right, and the next write creates it."""
    store = open_store()
    _fill(store, range(200))
    shutil.rmtree(root / HIDDEN)
    assert _figures(store) == _truth(store)
    _fill(store, range(200, 210))
    assert _figures(store) == _truth(store)
    assert (root / HIDDEN / INDEX_FILE).exists()


@pytest.mark.parametrize("kind", ["link", "second name", "folder", "fifo"])
@pytest.mark.parametrize("name", [INDEX_FILE, _LOCK_FILE], ids=["database", "lock file"])
def test_other_files_in_the_place_of_the_index_are_kept(open_store, root, tmp_path, name, kind):
    """A link, a folder or a file with a second name in the place of the index is not written to."""
    (root / HIDDEN / LOCKS).mkdir(parents=True)
    place, elsewhere = root / HIDDEN / name, tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine" * 1000)
    match kind:
        case "link":
            place.symlink_to(elsewhere)
        case "second name":
            place.hardlink_to(elsewhere)
        case "folder":
            place.mkdir()
        case "fifo":
            os.mkfifo(place)
    store = open_store(cap_bytes=50.0 * _BLOCK)
    for number in range(300):
        _fill(store, [number])
    assert elsewhere.read_bytes() == b"mine" * 1000
    assert _figures(store) == _truth(store)
    assert sum(folder.occupied_bytes for folder in _truth(store)) <= 50 * _BLOCK


def test_a_network_file_system_has_no_index(open_store, root, on_network):
    """On a network file system, the cap and the totals hold without an index."""
    store = open_store(cap_bytes=50.0 * _BLOCK)
    for number in range(200):
        _fill(store, [number])
    assert store.on_network
    assert not list((root / HIDDEN).glob("index*"))
    assert _figures(store) == _truth(store)
    assert 0 < sum(folder.occupied_bytes for folder in _truth(store)) <= 50 * _BLOCK


@pytest.mark.parametrize("folder", ["..", "../..", "/etc", ".hidden", ""])
def test_an_index_that_names_other_folders_removes_nothing(
    open_store, root, tmp_path, clock, database, folder
):
    """A prepared database does not lead the clean-up or eviction to files outside of the cache."""
    store = open_store(cap_bytes=250.0 * _BLOCK)
    _fill(store, range(200), end=clock.now + 10)
    outside = tmp_path / "0001.json"
    shutil.copy2(_place(root, _at(1)), outside)
    with database() as opened, opened:
        opened.execute("UPDATE folders SET provider = ?, model = '..'", (folder,))
    clock.now += 20
    store.expire()
    _fill(store, range(1000, 1300))
    assert outside.exists()
    assert _figures(store) == _truth(store)


def test_an_index_that_contradicts_itself_is_rebuilt(open_store, root, database, always_compared):
    """The totals are right after damage that SQLite does not notice."""
    store = open_store()
    _fill(store, range(3))
    with database() as opened:
        ((page,),) = opened.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_folders_1'"
        ).fetchall()
        ((size,),) = opened.execute("PRAGMA page_size").fetchall()
    path = root / HIDDEN / INDEX_FILE
    data = path.read_bytes()
    start, end = (page - 1) * size, page * size
    assert b"openai" in data[start:end]
    path.write_bytes(data[:start] + data[start:end].replace(b"openai", b"OPENAI") + data[end:])
    store = open_store()
    shutil.rmtree(root / "openai")
    assert _figures(store) == []
    _fill(store, range(5))
    assert _figures(store) == _truth(store) == [("openai", "gpt-4o", 5, 50, 5 * _BLOCK)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE folders SET occupied_bytes = 1000000000000",
        "UPDATE folders SET occupied_bytes = 0, entries = 0, size_bytes = 0",
        "UPDATE folders SET rows = -5",
        "UPDATE folders SET seen_ns = 'text'",
        "UPDATE entries SET size = 10000000000000",
        "UPDATE entries SET used_ns = 9000000000000000000",
        "UPDATE entries SET written_ns = written_ns + 86400000000000",
        "UPDATE entries SET name = '../../../0001'",
        "UPDATE entries SET expires = 'soon'",
        "UPDATE entries SET folder = 12345",
        "DELETE FROM entries",
        "DELETE FROM folders",
        "DELETE FROM state",
        "DROP TABLE entries",
    ],
    ids=lambda statement: statement.split(" = ")[0].lower(),
)
@pytest.mark.timeout(10, method="signal")
def test_wrong_rows_do_no_harm(open_store, clock, database, statement):
    """Writes and clean-ups end, and keep what they have written, whatever the rows of the index say."""
    store = open_store(cap_bytes=20.0 * _BLOCK)
    _fill(store, range(20))
    with database() as opened, opened:
        opened.execute(statement)
    for number in range(15, 25):
        clock.now += 1
        assert store.write(_at(number), b"%d" % number * 3000) is True
        assert store.read(_at(number), note_use=False) == b"%d" % number * 3000
    store.expire()
    assert _figures(store, write=False) == _truth(store)


def test_the_index_contains_no_content(open_store, root):
    """The index knows the names, sizes and times of entries, and none of their content."""
    store = open_store()
    secret = b"a private answer"
    for number in range(300):
        store.write(_at(number), secret, expires_at=_NEVER)
    kept = b"".join(path.read_bytes() for path in (root / HIDDEN).glob("index*"))
    assert secret not in kept
    assert _at(299).name.encode() in kept


# -- everything together -----------------------------------------------------------------------------------------------------------


class IndexMachine(RuleBasedStateMachine):
    """Two stores, other programs and clean-ups, in any order."""

    numbers = st.integers(0, 12)
    models = st.sampled_from(_MODELS)
    sizes = st.sampled_from([0, 1, 4096, 4097, 20_000])

    @initialize()
    def begin(self) -> None:
        """Begin with an empty directory."""
        self.place = Path(tempfile.mkdtemp())
        self.root = self.place / "cache"
        self.now = 1_700_000_000.0
        self.patched = pytest.MonkeyPatch()
        self.patched.setattr(rescan, "_PER_SLICE", 3)
        self.patched.setattr(upkeep, "_COMPARE_EVERY", 0.0)
        self.patched.setattr(upkeep, "_SHARE", 0)
        self.patched.setattr(file, "_FEW", 0)
        self.stores = [self._open(), self._open()]

    def _open(self) -> FileStore:
        store = FileStore(
            str(self.root),
            clock=lambda: self.now,
            commit_entries=False,
            entry_format=EntryFormat(lambda *_: Proof.ENTRY, lambda data: (0.0, _end(data))),
            on_removed=lambda *_entry: None,
        )
        store.require(fsync=False, cap_bytes=20.0 * _BLOCK, cleanup_interval=50.0)
        return store

    @rule(which=st.integers(0, 1), number=numbers, model=models, size=sizes)
    def write(self, which, number, model, size) -> None:
        """Write an entry that does not expire."""
        assert self.stores[which].write(_at(number, model), b"x" * size, expires_at=_NEVER)

    @rule(which=st.integers(0, 1), number=numbers, model=models, life=st.integers(1, 100), told=st.booleans())
    def write_expiring(self, which, number, model, life, told) -> None:
        """Write an entry that expires, and tell the store when, or not."""
        end = self.now + life
        assert self.stores[which].write(_at(number, model), b"%d x" % end, expires_at=end if told else None)

    @rule(which=st.integers(0, 1), number=numbers, model=models)
    def use(self, which, number, model) -> None:
        """Read an entry."""
        self.stores[which].read(_at(number, model), note_use=True, remember=True)

    @rule(which=st.integers(0, 1), number=numbers, model=models)
    def remove(self, which, number, model) -> None:
        """Remove an entry."""
        exists = _place(self.root, _at(number, model)).exists()
        assert self.stores[which].remove(_at(number, model)) is exists

    @rule(which=st.integers(0, 1))
    def expire(self, which) -> None:
        """Remove what has expired, and nothing else."""
        expired = {path for path in self._files() if _end(path.read_bytes()) <= self.now}
        rest = self._files() - expired
        assert self.stores[which].expire() == len(expired)
        assert self._files() == rest

    @rule(which=st.integers(0, 1), model=models)
    def clear(self, which, model) -> None:
        """Clear a model."""
        self.stores[which].clear("openai", model)
        assert not list((self.root / "openai").glob(f"{model}/*.json"))

    @rule(seconds=st.sampled_from([1, 61, 1000]))
    def wait(self, seconds) -> None:
        """Advance the clock."""
        self.now += seconds

    @rule(number=numbers, model=models, other=models)
    def copy_in(self, number, model, other) -> None:
        """Copy a file into another folder."""
        source, target = _place(self.root, _at(number, model)), _place(self.root, _at(number, other))
        if source.exists() and source != target:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, self.place / "copy")
            (self.place / "copy").rename(target)

    @rule(number=numbers, model=models)
    def delete_file(self, number, model) -> None:
        """Delete a file."""
        _place(self.root, _at(number, model)).unlink(missing_ok=True)

    @rule(model=models)
    def delete_model(self, model) -> None:
        """Delete a folder."""
        shutil.rmtree(self.root / "openai" / model, ignore_errors=True)

    @rule(name=st.sampled_from([INDEX_FILE, _LOCK_FILE]), damage=st.sampled_from(sorted(_DAMAGE)))
    def damage_index(self, name, damage) -> None:
        """Damage the index."""
        if (self.root / HIDDEN / name).exists() and (self.root / HIDDEN / name).stat().st_size:
            _DAMAGE[damage](self.root / HIDDEN / name)

    @rule(which=st.integers(0, 1))
    def reopen(self, which) -> None:
        """End a process and begin another one."""
        self.stores[which] = self._open()

    @invariant()
    def totals_agree(self) -> None:
        """The totals are those of the files, for readers and for writers."""
        if hasattr(self, "stores"):
            truth = _truth(self.stores[0])
            assert [_figures(store, write=False) for store in self.stores] == [truth, truth]
            assert _figures(self.stores[1]) == truth

    def _files(self) -> set[Path]:
        return set(self.root.glob("*/*/*.json"))

    def teardown(self) -> None:
        """Remove the directory."""
        if hasattr(self, "place"):
            self.patched.undo()
            shutil.rmtree(self.place)


IndexMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestIndex = IndexMachine.TestCase

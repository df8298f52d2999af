"""The books of a file store: always what the directory holds, whoever changed it."""

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

from spark_cache.stores import HIDDEN, Address, FileStore, added_up, block_size, file, filesystems, walk
from spark_cache.stores.index import maintenance

_BLOCK = 4096
_MODELS = ("gpt-4o", "o1", "odd~name")
_DERIVED = ("index.sqlite3", "index.sqlite3-journal", "journal")


@pytest.fixture(autouse=True)
def _by_the_books(monkeypatch):
    """Have few entries counted like many."""
    monkeypatch.setattr(file, "_FEW", 0)


@pytest.fixture
def root(tmp_path):
    """Where the store keeps its entries."""
    return tmp_path / "cache"


@pytest.fixture
def no_listing(monkeypatch):
    """Make it an error to list the entries of a folder."""

    def refuse() -> None:
        def fail(*_args):
            raise AssertionError("a folder was listed")

        for module in (file, walk):
            monkeypatch.setattr(module, "scan_folder", fail)

    return refuse


def _at(number: int, model: str = "gpt-4o") -> Address:
    return Address("openai", model, f"{number:04x}")


def _place(root: Path, at: Address) -> Path:
    return root / at.provider_folder / at.model_folder / f"{at.name}.json"


def _truth(store: FileStore) -> list[tuple]:
    return sorted(added_up(store.scan()))


def _figures(store: FileStore, *, write: bool = True) -> list[tuple]:
    return sorted(store.totals(write=write))


def _data(size: int, end: float) -> bytes:
    return b"x" * size if end == float("inf") else b"%d " % end + b"x" * size


def _fill(
    store: FileStore, numbers, model: str = "gpt-4o", *, size: int = 10, end: float = float("inf")
) -> None:
    for number in numbers:
        assert store.write(_at(number, model), _data(size, end), expires_at=end)


# -- what the store itself does -----------------------------------------------------------------------------------------------


def test_a_store_that_nobody_else_changed_is_not_listed_to_be_counted(open_store, no_listing):
    """Writes, replacements and removals are counted as they are made, by this store and by another one."""
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


def test_a_folder_that_is_emptied_is_forgotten(open_store):
    """Figures of a model go with its last entry, and begin anew with the next."""
    store = open_store()
    _fill(store, range(200))
    for number in range(200):
        store.remove(_at(number))
    assert _figures(store) == []
    _fill(store, [7])
    assert _figures(store) == [("openai", "gpt-4o", 1, 10, _BLOCK)]


def test_clearing_leaves_right_figures(open_store):
    """What is cleared is gone from the figures, and the rest is still in them."""
    store = open_store()
    _fill(store, range(300))
    _fill(store, range(5), "o1")
    assert store.clear("openai", "gpt-4o") == 300
    assert _figures(store) == _truth(store) == [("openai", "o1", 5, 50, 5 * _BLOCK)]
    assert store.clear() == 5
    assert _figures(store) == []


def test_a_reader_writes_nothing(open_store, root, listing):
    """Figures for somebody who writes nothing leave every file as it is, also when somebody else changed a folder."""
    store = open_store()
    _fill(store, range(200))
    _figures(store)
    shutil.copytree(root / "openai" / "gpt-4o", root / "openai" / "copied")
    before = listing(root)
    assert _figures(store, write=False) == _truth(store)
    assert listing(root) == before


def test_a_reader_makes_no_books(open_store, root, listing):
    """A directory without books, such as a checkout, is counted as it is."""
    store = open_store()
    _fill(store, range(10))
    shutil.rmtree(root / HIDDEN)
    before = listing(root)
    for write in (False, True):
        assert _figures(open_store(), write=write) == _truth(store)
    assert listing(root) == before


# -- what somebody else does ---------------------------------------------------------------------------------------------------


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


_VANDALS = [_add, _remove_some, _remove_model, _add_model, _rename_model, _replace_model, _replace_files]


@pytest.mark.parametrize("vandal", _VANDALS, ids=lambda vandal: vandal.__name__.strip("_"))
@pytest.mark.parametrize("then", ["look", "write, then look", "write much, then look"])
def test_what_somebody_else_changes_is_noticed(open_store, root, vandal, then):
    """Entries that come and go behind the store's back are counted, also when the store wrote to their folder since."""
    store = open_store()
    _fill(store, range(200))
    _figures(store)
    vandal(root)
    if then != "look":
        _fill(store, range(1000, 1001 if then == "write, then look" else 1300))
    assert _figures(store) == _truth(store)
    assert _figures(open_store()) == _truth(store)


@pytest.mark.parametrize("vandal", _VANDALS, ids=lambda vandal: vandal.__name__.strip("_"))
def test_the_cap_holds_whatever_somebody_else_changes(open_store, root, clock, vandal, monkeypatch):
    """Writes bring a store back within its cap after somebody else added to it, and evict nothing they need not."""
    monkeypatch.setattr(maintenance, "_LOOK_AROUND", 0.0)
    cap = 250 * _BLOCK
    store = open_store(cap_bytes=float(cap))
    _fill(store, range(200))
    vandal(root)
    for number in range(1000, 1400):
        clock.now += 1
        _fill(store, [number])
    clock.now += 1
    _fill(store, [2000])
    occupied = sum(block_size(stored.size_bytes) for stored in store.scan())
    assert cap * 0.8 < occupied <= cap


def test_a_folder_that_is_written_to_while_it_is_looked_through_is_counted_right(
    open_store, root, monkeypatch
):
    """Entries that are written, replaced and removed during a long look through their folder are counted once."""
    monkeypatch.setattr(maintenance, "_LISTING_TIME", 0.0)
    monkeypatch.setattr(maintenance, "_LISTING_SHARE", 0)
    store = open_store()
    _fill(store, range(2000))
    for name in _DERIVED:
        (root / HIDDEN / name).unlink(missing_ok=True)
    store = open_store()
    chance = random.Random(3)
    for number in range(400):
        _fill(store, [3000 + number], size=5000)
        _fill(store, [chance.randrange(2000)], size=9000)
        store.remove(_at(chance.randrange(2000)))
    assert store._index._transaction.stale_models == []
    assert _figures(store, write=False) == _truth(store)


# -- what becomes of the books ---------------------------------------------------------------------------------------------


def _scribble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    chance = random.Random(1)
    for _ in range(len(data) // 8):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data)


_HARM = {
    "deleted": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3]),
    "scribbled over": _scribble,
    "replaced by text": lambda path: path.write_text("not the books\n" * 1000),
}


@pytest.mark.parametrize(
    "names", [("journal",), ("index.sqlite3",), ("journal", "index.sqlite3")], ids=" and ".join
)
@pytest.mark.parametrize("harm", _HARM)
@pytest.mark.parametrize("reopened", [False, True], ids=["running", "reopened"])
def test_damaged_books_are_made_anew(open_store, root, clock, names, harm, reopened):
    """Whatever happens to the books, the figures stay those of the files, writes work, and what has expired goes."""
    store = open_store(cap_bytes=2000.0 * _BLOCK)
    _fill(store, range(200), end=clock.now + 10)
    _fill(store, range(200, 300))
    for name in names:
        _HARM[harm](root / HIDDEN / name)
    store = open_store(cap_bytes=2000.0 * _BLOCK) if reopened else store
    assert _figures(store) == _truth(store)
    _fill(store, range(300, 600))
    assert _figures(store) == _truth(store)
    for name in names:
        _HARM[harm](root / HIDDEN / name)
    _fill(store, range(600, 610), end=clock.now + 10)
    clock.now += 20
    assert store.expire() == 210
    assert _figures(store) == _truth(store)


def test_the_hidden_folder_may_be_deleted_at_any_time(open_store, root):
    """Without the hidden folder everything goes on, and it comes back with the next write."""
    store = open_store()
    _fill(store, range(200))
    shutil.rmtree(root / HIDDEN)
    assert _figures(store) == _truth(store)
    _fill(store, range(200, 210))
    assert _figures(store) == _truth(store)
    assert (root / HIDDEN / "journal").exists()


@pytest.mark.parametrize("kind", ["link", "second name", "folder", "fifo"])
@pytest.mark.parametrize("name", ["journal", "index.sqlite3"])
def test_what_stands_in_place_of_the_books_is_not_written_to(open_store, root, tmp_path, name, kind):
    """A link, a folder or somebody's file where the books should be is left alone, and the store does without books."""
    (root / HIDDEN).mkdir(parents=True)
    there, elsewhere = root / HIDDEN / name, tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    match kind:
        case "link":
            there.symlink_to(elsewhere)
        case "second name":
            there.hardlink_to(elsewhere)
        case "folder":
            there.mkdir()
        case "fifo":
            os.mkfifo(there)
    store = open_store(cap_bytes=50.0 * _BLOCK)
    _fill(store, range(300))
    assert elsewhere.read_bytes() == b"mine"
    assert _figures(store) == _truth(store)
    assert sum(folder.occupied_bytes for folder in _truth(store)) <= 50 * _BLOCK


def test_over_a_network_there_are_no_books(open_store, root, tmp_path, monkeypatch):
    """On another machine's disk no books are kept, and the store keeps its cap and its count by looking."""
    listed = tmp_path / "mounts"
    listed.write_text(f"disk / ext4 rw 0 0\nserver:/export {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(filesystems, "_MOUNTS", str(listed))
    store = open_store(cap_bytes=50.0 * _BLOCK)
    _fill(store, range(200))
    assert not any((root / HIDDEN / name).exists() for name in _DERIVED)
    assert _figures(store) == _truth(store)
    assert 0 < sum(folder.occupied_bytes for folder in _truth(store)) <= 50 * _BLOCK


@pytest.mark.parametrize("folder", ["..", "../..", "/etc", ".hidden", ""])
def test_an_index_that_names_a_place_outside_is_not_believed(open_store, root, tmp_path, clock, folder):
    """Nothing is removed on the word of an index that somebody prepared."""
    store = open_store()
    _fill(store, range(200), end=clock.now + 10)
    outside = tmp_path / "0001.json"
    outside.write_text("mine")
    with closing(sqlite3.connect(root / HIDDEN / "index.sqlite3")) as database, database:
        database.execute("UPDATE folders SET provider = ?, model = '..'", (folder,))
    clock.now += 20
    store.expire()
    assert outside.exists()
    assert _figures(store) == _truth(store)


def test_the_books_hold_names_and_numbers_alone(open_store, root):
    """Of an entry, the books know its file name, its length and its times."""
    store = open_store()
    secret = b"a private answer"
    for number in range(300):
        store.write(_at(number), secret, expires_at=float("inf"))
    kept = b"".join(
        (root / HIDDEN / name).read_bytes() for name in _DERIVED if (root / HIDDEN / name).exists()
    )
    assert secret not in kept
    assert _at(299).name.encode() in kept


# -- everything together --------------------------------------------------------------------------------------------------------


class IndexTransaction(RuleBasedStateMachine):
    """Writers, vandals and clean-ups, in any order."""

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
        self.patched.setattr(maintenance, "_FOLDED_AT_ONCE", 3)
        self.patched.setattr(maintenance, "_LOOK_AROUND", 0.0)
        self.patched.setattr(file, "_FEW", 0)
        self.stores = [self._open(), self._open()]

    def _open(self) -> FileStore:
        store = FileStore(
            str(self.root),
            clock=lambda: self.now,
            commit_entries=False,
            ends_at=lambda data: float(data.split()[0]) if data[:1].isdigit() else float("inf"),
            on_removed=lambda *_entry: None,
        )
        store.require(fsync=False, cap_bytes=20.0 * _BLOCK, cleanup_interval=50.0)
        return store

    @rule(which=st.integers(0, 1), number=numbers, model=models, size=sizes)
    def write(self, which, number, model, size) -> None:
        """Write something that lasts."""
        assert self.stores[which].write(_at(number, model), b"x" * size, expires_at=float("inf"))

    @rule(which=st.integers(0, 1), number=numbers, model=models, life=st.integers(1, 100), told=st.booleans())
    def write_mortal(self, which, number, model, life, told) -> None:
        """Write something that ends, and say so or not."""
        end = self.now + life
        assert self.stores[which].write(_at(number, model), b"%d x" % end, expires_at=end if told else None)

    @rule(which=st.integers(0, 1), number=numbers, model=models)
    def use(self, which, number, model) -> None:
        """Read something."""
        self.stores[which].read(_at(number, model), note_use=True)

    @rule(which=st.integers(0, 1), number=numbers, model=models)
    def remove(self, which, number, model) -> None:
        """Remove something."""
        there = _place(self.root, _at(number, model)).exists()
        assert self.stores[which].remove(_at(number, model)) is there

    @rule(which=st.integers(0, 1))
    def expire(self, which) -> None:
        """Clean up: what is over goes, and nothing else."""
        over = {path for path in self._files() if self._end(path) <= self.now}
        rest = self._files() - over
        assert self.stores[which].expire() == len(over)
        assert self._files() == rest

    @rule(which=st.integers(0, 1), model=models)
    def clear(self, which, model) -> None:
        """Clear a model."""
        self.stores[which].clear("openai", model)
        assert not list((self.root / "openai").glob(f"{model}/*.json"))

    @rule(seconds=st.sampled_from([1, 61, 1000]))
    def wait(self, seconds) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(number=numbers, model=models, other=models)
    def copy_in(self, number, model, other) -> None:
        """Somebody copies a file."""
        source, target = _place(self.root, _at(number, model)), _place(self.root, _at(number, other))
        if source.exists() and source != target:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, self.place / "copy")
            (self.place / "copy").rename(target)

    @rule(number=numbers, model=models)
    def delete_file(self, number, model) -> None:
        """Somebody deletes a file."""
        _place(self.root, _at(number, model)).unlink(missing_ok=True)

    @rule(model=models)
    def delete_model(self, model) -> None:
        """Somebody deletes a folder."""
        shutil.rmtree(self.root / "openai" / model, ignore_errors=True)

    @rule(name=st.sampled_from(_DERIVED), harm=st.sampled_from(sorted(_HARM)))
    def harm_books(self, name, harm) -> None:
        """Somebody damages the books."""
        if (self.root / HIDDEN / name).exists() and (self.root / HIDDEN / name).stat().st_size:
            _HARM[harm](self.root / HIDDEN / name)

    @rule(which=st.integers(0, 1))
    def reopen(self, which) -> None:
        """A process ends, and another one begins."""
        self.stores[which] = self._open()

    @invariant()
    def figures_agree(self) -> None:
        """The figures are those of the files, for readers and for writers."""
        if hasattr(self, "stores"):
            truth = _truth(self.stores[0])
            assert [_figures(store, write=False) for store in self.stores] == [truth, truth]
            assert _figures(self.stores[1]) == truth

    def _files(self) -> set[Path]:
        return set(self.root.glob("*/*/*.json"))

    def _end(self, path: Path) -> float:
        data = path.read_bytes()
        return float(data.split()[0]) if data[:1].isdigit() else float("inf")

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "place"):
            self.patched.undo()
            shutil.rmtree(self.place)


IndexTransaction.TestCase.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestBooks = IndexTransaction.TestCase

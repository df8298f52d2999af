"""How entries stand in a directory, and what else may stand there."""

from __future__ import annotations

import os
import shutil
import socket
import stat

import pytest

from spark_cache.errors import StoreError
from spark_cache.stores import HIDDEN, Address, MemoryStore, address, atomic
from spark_cache.types import MissReason

_AT = address("openai", "gpt-4o", "ab" * 32)
_PLACE = f"openai/gpt-4o/{'ab' * 32}.json"


@pytest.fixture
def root(tmp_path):
    """Where the store keeps its entries."""
    return tmp_path / "cache"


@pytest.fixture
def set_umask():
    """Set the umask for one test."""
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


def _put_in_place(root, kind, elsewhere):
    """Put something that is no regular file in the place of the entry."""
    place = root / _PLACE
    place.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "fifo":
            os.mkfifo(place)
        case "symlink":
            elsewhere.write_bytes(b"somebody else's")
            place.symlink_to(elsewhere)
        case "dangling symlink":
            place.symlink_to(elsewhere)
        case "directory":
            place.mkdir()
        case "socket":
            listener = socket.socket(socket.AF_UNIX)
            # The name of a socket is short by law, that of a place in a test is not.
            os.chdir(place.parent)
            listener.bind(place.name)
            listener.close()


def test_nothing_is_made_before_the_first_write(open_store, root):
    """Opening, reading and listing a cache that is not there does not make it."""
    store = open_store()
    store.read(_AT, note_use=True)
    store.find("ab"), list(store.scan()), store.remove(_AT)
    assert not root.exists()


def test_an_entry_stands_where_its_address_says(open_store, root, files):
    """A written entry is one file, at provider, model and name; nothing else is left."""
    open_store().write(_AT, b"data")
    assert {path for path in files(root) if not path.startswith(f"{HIDDEN}/")} == {_PLACE}
    assert files(root / HIDDEN) == {"journal", "journal.lock", "swept"}
    assert (root / _PLACE).read_bytes() == b"data"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def test_everything_is_the_owners_alone(open_store, root, set_umask, umask):
    """Folders are 0700 and files 0600 under any umask."""
    set_umask(umask)
    store = open_store()
    store.write(_AT, b"data")
    store.write(_AT, b"data again")
    modes = {
        path: stat.S_IMODE(path.lstat().st_mode) for path in (root, *root.rglob("*")) if not path.is_symlink()
    }
    assert len(modes) >= 6
    assert {
        path: oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)
    } == {}


@pytest.mark.parametrize(
    ("commit_entries", "ignored"), [(False, ["*"]), (True, [f"{HIDDEN}/"])], ids=["ignored", "committed"]
)
def test_the_gitignore_says_what_may_be_committed(open_store, root, commit_entries, ignored):
    """A cache keeps all of itself out of version control, or its hidden folder alone."""
    open_store(commit_entries=commit_entries).write(_AT, b"data")
    lines = (root / ".gitignore").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ignored


def test_a_gitignore_that_is_there_is_left_alone(open_store, root):
    """What the user wrote stays."""
    root.mkdir()
    (root / ".gitignore").write_text("mine\n")
    open_store().write(_AT, b"data")
    assert (root / ".gitignore").read_text() == "mine\n"


@pytest.mark.parametrize("kind", ["fifo", "symlink", "dangling symlink", "directory", "socket"])
def test_only_a_regular_file_is_an_entry(open_store, root, tmp_path, kind):
    """Whatever else stands in an entry's place answers nothing, at once, and is not listed."""
    store = open_store()
    _put_in_place(root, kind, tmp_path / "elsewhere")
    assert store.read(_AT, note_use=True) is MissReason.NOT_A_FILE
    assert list(store.scan()) == []


@pytest.mark.parametrize("kind", ["fifo", "symlink", "dangling symlink", "socket"])
def test_a_write_replaces_what_is_no_file(open_store, root, tmp_path, kind):
    """An entry is put in the place of a link or a pipe, and what a link leads to is not touched."""
    store = open_store()
    _put_in_place(root, kind, tmp_path / "elsewhere")
    store.write(_AT, b"data")
    assert store.read(_AT, note_use=True) == b"data"
    assert (tmp_path / "elsewhere").exists() is (kind == "symlink")
    if kind == "symlink":
        assert (tmp_path / "elsewhere").read_bytes() == b"somebody else's"


def test_a_folder_in_an_entrys_place_is_not_removed(open_store, root, tmp_path, files):
    """A write that would have to remove a folder is an error that names the cause, and leaves no temporary file."""
    store = open_store()
    _put_in_place(root, "directory", tmp_path)
    with pytest.raises(StoreError, match="cannot write: EISDIR"):
        store.write(_AT, b"data")
    assert {path for path in files(root) if not path.startswith(f"{HIDDEN}/")} == set()
    assert list((root / HIDDEN / "temporary").iterdir()) == []


def test_an_oversized_file_is_not_read(open_store, root):
    """A file larger than any entry is a miss, and costs no memory."""
    store = open_store()
    store.write(_AT, b"data")
    os.truncate(root / _PLACE, atomic.MAX_BYTES + 1)
    assert store.read(_AT, note_use=True) is MissReason.TOO_LARGE


def test_an_oversized_entry_is_not_written(open_store, root):
    """What could not be read is not written either."""
    assert open_store().write(_AT, bytes(atomic.MAX_BYTES + 1)) is False
    assert not root.exists()


@pytest.mark.parametrize("what", ["", HIDDEN, "openai"])
def test_a_directory_deleted_meanwhile_is_made_anew(open_store, root, what):
    """When the cache, or a part of it, is deleted under a running program, the next write makes it again."""
    store = open_store()
    store.write(_AT, b"data")
    shutil.rmtree(root / what)
    assert store.write(_AT, b"data again") is True
    assert store.read(_AT, note_use=True) == b"data again"
    assert (root / ".gitignore").exists()


def test_reading_after_the_directory_was_deleted_is_a_miss(open_store, root):
    """Without its directory a store has nothing, and that is no fault."""
    store = open_store()
    store.write(_AT, b"data")
    shutil.rmtree(root)
    assert store.read(_AT, note_use=True) is MissReason.ABSENT
    assert list(store.scan()) == []
    assert store.find(_AT.name) == []
    assert store.remove(_AT) is False


def test_a_file_in_the_directorys_place_is_a_fault(open_store, root):
    """Where the cache directory should be stands a file: reads and writes say so and leave it alone."""
    root.write_text("mine")
    store = open_store()
    for verb in (lambda: store.read(_AT, note_use=True), lambda: store.write(_AT, b"data")):
        with pytest.raises(StoreError, match="ENOTDIR"):
            verb()
    assert list(store.scan()) == []
    assert root.read_text() == "mine"


@pytest.mark.parametrize("part", ["openai", "openai/gpt-4o"])
def test_a_file_in_a_folders_place_is_a_fault(open_store, root, part):
    """Where a folder of the cache should be stands a file: a write says so, and leaves no temporary file."""
    (root / part).parent.mkdir(parents=True)
    (root / part).write_text("mine")
    store = open_store()
    with pytest.raises(StoreError):
        store.write(_AT, b"data")
    assert list(store.scan()) == []
    assert list((root / HIDDEN).rglob("*/*")) == []
    assert (root / part).read_text() == "mine"


@pytest.mark.parametrize("link", [HIDDEN, f"{HIDDEN}/temporary"])
def test_a_link_in_place_of_the_hidden_folder_is_not_followed(open_store, root, tmp_path, link):
    """Nothing is written through a symbolic link that stands where the cache keeps its own files."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="no folder"):
        open_store().write(_AT, b"data")
    assert list(elsewhere.iterdir()) == []


def test_the_directory_itself_may_be_a_link(open_store, root, tmp_path):
    """A cache directory that is a link to a folder is that folder."""
    (tmp_path / "disk").mkdir()
    root.symlink_to(tmp_path / "disk")
    open_store().write(_AT, b"data")
    assert (tmp_path / "disk" / _PLACE).read_bytes() == b"data"


def test_files_of_others_are_left_alone(open_store, root, removed):
    """In a directory that is not the cache's alone, what is no entry is neither listed nor evicted."""
    others = ["openai/gpt-4o/settings.json", "openai/gpt-4o/ab.json.bak", "src/app/notes.md", "top.json"]
    for name in others:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * 100_000)
    store = open_store(cap_bytes=8192.0)
    for number in range(6):
        store.write(Address("openai", "gpt-4o", f"{number:02x}"), b"x" * 4096)
    assert {stored.address.name for stored in store.scan()} <= {f"{number:02x}" for number in range(6)}
    assert removed
    assert all((root / name).exists() for name in others)


def test_removing_the_last_entry_removes_its_folders(open_store, root):
    """Empty folders of models and providers go with their last entry; the cache directory stays."""
    store = open_store()
    other = Address("openai", "o1", "01")
    store.write(_AT, b"data")
    store.write(other, b"data")
    store.remove(_AT)
    assert not (root / "openai" / "gpt-4o").exists()
    store.remove(other)
    assert not (root / "openai").exists()
    assert root.exists()


@pytest.mark.parametrize("note_use", [True, False])
def test_a_use_is_noted_by_those_who_write(open_store, root, clock, note_use):
    """A read moves the time of its file to now, once a minute at the most, unless the reader writes nothing."""
    store = open_store()
    store.write(_AT, b"data")
    written = clock.now
    clock.now += 30
    store.read(_AT, note_use=note_use)
    assert (root / _PLACE).stat().st_mtime == written
    clock.now += 31
    store.read(_AT, note_use=note_use)
    assert (root / _PLACE).stat().st_mtime == (clock.now if note_use else written)


def test_a_use_ahead_of_the_clock_is_corrected(open_store, root, clock):
    """After the clock was set back, a file's time does not stay in the future."""
    store = open_store()
    store.write(_AT, b"data")
    clock.now -= 86_400
    store.read(_AT, note_use=True)
    assert (root / _PLACE).stat().st_mtime == clock.now


def test_reading_alone_writes_nothing_at_all(open_store, root, clock, listing):
    """A reader that may not write changes no file, no time and no folder, a day later too."""
    store = open_store(cap_bytes=8192.0)
    for number in range(4):
        store.write(Address("openai", "gpt-4o", f"{number:02x}"), b"1 expired")
    before = listing(root)
    clock.now += 86_400
    reader = open_store(cap_bytes=1.0)
    for stored in reader.scan():
        assert reader.read(stored.address, note_use=False) == b"1 expired"
    reader.find("01")
    reader.read(_AT, note_use=False)
    assert listing(root) == before


def test_a_memory_store_forgets_what_is_too_large(clock):
    """An entry larger than the cap is declined, and what is there stays."""
    store = MemoryStore(clock=clock, ends_at=lambda _data: float("inf"), on_removed=lambda *_entry: None)
    store.require(fsync=False, cap_bytes=8192.0, cleanup_interval=60.0)
    assert store.write(_AT, b"data") is True
    assert store.write(Address("a", "m", "01"), bytes(8193)) is False
    assert store.read(_AT, note_use=True) == b"data"

"""The files of a store, and other files in the same places."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat

import pytest

from spark_cache.errors import StoreError
from spark_cache.stores import (
    HIDDEN,
    INDEX_FILE,
    LOCKS,
    SCRATCH,
    Address,
    EntryFormat,
    FileStore,
    NewEntry,
    Proof,
    address,
    atomic,
)
from spark_cache.types import MissReason

_AT = address("openai", "gpt-4o", "ab" * 32)
_PLACE = f"openai/gpt-4o/{'ab' * 32}.json"


@pytest.fixture
def root(tmp_path):
    """The cache directory."""
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
            elsewhere.write_bytes(b"other data")
            place.symlink_to(elsewhere)
        case "dangling symlink":
            place.symlink_to(elsewhere)
        case "directory":
            place.mkdir()
        case "socket":
            listener = socket.socket(socket.AF_UNIX)
            # The path of a socket must be short.
            with contextlib.chdir(place.parent):
                listener.bind(place.name)
            listener.close()


def test_nothing_is_created_before_the_first_write(open_store, root):
    """Opening, reading and listing a cache that does not exist do not create it."""
    store = open_store()
    store.read(_AT, note_use=True)
    store.find("ab"), list(store.scan()), store.remove(_AT)
    assert not root.exists()


def test_an_entry_is_one_file_at_its_address(open_store, root, files):
    """A write creates one file at provider, model and name, and the files of the index."""
    open_store().write(_AT, b"data")
    assert {path for path in files(root) if not path.startswith(f"{HIDDEN}/")} == {_PLACE}
    assert files(root / HIDDEN) == {INDEX_FILE, f"{LOCKS}/index"}
    assert (root / _PLACE).read_bytes() == b"data"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def test_only_the_owner_has_access(open_store, root, set_umask, umask):
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
    """The ``.gitignore`` excludes the whole cache, or only the hidden folder where entries may be committed."""
    open_store(commit_entries=commit_entries).write(_AT, b"data")
    lines = (root / ".gitignore").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ignored


def test_a_gitignore_of_the_user_is_kept(open_store, root):
    """A store does not replace a ``.gitignore`` that the user has written."""
    root.mkdir()
    (root / ".gitignore").write_text("mine\n")
    open_store().write(_AT, b"data")
    assert (root / ".gitignore").read_text() == "mine\n"


def test_a_directory_of_the_user_gets_no_gitignore(open_store, root):
    """A store writes a ``.gitignore`` only into a directory that it has created."""
    root.mkdir()
    open_store().write(_AT, b"data")
    assert not (root / ".gitignore").exists()


@pytest.mark.parametrize("kind", ["fifo", "symlink", "dangling symlink", "directory", "socket"])
def test_only_a_regular_file_is_an_entry(open_store, root, tmp_path, kind):
    """Anything else in the place of an entry is a miss without delay, and is not listed."""
    store = open_store()
    _put_in_place(root, kind, tmp_path / "elsewhere")
    assert store.read(_AT, note_use=True) is MissReason.NOT_A_FILE
    assert list(store.scan()) == []


@pytest.mark.parametrize("kind", ["fifo", "symlink", "dangling symlink", "directory", "socket"])
def test_a_write_leaves_what_is_not_a_file(open_store, root, tmp_path, kind):
    """A write to the place of a link, a pipe, a socket or a folder is an error and changes neither it nor its target."""
    store = open_store()
    _put_in_place(root, kind, tmp_path / "elsewhere")
    before = os.lstat(root / _PLACE)
    with pytest.raises(StoreError, match="not an entry of this cache"):
        store.write(_AT, b"data")
    assert os.lstat(root / _PLACE) == before
    assert (tmp_path / "elsewhere").exists() is (kind == "symlink")
    assert kind != "symlink" or (tmp_path / "elsewhere").read_bytes() == b"other data"
    assert list((root / HIDDEN / SCRATCH).iterdir()) == []


def test_an_oversized_file_is_not_read(open_store, root):
    """A file that is larger than any entry is a miss."""
    store = open_store()
    store.write(_AT, b"data")
    os.truncate(root / _PLACE, atomic.MAX_BYTES + 1)
    assert store.read(_AT, note_use=True) is MissReason.TOO_LARGE


def test_an_oversized_entry_is_not_written(open_store, root):
    """An entry that is too large to be read is declined."""
    assert open_store().write(_AT, bytes(atomic.MAX_BYTES + 1)) is False
    assert not (root / "openai").exists()


@pytest.mark.parametrize("what", ["", HIDDEN, "openai"])
def test_a_directory_that_was_deleted_is_created_again(open_store, root, what):
    """If the cache, or a part of it, is deleted while the program runs, the next write creates it."""
    store = open_store()
    store.write(_AT, b"data")
    shutil.rmtree(root / what)
    assert store.write(_AT, b"data again") is True
    assert store.read(_AT, note_use=True) == b"data again"
    assert (root / ".gitignore").exists()


def test_reading_after_the_directory_was_deleted_is_a_miss(open_store, root):
    """Without its directory, a store is empty."""
    store = open_store()
    store.write(_AT, b"data")
    shutil.rmtree(root)
    assert store.read(_AT, note_use=True) is MissReason.ABSENT
    assert list(store.scan()) == []
    assert store.find(_AT.name) == []
    assert store.remove(_AT) is False


def test_a_file_in_the_directorys_place_is_a_fault(open_store, root):
    """Reads and writes raise an error if a file is in the place of the cache directory, and leave the file."""
    root.write_text("mine")
    store = open_store()
    for verb in (lambda: store.read(_AT, note_use=True), lambda: store.write(_AT, b"data")):
        with pytest.raises(StoreError, match="ENOTDIR"):
            verb()
    assert list(store.scan()) == []
    assert root.read_text() == "mine"


@pytest.mark.parametrize("part", ["openai", "openai/gpt-4o"])
def test_a_file_in_a_folders_place_is_a_fault(open_store, root, part):
    """A write raises an error if a file is in the place of a folder, and leaves no temporary file."""
    (root / part).parent.mkdir(parents=True)
    (root / part).write_text("mine")
    store = open_store()
    with pytest.raises(StoreError):
        store.write(_AT, b"data")
    assert list(store.scan()) == []
    assert list((root / HIDDEN / SCRATCH).iterdir()) == []
    assert (root / part).read_text() == "mine"


@pytest.mark.parametrize("link", [HIDDEN, f"{HIDDEN}/temporary"])
def test_a_link_in_place_of_the_hidden_folder_is_not_followed(open_store, root, tmp_path, link):
    """Nothing is written through a symbolic link in the place of the hidden folder, or of one in it."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="not a folder"):
        open_store().write(_AT, b"data")
    assert list(elsewhere.iterdir()) == []


def test_the_directory_itself_may_be_a_link(open_store, root, tmp_path):
    """A cache directory that is a link to a folder is that folder."""
    (tmp_path / "disk").mkdir()
    root.symlink_to(tmp_path / "disk")
    open_store().write(_AT, b"data")
    assert (tmp_path / "disk" / _PLACE).read_bytes() == b"data"


def test_other_files_are_kept(open_store, root, removed):
    """In a directory with other files, only entries are listed and evicted."""
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


@pytest.mark.parametrize("note_use", [True, False], ids=["noted", "not noted"])
def test_a_use_is_noted_in_the_access_time(open_store, root, clock, note_use):
    """The first use sets the access time, later ones set it once a minute, and the modification time is kept."""
    store = open_store()
    store.write(_AT, b"data")
    written = clock.now

    def used_after(seconds):
        clock.now += seconds
        store.read(_AT, note_use=note_use)
        status = (root / _PLACE).stat()
        assert status.st_mtime == written
        return status.st_atime - written

    assert [used_after(seconds) for seconds in (5, 30, 31)] == ([5, 5, 66] if note_use else [0, 0, 0])


def test_a_use_ahead_of_the_clock_is_corrected(open_store, root, clock):
    """After the clock was set back, the next use replaces an access time in the future."""
    store = open_store()
    store.write(_AT, b"data")
    clock.now += 86_400
    store.read(_AT, note_use=True)
    clock.now -= 80_000
    store.read(_AT, note_use=True)
    assert (root / _PLACE).stat().st_atime == clock.now


@pytest.mark.parametrize("kind", ["a second name", "a linked folder"])
def test_a_use_is_not_noted_outside_of_the_cache(open_store, root, tmp_path, clock, kind):
    """A read does not change the access time of a file that has a second name or is behind a link."""
    store = open_store()
    store.write(_AT, b"data")
    if kind == "a second name":
        (tmp_path / "backup").hardlink_to(root / _PLACE)
    else:
        (root / "openai").rename(tmp_path / "moved")
        (root / "openai").symlink_to(tmp_path / "moved")
    before = os.lstat(root / _PLACE)
    clock.now += 100
    assert store.read(_AT, note_use=True) == b"data"
    assert os.lstat(root / _PLACE) == before


def test_a_reader_writes_nothing(open_store, root, clock, listing):
    """A reader that may not write changes no file, no time and no folder."""
    store = open_store(cap_bytes=8192.0)
    for number in range(4):
        store.write(Address("openai", "gpt-4o", f"{number:02x}"), b"1 expired")
    before = listing(root)
    clock.now += 86_400
    reader = open_store(cap_bytes=1.0)
    for stored in reader.scan():
        assert reader.read(stored.address, note_use=False) == b"1 expired"
    reader.find("01"), reader.has(_AT), reader.totals(write=False)
    reader.read(_AT, note_use=False)
    assert listing(root) == before


def test_a_memory_store_declines_an_entry_that_is_too_large(open_memory_store):
    """An entry larger than the cap is declined, and the other entries stay."""
    store = open_memory_store(cap_bytes=8192.0, cleanup_interval=60.0)
    assert store.write(_AT, b"data") is True
    assert store.write(Address("a", "m", "01"), bytes(8193)) is False
    assert store.read(_AT, note_use=True) == b"data"


# -- more than one entry, and listings ------------------------------------------------------------------------------------------


def test_has_tells_whether_there_is_an_entry(open_store):
    """An entry is reported from the write until its removal."""
    store = open_store()
    found = [store.has(_AT)]
    store.write(_AT, b"data")
    found.append(store.has(_AT))
    store.remove(_AT)
    assert [*found, store.has(_AT)] == [False, True, False]


def test_read_many_returns_one_result_for_each_address(open_store):
    """The results are in the order of the addresses, with the reason of each miss."""
    store = open_store()
    other = Address("openai", "o1", "01")
    store.write(_AT, b"data")
    assert store.read_many([other, _AT, other], note_use=True) == [
        MissReason.ABSENT,
        b"data",
        MissReason.ABSENT,
    ]


def test_write_many_stores_every_entry(open_store):
    """More entries than fit into one transaction are all stored and counted."""
    store = open_store()
    entries = [
        NewEntry(Address("openai", f"m{number % 3}", f"{number:04x}"), b"%d" % number)
        for number in range(300)
    ]
    assert store.write_many(entries) == [True] * 300
    assert store.read_many([entry.address for entry in entries], note_use=False) == [
        entry.data for entry in entries
    ]
    assert sum(folder.entries for folder in store.totals(write=True).folders) == 300


def test_write_many_keeps_existing_entries_on_request(open_store):
    """Without ``replace``, an existing entry stays and is reported as not stored."""
    store = open_store()
    other = Address("openai", "o1", "01")
    store.write(_AT, b"old")
    assert store.write_many([NewEntry(_AT, b"new"), NewEntry(other, b"new")], replace=False) == [False, True]
    assert store.read_many([_AT, other], note_use=False) == [b"old", b"new"]


def test_write_many_declines_only_what_is_too_large(open_store):
    """An entry that exceeds the cap does not keep the other entries out."""
    store = open_store(cap_bytes=8192.0)
    other = Address("openai", "o1", "01")
    assert store.write_many([NewEntry(_AT, bytes(8193)), NewEntry(other, b"data")]) == [False, True]
    assert [stored.address for stored in store.scan()] == [other]


def test_a_scan_continues_behind_a_cursor(open_store):
    """A scan that is given the cursor of an entry lists the entries behind it, in the same order."""
    store = open_store()
    for model in ("b", "a", "a-long"):
        for number in range(3):
            store.write(Address("openai", model, f"{number:02x}"), b"data")
    listed = list(store.scan())
    for number, stored in enumerate(listed):
        assert list(store.scan(after=stored.cursor)) == listed[number + 1 :]


def test_a_cursor_of_a_removed_entry_is_still_good(open_store):
    """A scan continues at the same place after the entry of its cursor was removed."""
    store = open_store()
    for number in range(5):
        store.write(Address("openai", "gpt-4o", f"{number:02x}"), b"data")
    listed = list(store.scan())
    store.remove(listed[2].address)
    assert list(store.scan(after=listed[2].cursor)) == listed[3:]


def test_a_linked_folder_is_not_listed(open_store, root, tmp_path):
    """Entries behind a link are not listed, not even if their provider is asked for."""
    store = open_store()
    store.write(_AT, b"data")
    (root / "openai").rename(tmp_path / "moved")
    (root / "openai").symlink_to(tmp_path / "moved")
    assert list(store.scan()) == []
    assert list(store.scan("openai")) == []
    assert list(store.scan("openai", "gpt-4o")) == []


# -- entries in memory -------------------------------------------------------------------------------------------------------------


class _NoOpen:
    """The functions of ``os`` without ``open``."""

    def __getattr__(self, name):
        if name == "open":
            raise AssertionError("a file was opened")
        return getattr(os, name)


@pytest.fixture
def hot_store(open_store):
    """A store that has read an entry into memory."""
    store = open_store()
    store.write(_AT, b"data")
    assert store.read(_AT, note_use=True, remember=True) == b"data"
    return store


def test_a_remembered_entry_is_not_opened_again(hot_store, monkeypatch):
    """The second read returns the bytes without opening the file."""
    monkeypatch.setattr(atomic, "os", _NoOpen())
    assert hot_store.read(_AT, note_use=True, remember=True) == b"data"


def test_only_a_read_on_request_is_remembered(open_store, monkeypatch):
    """A read without ``remember`` keeps nothing in memory."""
    store = open_store()
    store.write(_AT, b"data")
    store.read(_AT, note_use=True)
    monkeypatch.setattr(atomic, "os", _NoOpen())
    with pytest.raises(AssertionError, match="opened"):
        store.read(_AT, note_use=True, remember=True)


def test_a_remembered_entry_that_another_store_replaces_is_read_again(hot_store, open_store):
    """A read returns the bytes that another store has written, even with the same size and time."""
    open_store().write(_AT, b"DATA")
    assert hot_store.read(_AT, note_use=True, remember=True) == b"DATA"


def test_a_remembered_entry_that_another_store_removes_is_absent(hot_store, open_store):
    """A read after the removal by another store is a miss."""
    open_store().remove(_AT)
    assert hot_store.read(_AT, note_use=True, remember=True) is MissReason.ABSENT


@pytest.mark.parametrize("data", [b"DATA", b"longer data"], ids=["another time", "another size"])
def test_a_remembered_entry_that_is_edited_is_read_again(hot_store, root, data):
    """A read returns the bytes of a file that was edited in place."""
    status = (root / _PLACE).stat()
    (root / _PLACE).write_bytes(data)
    if len(data) != status.st_size:
        os.utime(root / _PLACE, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert hot_store.read(_AT, note_use=True, remember=True) == data


def test_a_remembered_entry_is_forgotten_with_its_file(hot_store):
    """The store's own writes and removals are seen by its next read."""
    hot_store.write(_AT, b"DATA")
    assert hot_store.read(_AT, note_use=True, remember=True) == b"DATA"
    hot_store.remove(_AT)
    assert hot_store.read(_AT, note_use=True, remember=True) is MissReason.ABSENT


def test_the_use_of_a_remembered_entry_is_noted(hot_store, root, clock):
    """A read from memory sets the access time once a minute, like any other."""
    clock.now += 61
    hot_store.read(_AT, note_use=True, remember=True)
    assert (root / _PLACE).stat().st_atime == clock.now


def test_a_store_remembers_nothing_unless_required(tmp_path, clock, monkeypatch):
    """With ``hot_entries=False``, every read opens the file."""
    every = EntryFormat(lambda *_: Proof.ENTRY, lambda _: (0.0, float("inf")))
    store = FileStore(
        str(tmp_path), clock=clock, commit_entries=False, entry_format=every, on_removed=lambda *_: None
    )
    store.require(fsync=False, cap_bytes=None, cleanup_interval=60.0, hot_entries=False)
    store.write(_AT, b"data")
    store.read(_AT, note_use=True, remember=True)
    monkeypatch.setattr(atomic, "os", _NoOpen())
    with pytest.raises(AssertionError, match="opened"):
        store.read(_AT, note_use=True, remember=True)


def test_many_entries_in_memory_stay_right(open_store):
    """Reads are right when more was read than is kept in memory."""
    store = open_store()
    addresses = [Address("openai", "gpt-4o", f"{number:04x}") for number in range(100)]
    for number, at in enumerate(addresses):
        store.write(at, b"%d" % number * 30_000)
    for _ in range(2):
        assert all(
            store.read(at, note_use=False, remember=True) == b"%d" % number * 30_000
            for number, at in enumerate(addresses)
        )

"""Entries move from one cache to another in a single file."""

from __future__ import annotations

import subprocess
import sys
import tarfile

import pytest
from archive_world import EARLIER_FORMAT, NOW, Cache, unpacked
from cryptography.fernet import Fernet

from spark_cache.errors import StoreError

KEY, OTHER_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_caches_are_equal_after_an_import(cache, other, archive):
    """The other cache has every entry, byte for byte, and returns its response."""
    keys = [cache.fill(f"Question {number}", model=f"model-{number % 3}") for number in range(20)]

    exported = cache.export(archive)
    imported = other.take_in(archive)

    assert (exported.entries, imported.placed, imported.same, imported.kept) == (20, 20, 0, 0)
    assert other.files() == cache.files()
    assert all(other.manager.get(key) == cache.manager.get(key) for key in keys)


def test_equal_caches_give_equal_archives(cache, tmp_path):
    """The archive does not depend on the time of the export or on the order of the files on disk."""
    for number in range(20):
        cache.fill(f"Question {number}")
    first, second = tmp_path / "first", tmp_path / "folder" / "second"
    second.parent.mkdir()
    cache.export(first)
    copy = Cache(tmp_path / "copy")
    copy.take_in(first)

    copy.export(second)

    assert first.read_bytes() == second.read_bytes()


def test_any_tar_program_reads_an_archive(cache, archive, tmp_path):
    """The members are regular files of user 0, dated 1970, that unpack into a cache directory."""
    cache.fill("Question")
    cache.fill("Question", model="X" * 200)
    cache.fill("Question", model="m" * 80)
    cache.export(archive)

    members = unpacked(archive)

    assert {member.name: data for member, data in members[1:]} == cache.files()
    assert {(member.type, member.mode, member.mtime, member.uid, member.gname) for member, _ in members} == {
        (tarfile.REGTYPE, 0o600, 0, 0, "")
    }


@pytest.mark.parametrize("length", [20, 64, 80, 81, 128])
def test_names_of_any_length(cache, other, archive, length):
    """A name that does not fit into the fields of a header is exported and imported like any other."""
    digits = "0123456789abcdef" * 8
    cache.manager.set(digits[:length], "p" * 80, "m" * 80, {}, {"content": "Yes."})
    cache.export(archive)

    assert other.take_in(archive).placed == 1
    assert other.files() == cache.files()
    assert [member.name for member, _ in unpacked(archive)[1:]] == list(cache.files())


def test_an_archive_of_an_earlier_version(cache, other, archive):
    """An archive with the headers of earlier versions can be imported, and its entries exported again."""
    assert other.take_in(EARLIER_FORMAT).placed == 3
    assert {member.name: data for member, data in unpacked(EARLIER_FORMAT)[1:]} == other.files()

    other.export(archive)

    assert cache.take_in(archive).placed == 3
    assert cache.files() == other.files()


def test_an_empty_archive(cache, other, archive):
    """An empty cache can be exported and imported."""
    assert cache.export(archive).entries == 0
    assert other.take_in(archive).placed == 0
    assert not other.root.exists()


def test_only_wanted_entries_are_exported(cache, archive):
    """The choice is based on the metadata of the entry."""
    cache.fill("Old", age=100)
    cache.fill("New")

    assert cache.export(archive, lambda entry: entry.timestamp >= NOW - 50).entries == 1


def test_damaged_files_are_left_out_and_counted(cache, archive):
    """Entries that are damaged or under another model are not exported."""
    cache.fill("Whole")
    elsewhere = cache.root / "openai" / "o3"
    elsewhere.mkdir()
    for text, damage in (
        ("Cut", lambda path: path.write_bytes(path.read_bytes()[:-50])),
        ("Moved", lambda path: path.rename(elsewhere / path.name)),
    ):
        damage(cache.root / "openai" / "gpt-4o" / f"{cache.fill(text)}.json")

    exported = cache.export(archive)

    assert (exported.entries, dict(exported.unusable)) == (1, {"corrupt": 1, "wrong_key": 1})


def test_encrypted_entries_stay_encrypted(tmp_path, other, archive):
    """Encrypted entries can be moved without the encryption key, and read with it afterwards."""
    encrypted = Cache(tmp_path / "encrypted", keys=(KEY,), encryption="all")
    key = encrypted.fill("The password is swordfish.")
    other.root = tmp_path / "there"
    without_key = Cache(tmp_path / "encrypted")

    without_key.export(archive)
    Cache(other.root).take_in(archive)

    assert b"swordfish" not in b"".join(data for _, data in unpacked(archive))
    assert Cache(other.root).files() == encrypted.files()
    assert (
        Cache(other.root, keys=(KEY,)).manager.get(key)["content"] == "Answer to The password is swordfish."
    )


def test_a_tampered_entry_under_a_known_key_is_refused(tmp_path, archive):
    """With the encryption key, tampering is found before anything is written."""
    encrypted = Cache(tmp_path / "encrypted", keys=(KEY,), encryption="all")
    encrypted.fill("Hello")
    (path,) = encrypted.root.glob("openai/*/*.json")
    path.write_text(path.read_text().replace('"ttl": 86400', '"ttl": 96400'))
    Cache(encrypted.root).export(archive)

    with pytest.raises(
        StoreError, match="is not a valid entry for this path: wrong_key; nothing was imported"
    ):
        Cache(tmp_path / "there", keys=(KEY,)).take_in(archive)


def test_plain_entries_do_not_enter_where_encryption_is_required(cache, other, archive):
    """Entries that must be encrypted are not imported as plain text."""
    cache.fill("Hello")
    cache.export(archive)

    with pytest.raises(
        StoreError, match="it contains plain entries of openai/gpt-4o, which must be encrypted in this cache"
    ):
        other.inspect(archive, plain=False)


# -- entries that the cache already has -----------------------------------------------------------


def test_an_entry_that_is_already_there(cache, other, archive):
    """An identical entry is counted but not written again."""
    cache.fill("Hello")
    cache.export(archive)
    other.take_in(archive)
    before = [path.stat().st_mtime_ns for path in other.root.glob("openai/*/*")]

    imported = other.take_in(archive)

    assert (imported.placed, imported.same) == (0, 1)
    assert [path.stat().st_mtime_ns for path in other.root.glob("openai/*/*")] == before


@pytest.mark.parametrize(("age", "kept"), [(0.0, 1), (50.0, 1), (100.0, 0)])
def test_a_newer_entry_is_never_overwritten(cache, other, archive, age, kept):
    """An entry that is newer, or as new, is kept. An older one is replaced."""
    key = cache.fill("Hello", "imported", age=50.0)
    cache.export(archive)
    other.fill("Hello", "there", age=age)

    imported = other.take_in(archive)

    assert (imported.placed, imported.kept) == (1 - kept, kept)
    assert other.manager.get(key)["content"] == ("there" if kept else "imported")


@pytest.mark.parametrize(("age", "answer"), [(0.0, "there"), (100.0, "imported")])
@pytest.mark.parametrize("encrypted_first", [True, False])
def test_a_newer_entry_under_another_name_is_not_overwritten_either(
    tmp_path, archive, age, answer, encrypted_first
):
    """The encrypted and the plain entry of one key count as one if the encryption key is configured."""
    source = Cache(tmp_path / "source", keys=(KEY,))
    key = source.fill("Hello", "imported", age=50.0, sensitive=encrypted_first)
    source.export(archive)
    target = Cache(tmp_path / "target", keys=(OTHER_KEY, KEY))
    target.fill("Hello", "there", age=age, sensitive=not encrypted_first)

    target.take_in(archive)

    assert target.manager.get(key)["content"] == answer
    assert len(target.files()) == 1


@pytest.mark.parametrize("length", [0, 50, 300])
def test_a_damaged_entry_is_replaced(cache, other, archive, length):
    """An entry that was cut off does not prevent the import."""
    key = cache.fill("Hello")
    cache.export(archive)
    other.fill("Hello")
    (path,) = other.root.glob("openai/*/*.json")
    path.write_bytes(path.read_bytes()[:length])

    assert other.take_in(archive).placed == 1
    assert other.manager.get(key) is not None


def test_a_foreign_file_is_not_replaced(cache, other, archive):
    """A file that was never an entry is left alone, and the import says so."""
    cache.fill("Hello")
    cache.export(archive)
    other.fill("Hello")
    (path,) = other.root.glob("openai/*/*.json")
    path.write_text("notes")

    with pytest.raises(StoreError, match="not an entry of this cache"):
        other.take_in(archive)
    assert path.read_text() == "notes"


def test_an_entry_of_a_later_release_is_kept(cache, other, archive):
    """An entry that only a later release can read is not replaced."""
    cache.fill("Hello")
    cache.export(archive)
    other.fill("Hello", age=100.0)
    (path,) = other.root.glob("openai/*/*.json")
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 9'))

    assert other.take_in(archive).kept == 1
    assert '"schema": 9' in path.read_text()


# -- the file itself ------------------------------------------------------------------------------


def test_only_the_owner_can_read_an_archive(cache, archive):
    """The mode of the file is 0600."""
    cache.fill("Hello")
    cache.export(archive)

    assert archive.stat().st_mode & 0o777 == 0o600


def test_an_export_that_fails_leaves_the_old_archive(cache, archive, monkeypatch):
    """The file is replaced only after the new one is complete, and no temporary file remains."""
    cache.fill("Hello")
    archive.write_text("precious")
    monkeypatch.setattr("spark_cache.archive.pack.check_entry", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        cache.export(archive)

    assert archive.read_text() == "precious"
    assert [path.name for path in archive.parent.iterdir() if "tar" in path.name] == [archive.name]


def test_a_missing_target_folder(cache, tmp_path):
    """The error contains the message of the operating system."""
    cache.fill("Hello")

    with pytest.raises(StoreError, match="cannot export: No such file or directory"):
        cache.export(tmp_path / "missing" / "file")


_MOVE = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from archive_world import Cache

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

root = Path(sys.argv[2])
small, source, target = (Cache(root / name) for name in ("small", "source", "target"))
small.fill("Warm up")
small.export(root / "small.tar.gz")
target.take_in(root / "small.tar.gz")
before = peak()
exported = source.export(root / "archive")
grown_by_export = peak() - before
imported = target.take_in(root / "archive")
print(exported.entries, imported.placed, grown_by_export, peak() - before)
"""


@pytest.mark.timeout(300)
def test_twenty_thousand_entries_move_in_constant_memory(tmp_path):
    """20,000 entries are exported and imported, and memory use does not grow with their content."""
    source, target = Cache(tmp_path / "source"), Cache(tmp_path / "target")
    folder = source.root / "openai" / "gpt-4o"
    template_key = source.fill("Template", "x" * 4000)
    template = (folder / f"{template_key}.json").read_text()
    for number in range(20_000 - 1):
        name = f"{number:064x}"
        (folder / f"{name}.json").write_text(template.replace(template_key, name))
    here = str(__file__).rpartition("/")[0]

    done = subprocess.run(
        [sys.executable, "-c", _MOVE, here, tmp_path], check=True, capture_output=True, text=True
    )

    exported, placed, grown_by_export, grown = map(int, done.stdout.split())
    moved = target.files()
    assert (exported, placed) == (20_000, 20_000)
    assert source.files().items() <= moved.items()
    assert len(moved) == 20_001
    # The names of one folder are in memory while they are sorted. The content of the files is 100 MB.
    assert grown_by_export < 24 * 2**20
    assert grown < 32 * 2**20

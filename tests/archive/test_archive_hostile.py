"""Archives that are damaged, or made to do harm: refused whole, before anything is written."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tracemalloc

import pytest
from archive_world import NOW, Cache, packed, unpacked

from spark_cache.archive.tar_format import END, GREETING
from spark_cache.archive.tar_format import packed as member_bytes
from spark_cache.errors import StoreError


@pytest.fixture
def members(cache, archive):
    """The members of an archive of three entries: the greeting, and the entries in their order."""
    for text in ("One", "Two", "Three"):
        cache.fill(text)
    cache.export(archive)
    return unpacked(archive)


@pytest.fixture
def refused(other, archive):
    """Offers an archive to an empty cache; says why it was refused, with nothing written."""

    def offer(data):
        archive.write_bytes(data)
        with pytest.raises(StoreError) as caught:
            other.take_in(archive)
        assert not other.root.exists()
        message = str(caught.value)
        assert message.startswith("cannot import: ")
        assert message.endswith("; nothing was imported")
        return message.removeprefix("cannot import: ").removesuffix("; nothing was imported")

    return offer


def renamed(member, path):
    made = tarfile.TarInfo(path)
    made.mode, made.mtime, made.type = member.mode, member.mtime, member.type
    return made


def written(*pairs):
    """An archive of these paths and contents, as an export writes members."""
    return gzip.compress(b"".join(member_bytes(*pair) for pair in (GREETING, *pairs)) + END, mtime=0)


def entry(members, number=1, **changes):
    """The content of an entry of the archive, with changes."""
    document = json.loads(members[number][1]) | changes
    return json.dumps(document).encode()


def test_what_the_tests_write_is_an_archive(members, other, archive):
    """The two ways in which these tests make archives make proper ones."""
    archive.write_bytes(written(*((member.name, data) for member, data in members[1:])))

    assert other.take_in(archive).placed == 3


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/cron.d/evil",
        "/etc/passwd",
        "openai/../../evil.json",
        "openai/gpt-4o/../../../x.json",
        "..//..//00.json",
        "openai/gpt-4o/evil.sh",
        "openai/00.json",
        ".gitignore",
        ".spark-cache/ledger.sqlite3",
        "openai/gpt-4o/deep/00.json",
        "OpenAI/gpt-4o/00.json",
        "C:/windows/00.json",
        "",
    ],
)
def test_a_path_that_no_entry_has(members, refused, path):
    """A way out of the directory, an absolute path, another name or depth: none is taken."""
    assert "a member has a name that no entry can have" in refused(written((path, members[1][1])))


@pytest.mark.parametrize("path", ["../../{}", "~/~/{}", "./gpt-4o/{}", "openai/../{}", "anthropic/gpt-4o/{}"])
def test_a_path_that_looks_like_one(members, refused, path):
    """A path of three steps is taken only where it is the place of the very entry."""
    name = members[1][0].name.rpartition("/")[2]

    reason = refused(written((path.format(name), members[1][1])))

    assert (
        "no entry that could answer from there: wrong_key" in reason
        or "a name that no entry can have" in reason
    )


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.GNUTYPE_LONGNAME,
    ],
)
def test_a_member_that_is_no_plain_file(members, refused, kind):
    """Links, folders, pipes, devices and the extensions of other programs are not taken."""
    made = renamed(*members[1][:1], members[1][0].name)
    made.type, made.linkname = kind, "/etc/passwd"

    assert "a member is not as an export writes it" in refused(packed([members[0], (made, b"")]))


@pytest.mark.parametrize(
    ("field", "value"), [("mode", 0o4755), ("uid", 1000), ("mtime", 1), ("uname", "root"), ("gid", 5)]
)
def test_a_member_with_another_header(members, refused, field, value):
    """Modes, owners and times are not a matter of the archive."""
    setattr(members[1][0], field, value)

    assert "a member is not as an export writes it" in refused(packed(members))


def test_a_path_in_an_extended_header(members, refused):
    """A second name for a member, such as other programs write, is not taken."""
    members[1][0].pax_headers = {"path": "../../evil.json"}

    assert "a member" in refused(packed(members, tarfile.PAX_FORMAT))


def test_an_extended_header_that_is_a_bomb(members, refused):
    """A header of a gigabyte is refused by its length."""
    head = bytearray(member_bytes("x" * 100, b"")[:512])
    head[124:136], head[156:157] = b"%011o\0" % 2**30, b"x"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)

    assert "larger than any entry" in refused(
        gzip.compress(member_bytes(*GREETING) + bytes(head) + bytes(4096))
    )


def test_a_member_that_is_a_bomb(refused):
    """A member that is larger than any entry is refused by its header: its content is not unpacked."""
    raw = io.BytesIO()
    head = member_bytes("openai/gpt-4o/00.json", b"")[:512]
    head = head[:124] + b"%011o\0" % (2**33 - 1) + head[136:]
    with gzip.GzipFile(fileobj=raw, mode="wb") as packer:
        packer.write(member_bytes(*GREETING) + head)
        for _ in range(200):
            packer.write(bytes(2**20))
    tracemalloc.start()

    assert "larger than any entry" in refused(raw.getvalue())
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


def test_a_tail_that_is_a_bomb(members, refused):
    """What follows the end is refused, however much it is."""
    raw = gzip.decompress(written()) + bytes(200 * 2**20)

    assert "something follows the end of the archive" in refused(gzip.compress(raw, 1))


def test_entries_that_are_a_bomb(cache, archive, other):
    """Entries that unpack to more than there is room for are refused as soon as that is known."""
    for number in range(40):
        cache.fill(f"Question {number}", "x" * 100_000)
    cache.export(archive)

    with pytest.raises(StoreError, match="unpacks to more than there is room for, 1 MB"):
        other.inspect(archive, room=2**20)
    assert archive.stat().st_size < 2**17
    assert not other.root.exists()


def test_a_file_that_is_no_archive(refused):
    """Other files are told apart, compressed or not."""
    assert refused(b"hello") == "the archive is damaged (BadGzipFile)"
    assert refused(b"") == "the archive is cut off"
    assert "no archive of a cache" in refused(gzip.compress(member_bytes("readme.txt", b"hello") + END))
    assert "no archive of a cache" in refused(gzip.compress(END))


def test_an_archive_of_a_later_release(refused):
    """A form that this release does not know is left alone."""
    later = member_bytes(GREETING[0], b'{"archive": 2}\n') + END

    assert refused(gzip.compress(later)) == "this is no archive of a cache, or one of a later release"


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.999])
def test_an_archive_that_is_cut_off(members, archive, refused, share):
    """Wherever it ends, nothing of it is taken."""
    data = archive.read_bytes()

    assert refused(data[: int(len(data) * share)]) == "the archive is cut off"


def test_an_archive_without_its_end(members, refused):
    """Whole members without the end of the archive are not the whole archive."""
    raw = b"".join(member_bytes(*pair) for pair in [GREETING, (members[1][0].name, members[1][1])])

    assert refused(gzip.compress(raw)) == "the archive is cut off"


def test_every_flipped_bit_is_found(members, archive, other):
    """A bit that turned over anywhere keeps the archive out, or does not matter to any entry."""
    data = bytearray(archive.read_bytes())
    whole = {member.name: content for member, content in members[1:]}
    for place in range(0, len(data), 11):
        data[place] ^= 4
        archive.write_bytes(data)
        try:
            other.take_in(archive)
        except StoreError:
            assert not other.root.exists()
        else:
            assert other.files() == whole
            other.manager.clear_all()
            for path in sorted(other.root.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            other.root.rmdir()
        data[place] ^= 4


def test_members_out_of_order(members, refused):
    """Entries in another order, or twice, are no export."""
    one, two = ((member.name, data) for member, data in members[1:3])

    assert "members are repeated or out of order" in refused(written(two, one))
    assert "members are repeated or out of order" in refused(written(one, one))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda _members: b"", "corrupt"),
        (lambda _members: b"[" * 100_000, "corrupt"),
        (lambda members: members[1][1][:-20], "corrupt"),
        (lambda members: members[2][1], "wrong_key"),
        (lambda members: entry(members, schema=2), "other_version"),
        (lambda members: entry(members, key="0" * 64), "wrong_key"),
        (lambda members: entry(members, model_id="another"), "wrong_key"),
        (lambda members: entry(members, digests=None), "corrupt"),
        (lambda members: entry(members, timestamp=NOW + 86400), "future"),
        (lambda members: entry(members, timestamp=-1), "corrupt"),
        (lambda members: entry(members, token=5), "corrupt"),
        (lambda members: entry(members, token="x", key_id=None), "corrupt"),
    ],
)
def test_a_member_that_is_no_entry_of_its_place(members, refused, content, reason):
    """Content that is damaged, swapped, future-dated or of another release keeps the whole archive out."""
    pairs = [(member.name, data) for member, data in members[1:]]
    pairs[0] = (pairs[0][0], content(members))

    assert refused(written(*pairs)).endswith(f"no entry that could answer from there: {reason}")


def test_a_damaged_last_member_keeps_the_first_out(members, refused):
    """An archive is read whole before the first entry is put in place."""
    pairs = [(member.name, data) for member, data in members[1:]]
    pairs[-1] = (pairs[-1][0], b"{}")

    assert "no entry that could answer from there" in refused(written(*pairs))


@pytest.mark.parametrize("kind", ["fifo", "folder", "missing"])
def test_a_source_that_is_no_file(tmp_path, other, kind):
    """A pipe is not waited for; a folder and a missing file are named as such."""
    source = tmp_path / "source"
    {"fifo": lambda: os.mkfifo(source), "folder": source.mkdir, "missing": lambda: None}[kind]()

    with pytest.raises(StoreError, match=r"no regular file|No such file"):
        other.take_in(source)


def test_an_archive_that_changes_between_both_readings(members, other, archive):
    """What was checked and is another file now is checked again, entry by entry."""
    other.inspect(archive)
    archive.write_bytes(written(("openai/gpt-4o/00.json", b"{}")))

    with pytest.raises(StoreError, match="no entry that could answer from there"):
        other.take_in(archive)
    assert other.files() == {}


def test_a_link_in_place_of_a_folder_is_not_followed(members, archive, tmp_path):
    """Entries are not written to where a link in the cache directory leads."""
    target, elsewhere = Cache(tmp_path / "target"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    target.root.mkdir()
    (target.root / "openai").symlink_to(elsewhere)

    with pytest.raises(StoreError, match="a folder of entries is a symbolic link"):
        target.take_in(archive)
    assert list(elsewhere.iterdir()) == []

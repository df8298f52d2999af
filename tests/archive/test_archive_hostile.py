"""Damaged and hostile archives are refused before anything is written."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tracemalloc

import pytest
from archive_world import EARLIER_FORMAT, NOW, Cache, packed, unpacked

from spark_cache.archive.tar_format import END, MANIFEST, encode_member, read_members
from spark_cache.errors import StoreError


@pytest.fixture
def members(cache, archive):
    """The members of an archive with three entries: the manifest and the entries in order."""
    for text in ("One", "Two", "Three"):
        cache.fill(text)
    cache.export(archive)
    return unpacked(archive)


@pytest.fixture
def refused(other, archive):
    """Import an archive into an empty cache, and return why it was refused without writing anything."""

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


def with_checksum(head):
    """Return a changed header with a valid checksum."""
    head = bytearray(head)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def written(*pairs):
    """Return an archive of these paths and contents, with members in the form that an export writes."""
    return gzip.compress(b"".join(encode_member(*pair) for pair in (MANIFEST, *pairs)) + END, mtime=0)


def entry(members, number=1, **changes):
    """Return the content of an entry of the archive with changed fields."""
    document = json.loads(members[number][1]) | changes
    return json.dumps(document).encode()


def test_the_helper_writes_valid_archives(members, other, archive):
    """An archive from the helper is refused only because of what a test changes in it."""
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
        ".spark-cache/savings.sqlite3",
        "openai/gpt-4o/deep/00.json",
        "OpenAI/gpt-4o/00.json",
        "C:/windows/00.json",
        "",
    ],
)
def test_a_path_that_is_not_an_entry_path(members, refused, path):
    """Paths that leave the directory, absolute paths, and other names and depths are refused."""
    assert "the path of a member is not a valid entry path" in refused(written((path, members[1][1])))


@pytest.mark.parametrize("path", ["../../{}", "~/~/{}", "./gpt-4o/{}", "openai/../{}", "anthropic/gpt-4o/{}"])
def test_a_path_that_looks_like_an_entry_path(members, refused, path):
    """A path of three parts is accepted only if it is the path of that entry."""
    name = members[1][0].name.rpartition("/")[2]

    reason = refused(written((path.format(name), members[1][1])))

    assert (
        "is not a valid entry for this path: wrong_key" in reason
        or "the path of a member is not a valid entry path" in reason
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
def test_a_member_that_is_not_a_regular_file(members, refused, kind):
    """Links, folders, pipes, devices and the extensions of other programs are refused."""
    made = renamed(members[1][0], members[1][0].name)
    made.type, made.linkname = kind, "/etc/passwd"

    assert "a member is not in the form that an export writes" in refused(packed([members[0], (made, b"")]))


@pytest.mark.parametrize(
    ("field", "value"), [("mode", 0o4755), ("uid", 1000), ("mtime", 1), ("uname", "root"), ("gid", 5)]
)
def test_a_member_with_another_mode_owner_or_time(members, refused, field, value):
    """An archive cannot set modes, owners or times."""
    setattr(members[1][0], field, value)

    assert "a member is not in the form that an export writes" in refused(packed(members))


def test_a_path_in_an_extended_header(members, refused):
    """A second name for a member, which other programs may write, is refused."""
    members[1][0].pax_headers = {"path": "../../evil.json"}

    assert "a member is not in the form that an export writes" in refused(packed(members, tarfile.PAX_FORMAT))


@pytest.mark.parametrize(
    "records",
    [
        {"size": "5"},
        {"mtime": "1.5"},
        {"linkpath": "/etc/passwd"},
        {"hdrcharset": "BINARY"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"},
        {"SCHILY.xattr.user.x": "y"},
    ],
)
@pytest.mark.parametrize("path", ["openai/gpt-4o/00.json", f"{'p' * 80}/{'m' * 80}/{'0' * 64}.json"])
def test_other_records_in_an_extended_header(members, refused, records, path):
    """An extended header that overrides anything but a long path is refused."""
    made = renamed(members[1][0], path)
    made.pax_headers = records

    reason = refused(packed([members[0], (made, members[1][1])], tarfile.PAX_FORMAT))

    assert "a member is not in the form that an export writes" in reason


def test_a_global_extended_header(members, refused):
    """A header that applies to all members is refused."""
    header = tarfile.TarInfo.create_pax_global_header({"path": "../../evil.json"})
    raw = header + encode_member(*MANIFEST) + encode_member(members[1][0].name, members[1][1]) + END

    assert "a member is not in the form that an export writes" in refused(gzip.compress(raw))


def test_a_chain_of_extended_headers(refused):
    """A chain of extended headers is refused at its second header, however long it is."""
    block = encode_member(f"{'p' * 80}/{'m' * 80}/{'0' * 64}.json", b"")[:1024]

    reason = refused(gzip.compress(encode_member(*MANIFEST) + block * 5000))

    assert "a member is not in the form that an export writes" in reason


def test_a_negative_size(refused):
    """A size in the binary form of other programs, here a negative one, is refused."""
    head = bytearray(encode_member("openai/gpt-4o/00.json", b"")[:512])
    head[124:136] = b"\xff" * 12
    raw = encode_member(*MANIFEST) + with_checksum(head) + bytes(4096)

    assert "a member is not in the form that an export writes" in refused(gzip.compress(raw))


@pytest.mark.parametrize("earlier", [False, True])
def test_every_byte_of_a_header_counts(members, refused, earlier):
    """A header that differs in any byte from those that an export writes is refused, even with a valid checksum."""
    if earlier:
        raw = gzip.decompress(EARLIER_FORMAT.read_bytes())
        starts = [
            offset for offset in range(0, len(raw), 512) if raw[offset + 257 : offset + 262] == b"ustar"
        ]
        assert len(starts) == 5
    else:
        long_path = f"{'p' * 80}/{'m' * 80}/{'0' * 64}.json"
        raw = b"".join(encode_member(*pair) for pair in (MANIFEST, (long_path, b"{}"))) + END
        starts = [0, 1024, 1536, 2048]
        assert len(raw) == 8 * 512
    original = list(read_members(io.BytesIO(raw)))
    for start in starts:
        for place in range(start, start + 512):
            changed = bytearray(raw)
            changed[place] ^= 1
            if raw[start + 257 : start + 262] == b"ustar" and not 148 <= place - start < 156:
                changed[start : start + 512] = with_checksum(changed[start : start + 512])
            try:
                found = list(read_members(io.BytesIO(changed)))
            except StoreError:
                continue
            # Another valid name or size, which the content does not belong to.
            assert found != original


def test_an_incomplete_end_marker(members, refused):
    """The archive must end with two blocks of zeros."""
    raw = gzip.decompress(written())[:-512] + b"x" * 512

    assert "the end marker of the archive is incomplete" in refused(gzip.compress(raw))


@pytest.mark.parametrize("content", [b"", b"x", b"\0"])
def test_padding_that_is_not_zero(members, refused, content):
    """The rest of the last block of a member must be zeros."""
    raw = bytearray(encode_member(members[1][0].name, content + b"{}"))
    raw[-1] = 1

    reason = refused(gzip.compress(encode_member(*MANIFEST) + bytes(raw) + END))

    assert "a member is not in the form that an export writes" in reason


def test_an_extended_header_that_is_a_bomb(members, refused):
    """An extended header of a gigabyte is refused by its size."""
    head = bytearray(encode_member("x" * 100, b"")[:512])
    head[124:136], head[156:157] = b"%011o\0" % 2**30, b"x"

    assert "larger than any entry" in refused(
        gzip.compress(encode_member(*MANIFEST) + with_checksum(head) + bytes(4096))
    )


def test_a_member_that_is_a_bomb(refused):
    """A member that is larger than any entry is refused by its header, and its content is not decompressed."""
    raw = io.BytesIO()
    head = bytearray(encode_member("openai/gpt-4o/00.json", b"")[:512])
    head[124:136] = b"%011o\0" % (2**33 - 1)
    with gzip.GzipFile(fileobj=raw, mode="wb") as packer:
        packer.write(encode_member(*MANIFEST) + with_checksum(head))
        for _ in range(200):
            packer.write(bytes(2**20))
    tracemalloc.start()

    assert "larger than any entry" in refused(raw.getvalue())
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


def test_a_tail_that_is_a_bomb(members, refused):
    """Data after the end is refused, whatever its size."""
    raw = gzip.decompress(written()) + bytes(200 * 2**20)

    assert "there is data after the end of the archive" in refused(gzip.compress(raw, 1))


def test_entries_that_are_a_bomb(cache, archive, other):
    """Entries that exceed the available space are refused as soon as this is known."""
    for number in range(40):
        cache.fill(f"Question {number}", "x" * 100_000)
    cache.export(archive)

    with pytest.raises(StoreError, match="its entries exceed the available space of 1 MB"):
        other.inspect(archive, room=2**20)
    assert archive.stat().st_size < 2**17
    assert not other.root.exists()


def test_a_file_that_is_not_an_archive(refused):
    """Other files are recognized, whether they are compressed or not."""
    assert refused(b"hello") == "the archive is damaged (BadGzipFile)"
    assert refused(b"") == "the archive is truncated"
    assert "not a cache archive" in refused(gzip.compress(encode_member("readme.txt", b"hello") + END))
    assert "not a cache archive" in refused(gzip.compress(END))
    assert refused(gzip.compress(b"x" * 5000)) == "a member has an invalid header"


def test_an_archive_of_a_later_release(refused):
    """An archive in a format that this release does not know is refused."""
    later = encode_member(MANIFEST[0], b'{"archive": 2}\n') + END

    assert refused(gzip.compress(later)) == "the file is not a cache archive, or a later release wrote it"


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_archive(members, archive, refused, share):
    """Nothing is imported, wherever the archive ends."""
    data = archive.read_bytes()

    assert refused(data[: int(len(data) * share)]) == "the archive is truncated"


def test_an_archive_without_its_end_marker(members, refused):
    """Complete members without the end marker are a truncated archive."""
    raw = b"".join(encode_member(*pair) for pair in [MANIFEST, (members[1][0].name, members[1][1])])

    assert refused(gzip.compress(raw)) == "the archive is truncated"


def test_every_flipped_bit_is_found(members, archive, other):
    """An archive with a flipped bit is refused, unless the bit affects no entry."""
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
    """An archive with entries in another order, or with a repeated entry, is refused."""
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
        (lambda members: entry(members, schema=9), "other_version"),
        (lambda members: entry(members, key="0" * 64), "wrong_key"),
        (lambda members: entry(members, model_id="another"), "wrong_key"),
        (lambda members: entry(members, digests=None), "corrupt"),
        (lambda members: entry(members, timestamp=NOW + 86400), "future"),
        (lambda members: entry(members, timestamp=-1), "corrupt"),
        (lambda members: entry(members, token=5), "corrupt"),
        (lambda members: entry(members, token="x", key_id=None), "corrupt"),
    ],
)
def test_a_member_that_is_not_a_valid_entry(members, refused, content, reason):
    """Content that is damaged, swapped, dated in the future or of another release makes the whole archive invalid."""
    pairs = [(member.name, data) for member, data in members[1:]]
    pairs[0] = (pairs[0][0], content(members))

    assert refused(written(*pairs)).endswith(f"is not a valid entry for this path: {reason}")


def test_a_damaged_last_member(members, refused):
    """The whole archive is checked before the first entry is imported."""
    pairs = [(member.name, data) for member, data in members[1:]]
    pairs[-1] = (pairs[-1][0], b"{}")

    assert "is not a valid entry for this path" in refused(written(*pairs))


@pytest.mark.parametrize("kind", ["fifo", "folder", "missing"])
def test_a_source_that_is_not_a_file(tmp_path, other, kind):
    """A pipe does not block the import. The error says what is wrong with a folder or a missing file."""
    source = tmp_path / "source"
    {"fifo": lambda: os.mkfifo(source), "folder": source.mkdir, "missing": lambda: None}[kind]()

    with pytest.raises(StoreError, match=r"it is not a regular file|No such file"):
        other.take_in(source)


def test_an_archive_that_changes_after_the_inspection(members, other, archive):
    """Every entry is checked again while it is imported."""
    other.inspect(archive)
    archive.write_bytes(written(("openai/gpt-4o/00.json", b"{}")))

    with pytest.raises(StoreError, match="is not a valid entry for this path"):
        other.take_in(archive)
    assert other.files() == {}


def test_a_linked_folder_is_not_followed(members, archive, tmp_path):
    """Entries are not written through a symbolic link in the cache directory."""
    target, elsewhere = Cache(tmp_path / "target"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    target.root.mkdir()
    (target.root / "openai").symlink_to(elsewhere)

    with pytest.raises(StoreError, match="a folder of entries is a symbolic link"):
        target.take_in(archive)
    assert list(elsewhere.iterdir()) == []


def test_an_edited_entry_is_not_imported(refused, members):
    """An entry whose response was changed after it was stored is refused like any damaged one."""
    _, (member, data), *_ = members
    edited = data.replace(b"Answer to", b"Reply for")
    assert edited != data
    assert refused(packed([members[0], (member, edited)])).endswith(
        "is not a valid entry for this path: corrupt"
    )


def test_an_edited_entry_is_not_exported(cache, archive):
    """An export leaves an edited entry out and counts it."""
    cache.fill("One")
    cache.fill("Two")
    (path, data), _ = cache.files().items()
    (cache.root / path).write_bytes(data.replace(b"Answer to", b"Reply for"))
    done = cache.export(archive)
    assert (done.entries, dict(done.unusable)) == (1, {"corrupt": 1})

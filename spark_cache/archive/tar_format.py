"""Read and write the tar members of an archive.

An archive is a gzipped pax archive, so any tar program can list and unpack it. Equal entries always give equal bytes.

:class:`tarfile.TarInfo` encodes and parses every header, but :class:`tarfile.TarFile` does not read the archive.
``TarFile`` treats a damaged header as the end of the archive, reads extended headers of any length into memory, follows
chains of them, lets them override the size, the name and the type of a member, ignores the padding, and remembers every
member. None of this is safe if the archive may be hostile. :func:`read_members` therefore reads block by block, and
accepts a header only if it equals, byte for byte, the header that is written here for the same path and size. This
rules out links, devices, sparse files, owners, modes, second names and overridden sizes.
"""

from __future__ import annotations

import re
import zlib
from tarfile import BLOCKSIZE, LENGTH_NAME, LENGTH_PREFIX, PAX_FORMAT, XHDTYPE, HeaderError, TarInfo
from typing import TYPE_CHECKING, BinaryIO

from spark_cache.errors import StoreError
from spark_cache.stores.atomic import MAX_BYTES
from spark_cache.stores.base import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["END", "MANIFEST", "encode_member", "import_error", "member_path", "read_members"]

_MAX_PATH = 1024

_ENTRY_PATH = re.compile(r"([a-z0-9._~-]{1,80})/([a-z0-9._~-]{1,80})/([0-9a-f]{1,128})\.json", re.ASCII)

MANIFEST = "spark-cache-archive.json", b'{"archive": 1}\n'
"""The path and the content of the first member, which identifies the file and the version of its format."""

END = bytes(2 * BLOCKSIZE)
"""The bytes that follow the last member."""


def import_error(cause: str) -> StoreError:
    """Return the error for an archive that cannot be imported.

    Args:
        cause: What is wrong with it.
    """
    return StoreError("import", f"{cause}; nothing was imported")


def member_path(at: Address) -> str:
    """Return the path of an entry in an archive, which is also its path in a cache directory.

    Args:
        at: The address of the entry.
    """
    return f"{at.provider_folder}/{at.model_folder}/{at.name}.json"


def encode_member(path: str, data: bytes) -> bytes:
    """Return a member: its header, its content, and the padding of its last block.

    Args:
        path: The path of the member.
        data: Its content.
    """
    return _header(path, len(data)) + data + bytes(-len(data) % BLOCKSIZE)


def read_members(stream: BinaryIO) -> Iterator[tuple[Address, bytes]]:
    """Yield the entries of an archive one at a time, in strictly ascending order.

    Args:
        stream: The decompressed archive.

    Raises:
        StoreError: The archive is damaged, or not in the form that :func:`encode_member` writes.
    """
    try:
        if _read_member(stream) != MANIFEST:
            raise import_error("the file is not a cache archive, or a later release wrote it")
        last: Address | None = None
        while (member := _read_member(stream)) is not None:
            path, data = member
            match = _ENTRY_PATH.fullmatch(path)
            if match is None:
                raise import_error(f"the path of a member is not a valid entry path: {path[:100]!r}")
            at = Address(*match.groups())
            if last is not None and at <= last:
                raise import_error(f"members are repeated or out of order at {path!r}")
            last = at
            yield at, data
        # Reading past the end also makes the decompressor verify its checksum.
        if stream.read(1):
            raise import_error("there is data after the end of the archive")
    except EOFError:
        raise import_error("the archive is truncated") from None
    except (OSError, zlib.error) as error:
        raise import_error(f"the archive is damaged ({type(error).__name__})") from None


def _read_member(stream: BinaryIO) -> tuple[str, bytes] | None:
    """Return the path and the content of the next member, or None at the end of the archive."""
    header = _read_exactly(stream, BLOCKSIZE)
    if not any(header):
        if any(_read_exactly(stream, BLOCKSIZE)):
            raise import_error("the end marker of the archive is incomplete")
        return None
    info = _parse_header(header)
    path = info.name
    if info.type == XHDTYPE:
        record = _read_exactly(stream, info.size + -info.size % BLOCKSIZE)
        path = record[: info.size].partition(b" path=")[2].removesuffix(b"\n").decode("ascii", "replace")
        last = _read_exactly(stream, BLOCKSIZE)
        info = _parse_header(last)
        header += record + last
    if not path.isascii() or (
        header != _header(path, info.size) and header != _earlier_header(path, info.size)
    ):
        raise _malformed(path)
    data = _read_exactly(stream, info.size)
    if any(_read_exactly(stream, -info.size % BLOCKSIZE)):
        raise _malformed(path)
    return path, data


def _parse_header(block: bytes) -> TarInfo:
    """Parse one block, and check its size before anything of that size is read."""
    try:
        info = TarInfo.frombuf(block, "ascii", "replace")
    except HeaderError:
        raise import_error("a member has an invalid header") from None
    if info.size < 0:
        raise _malformed(info.name)
    if info.size > (_MAX_PATH if info.type == XHDTYPE else MAX_BYTES):
        raise import_error(f"a member is larger than any entry: {info.size:,} bytes")
    return info


def _malformed(path: str) -> StoreError:
    return import_error(f"a member is not in the form that an export writes: {path[:100]!r}")


def _header(path: str, size: int) -> bytes:
    """Return the header of a regular file with mode 0600, user and group 0, and a date of 1970."""
    info = TarInfo(path)
    info.size, info.mode = size, 0o600
    return info.tobuf(PAX_FORMAT, "ascii", "strict")


def _earlier_header(path: str, size: int) -> bytes:
    """Return the header that earlier versions wrote, whose archives can still be imported.

    They filled the device fields with zeros, split a long path at its last slash where the fields of the header had
    room for it, and gave the extended header another name and mode.
    """
    header = _header(path, size)
    folder, _, name = path.rpartition("/")
    if len(path) <= LENGTH_NAME:
        return _with_earlier_fields(header)
    if len(name) <= LENGTH_NAME and len(folder) <= LENGTH_PREFIX:
        return _with_earlier_fields(_header(name, size), folder)
    record, last = header[BLOCKSIZE:-BLOCKSIZE], header[-BLOCKSIZE:]
    extended = TarInfo("PaxHeader")
    extended.type, extended.size, extended.mode = XHDTYPE, len(record.rstrip(b"\0")), 0o600
    first = extended.tobuf(PAX_FORMAT, "ascii", "strict")
    return _with_earlier_fields(first) + record + _with_earlier_fields(last)


def _with_earlier_fields(header: bytes, prefix: str = "") -> bytes:
    """Return a header with zeros in its device fields, the prefix of a path, and the matching checksum."""
    block = bytearray(header)
    block[329:345] = b"0000000\0" * 2
    block[345 : 345 + len(prefix)] = prefix.encode("ascii")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    pieces = []
    while size:
        piece = stream.read(size)
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)

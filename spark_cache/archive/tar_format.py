"""The form of an archive: a gzipped tar file of entries in their order, the same bytes for the same entries.

Any tar program lists and unpacks one. Reading is stricter: a member's header has to be, byte for byte, the one that is written here
for its name and its length. So there is no way in for links, devices, owners, modes, absolute paths or a second header that says
something else.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

from spark_cache.errors import StoreError
from spark_cache.stores.atomic import MAX_BYTES
from spark_cache.stores.base import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["END", "GREETING", "members", "packed", "path_of", "refused"]

_BLOCK = 512
_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x")
_FILE, _EXTENDED = b"0", b"x"
_KIND = slice(156, 157)
_SIZE = slice(124, 136)
_PREFIX = slice(345, 500)
_LONGEST_PATH = 1024

_OCTAL = re.compile(rb"[0-7]{11}\0")
_PATH = re.compile(r"([a-z0-9._~-]{1,80})/([a-z0-9._~-]{1,80})/([0-9a-f]{1,128})\.json", re.ASCII)

GREETING = "spark-cache-archive.json", b'{"archive": 1}\n'
"""The first member: what this file is, and the version of its form."""

END = bytes(2 * _BLOCK)
"""What follows the last member."""


def refused(cause: str) -> StoreError:
    """The error for an archive that is not taken."""
    return StoreError("import", f"{cause}; nothing was imported")


def path_of(at: Address) -> str:
    """The path of an entry inside an archive, and below a cache directory."""
    return f"{at.provider_folder}/{at.model_folder}/{at.name}.json"


def packed(path: str, data: bytes) -> bytes:
    """A member: its header, its content, and what fills its last block."""
    return _header(path, len(data)) + data + bytes(-len(data) % _BLOCK)


def members(stream: BinaryIO) -> Iterator[tuple[Address, bytes]]:
    """The entries of an archive, one at a time, in strictly ascending order.

    Args:
        stream: The unpacked bytes.

    Raises:
        StoreError: It is damaged, or not as :func:`packed` writes one.
    """
    try:
        if _member(stream) != GREETING:
            raise refused("this is no archive of a cache, or one of a later release")
        last: Address | None = None
        while (found := _member(stream)) is not None:
            path, data = found
            named = _PATH.fullmatch(path)
            if named is None:
                raise refused(f"a member has a name that no entry can have: {path[:100]!r}")
            at = Address(*named.groups())
            if last is not None and at <= last:
                raise refused(f"members are repeated or out of order at {path!r}")
            last = at
            yield at, data
        # Also makes the decompressor check the sum over all.
        if stream.read(1):
            raise refused("something follows the end of the archive")
    except EOFError:
        raise refused("the archive is cut off") from None
    except (OSError, zlib.error) as error:
        raise refused(f"the archive is damaged ({type(error).__name__})") from None


def _member(stream: BinaryIO) -> tuple[str, bytes] | None:
    """The next member; None at the end."""
    head = _exactly(stream, _BLOCK)
    if not any(head):
        if any(_exactly(stream, _BLOCK)):
            raise refused("the archive goes on behind its end")
        return None
    path = ""
    written = head
    if head[_KIND] == _EXTENDED:
        size = _size(head, _LONGEST_PATH)
        extension = _exactly(stream, size + -size % _BLOCK)
        head = _exactly(stream, _BLOCK)
        written += extension + head
        path = _text(extension[:size].partition(b"path=")[2].removesuffix(b"\n"))
    else:
        prefix, name = _text(head[_PREFIX].rstrip(b"\0")), _text(head[:100].rstrip(b"\0"))
        path = f"{prefix}/{name}" if prefix else name
    size = _size(head, MAX_BYTES)
    if not path.isascii() or len(path) > _LONGEST_PATH or written != _header(path, size):
        raise refused(f"a member is not as an export writes it: {path[:100]!r}")
    data = _exactly(stream, size)
    if any(_exactly(stream, -size % _BLOCK)):
        raise refused(f"a member is not as an export writes it: {path[:100]!r}")
    return path, data


def _header(path: str, size: int) -> bytes:
    """The header of a plain file: owned by nobody, dated 1970, readable by its owner alone."""
    encoded = path.encode("ascii")
    if len(encoded) <= 100:  # noqa: PLR2004 - the length of the field
        return _one_header(encoded, b"", size, _FILE)
    prefix, _, name = encoded.rpartition(b"/")
    if len(name) <= 100 and len(prefix) <= 155:  # noqa: PLR2004 - the lengths of both fields
        return _one_header(name, prefix, size, _FILE)
    record = _record(encoded)
    extension = _one_header(b"PaxHeader", b"", len(record), _EXTENDED) + record + bytes(-len(record) % _BLOCK)
    return extension + _one_header(encoded[:100], b"", size, _FILE)


def _record(path: bytes) -> bytes:
    """The path as a record of an extended header, which begins with its own length."""
    rest = b" path=%b\n" % path
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d%b" % (length, rest)


def _one_header(name: bytes, prefix: bytes, size: int, kind: bytes) -> bytes:
    nobody = b"0000000\0"
    fields = [name, b"0000600\0", nobody, nobody, b"%011o\0" % size, b"%011o\0" % 0, b" " * 8, kind, b""]
    fields += [b"ustar\0", b"00", b"", b"", nobody, nobody, prefix]
    fields[6] = b"%06o\0 " % sum(_HEADER.pack(*fields))
    return _HEADER.pack(*fields)


def _size(head: bytes, most: int) -> int:
    field = head[_SIZE]
    if not _OCTAL.fullmatch(field):
        raise refused("a member has no proper length")
    size = int(field[:-1], 8)
    if size > most:
        raise refused(f"a member is larger than any entry: {size:,} bytes")
    return size


def _exactly(stream: BinaryIO, size: int) -> bytes:
    pieces = []
    while size:
        piece = stream.read(size)
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "replace")

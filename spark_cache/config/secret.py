"""Read and check encryption keys, and identify them without showing them."""

from __future__ import annotations

import os
import re
import stat
from base64 import urlsafe_b64decode
from pathlib import Path

from pydantic import SecretStr

__all__ = ["fernet_keys", "key_id", "key_ids", "key_text", "read_key_file"]

_FERNET = re.compile(r"[A-Za-z0-9_-]{43}=")
_LENGTH = 44
_LARGEST_FILE = 64 * 1024
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_HOW = "generate one with Fernet.generate_key() from the cryptography package"


def fernet_keys(raw: object) -> tuple[SecretStr, ...]:
    """Parse encryption keys, newest first. No error message contains a key.

    Args:
        raw: Comma-separated keys, or a sequence of keys.

    Raises:
        ValueError: A key cannot be used.
    """
    if raw is None:
        return ()
    parts = key_text(raw).split(",") if isinstance(raw, str | bytes | SecretStr) else raw
    if not isinstance(parts, list | tuple) or not all(
        isinstance(part, str | bytes | SecretStr) for part in parts
    ):
        raise ValueError("not a list of Fernet keys: use comma-separated keys or a list, newest first")
    keys = [key_text(part).strip() for part in parts]
    return tuple(SecretStr(key) for key in _checked([key for key in keys if key]))


def key_text(raw: object) -> str:
    """Return a key as a plain string; ``Fernet.generate_key()`` returns bytes."""
    if isinstance(raw, SecretStr):
        return raw.get_secret_value()
    return raw.decode("ascii", "replace") if isinstance(raw, bytes) else str(raw)


def read_key_file(path: Path, cache_dir: Path | None) -> tuple[str, ...]:
    """Read a key file with one key per line, newest first.

    Args:
        path: A regular file outside the cache directory that the current user owns and no other user can access; or a file
            as containers mount secrets, possibly behind links, that only root can change.
        cache_dir: The cache directory, if it is known.

    Returns:
        The keys.

    Raises:
        ValueError: The file cannot be used. The message never shows its content.
    """
    if _FERNET.search(str(path)):
        raise ValueError(
            "this is an encryption key, not a file path: set SPARK_CACHE_ENCRYPTION_KEY to it instead"
        )
    mounted = _is_mounted(path)
    try:
        descriptor = os.open(path, _FLAGS if mounted else _FLAGS | os.O_NOFOLLOW)
    except OSError as error:
        if os.path.islink(path):
            raise ValueError(
                f"the key file {path} is a symbolic link: use the path of the file itself"
            ) from None
        raise ValueError(f"the key file {path} cannot be read: {error.strerror}") from None
    try:
        if not mounted:
            _check_owner_only(path, os.fstat(descriptor))
        content = os.read(descriptor, _LARGEST_FILE + 1)
    finally:
        os.close(descriptor)
    if cache_dir is not None and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(cache_dir)):
        raise ValueError(f"the key file {path} is inside the cache directory {cache_dir}: move it elsewhere")
    return _keys_of(path, content)


def key_id(key: str) -> str:
    """Return the ID of an encryption key: 16 hex digits that reveal nothing else about it."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - takes 30 ms, and only reports need it
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - the same

    derived = HKDF(algorithm=SHA256(), length=8, salt=None, info=b"spark-cache key id v1")
    return derived.derive(urlsafe_b64decode(key)).hex()


def key_ids(raw: object) -> str | None:
    """Return the comma-separated IDs of raw keys, or None if they are not valid keys."""
    try:
        return ", ".join(f"key id {key_id(key.get_secret_value())}" for key in fernet_keys(raw))
    except ValueError:
        return None


def _is_mounted(path: Path) -> bool:
    """Return whether a file is a secret as Kubernetes and Docker mount it: read-only, root's, behind root's links.

    Group or other users may read such a file, because a container has no other users. Nobody but root can replace it: no
    folder on the way to it, or to what its links lead to, can be changed by anyone else.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o222:
            return False
        places = {Path(os.path.abspath(path)), Path(os.path.realpath(path))}
        while not all(place == place.parent for place in places):
            places = {place.parent for place in places}
            for place in places:
                folder = os.stat(place)
                # In a sticky folder, only the owner of a file can replace it.
                is_open = folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX
                if folder.st_uid != 0 or is_open:
                    return False
    except OSError:
        return False
    return True


def _check_owner_only(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"the key file {path} is not a regular file")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise ValueError(
            f"the key file {path} is accessible to other users (mode {mode:04o}): run chmod 600 on it"
        )
    if status.st_uid != os.geteuid():
        raise ValueError(f"the key file {path} belongs to another user")


def _keys_of(path: Path, content: bytes) -> tuple[str, ...]:
    if len(content) > _LARGEST_FILE:
        raise ValueError(f"the key file {path} is larger than 64 KiB")
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
        keys = _checked([line for line in lines if line and not line.startswith("#")])
    except UnicodeDecodeError:
        raise ValueError(f"the key file {path} is not UTF-8 text") from None
    except ValueError as error:
        raise ValueError(f"the key file {path}: {error}") from None
    if not keys:
        raise ValueError(f"the key file {path} contains no keys: write one per line, newest first")
    return tuple(keys)


def _checked(keys: list[str]) -> list[str]:
    seen: dict[bytes, int] = {}
    for number, key in enumerate(keys, 1):
        if len(key) != _LENGTH:
            raise ValueError(
                f"key {number} of {len(keys)} is not a Fernet key: expected {_LENGTH} characters, "
                f"got {len(key)} (passphrases are not accepted); {_HOW}"
            )
        if not _FERNET.fullmatch(key):
            raise ValueError(
                f"key {number} of {len(keys)} is not a Fernet key: it is not URL-safe base64; {_HOW}"
            )
        first = seen.setdefault(urlsafe_b64decode(key), number)
        if first != number:
            raise ValueError(f"key {number} of {len(keys)} is the same as key {first}")
    return keys

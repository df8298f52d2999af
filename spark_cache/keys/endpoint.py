"""The base URL of a provider in its normalised form."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit, urlunsplit

from spark_cache.keys.headers import is_credential

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["keyed_query", "normalise_endpoint"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


# Every call needs this, nearly always for the same URL. Parsing a URL costs as much as a hit.
@lru_cache(maxsize=128)
def normalise_endpoint(url: str, own: str) -> str | None:
    """Return a base URL in the form used in keys.

    Args:
        url: The base URL of the client.
        own: The provider's default base URL.

    Returns:
        None for the provider's default URL. Otherwise the URL with scheme and host in lower case and without default port,
        user info, fragment or trailing slash. An invalid URL is returned unchanged, and the call itself reports it.
    """
    try:
        normalised = _normalise(url)
    except ValueError:
        return url
    return None if normalised == _normalise(own) else normalised


def keyed_query(pairs: Iterable[tuple[str, object]]) -> str:
    """Return query parameters in the form used in keys. A value that may be a credential is replaced by its digest.

    Args:
        pairs: The names and values.
    """
    return urlencode(
        [
            (name, f"sha256-{sha256(str(value).encode()).hexdigest()[:32]}" if is_credential(name) else value)
            for name, value in pairs
        ]
    )


def _normalise(url: str) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    if parts.port is not None and parts.port != _DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{parts.port}"
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), parts.query, ""))

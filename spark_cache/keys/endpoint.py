"""The address of a provider, as far as it can change an answer."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

__all__ = ["normalise_endpoint"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


# A model asks with every call, and nearly always of one address; taking it apart costs as much as a hit.
@lru_cache(maxsize=128)
def normalise_endpoint(url: str, own: str) -> str | None:
    """A base URL as it enters a key.

    Args:
        url: The address that requests go to.
        own: The provider's own address.

    Returns:
        None for the provider's own address; else scheme and host in lower case, without a default port, user info,
        fragment or trailing slash. What is no URL stays as it is: whoever calls it finds out.
    """
    try:
        normalised = _normalise(url)
    except ValueError:
        return url
    return None if normalised == _normalise(own) else normalised


def _normalise(url: str) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    if parts.port is not None and parts.port != _DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{parts.port}"
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), parts.query, ""))

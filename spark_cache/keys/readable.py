"""The readable form of a request, stored in its entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.keys.credentials import without_credentials
from spark_cache.keys.headers import is_credential

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.types import Request

__all__ = ["readable_request"]


def readable_request(request: Request) -> dict[str, Any]:
    """Return what was sent, without credentials.

    Args:
        request: The request.

    Returns:
        The body, and the headers, query, endpoint and sample if there are any.
    """
    parts = {
        "body": without_credentials(request.body, "dropped"),
        "headers": _without_credentials(request.headers),
        "query": _without_credentials(request.query),
        "endpoint": request.endpoint,
        "sample": request.sample,
    }
    return {name: value for name, value in parts.items() if value is not None}


def _without_credentials(pairs: Mapping[str, Any]) -> dict[str, Any] | None:
    # A body has known fields for credentials. A header or a query parameter may have any name.
    return {name: value for name, value in pairs.items() if not is_credential(str(name))} or None

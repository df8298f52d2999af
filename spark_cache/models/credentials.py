"""Which headers and parameters hold credentials: they name who asks, and never enter a key or an entry by our hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["is_credential", "without_credentials"]

_LAST_WORD = re.compile(
    r"(.*[-_])?(auth|authorization|cookie|credentials?|key|password|secret|token)", re.IGNORECASE
)

_EXTRAS = ("extra_headers", "extra_query", "extra_body")
"""The parameters of a call that hold whatever its author puts there."""


def is_credential(name: str) -> bool:
    """Whether a header or a parameter of this name holds a credential, going by the last word of the name."""
    return _LAST_WORD.fullmatch(name) is not None


def without_credentials(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a call as they may be shown: credentials among what it adds to the request are left out."""
    return {
        name: {inner: kept for inner, kept in value.items() if not is_credential(str(inner))}
        if name in _EXTRAS and isinstance(value, Mapping)
        else value
        for name, value in parameters.items()
    }

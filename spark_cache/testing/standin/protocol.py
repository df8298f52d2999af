"""Helpers that the stand-in's protocols share: errors, token counts and request digests."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["ProtocolError", "count_tokens", "expect", "request_digest"]

_HOW_TO_SEND_A_KEY = "Send one as 'Authorization: Bearer KEY'; the stand-in accepts any key."
_CHARACTERS_PER_TOKEN = 4
_NAMES = {str: "a string", int: "an integer", bool: "a boolean", list: "an array", dict: "an object"}


class ProtocolError(Exception):
    """An error response to a request that the service would refuse.

    Attributes:
        status: The HTTP status.
        message: A description of the error.
        param: The name of the invalid parameter, or None.
        code: The error code of the service, or None.
    """

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(status, message, param, code)
        self.status = status
        self.message = message
        self.param = param
        self.code = code

    @classmethod
    def without_key(cls) -> ProtocolError:
        """Return the error for a request without an API key."""
        return cls(401, f"The request carries no API key. {_HOW_TO_SEND_A_KEY}", code="invalid_api_key")

    def as_json(self) -> dict[str, Any]:
        """Return the body of the error response in OpenAI's format."""
        error = {
            "message": self.message,
            "type": "invalid_request_error",
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}


def expect(body: dict[str, Any], name: str, *kinds: type, required: bool = False) -> Any:
    """Return a parameter of a request after checking its type.

    Args:
        body: The body of the request.
        name: The name of the parameter.
        kinds: The allowed types.
        required: Whether the parameter is required; an optional parameter may also be null.

    Returns:
        The value, or None if an optional parameter is missing.

    Raises:
        ProtocolError: A required parameter is missing, or the value has another type.
    """
    value = body.get(name)
    if value is None and not required:
        return None
    if value is None:
        raise ProtocolError(
            400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
        )
    is_stray_bool = isinstance(value, bool) and bool not in kinds
    if is_stray_bool or not isinstance(value, kinds):
        wanted = " or ".join(_NAMES[kind] for kind in kinds)
        raise ProtocolError(
            400, f"Invalid type for '{name}': expected {wanted}.", param=name, code="invalid_type"
        )
    return value


def count_tokens(text: str) -> int:
    """Return the number of tokens of a text: one for every four characters, rounded up.

    Args:
        text: The text.
    """
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def request_digest(body: dict[str, Any]) -> str:
    """Return the SHA-256 digest, in hex, of a request without its streaming options, which do not change the response.

    Args:
        body: The body of the request.
    """
    digested = {name: value for name, value in body.items() if name not in {"stream", "stream_options"}}
    return hashlib.sha256(json.dumps(digested, sort_keys=True).encode()).hexdigest()

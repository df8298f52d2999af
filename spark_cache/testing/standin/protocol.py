"""What the stand-in's protocols share: refusals, token counts, the digest of a request."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["ProtocolError", "count_tokens", "expect", "request_digest"]

_HOW_TO_SEND_A_KEY = "Send one as 'Authorization: Bearer KEY'; the stand-in takes any."
_CHARACTERS_PER_TOKEN = 4
_NAMES = {str: "a string", int: "an integer", bool: "a boolean", list: "an array", dict: "an object"}


class ProtocolError(Exception):
    """A request that the service would refuse.

    Attributes:
        status: The HTTP status of the refusal.
        message: What is wrong, for a person.
        param: The parameter that is wrong, where it is one.
        code: The service's short name for the fault, where it has one.
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
        """The refusal of a request that names nobody who would pay for it."""
        return cls(401, f"The request carries no API key. {_HOW_TO_SEND_A_KEY}", code="invalid_api_key")

    def as_json(self) -> dict[str, Any]:
        """The body of the refusal, in the service's form."""
        error = {
            "message": self.message,
            "type": "invalid_request_error",
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}


def expect(body: dict[str, Any], name: str, *kinds: type, required: bool = False) -> Any:
    """Take a parameter out of a request and check its type.

    Args:
        body: The request.
        name: The parameter's name.
        kinds: The types it may have.
        required: Whether it must be there; an optional one may also be null.

    Returns:
        Its value; None where an optional one is absent.

    Raises:
        ProtocolError: It is absent though required, or has another type.
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
    """Count tokens by the stand-in's rule: one for every four characters, the last four begun or whole."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def request_digest(body: dict[str, Any]) -> str:
    """The digest of all that can change an answer, in hex: the same whether or not the answer is streamed."""
    asked = {name: value for name, value in body.items() if name not in {"stream", "stream_options"}}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

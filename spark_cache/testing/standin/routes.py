"""Which function answers which path, and the refusals that come before it is asked.

A route reads a request's body and gives an answer, or the chunks of one. A new protocol is one module and its
rows here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spark_cache.testing.standin.chat import Answer, complete_chat
from spark_cache.testing.standin.embeddings import embed
from spark_cache.testing.standin.protocol import ProtocolError
from spark_cache.testing.standin.transport import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.testing.standin.transport import Request

__all__ = ["answer_request"]


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: str
    answer: Callable[[dict[str, Any], Answer | None], dict[str, Any] | Iterator[dict[str, Any]]]


_ROUTES = (
    _Route("POST", "/v1/chat/completions", complete_chat),
    _Route("POST", "/v1/embeddings", lambda body, _: embed(body)),
)


def answer_request(request: Request, answer: Answer | None) -> Reply:
    """Answer a request as the service would.

    Args:
        request: The request as it arrived.
        answer: Scripts chat answers; None for the stand-in's own.

    Returns:
        The answer, or the refusal that the service would give.
    """
    try:
        route = _find_route(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ").strip() == "":
            raise ProtocolError.without_key()
        return Reply(200, route.answer(_parse(request.body), answer))
    except ProtocolError as error:
        return Reply(error.status, error.as_json())


def _find_route(request: Request) -> _Route:
    known = [route for route in _ROUTES if route.path == request.path]
    if not known:
        raise ProtocolError(404, f"Invalid URL ({request.method} {request.path})", code="unknown_url")
    for route in known:
        if route.method == request.method:
            return route
    raise ProtocolError(405, f"Not allowed: {request.method} on {request.path}.", code="method_not_supported")


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise ProtocolError(400, "The body of the request is not JSON.", code="invalid_json") from error
    if not isinstance(body, dict):
        raise ProtocolError(400, "The body of the request is not a JSON object.", code="invalid_json")
    return body

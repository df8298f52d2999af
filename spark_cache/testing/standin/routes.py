"""The routes of the stand-in, and the checks made before a route is called.

A route takes the body of a request and returns a response or its chunks. To add a protocol, write a module and add its routes
here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from spark_cache.testing.standin.anthropic import answer_message, refuse_message
from spark_cache.testing.standin.bedrock import answer_converse, invoke, refuse, stream_converse
from spark_cache.testing.standin.chat import Answer, complete_chat
from spark_cache.testing.standin.embeddings import embed
from spark_cache.testing.standin.gemini import (
    embed_contents,
    generate_content,
    refuse_content,
    stream_content,
)
from spark_cache.testing.standin.protocol import ProtocolError
from spark_cache.testing.standin.responses import answer_response
from spark_cache.testing.standin.transport import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.testing.standin.transport import HttpRequest, Stream

__all__ = ["answer_request"]


_KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key")


@dataclass(frozen=True, slots=True)
class _Route:
    """A path and the function that answers it; the value of ``{name}`` in the path is passed in the body under that name."""

    method: str
    path: str
    answer: Callable[[dict[str, Any], Answer | None], dict[str, Any] | Iterator[dict[str, Any]] | Stream]
    refusal: Callable[[ProtocolError], dict[str, Any]] = ProtocolError.as_json

    def match(self, path: str) -> dict[str, str] | None:
        """Return the values of the names in the path, or None if the path does not match."""
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        return None if found is None else {name: unquote(text) for name, text in found.groupdict().items()}


_ROUTES = (
    _Route("POST", "/v1/chat/completions", complete_chat),
    _Route("POST", "/v1/responses", answer_response),
    _Route("POST", "/v1/embeddings", lambda body, _: embed(body)),
    _Route("POST", "/v1/messages", answer_message, refuse_message),
    _Route("POST", "/model/{model}/converse", answer_converse, refuse),
    _Route("POST", "/model/{model}/converse-stream", stream_converse, refuse),
    _Route("POST", "/model/{model}/invoke", invoke, refuse),
    _Route("POST", "/{version}/models/{model}:generateContent", generate_content, refuse_content),
    _Route("POST", "/{version}/models/{model}:streamGenerateContent", stream_content, refuse_content),
    _Route("POST", "/{version}/models/{model}:batchEmbedContents", embed_contents, refuse_content),
    _Route(
        "POST",
        "/{version}/publishers/google/models/{model}:generateContent",
        generate_content,
        refuse_content,
    ),
)


def answer_request(request: HttpRequest, answer: Answer | None) -> Reply:
    """Answer a request as the service would.

    Args:
        request: The request.
        answer: Scripts the responses; None for the default responses of the stand-in.

    Returns:
        The response, or the error response that the service would return.
    """
    refusal: Callable[[ProtocolError], dict[str, Any]] = ProtocolError.as_json
    try:
        route, named = _find_route(request)
        refusal = route.refusal
        if not any(_credential(request, name) for name in _KEY_HEADERS):
            raise ProtocolError.without_key()
        return Reply(200, route.answer({**_parse(request.body), **named}, answer))
    except ProtocolError as error:
        return Reply(error.status, refusal(error))


def _find_route(request: HttpRequest) -> tuple[_Route, dict[str, str]]:
    matches = [(route, named) for route in _ROUTES if (named := route.match(request.path)) is not None]
    if not matches:
        raise ProtocolError(404, f"Invalid URL ({request.method} {request.path})", code="unknown_url")
    for route, named in matches:
        if route.method == request.method:
            return route, named
    raise ProtocolError(
        405, f"Method not allowed: {request.method} {request.path}.", code="method_not_supported"
    )


def _credential(request: HttpRequest, header: str) -> str:
    return request.headers.get(header, "").removeprefix("Bearer ").strip()


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise ProtocolError(400, "The request body is not valid JSON.", code="invalid_json") from error
    if not isinstance(body, dict):
        raise ProtocolError(400, "The request body must be a JSON object.", code="invalid_json")
    return body

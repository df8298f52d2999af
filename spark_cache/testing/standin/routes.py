"""Which function answers which path, and the refusals that come before it is asked.

A route reads a request's body and gives an answer, or the chunks of one. A new protocol is one module and its
rows here.
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
    """A path, and who answers it. What stands for ``{name}`` in the path is handed over in the body, under that name."""

    method: str
    path: str
    answer: Callable[[dict[str, Any], Answer | None], dict[str, Any] | Iterator[dict[str, Any]] | Stream]
    refusal: Callable[[ProtocolError], dict[str, Any]] = ProtocolError.as_json

    def match(self, path: str) -> dict[str, str] | None:
        """What the names in the path stand for; None for another path."""
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
        request: The request as it arrived.
        answer: Scripts chat answers; None for the stand-in's own.

    Returns:
        The answer, or the refusal that the service would give.
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
    known = [(route, named) for route in _ROUTES if (named := route.match(request.path)) is not None]
    if not known:
        raise ProtocolError(404, f"Invalid URL ({request.method} {request.path})", code="unknown_url")
    for route, named in known:
        if route.method == request.method:
            return route, named
    raise ProtocolError(405, f"Not allowed: {request.method} on {request.path}.", code="method_not_supported")


def _credential(request: HttpRequest, header: str) -> str:
    return request.headers.get(header, "").removeprefix("Bearer ").strip()


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise ProtocolError(400, "The body of the request is not JSON.", code="invalid_json") from error
    if not isinstance(body, dict):
        raise ProtocolError(400, "The body of the request is not a JSON object.", code="invalid_json")
    return body

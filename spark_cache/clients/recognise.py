"""Which HTTP requests the cache may answer, and how their responses are read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from spark_cache.clients.over_wire import Anthropic, Bedrock, Gemini, OpenAI
from spark_cache.clients.sse import EventForm
from spark_cache.providers.bedrock.frames import event_frame
from spark_cache.providers.wire import request_of_http

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.clients.over_wire import OverWire
    from spark_cache.types import Request

__all__ = ["Recognised", "may_recognise", "recognise"]

_CHAT = EventForm(last=b"data: [DONE]\n\n")
_NAMED = EventForm(is_named=True)
_GEMINI = EventForm(newline=b"\r\n")


class _FrameForm(NamedTuple):
    """How Bedrock writes events; the attributes are those of :class:`EventForm`."""

    last: bytes = b""

    @property
    def content_type(self) -> bytes:
        return b"application/vnd.amazon.eventstream"

    def written(self, event: Any) -> bytes:
        """Return an event as it goes over the wire."""
        ((kind, payload),) = event.items()
        return event_frame(kind, payload)


_BEDROCK = _FrameForm()


class Recognised(NamedTuple):
    """A request that the cache may answer.

    Attributes:
        request: The request, in the form in which models build theirs.
        provider: Sends the request and reads the response.
        is_stream: Whether the response is a stream of events.
        events: How the events are written.
        wants_usage: Whether the stream has an event for the usage alone; None if that does not depend on the request.
    """

    request: Request
    provider: OverWire
    is_stream: bool
    events: EventForm | _FrameForm
    wants_usage: bool | None = None


def may_recognise(method: str, path: str) -> bool:
    """Return whether a request may be one that the cache can answer, without a look at its body.

    Args:
        method: The method.
        path: The path of the URL.
    """
    return method == "POST" and path.endswith(_ENDINGS)


def recognise(method: str, url: str, headers: Mapping[str, str], content: bytes) -> Recognised | None:
    """Read a request of a client; None if the cache has nothing to do with it.

    Args:
        method: The method.
        url: The whole URL.
        headers: The headers, with names in lower case.
        content: The body.
    """
    path = urlsplit(url).path
    is_json = headers.get("content-type", "").startswith("application/json")
    if not is_json or "content-encoding" in headers or not may_recognise(method, path):
        return None
    try:
        body = orjson.loads(content)
    except ValueError:
        return None
    request = request_of_http(method, url, headers, body)
    if request is None or request.operation != "text":
        return None
    return _text(request, path, url, body)


_ENDINGS = (
    "/chat/completions",
    "/responses",
    "/v1/messages",
    ":generateContent",
    ":streamGenerateContent",
    "/converse",
    "/converse-stream",
)


def _text(request: Request, path: str, url: str, body: Mapping[str, Any]) -> Recognised | None:
    if request.provider == "gemini":
        is_stream = path.endswith(":streamGenerateContent")
        if is_stream and "alt=sse" not in urlsplit(url).query:
            # The events would come as one JSON list.
            return None
        return Recognised(request, Gemini(), is_stream, _GEMINI)
    if request.provider == "bedrock":
        return Recognised(request, Bedrock(), path.endswith("/converse-stream"), _BEDROCK)
    is_stream = body.get("stream") is True
    if request.provider == "anthropic":
        return Recognised(request, Anthropic(), is_stream, _NAMED)
    if path.endswith("/responses"):
        return Recognised(request, OpenAI("responses"), is_stream, _NAMED)
    options = body.get("stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True
    return Recognised(request, OpenAI("chat"), is_stream, _CHAT, wants_usage)

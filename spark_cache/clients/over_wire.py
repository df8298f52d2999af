"""Providers that send the request of a client as the client does, and read the responses as models do."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from spark_cache.calls.answer import StreamBrokenOffError
from spark_cache.clients.call_options import HEADER
from spark_cache.clients.http import OK, NoAnswerError, Reply, Sent, marks
from spark_cache.clients.sse import EventParser
from spark_cache.providers.anthropic.reading import AnthropicReading
from spark_cache.providers.base import Provider
from spark_cache.providers.bedrock.frames import FrameReader
from spark_cache.providers.bedrock.reading import BedrockReading
from spark_cache.providers.gemini.reading import GeminiReading
from spark_cache.providers.json_values import bare_error
from spark_cache.providers.openai.reading import OpenAIReading

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from spark_cache.clients.http import Upstream
    from spark_cache.types import Request

__all__ = ["Anthropic", "Bedrock", "Gemini", "OpenAI", "OverWire"]


class OverWire(Provider):
    """Sends the request of a client as the client sends it, whatever reads the response."""

    shared_errors = (NoAnswerError,)
    parser: ClassVar[type[EventParser | FrameReader]] = EventParser
    """Makes what reads the events of a stream from its bytes."""

    def begin(self, send: Callable[[], Awaitable[Upstream]], sent: Sent, name: str | None) -> None:
        """Set what the next call sends, and where its response goes.

        Args:
            send: Sends the request.
            sent: Takes the response.
            name: The name of the entry.
        """
        self._send, self._sent, self._name = send, sent, name

    async def call(self, request: Request) -> Any:  # noqa: ARG002 - sent as the client wrote it
        """Send the request and return the JSON of the response, which the client gets as it is."""
        upstream = await self._ask_upstream()
        return self._whole(upstream, b"".join([piece async for piece in upstream.pieces()]))

    async def stream(self, request: Request) -> AsyncGenerator[Any, None]:  # noqa: ARG002 - the same
        """Send the request and yield the events of the response. The client gets its bytes first."""
        upstream = await self._ask_upstream()
        if upstream.status != OK or not upstream.is_genuine:
            raise NoAnswerError(self._reply(upstream, b"".join([piece async for piece in upstream.pieces()])))
        self._sent.reply = self._reply(upstream, b"")
        self._sent.opened.set()
        is_encoded = any(name.lower() == b"content-encoding" for name, _ in upstream.headers)
        parser, arrived = self.parser(), bytearray()
        self._sent.has_ended = lambda: (
            parser.has_ended if not is_encoded else self._decoded_has_ended(upstream, bytes(arrived))
        )
        async with aclosing(self._passed_on(upstream)) as pieces:
            async for piece in pieces:
                if is_encoded:
                    arrived += piece
                    continue
                for event in _events(parser, piece):
                    yield event
        if is_encoded:
            for event in _events(parser, upstream.decoded(bytes(arrived))):
                yield event
        for event in _events(parser, b""):
            yield event

    async def _ask_upstream(self) -> Upstream:
        self._sent.is_asked = True
        return await self._send()

    async def _passed_on(self, upstream: Upstream) -> AsyncGenerator[bytes, None]:
        """Yield the pieces of a stream that the client gets as well."""
        try:
            async with aclosing(upstream.pieces()) as pieces:
                while True:
                    if upstream.is_paced and not await self._sent.is_wanted_soon():
                        upstream.leave()
                    piece = await anext(pieces, None)
                    if piece is None:
                        return
                    self._sent.pieces.put_nowait(piece)
                    yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            self._sent.pieces.put_nowait(error)
            raise

    def _whole(self, upstream: Upstream, body: bytes) -> Any:
        reply = self._sent.reply = self._reply(upstream, body)
        if upstream.status != OK or not upstream.is_genuine:
            raise NoAnswerError(reply)
        try:
            raw = orjson.loads(upstream.decoded(body))
        except Exception:  # noqa: BLE001 - neither JSON nor, maybe, what its encoding says; the client decodes it itself
            raise NoAnswerError(reply) from None
        if not isinstance(raw, dict) or bare_error(raw, *self.error_unless) is not None:
            raise NoAnswerError(reply)
        return raw

    def _reply(self, upstream: Upstream, body: bytes) -> Reply:
        headers = [item for item in upstream.headers if not item[0].lower().startswith(HEADER.encode())]
        headers += marks("miss", self._name)
        return Reply(upstream.status, headers, body, upstream.extensions)

    def _decoded_has_ended(self, upstream: Upstream, arrived: bytes) -> bool:
        """Return whether the last event of an encoded stream has arrived."""
        parser = self.parser()
        try:
            for _ in parser.feed(upstream.decoded(arrived)):
                pass
        except Exception:  # noqa: BLE001 - the response is not what its encoding says
            return False
        return parser.has_ended


class OpenAI(OverWire, OpenAIReading):
    """OpenAI and compatible services."""


class Anthropic(OverWire, AnthropicReading):
    """Anthropic and compatible services."""


class Gemini(OverWire, GeminiReading):
    """The Gemini API and Vertex AI."""


class Bedrock(OverWire, BedrockReading):
    """Amazon Bedrock's Converse API."""

    parser = FrameReader


def _events(parser: EventParser | FrameReader, piece: bytes) -> list[Any]:
    try:
        return list(parser.feed(piece))
    except ValueError:
        raise StreamBrokenOffError("incomplete") from None

"""Misses byte for byte, as they arrive: raw bytes at the socket against what the SDK's caller gets."""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib

import httpx2
import pytest
from clients_world import STREAM_HEAD, Server, ask, chunk, head, start, whole

COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hé"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
# Spaces and escapes that nothing writes in this way again.
ODD = json.dumps(COMPLETION, indent=3).replace("é", "\\u00E9").encode()
HALF = "\ud83d"
EVENTS = [
    b": a comment\n\ndata:" + json.dumps(chunk("He")).encode() + b"\n\n",
    b"data: " + json.dumps(chunk("llo"), indent=None).encode() + b"\r\n\r\n",
    b"data: " + json.dumps(chunk("", "stop")).encode() + b"\n\n",
    b"data: [DONE]\n\n",
]


def raw(client, *, stream=False, **options):
    """Return the bytes of a response that an SDK's caller can read."""
    create = client.chat.completions.with_streaming_response.create
    messages = [{"role": "user", "content": "Hi"}]
    options |= {"stream": True} if stream else {}
    with create(model="m", messages=messages, **options) as response:
        return b"".join(response.http_response.iter_raw()), response.headers


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
@pytest.mark.parametrize("stream", [False, True])
def test_bytes_of_a_miss(make, entries, encoding, stream):
    """The body of a miss is what the server sent, compressed or not, and a hit is not compressed."""
    body = b"".join(EVENTS) if stream else ODD
    sent = {"identity": lambda b: b, "gzip": gzip.compress, "deflate": zlib.compress}[encoding](body)
    kind = "text/event-stream" if stream else "application/json"
    with Server([head(len(sent), f"content-encoding: {encoding}", kind=kind) + sent]) as server:
        client = make("openai", server.base_url)
        heard, headers = raw(client, stream=stream)
        assert heard == sent
        assert headers["x-spark-cache"] == "miss"
        assert entries() == 1
        heard, headers = raw(client, stream=stream)
        assert headers["x-spark-cache"] == "hit"
        assert "content-encoding" not in headers
        assert b"llo" in heard if stream else json.loads(heard) == COMPLETION
        assert len(server.requests) == 1


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_stream_arrives_as_it_is_sent(make, entries, is_async, encoding):
    """Each chunk reaches the caller before the server sends the next one; the response is stored at the end."""
    gates = [threading.Event() for _ in EVENTS]
    packer = zlib.compressobj(wbits=31)
    script = [STREAM_HEAD]
    if encoding == "gzip":
        script = [head(None, "content-encoding: gzip", kind="text/event-stream")]
    for gate, event in zip(gates, EVENTS, strict=True):
        packed = packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)
        script += [gate, packed if encoding == "gzip" else event]
    script.append(packer.flush() if encoding == "gzip" else b"")
    with Server(script) as server:
        client = make("openai", server.base_url, is_async=is_async)
        started = time.monotonic()
        stream = start("openai", client, stream=True)
        stream = await stream if is_async else stream
        for gate, text in zip(gates, ["He", "llo", None], strict=False):
            gate.set()
            heard = await anext(stream) if is_async else next(stream)
            assert heard.choices[0].delta.content == text
        gates[-1].set()
        assert ([item async for item in stream] if is_async else list(stream)) == []
        assert time.monotonic() - started < 2
        assert entries() == 1


@pytest.mark.parametrize("is_async", [False, True])
async def test_stream_closed_after_its_last_event(make, entries, is_async):
    """The SDK closes a stream after ``[DONE]``. The response is stored, though the server ends the connection later."""
    late = threading.Event()
    timer = threading.Timer(0.1, late.set)
    with Server([STREAM_HEAD, *EVENTS, late]) as server:
        timer.start()
        client = make("openai", server.base_url, is_async=is_async)
        assert len(await ask("openai", client, stream=True)) == 3
        assert entries() == 1
    timer.join()


@pytest.mark.parametrize("is_async", [False, True])
async def test_server_that_keeps_the_connection(make, entries, is_async):
    """A server that does not end the connection after the last event holds nobody up for long."""
    never = threading.Event()
    with Server([STREAM_HEAD, *EVENTS, never]) as server:
        client = make("openai", server.base_url, is_async=is_async)
        started = time.monotonic()
        assert len(await ask("openai", client, stream=True)) == 3
        assert time.monotonic() - started < 5
        never.set()


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": 5}',
        b'{"choices": [5]}',
        b'{"choices": [{}]}',
        b'{"choices": [], "error": {}}',
        b'{"choices": [{"message": 1, "finish_reason": "stop"}]}',
        b"[]",
        b"null",
        b"",
        b"<html>",
        b'{"choices": NaN}',
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_odd_bodies(make, entries, body, is_async):
    """A body that the library cannot read reaches the caller as it is, and is not stored."""
    with Server(whole(body)) as server:
        client = make("openai", server.base_url, is_async=is_async)
        create = client.chat.completions.with_raw_response.create
        asked = create(model="m", messages=[{"role": "user", "content": "Hi"}])
        response = await asked if is_async else asked
        assert response.http_response.content == body
        assert entries() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"data: 5\n\n",
        b"data: {\n\n",
        b'data: {"choices": 5}\n\ndata: [DONE]\n\n',
        b'data: {"choices": [5]}\n\n',
        b"data: []\n\ndata: [DONE]\n\n",
        b'data: {"error": {"message": "no"}}\n\n',
        b"",
        b"{}",
        b"\xff",
        b"data: " + json.dumps(chunk("Hi")).encode() + b"\n\n",
        b"data: " + json.dumps(chunk("Hi")).encode() + b"\n\ndata: [DONE]\n\n",
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_odd_streams(make, entries, body, is_async):
    """A stream that the library cannot read reaches the caller as it is, and is not stored."""
    with Server([STREAM_HEAD + body]) as server:
        client = make("openai", server.base_url, is_async=is_async)
        create = client.chat.completions.with_raw_response.create
        asked = create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True)
        response = (await asked if is_async else asked).http_response
        heard = [b async for b in response.aiter_raw()] if is_async else list(response.iter_raw())
        assert b"".join(heard) == body
        assert entries() == 0


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_broken_encoding(make, entries, sdk):
    """A body that is not what its encoding says fails as it does without the cache."""
    with Server(whole(b"no gzip", "content-encoding: gzip")) as server:
        client = make(sdk, server.base_url)
        with pytest.raises(httpx2.DecodingError) if sdk == "none" else pytest.raises(Exception, match=r"\w"):
            start(sdk, client)
        assert entries() == 0


def test_half_a_character_is_replayed(make, entries):
    """Half of a surrogate pair, as truncated responses have, is replayed if it was stored."""
    half = f"data: {json.dumps(chunk(HALF, 'stop'))}\n\n".encode()
    with Server([STREAM_HEAD + half + b"data: [DONE]\n\n"]) as server:
        client = make("openai", server.base_url)
        first = list(start("openai", client, stream=True))
        again = list(start("openai", client, stream=True))
        assert again == first

"""What single calls ask of the cache, the marks of responses, and misses in replay mode."""

from __future__ import annotations

import time

import anthropic
import pytest
from clients_world import SDKS, Server, ask, client_of, got, start, whole

import spark_cache
from spark_cache import CacheMissError

CHAT = b'{"id":"c","choices":[]}'


async def mark_of(client, *, is_async, **options):
    """Ask, and return the marks of the response."""
    create = client.chat.completions.with_raw_response.create
    messages = [{"role": "user", "content": "Hi"}]
    headers = (await got(create(model="m", messages=messages, **options))).headers
    return headers.get("x-spark-cache"), headers.get("x-spark-cache-key")


def headers_of(mode=None, **others):
    mode = {"x-spark-cache": mode} if mode else {}
    return {**mode, **{f"x-spark-cache-{name}": value for name, value in others.items()}}


@pytest.mark.parametrize("is_async", [False, True])
async def test_marks_and_modes(make, provider, entries, is_async):
    """Responses say what they came to; headers of a request choose the mode."""
    client = make("openai", is_async=is_async)
    steps = [
        ("replay", None, 0, 0),
        ("read-only", "miss", 1, 0),
        ("bypass", "miss", 2, 0),
        (None, "miss", 3, 1),
        (None, "hit", 3, 1),
        ("REPLAY", "hit", 3, 1),
        ("refresh", "miss", 4, 1),
        ("bypass", "miss", 5, 1),
        ("default", "hit", 5, 1),
    ]
    for mode, mark, calls, stored in steps:
        if mark is None:
            with pytest.raises(CacheMissError):
                await mark_of(client, is_async=is_async, extra_headers=headers_of(mode))
        else:
            said, key = await mark_of(client, is_async=is_async, extra_headers=headers_of(mode))
            assert said == mark, mode
            assert key is None or len(key) == 12
        assert (provider.calls, entries()) == (calls, stored), mode


@pytest.mark.parametrize("path", ["chat", "models", "embeddings"])
def test_options_are_not_sent(make, path):
    """The headers for the cache are neither sent nor part of the key, whatever the request is."""
    with Server(whole(CHAT)) as server:
        plain = client_of("openai", server.base_url)
        client = make(
            "openai", server.base_url, default_headers=headers_of("refresh", sample="0", sensitive="false")
        )
        for one in (plain, client):
            if path == "models":
                one.models.with_raw_response.list()
            elif path == "embeddings":
                one.embeddings.with_raw_response.create(model="m", input="Hi")
            else:
                start("openai", one)
        first, second = server.requests
        assert second == first
        assert b"spark" not in second
        plain.close()


@pytest.mark.parametrize("sdk", SDKS)
async def test_samples(make, provider, sdk):
    """Each sample has an entry of its own: by header, or for a block."""
    client = make(sdk)
    for _ in range(2):
        await ask(sdk, client, extra_headers=headers_of(sample="3"))
        with spark_cache.clients.options(sample=3):
            await ask(sdk, client)
        with spark_cache.clients.options(sample=4):
            await ask(sdk, client)
            with spark_cache.clients.options(cache="read-only"):
                await ask(sdk, client)
            await ask(sdk, client, extra_headers=headers_of(sample="3"))
    assert provider.calls == 2


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    "headers",
    [headers_of("always"), headers_of(sample="-1"), headers_of(sample="x"), headers_of(sensitive="maybe")],
)
async def test_bad_options(make, provider, sdk, is_async, headers):
    """A bad value is an error that names the header, at once."""
    client = make(sdk, is_async=is_async, **({} if sdk == "gemini" else {"retries": 2}))
    started = time.monotonic()
    (name,) = headers
    with pytest.raises(ValueError, match=f"{name}.*{headers[name]}"):
        await ask(sdk, client, extra_headers=headers, is_async=is_async)
    assert time.monotonic() - started < 0.4
    assert provider.calls == 0


@pytest.mark.parametrize("options", [{"cache": "always"}, {"sample": -1}, {"sample": "1"}, {"sample": True}])
def test_bad_options_of_a_block(options):
    """A block checks its options when it is entered."""
    with pytest.raises((ValueError, TypeError)), spark_cache.clients.options(**options):
        pass


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["header", "block", "setting"])
async def test_miss_in_replay(make, provider, sdk, is_async, stream, how):
    """A miss in replay mode is a CacheMissError at once, without retries or a call."""
    retries = {} if sdk == "gemini" else {"retries": 2}
    client = make(sdk, is_async=is_async, cache={"mode": "replay"} if how == "setting" else None, **retries)
    headers = {"extra_headers": headers_of("replay")} if how == "header" else {}
    started = time.monotonic()
    with (
        spark_cache.clients.options(cache="replay" if how == "block" else "default"),
        pytest.raises(CacheMissError) as raised,
    ):
        await ask(sdk, client, stream=stream, is_async=is_async, **headers)
    assert time.monotonic() - started < 0.4
    assert isinstance(raised.value, anthropic.AnthropicError) == (sdk == "anthropic")
    assert raised.value.provider == ("openai" if sdk == "responses" else sdk)
    assert provider.calls == 0


async def test_stream_helper_misses_in_replay(make, provider):
    """The stream helper of Anthropic raises the miss as it is."""
    client = make("anthropic", cache={"mode": "replay"}, retries=2)
    messages = [{"role": "user", "content": "Hi"}]
    with (
        pytest.raises(CacheMissError),
        client.messages.stream(model="m", max_tokens=9, messages=messages),
    ):
        pass

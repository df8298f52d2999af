"""boto3's client of Bedrock through the cache: its own, and every one under ``install``."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config

import spark_cache
from spark_cache import BedrockModel, CacheMissError
from spark_cache.testing import StandInProvider

_QUESTION = [{"role": "user", "content": [{"text": "What is Python?"}]}]
_TOOL = {
    "tools": [
        {
            "toolSpec": {
                "name": "get_weather",
                "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
            }
        }
    ]
}


@pytest.fixture
def provider():
    with StandInProvider() as running:
        yield running


@pytest.fixture
def make(provider):
    def make(retries: int = 1, **settings):
        client = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=provider.base_url.removesuffix("/v1"),
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(retries={"max_attempts": retries}),
        )
        return spark_cache.cached(client, **settings) if settings else client

    return make


@pytest.fixture
def settings(tmp_path):
    return {"enabled": True, "cache_dir": tmp_path / "cache"}


def _ask(client, **arguments):
    response = client.converse(modelId="model", messages=_QUESTION, **arguments)
    return {name: response[name] for name in ("output", "stopReason", "usage")}


def _stream(client, **arguments):
    return list(client.converse_stream(modelId="model", messages=_QUESTION, **arguments)["stream"])


@pytest.mark.parametrize("arguments", [{}, {"toolConfig": _TOOL}], ids=["plain", "tools"])
@pytest.mark.parametrize("call", [_ask, _stream])
def test_a_hit_is_what_boto3_hears(make, provider, settings, call, arguments):
    """New and cached responses equal those of a client without the cache, event by event."""
    plain = call(make(), **arguments)
    client = make(**settings)
    provider_calls = provider.calls
    assert [call(client, **arguments) for _ in range(3)] == [plain] * 3
    assert provider.calls == provider_calls + 1


def test_streams_and_whole_responses_share_an_entry(make, provider, settings):
    """A streamed response serves a call that is not streamed, and the other way round."""
    client = make(**settings)
    _stream(client)
    text = _ask(client)["output"]["message"]["content"][0]["text"]
    assert "You asked: What is Python?" in text
    assert provider.calls == 1


def test_the_model_shares_the_entry(make, provider, settings):
    """A client and a model that send the same body share an entry."""
    address = provider.base_url.removesuffix("/v1")
    arguments = {
        "region_name": "us-east-1",
        "endpoint_url": address,
        "aws_access_key_id": "any",
        "aws_secret_access_key": "any",
    }
    _ask(make(**settings))
    model = BedrockModel("model", client_args=arguments, enable_cache=True, cache_dir=settings["cache_dir"])

    async def ask():
        async with model:
            return await model.get_text([{"role": "user", "content": "What is Python?"}])

    assert asyncio.run(ask()).cached
    assert provider.calls == 1


def test_threads_share_a_call(make, provider, settings):
    """Equal calls of threads make one request."""
    client = make(**settings)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _ask(client), range(8)))
    assert answers == [answers[0]] * 8
    assert provider.calls == 1


def test_errors_are_those_of_boto3(make, provider, settings, tmp_path):
    """An error of the service is raised as without the cache, and nothing is stored."""
    client = make(**settings)
    provider.fail_next(400)
    with pytest.raises(client.exceptions.ClientError):
        _ask(client)
    assert list((tmp_path / "cache").glob("bedrock/*/*.json")) == []


@pytest.mark.parametrize("call", [_ask, _stream])
def test_a_miss_in_replay(make, provider, settings, call):
    """A miss in replay mode is raised at once, without retries."""
    with pytest.raises(CacheMissError):
        call(make(retries=3, mode="replay", **settings))
    assert provider.calls == 0


def test_other_operations_pass(make, provider, settings):
    """An operation that the library does not recognise is sent each time."""
    client = make(**settings)
    for _ in range(2):
        client.invoke_model(modelId="amazon.titan-embed-text-v2:0", body='{"inputText": "Hello"}')
    assert provider.calls == 2


def test_a_client_of_another_service_is_refused(settings):
    """Only the client of Bedrock's runtime has calls that the cache can answer."""
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any")
    with pytest.raises(TypeError, match="bedrock-runtime"):
        spark_cache.cached(client, **settings)


def test_every_client_under_install(make, provider, settings):
    """Under ``install``, clients made before go through the cache, once each, and afterwards not any more."""
    client = make()
    with spark_cache.installed(**settings):
        assert _ask(client) == _ask(client)
        assert _stream(client) == _stream(client)
        assert _ask(make(**settings)) == _ask(client)
    assert provider.calls == 1
    _ask(client)
    assert provider.calls == 2


def test_a_new_process_needs_no_service(make, provider, settings, tmp_path):
    """What one process has stored answers another one, although the service is gone."""
    client = make(**settings)
    expected = (_ask(client), _stream(client))
    program = f"""
        import boto3, spark_cache
        spark_cache.install(enabled=True, cache_dir={str(settings["cache_dir"])!r}, mode="replay")
        client = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url={provider.base_url.removesuffix("/v1")!r},
            aws_access_key_id="any", aws_secret_access_key="any")
        messages = [{{"role": "user", "content": [{{"text": "What is Python?"}}]}}]
        response = client.converse(modelId="model", messages=messages)
        print(({{name: response[name] for name in ("output", "stopReason", "usage")}},
            list(client.converse_stream(modelId="model", messages=messages)["stream"])))
    """
    provider.__exit__(None, None, None)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False
    )
    provider.__enter__()
    assert (done.stdout.strip(), done.stderr) == (str(expected), "")

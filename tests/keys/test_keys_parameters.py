"""The parameters, headers and base URLs that are part of a key."""

from __future__ import annotations

import pytest

from spark_cache.keys import (
    cache_key,
    key_parameters,
    normalise_endpoint,
    normalise_message,
    stateful_parameter,
)

_OWN = "https://api.openai.com/v1"


@pytest.mark.parametrize(
    "header",
    [
        "Authorization",
        "authorization",
        "X-API-Key",
        "api-key",
        "x-goog-api-key",
        "Cookie",
        "User-Agent",
        "traceparent",
        "X-B3-TraceId",
        "sentry-trace",
        "X-Request-ID",
        "Idempotency-Key",
    ],
)
def test_transport_headers_are_not_keyed(ask, header):
    """Headers for credentials, clients, tracing and idempotency do not change a key, in any letter case."""
    plain = cache_key(ask(parameters={"extra_headers": {"X-Tenant": "blue"}}))
    assert cache_key(ask(parameters={"extra_headers": {"X-Tenant": "blue", header: "one"}})) == plain


def test_other_headers_are_keyed(ask):
    """A header that may change the response changes the key."""
    keys = {cache_key(ask(parameters={"extra_headers": {"X-Tenant": tenant}})) for tenant in ("blue", "red")}
    assert len(keys) == 2


def test_header_names_are_case_insensitive(ask):
    """``X-Tenant`` and ``x-tenant`` are the same header in HTTP and in a key."""
    keys = {cache_key(ask(parameters={"extra_headers": {name: "blue"}})) for name in ("X-Tenant", "x-tenant")}
    assert len(keys) == 1


@pytest.mark.parametrize(
    "name", ["timeout", "max_retries", "idempotency_key", "stream", "stream_options", "cache", "sensitive"]
)
def test_parameters_that_cannot_change_the_response_are_not_keyed(ask, name):
    """Timeouts, retries, streaming and options of this library do not change a key."""
    assert cache_key(ask(parameters={name: "anything"})) == cache_key(ask())


def test_parameters_are_not_modified():
    """Selecting the keyed parameters does not modify the parameters."""
    parameters = {"timeout": 5, "seed": 1, "extra_headers": {"Authorization": "x", "X-A": "1"}}
    before = {**parameters, "extra_headers": dict(parameters["extra_headers"])}
    assert key_parameters(parameters) == {"seed": 1, "extra_headers": {"x-a": "1"}}
    assert parameters == before


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "c"}}, "conversation"),
        ({"background": True}, "background"),
        ({"container": "c"}, "container"),
        ({"cached_content": "c"}, "cached_content"),
        ({"seed": 1, "extra_body": {"thread_id": "t"}}, "extra_body.thread_id"),
        ({"background": False}, None),
        ({"conversation": None}, None),
        ({"extra_body": {"top_k": 1}}, None),
        ({}, None),
    ],
)
def test_state_at_the_provider_is_recognised(parameters, name):
    """A parameter that refers to state at the provider is named, unless it is off or absent."""
    assert stateful_parameter(parameters) == name


@pytest.mark.parametrize(
    "url",
    [
        _OWN,
        "https://api.openai.com/v1/",
        "HTTPS://API.OpenAI.com/v1",
        "https://api.openai.com:443/v1",
        "https://user:secret@api.openai.com/v1",
        "https://api.openai.com/v1#part",
    ],
)
def test_the_providers_default_url_is_none(url):
    """The provider's default URL is not an endpoint, in any spelling."""
    assert normalise_endpoint(url, _OWN) is None


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://LOCALHOST:8080/v1/", "http://localhost:8080/v1"),
        ("http://localhost:80/v1", "http://localhost/v1"),
        ("https://localhost:80/v1", "https://localhost:80/v1"),
        ("http://user:secret@proxy/v1", "http://proxy/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("https://x.azure.com/v1?api-version=1", "https://x.azure.com/v1?api-version=1"),
        ("https://api.openai.com/V1", "https://api.openai.com/V1"),
        ("http://api.openai.com/v1", "http://api.openai.com/v1"),
        ("http://localhost:99999/v1", "http://localhost:99999/v1"),
        ("http://[::1", "http://[::1"),
        ("", ""),
    ],
)
def test_other_urls_are_normalised(url, endpoint):
    """A URL is keyed without the parts that cannot change the response, and never with user info."""
    assert normalise_endpoint(url, _OWN) == endpoint


@pytest.mark.parametrize(
    "content",
    [
        [{"text": "a"}, {"text": "b"}],
        [{"type": "text", "text": "a"}],
        [{"text": 5}],
        [],
        "a",
        None,
        [{"image_url": "x"}],
    ],
)
def test_other_messages_are_unchanged(content):
    """Only a single text block is replaced. Any other message is returned as the same object."""
    message = {"role": "user", "content": content}
    assert normalise_message(message) is message


def test_one_text_block_becomes_its_text():
    """A message with one text block gets the text as content and keeps its other fields."""
    message = {"role": "user", "name": "Ann", "content": [{"text": "a"}]}
    assert normalise_message(message) == {"role": "user", "name": "Ann", "content": "a"}
    assert message["content"] == [{"text": "a"}]

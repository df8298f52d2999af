"""The headers, options and base URLs that are part of a key."""

from __future__ import annotations

import pytest

from spark_cache.keys import cache_key, keyed_body, normalise_endpoint
from spark_cache.providers.anthropic.dialect import SDK

_OWN = "https://api.openai.com/v1"


@pytest.mark.parametrize("provider", ["anthropic", "echo", "gemini", "openai"])
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
        "Accept-Language",
        "OpenAI-Organization",
        "X-Stainless-Retry-Count",
        "traceparent",
        "X-B3-TraceId",
        "sentry-trace",
        "X-Request-ID",
        "Idempotency-Key",
    ],
)
def test_transport_headers_are_not_keyed(ask, provider, header):
    """Headers for credentials, clients, tracing and idempotency do not change a key, in any letter case."""
    plain, more = (
        cache_key(ask(provider, parameters={"extra_headers": {"X-Tenant": "blue", **headers}}))
        for headers in ({}, {header: "one"})
    )
    assert plain == more


def test_other_headers_are_keyed(ask):
    """A header that may change the response changes the key."""
    keys = {cache_key(ask(parameters={"extra_headers": {"X-Tenant": tenant}})) for tenant in ("blue", "red")}
    assert len(keys | {cache_key(ask())}) == 3


def test_header_names_are_case_insensitive(ask):
    """``X-Tenant`` and ``x-tenant`` are the same header in HTTP and in a key. Of two, the later one is sent and keyed."""
    keys = {
        cache_key(ask(parameters={"extra_headers": headers}))
        for headers in ({"X-Tenant": "blue"}, {"x-tenant": "blue"}, {"X-Tenant": "red", "x-tenant": "blue"})
    }
    assert len(keys) == 1


def test_a_query_is_keyed(ask):
    """Query parameters change a key, and their names are case-sensitive."""
    queries = ({}, {"a": "1"}, {"A": "1"}, {"a": "2"})
    assert len({cache_key(ask(parameters={"extra_query": query})) for query in queries}) == 4


def test_empty_headers_and_queries_are_absent(ask, sent):
    """A request with empty headers and an empty query has the key of one without."""
    given = {"extra_headers": {}, "extra_query": None, "extra_body": {}}
    assert cache_key(ask(parameters=given)) == cache_key(ask())
    assert cache_key(sent(headers={}, query={})) == cache_key(sent())


def test_a_header_is_not_a_query_or_a_field(sent):
    """The same pair in another part of a request gives another key."""
    pair = {"a": "1"}
    assert len({cache_key(sent(**fields)) for fields in ({"headers": pair}, {"query": pair}, pair)}) == 3


def test_the_default_version_of_a_provider_is_not_keyed(ask):
    """``anthropic-version`` is not part of the key if it is the version that the SDK sends by itself."""
    own, other = (
        cache_key(ask("anthropic", parameters={"extra_headers": {"Anthropic-Version": version}}))
        for version in (SDK.own_headers["anthropic-version"], "2023-06-01")
    )
    assert own == cache_key(ask("anthropic")) != other


@pytest.mark.parametrize(
    "name",
    [
        "timeout",
        "max_retries",
        "idempotency_key",
        "stream",
        "stream_options",
        "cache",
        "sensitive",
    ],
)
def test_options_that_cannot_change_the_response_are_not_keyed(ask, name):
    """Timeouts, retries, streaming and options of this library do not change a key."""
    assert cache_key(ask(parameters={name: "anything"})) == cache_key(ask())


def test_options_of_a_request_are_not_keyed(sent):
    """What the SDK's function takes besides the body does not change a key."""
    assert cache_key(sent(options={"timeout": 5, "extra_headers": {"x-a": "1"}})) == cache_key(sent())


def test_parameters_are_not_modified(ask):
    """Neither building a request nor keying it modifies what was given."""
    parameters = {"timeout": 5, "seed": 1, "extra_headers": {"Authorization": "x", "X-A": "1"}}
    before = {**parameters, "extra_headers": dict(parameters["extra_headers"])}
    request = ask(parameters=parameters)
    assert keyed_body(request).keys() == {"messages", "seed"}
    assert request.headers == {"x-a": "1"}
    assert parameters == before


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

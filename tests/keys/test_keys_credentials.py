"""Credentials in tools and parameters are part of neither the key nor the stored request."""

from __future__ import annotations

import json

import pytest
from google.genai import types

from spark_cache.errors import UncacheableRequestError
from spark_cache.keys import cache_key, readable_request

SECRET = "hush"


def mcp(**fields):
    """Return an OpenAI tool of type ``mcp``."""
    return {"type": "mcp", "server_label": "wiki", "server_url": "https://mcp.example", **fields}


def anthropic_server(**fields):
    """Return Anthropic's parameter for MCP servers."""
    return {"mcp_servers": [{"type": "url", "name": "wiki", "url": "https://mcp.example", **fields}]}


def gemini_server(**fields):
    """Return a Gemini tool with an MCP server."""
    transport = {"url": "https://mcp.example", **fields}
    return {"mcp_servers": [{"name": "wiki", "streamable_http_transport": transport}]}


def azure_source(**fields):
    """Return Azure's parameter for a search index."""
    index = {"endpoint": "https://search.example", "index_name": "books", **fields}
    return {"data_sources": [{"type": "azure_search", "parameters": index}]}


def as_json(request):
    """Encode a request as an entry does."""
    return json.dumps(request, sort_keys=True)


AUTHORIZED = {"Authorization": f"Bearer {SECRET}"}
AUTHENTICATION = {"type": "api_key", "key": SECRET}

PLACES = {
    "openai token": ({"tool_specs": [mcp()]}, {"tool_specs": [mcp(authorization=SECRET)]}),
    "openai headers": ({"tool_specs": [mcp()]}, {"tool_specs": [mcp(headers=AUTHORIZED)]}),
    "openai custom header": (
        {"tool_specs": [mcp()]},
        {"tool_specs": [mcp(headers={"WIKI_API_KEY": SECRET})]},
    ),
    "openai tools as a parameter": (
        {"parameters": {"tools": (mcp(),)}},
        {"parameters": {"tools": (mcp(authorization=SECRET),)}},
    ),
    "openai tools in the extra body": (
        {"parameters": {"extra_body": {"tools": [mcp()]}}},
        {"parameters": {"extra_body": {"tools": [mcp(authorization=SECRET)]}}},
    ),
    "azure": (
        {"parameters": {"extra_body": azure_source()}},
        {"parameters": {"extra_body": azure_source(authentication=AUTHENTICATION)}},
    ),
    "azure embeddings": (
        {"parameters": {"extra_body": azure_source(embedding_dependency={"type": "endpoint"})}},
        {
            "parameters": {
                "extra_body": azure_source(
                    embedding_dependency={"type": "endpoint", "authentication": AUTHENTICATION}
                )
            }
        },
    ),
    "anthropic": (
        {"parameters": anthropic_server()},
        {"parameters": anthropic_server(authorization_token=SECRET)},
    ),
    "bedrock": (
        {"parameters": {"additionalModelRequestFields": anthropic_server()}},
        {"parameters": {"additionalModelRequestFields": anthropic_server(authorization_token=SECRET)}},
    ),
    "gemini headers": (
        {"tool_specs": [gemini_server()]},
        {"tool_specs": [gemini_server(headers={"X-Goog-Api-Key": SECRET})]},
    ),
    "gemini on the wire": (
        {"tool_specs": [{"googleMaps": {"enableWidget": True}}]},
        {"tool_specs": [{"googleMaps": {"enableWidget": True, "authConfig": {"apiKey": SECRET}}}]},
    ),
    "gemini search": (
        {"tool_specs": [{"parallel_ai_search": {}, "exa_ai_search": {}}]},
        {"tool_specs": [{"parallel_ai_search": {"api_key": SECRET}, "exa_ai_search": {"api_key": SECRET}}]},
    ),
    "gemini objects of the SDK": (
        {"tool_specs": [types.Tool(**gemini_server())]},
        {"tool_specs": [types.Tool(**gemini_server(headers=AUTHORIZED))]},
    ),
    "echo token": ({"tool_specs": [mcp()]}, {"tool_specs": [mcp(authorization=SECRET)]}),
}
"""A provider with a place for credentials, and the arguments of a call without and with them."""


def requests_at(ask, place):
    """Return a request without credentials in a place, and one with them."""
    provider = {"azure": "openai"}.get(place.split()[0], place.split()[0])
    without, with_credentials = PLACES[place]
    return ask(provider, **without), ask(provider, **with_credentials)


@pytest.mark.parametrize("place", PLACES)
def test_credentials_are_not_keyed(ask, place):
    """A request with credentials for a tool has the same key as the request without them."""
    without, with_credentials = requests_at(ask, place)
    assert cache_key(without) == cache_key(with_credentials)


@pytest.mark.parametrize("place", PLACES)
def test_credentials_are_not_readable(ask, place):
    """The stored request contains everything except credentials."""
    without, with_credentials = (as_json(readable_request(request)) for request in requests_at(ask, place))
    assert SECRET not in with_credentials
    assert with_credentials == without


@pytest.mark.parametrize("place", PLACES)
def test_a_request_is_not_modified(ask, place):
    """The request that is sent keeps its credentials."""
    _, with_credentials = requests_at(ask, place)
    cache_key(with_credentials)
    readable_request(with_credentials)
    assert SECRET in repr(with_credentials.body)


@pytest.mark.parametrize("part", ["headers", "query"])
def test_a_pair_that_may_be_a_credential_is_keyed_and_not_stored(sent, part):
    """A header or a query parameter whose name ends like a credential may choose a tenant, so it is keyed. It is not stored."""
    blue, red = (sent(**{part: {"x-tenant-key": tenant, "x-region": "eu"}}) for tenant in ("blue", "red"))
    assert cache_key(blue) != cache_key(red)
    assert readable_request(blue)[part] == {"x-region": "eu"}


def test_other_headers_for_a_server_are_keyed_and_not_stored(ask):
    """A header that is not a credential may change the output of a tool's server, so it is keyed. It is not stored."""
    blue, red = (ask(tool_specs=[mcp(headers={"X-Tenant": tenant})]) for tenant in ("blue", "red"))
    assert cache_key(blue) != cache_key(red)
    assert "headers" not in readable_request(blue)["body"]["tools"][0]


@pytest.mark.parametrize(
    "name", ["authorization", "headers", "key", "api_key", "token", "authorization_token"]
)
def test_properties_of_a_tool_are_not_credentials(ask, name):
    """A tool whose arguments are named like credentials is keyed and stored in full."""
    tools = [
        {"name": "login", "parameters": {"type": "object", "properties": {name: {"type": kind}}}}
        for kind in ("string", "integer")
    ]
    one, other = (ask(tool_specs=[tool]) for tool in tools)
    assert cache_key(one) != cache_key(other)
    (tool,) = readable_request(one)["body"]["tools"]
    assert tool["function"] == tools[0]


def test_a_body_that_contains_itself_is_refused(ask):
    """Parameters that contain themselves raise the usual error with their path."""
    body: dict[str, object] = {}
    body["extra_body"] = body
    with pytest.raises(UncacheableRequestError, match="contains itself"):
        cache_key(ask(parameters=body))


def test_the_account_in_a_connection_string_is_keyed(ask):
    """It may be the only part of a request that names the database. Its secrets are not part of the key."""

    def key(account, secret):
        connection = f"AccountEndpoint=https://{account}.example;AccountKey={secret}"
        authentication = {"type": "connection_string", "connection_string": connection}
        return cache_key(ask(parameters=azure_source(authentication=authentication)))

    assert key("one", SECRET) == key("one", "other") != key("two", SECRET)

"""What of a client, an address and a request of Gemini's is in the key, and what is not cached."""

from __future__ import annotations

import openai
import pytest
from google import genai
from google.genai import types
from models_world import QUESTION

from spark_cache.models.gemini import GeminiModel
from spark_cache.providers.gemini.request import kept_by_provider
from spark_cache.providers.gemini.service import service_of
from spark_cache.types import Request

OWN = "https://generativelanguage.googleapis.com"
VERTEX = "https://aiplatform.googleapis.com"


def endpoint(environ=(), **arguments):
    return service_of(None, arguments, dict(environ)).endpoint


def key(**arguments):
    return GeminiModel("gemini-2.5-flash", client_args=arguments).cache_key(QUESTION)


def options(**named):
    return {"http_options": named}


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ({}, {}, None),
        (options(base_url=f"{OWN}/"), {}, None),
        (options(api_version="v1"), {}, None),
        (options(api_version="v1alpha"), {}, f"{OWN}/v1alpha"),
        ({}, {"GOOGLE_GENAI_API_VERSION": "v1alpha"}, f"{OWN}/v1alpha"),
        (options(base_url="https://proxy/g/"), {}, "https://proxy/g"),
        ({"http_options": types.HttpOptions(base_url="https://proxy/g/")}, {}, "https://proxy/g"),
        ({}, {"GOOGLE_GEMINI_BASE_URL": "https://proxy"}, "https://proxy"),
        ({"vertexai": True}, {}, VERTEX),
        ({"enterprise": True, "vertexai": None}, {}, VERTEX),
        ({}, {"GOOGLE_GENAI_USE_VERTEXAI": "True"}, VERTEX),
        ({}, {"GOOGLE_GENAI_USE_ENTERPRISE": "0", "GOOGLE_GENAI_USE_VERTEXAI": "1"}, None),
        ({"vertexai": False}, {"GOOGLE_GENAI_USE_VERTEXAI": "1"}, None),
        ({"vertexai": True, **options(base_url="https://us-east1-aiplatform.googleapis.com")}, {}, VERTEX),
        ({"vertexai": True, **options(base_url="https://aiplatform.eu.rep.googleapis.com")}, {}, VERTEX),
        ({"vertexai": True, **options(base_url="https://proxy")}, {}, "https://proxy?vertexai=true"),
        ({"vertexai": True}, {"GOOGLE_VERTEX_BASE_URL": "https://proxy"}, "https://proxy?vertexai=true"),
    ],
)
def test_gemini_endpoint(arguments, environ, expected):
    """The service is in the key, with the address that it was given; locations and usual versions are not."""
    assert endpoint(environ, **arguments) == expected


def test_gemini_project_and_location_are_not_keyed():
    """Who pays, and where the model runs, is not in the key."""
    assert key(vertexai=True, project="a", location="us-east1") == key(
        vertexai=True, project="b", location="global"
    )
    assert key(vertexai=True) != key()


@pytest.mark.parametrize(
    "arguments",
    [
        {"api_key": "x"},
        {
            "api_key": "x",
            **options(api_version="v1alpha", headers={"x-mine": "1"}, extra_body={"a": {"b": 1}}),
        },
        {"api_key": "x", **options(async_client_args={"headers": {"X-Mine": "1"}, "params": {"tier": "2"}})},
        {"vertexai": True, "api_key": "x"},
        {"vertexai": True, "api_key": "x", **options(base_url="https://proxy/v")},
    ],
)
def test_gemini_given_client_has_the_key_of_a_made_one(arguments):
    """A client that is given leads to the key of one that is made with the same arguments."""
    with genai.Client(**arguments) as client:
        assert GeminiModel("gemini-2.5-flash", client=client).cache_key(QUESTION) == key(**arguments)


async def test_gemini_headers_of_the_client_are_keyed():
    """What the client or its HTTP client sends with every request is in the key, except what the SDK sends and credentials."""
    async with openai.DefaultAsyncHttpxClient(
        headers={"x-mine": "1", "x-api-key": "s"}, params={"tier": "2", "key": "s"}
    ) as client:
        service = service_of(
            None, options(httpx_async_client=client, headers={"X-Yours": "2", "x-goog-api-key": "s"}), {}
        )
    assert dict(service.headers) == {"x-mine": "1", "x-yours": "2"}
    assert service.endpoint == f"{OWN}?tier=2"
    assert key(**options(headers={"x-mine": "1"})) != key()
    assert key(**options(async_client_args={"headers": {"x-mine": "1"}})) == key(
        **options(headers={"x-mine": "1"})
    )


def test_gemini_continued_answer():
    """A request that continues an answer leans on it."""
    request = Request("gemini", "m", QUESTION, parameters={"continuation_token": b"x"})
    assert kept_by_provider(request) == "parameters.continuation_token"


def test_gemini_body_of_the_client_is_keyed():
    """What the client lays over every body is in the key."""
    assert key(**options(extra_body={"a": 1})) != key()


def test_gemini_options_of_a_call():
    """The headers and the body among a call's options are keyed like what they add; its timeout is not."""
    model = GeminiModel("gemini-2.5-flash")
    plain = model.cache_key(QUESTION)
    assert model.cache_key(QUESTION, http_options={"timeout": 1000}) == plain
    assert model.cache_key(QUESTION, http_options=types.HttpOptions(timeout=1000)) == plain
    added = model.cache_key(QUESTION, http_options={"headers": {"x-mine": "1"}, "extra_body": {"a": 1}})
    assert added == model.cache_key(QUESTION, extra_headers={"x-mine": "1"}, extra_body={"a": 1}) != plain


@pytest.mark.parametrize(
    ("parameters", "way_out"),
    [
        ({"model": "m"}, "GeminiModel"),
        ({"contents": []}, "messages"),
        ({"config": {"temperature": 0}}, "temperature=0"),
        ({"stream": True}, "stream_text"),
        ({"http_options": {"base_url": "https://proxy"}}, "to the client"),
    ],
)
def test_gemini_parameter_of_elsewhere(parameters, way_out):
    """An argument of the SDK that is none of a call's is refused, and the error names the way out."""
    with pytest.raises(TypeError, match=way_out):
        GeminiModel("gemini-2.5-flash").cache_key(QUESTION, **parameters)


def part(uri):
    return {"fileData": {"fileUri": uri, "mimeType": "video/mp4"}}


FILE = f"{OWN}/v1beta/files/abc"


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"role": "user", "parts": [{"text": "a"}, part(FILE)]}, "messages[0]"),
        ({"role": "user", "content": [{"text": "a"}, part(FILE)]}, "messages[0]"),
        ({"role": "user", "parts": [part("gs://bucket/object")]}, "messages[0]"),
        ({"role": "user", "parts": [part("files/abc")]}, "messages[0]"),
        ({"role": "user", "parts": [{"file_data": {"file_uri": FILE}}]}, "messages[0]"),
        (
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "parts": [part(FILE)]}}]},
            "messages[0]",
        ),
        (types.Content(parts=[types.Part.from_uri(file_uri=FILE, mime_type="video/mp4")]), "messages[0]"),
        (types.Content(parts=[types.Part(text="a")]), None),
        ({"role": "user", "parts": [part("https://youtu.be/abc")]}, None),
        ({"role": "user", "parts": [part("https://googleapis.com.example/files/abc")]}, None),
        ({"role": "user", "content": f"What is {FILE}?"}, None),
    ],
)
def test_gemini_files_at_the_provider(message, place):
    """A request that names a file that is kept at the provider leans on it; one that names the rest of the web does not."""
    assert kept_by_provider(Request("gemini", "m", [message])) == place


@pytest.mark.parametrize(
    ("tool", "found"),
    [
        ({"fileSearch": {"fileSearchStoreNames": ["s"]}}, "fileSearch"),
        ({"file_search": {"file_search_store_names": ["s"]}}, "file_search"),
        (types.Tool(file_search=types.FileSearch(file_search_store_names=["s"])), "file_search"),
        ({"retrieval": {"vertexAiSearch": {}}}, "retrieval"),
        ({"googleSearch": {}}, None),
    ],
)
def test_gemini_stores_at_the_provider(tool, found):
    """A request whose tools read a store at the provider leans on it."""
    assert kept_by_provider(Request("gemini", "m", QUESTION, tool_specs=[tool])) == (
        found and f"tool_specs[0].{found}"
    )
    assert kept_by_provider(Request("gemini", "m", QUESTION, parameters={"tools": [tool]})) == (
        found and f"parameters.tools[0].{found}"
    )

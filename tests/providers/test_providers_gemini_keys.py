"""The parts of a Gemini client, address and request that are in the key, and requests that are not cached."""

from __future__ import annotations

from hashlib import sha256

import openai
import pytest
from google import genai
from google.genai import types
from models_world import QUESTION

from spark_cache.keys import state_path
from spark_cache.models.gemini import GeminiModel
from spark_cache.providers.gemini.service import service_of
from spark_cache.providers.known import plain_request

OWN = "https://generativelanguage.googleapis.com"
VERTEX = "https://aiplatform.googleapis.com"


def endpoint(environ=(), **arguments):
    return service_of(None, arguments, dict(environ)).endpoint


def key(**arguments):
    return GeminiModel("gemini-2.5-flash", client_args=arguments).cache_key(QUESTION)


def options(**named):
    return {"http_options": named}


def state(messages=QUESTION, tool_specs=None, **parameters):
    """Return the path of the state at the provider on which a request depends."""
    return state_path(
        plain_request(
            "gemini", "m", messages, None, tool_specs, None, None, "text", None, None, parameters, {}
        )
    )


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
    """The service and its configured address are part of the key. Locations and usual versions are not."""
    assert endpoint(environ, **arguments) == expected


def test_gemini_project_and_location_are_not_keyed():
    """The project and the location are not part of the key."""
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
def test_gemini_given_client_has_the_key_of_a_created_one(arguments):
    """A given client leads to the same key as one created with the same arguments."""
    with genai.Client(**arguments) as client:
        assert GeminiModel("gemini-2.5-flash", client=client).cache_key(QUESTION) == key(**arguments)


async def test_gemini_headers_of_the_client_are_keyed():
    """Headers of the client and its HTTP client are part of the key, except the SDK's own headers and credentials."""
    async with openai.DefaultAsyncHttpxClient(
        headers={"x-mine": "1", "x-api-key": "s"}, params={"tier": "2", "key": "s"}
    ) as client:
        service = service_of(
            None, options(httpx_async_client=client, headers={"X-Yours": "2", "x-goog-api-key": "s"}), {}
        )
    assert dict(service.headers) == {"x-mine": "1", "x-yours": "2"}
    assert service.endpoint == f"{OWN}?tier=2&key=sha256-{sha256(b's').hexdigest()[:32]}"
    assert key(**options(headers={"x-mine": "1"})) != key()
    assert key(**options(async_client_args={"headers": {"x-mine": "1"}})) == key(
        **options(headers={"x-mine": "1"})
    )


def test_gemini_continued_response():
    """A request that continues a response depends on it."""
    assert state(extra_body={"continuationToken": "x"}) == "body.continuationToken"


def test_gemini_body_of_the_client_is_keyed():
    """The extra body of the client is part of the key."""
    assert key(**options(extra_body={"a": 1})) != key()


def test_gemini_options_of_a_call():
    """The headers and the body in a call's options are keyed like the parameters that they set. Its timeout is not."""
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
def test_gemini_argument_that_is_not_a_parameter(parameters, way_out):
    """An SDK argument that is not a parameter of a call is refused, and the error names the alternative."""
    with pytest.raises(TypeError, match=way_out):
        GeminiModel("gemini-2.5-flash").cache_key(QUESTION, **parameters)


def part(uri):
    return {"fileData": {"fileUri": uri, "mimeType": "video/mp4"}}


FILE = f"{OWN}/v1beta/files/abc"


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"role": "user", "parts": [{"text": "a"}, part(FILE)]}, "body.contents[0]"),
        ({"role": "user", "content": [{"text": "a"}, part(FILE)]}, "body.contents[0]"),
        ({"role": "user", "parts": [part("gs://bucket/object")]}, "body.contents[0]"),
        ({"role": "user", "parts": [part("files/abc")]}, "body.contents[0]"),
        ({"role": "user", "parts": [{"file_data": {"file_uri": FILE}}]}, "body.contents[0]"),
        (
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "parts": [part(FILE)]}}]},
            "body.contents[0]",
        ),
        (
            types.Content(parts=[types.Part.from_uri(file_uri=FILE, mime_type="video/mp4")]),
            "body.contents[0]",
        ),
        (types.Content(parts=[types.Part(text="a")]), None),
        ({"role": "user", "parts": [part("https://youtu.be/abc")]}, None),
        ({"role": "user", "parts": [part("https://googleapis.com.example/files/abc")]}, None),
        ({"role": "user", "content": f"What is {FILE}?"}, None),
    ],
)
def test_gemini_files_at_the_provider(message, place):
    """A request that refers to a file at the provider depends on state. One that refers to any other address does not."""
    assert state([message]) == place


@pytest.mark.parametrize(
    ("tool", "found"),
    [
        ({"fileSearch": {"fileSearchStoreNames": ["s"]}}, "fileSearch"),
        ({"file_search": {"file_search_store_names": ["s"]}}, "file_search"),
        (types.Tool(file_search=types.FileSearch(file_search_store_names=["s"])), "fileSearch"),
        ({"retrieval": {"vertexAiSearch": {}}}, "retrieval"),
        ({"googleSearch": {}}, None),
    ],
)
def test_gemini_stores_at_the_provider(tool, found):
    """A request whose tools read a store at the provider depends on state."""
    assert state(tool_specs=[tool]) == (found and f"body.tools[0].{found}")
    assert state(tools=[tool]) == (found and f"body.tools[0].{found}")

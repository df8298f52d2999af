"""The page on who shares an entry says what the captured requests say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spark_cache.keys import cache_key
from spark_cache.providers.wire import request_of_http

ROOT = Path(__file__).parents[2]
CAPTURED = json.loads((ROOT / "docs" / "explanation" / "captured-requests.json").read_text(encoding="utf-8"))
REQUESTS = CAPTURED["requests"]


def test_the_table_is_up_to_date():
    """The table is what ``docs/make_sharing.py`` computes from the captured requests."""
    subprocess.run([sys.executable, "docs/make_sharing.py", "--check"], cwd=ROOT, check=True)


@pytest.mark.parametrize("one", REQUESTS, ids=lambda one: f"{one['client']}-{one['interface']}-{one['kind']}")
def test_headers_that_clients_add_are_not_keyed(one):
    """None of the headers that clients send by themselves is part of a key, except an older version of an API."""
    request = request_of_http(one["method"], f"http://localhost{one['path']}", one["headers"], one["body"])
    assert set(request.headers) <= ({"anthropic-version"} if one["client"] == "litellm" else set())
    bare = request_of_http(one["method"], f"http://localhost{one['path']}", {}, one["body"])
    if one["client"] != "litellm":
        assert cache_key(request) == cache_key(bare)


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("GET", "https://api.openai.com/v1/models", {}),
        ("GET", "https://api.openai.com/v1/responses", {"model": "m"}),
        ("POST", "https://api.openai.com/v1/files", {"model": "m"}),
        ("POST", "https://api.openai.com/v1/responses", {"input": "no model"}),
        ("POST", "https://api.openai.com/v1/responses", ["no", "object"]),
        ("POST", "https://api.anthropic.com/v1/messages/count_tokens", {"model": "m"}),
        ("POST", "https://generativelanguage.googleapis.com/v1beta/models/m:countTokens", {}),
        ("POST", "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/count-tokens", {}),
    ],
)
def test_other_requests_are_not_recognised(method, url, body):
    """A request that is no call of a model is nobody's."""
    assert request_of_http(method, url, {}, body) is None


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://api.openai.com/v1/chat/completions", None),
        ("http://localhost:11434/v1/chat/completions", "http://localhost:11434/v1"),
        ("https://us.api.openai.com/v1/chat/completions", "https://us.api.openai.com/v1"),
    ],
)
def test_the_address_is_keyed_unless_it_is_the_provider_s_own(url, same):
    """The endpoint of a request is what stands in front of the path of the call."""
    assert request_of_http("POST", url, {}, {"model": "m", "messages": []}).endpoint == same


@pytest.mark.parametrize(
    ("url", "other"),
    [
        (
            "https://generativelanguage.googleapis.com/v1/models/m:generateContent?key=secret",
            "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse",
        ),
        (
            "https://europe-west1-aiplatform.googleapis.com/v1beta1/projects/a/locations/b/publishers/google/models/m:generateContent",
            "https://aiplatform.googleapis.com/v1/projects/c/locations/global/publishers/google/models/m:generateContent",
        ),
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/a%3A0/converse",
            "https://bedrock-runtime.eu-west-1.amazonaws.com/model/a%3A0/converse-stream",
        ),
    ],
)
def test_regions_versions_and_streams_share_an_entry(url, other):
    """Where a model runs, which usual version of the API serves it, and how its answer is sent do not change the key."""
    body = {"contents": [], "messages": []}
    keys = {cache_key(request_of_http("POST", one, {"x-goog-api-key": "k"}, body)) for one in (url, other)}
    assert len(keys) == 1

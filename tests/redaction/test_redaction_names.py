"""Secrets that only their names denote are not in an entry that may be committed, and their harmless neighbours are."""

from __future__ import annotations

import json

import pytest
from name_corpus import harmless_requests, leaves, named_secrets
from redaction_corpus import Maker

from spark_cache import CacheConfig, CacheManager, OpenAIModel
from spark_cache.entries import decode
from spark_cache.redaction import Redactor
from spark_cache.testing import StandInProvider

SECRETS = named_secrets()
HARMLESS = harmless_requests()
ANSWER = {"content": "Hello!", "stop_reason": "end_turn", "usage": None}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "recordings"


@pytest.fixture
def manager(folder):
    return CacheManager(CacheConfig(enabled=True, cache_dir=folder, commit_entries=True, store_requests=True))


def entry_with(manager, folder, **parts):
    """Store an entry and return its bytes."""
    assert manager.set("abc", "openai", "gpt-4o", parts.get("request"), parts.get("response", ANSWER))
    (path,) = folder.glob("openai/*/*.json")
    return path.read_bytes()


def test_the_corpus_is_large_enough():
    """The corpus has more than 400 secrets and more than 400 harmless values, all of them different."""
    assert len({secret.value for secret in SECRETS}) > 700
    assert len({(secret.place, secret.name) for secret in SECRETS}) > 700
    assert len({str(leaf) for request in HARMLESS for leaf in leaves(request)}) > 700


def test_no_secret_of_the_corpus_remains():
    """Each name is recognised in each of its places, in every spelling."""
    redactor = Redactor()

    left = [
        (secret.place, secret.name)
        for secret in SECRETS
        if secret.value in json.dumps(redactor.redact(secret.request)[0])
    ]

    assert left == []


def test_no_secret_is_in_an_entry(manager, folder):
    """Each entry contains the rest of its request and not the secret."""
    left = []
    for number, secret in enumerate(SECRETS):
        manager.set(f"{number:x}", "openai", "gpt-4o", {**secret.request, "sample": number}, ANSWER)
        (path,) = folder.glob("openai/*/*.json")
        data = path.read_text()
        path.unlink()
        assert f'"sample": {number}' in data
        if secret.value in data:
            left.append((secret.place, secret.name))

    assert left == []


@pytest.mark.parametrize("number", range(len(HARMLESS)))
def test_harmless_requests_are_stored_unchanged(manager, folder, number):
    """Parameters, schemas, code, IDs, hashes and vectors of real requests stay as they are."""
    entry = decode(entry_with(manager, folder, request=HARMLESS[number]))

    assert entry.request == HARMLESS[number]


@pytest.mark.parametrize("number", range(len(HARMLESS)))
def test_harmless_responses_are_stored(manager, folder, number):
    """The same names and values do not keep a response out of the cache."""
    response = {**ANSWER, "raw": HARMLESS[number]}

    assert decode(entry_with(manager, folder, response=response)).response == response


async def test_the_parameters_of_a_call(folder):
    """A model stores no secret in the headers, the query and the body that a program adds to a call."""
    config = CacheConfig(enabled=True, cache_dir=folder, commit_entries=True, store_requests=True)
    headers, queries, bodies = (
        [(secret.name, secret.value) for secret in SECRETS if secret.place == place]
        for place in ("header", "query", "field")
    )
    with StandInProvider() as provider:
        args = {
            "base_url": provider.base_url,
            "api_key": "stand-in-key-0",
            "default_query": {"code": "4c1f" * 10, "sig": "4c1f" * 11},
        }
        async with OpenAIModel("gpt-4o", cache_config=config, client_args=args) as model:
            for start in range(0, len(headers), 40):
                here = slice(start, start + 40)
                await model.get_text(
                    [{"role": "user", "content": "Hello?"}],
                    extra_headers=dict(headers[here]),
                    extra_query=dict(queries[here]),
                    extra_body={"nested": dict(bodies[here])},
                )
    entries = [path.read_text() for path in folder.glob("openai/*/*.json")]

    assert len(entries) > 3
    assert all("nested" in entry and "4c1f" not in entry for entry in entries)
    assert [
        name for name, value in (*headers, *queries, *bodies) if any(value in entry for entry in entries)
    ] == []


@pytest.mark.parametrize(
    "name",
    ["token", "code", "sig", "signature", "session_id", "key", "nonce", "pin", "auth"],
)
def test_a_response_needs_a_certain_name(manager, folder, name):
    """A response is stored unless it surely has a secret: an ambiguous name is no reason to refuse it."""
    value = Maker(3).hex(40)
    response = {
        **ANSWER,
        "content": f"See https://h.example.net/?{name}={value}",
        "tool_calls": [{"id": "call_1", "name": "f", "arguments": json.dumps({name: value})}],
    }

    assert value.encode() in entry_with(manager, folder, response=response)


@pytest.mark.parametrize(
    "url",
    [
        f"https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature={Maker(4).hex(64)}",
        f"https://storage.googleapis.com/b/k?X-Goog-Signature={Maker(5).hex(512)}",
        f"https://a.blob.core.windows.net/c/b?sv=2024-11-04&sig={Maker(6).base64(32).replace('=', '%3D')}",
        f"Endpoint=sb://a.servicebus.windows.net/;SharedAccessKey={Maker(7).base64(32)}",
    ],
)
def test_a_response_with_a_signed_url_is_not_stored(manager, url):
    """The signature of a presigned URL has a form that nothing else has."""
    assert not manager.set("abc", "openai", "gpt-4o", None, {**ANSWER, "content": f"See {url} please."})

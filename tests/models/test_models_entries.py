"""A model finds and removes the entries of its own requests, whatever it adds to them."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from spark_cache import AnthropicModel, OpenAIModel

QUESTION = [{"role": "user", "content": "What is Python?"}]


@pytest.fixture
async def models(provider, cache_dir):
    root = provider.base_url.removesuffix("/v1")
    options = {"enable_cache": True, "cache_dir": cache_dir}
    args = {"base_url": provider.base_url, "api_key": "test"}
    created = [
        OpenAIModel("gpt-4o", client_args=args, params={"seed": 1}, **options),
        OpenAIModel("gpt-4o", api="responses", client_args=args, **options),
        AnthropicModel("claude-sonnet-5", client_args={"base_url": root, "api_key": "test"}, **options),
    ]
    yield created
    for model in created:
        await model.aclose()


async def test_an_entry_is_found_and_removed_by_its_arguments(models, provider):
    """The address, the default limit of Anthropic and the parameters of the model are part of the key."""
    for model in models:
        assert not model.has_entry(QUESTION, "Be brief.", temperature=0.5)
        await model.get_text(QUESTION, "Be brief.", temperature=0.5)
        assert model.has_entry(QUESTION, "Be brief.", temperature=0.5)
        assert not model.has_entry(QUESTION, "Be brief.")
        assert model.remove_entry(QUESTION, "Be brief.", temperature=0.5)
        assert not model.remove_entry(QUESTION, "Be brief.", temperature=0.5)
    assert provider.calls == len(models)


class Store(BaseModel):
    """A tool as an object."""

    type: str = "file_search"
    vector_store_ids: list[str]


STATES = {
    "a tool as an object": (
        {"tool_specs": [Store(type="file_search", vector_store_ids=["v"])]},
        "responses",
        "body.tools[0].vector_store_ids",
    ),
    "a tool in the extra body": (
        {"extra_body": {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}},
        "responses",
        "body.tools[0].vector_store_ids",
    ),
    "an item in the extra body": (
        {"extra_body": {"input": [{"type": "item_reference", "id": "i"}]}},
        "responses",
        "body.input[0]",
    ),
    "a data source of Azure": (
        {"extra_body": {"data_sources": [{"type": "azure_search"}]}},
        "chat",
        "body.data_sources",
    ),
    "a prompt without a version": ({"prompt": {"id": "p"}}, "responses", "body.prompt"),
}


@pytest.mark.parametrize("name", STATES)
def test_state_at_the_provider_is_seen_in_any_form(cache_dir, name):
    """The response is not a function of such a request."""
    given, api, path = STATES[name]
    model = OpenAIModel("gpt-4o", api=api, enable_cache=True, cache_dir=cache_dir)
    parameters = {name: value for name, value in given.items() if name != "tool_specs"}
    request = model._requests.build(QUESTION, None, given.get("tool_specs"), None, None, parameters)
    plan = model._caller.calls.plan(request, mode=None, sensitive=None)
    assert plan.key is None
    assert plan.refusal.reason == "stateful"
    assert plan.refusal.detail == path


async def test_a_prompt_with_a_version_is_no_state(models):
    """It never changes."""
    _, model, _ = models
    prompt = {"id": "p", "version": "2"}
    request = model._requests.build(QUESTION, None, None, None, None, {"prompt": prompt})
    assert model._caller.calls.plan(request, mode=None, sensitive=None).key is not None


@pytest.mark.parametrize("address", ["http://localhost:8080/v1", "http://LOCALHOST:8080/v1/"])
def test_an_endpoint_counts_as_a_base_url(make_model, address):
    """An address that is given to the manager is that of a model with this base URL, however it is written."""
    model = make_model(client_args={"base_url": address, "api_key": "k"})
    keys = {
        model.cache.generate_cache_key("openai", "gpt-4o", QUESTION, endpoint=endpoint)
        for endpoint in ("http://localhost:8080/v1", "http://localhost:8080/v1/")
    }
    assert keys == {model.cache_key(QUESTION)}
    own = model.cache.generate_cache_key("openai", "gpt-4o", QUESTION, endpoint="https://api.openai.com/v1")
    assert own == model.cache.generate_cache_key("openai", "gpt-4o", QUESTION)

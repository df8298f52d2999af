"""Every way to ask an SDK, as a program: ``python clients_cells.py BASE_URL CACHE_DIR`` prints what it hears."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from clients_world import SDKS, client_of, close, got, items, told
from pydantic import BaseModel

import spark_cache

WAYS = ("plain", "streamed", "helper", "tools", "streamed_tools", "structured")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ASKED = "Call get_weather for Paris"


class City(BaseModel):
    """A structured answer."""

    city: str
    size: int


async def hear(sdk: str, way: str, client: Any) -> Any:
    """Return what one way of asking hears."""
    return told(await globals()[f"_{sdk}"](way, client))


async def _openai(way: str, client: Any) -> Any:
    completions, body = client.chat.completions, {"model": "gpt-4o"}
    messages: Any = [{"role": "user", "content": f"{ASKED} {way}"}]
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
    if way == "structured":
        return await got(completions.parse(**body, messages=messages, response_format=City))
    if way == "helper":
        return await _all_of(completions.stream(**body, messages=messages))
    if "tools" in way:
        body["tools"] = [tool]
    if "streamed" in way:
        options = {"include_usage": way == "streamed"}
        return await items(
            await got(completions.create(**body, messages=messages, stream=True, stream_options=options))
        )
    return await got(completions.create(**body, messages=messages))


async def _responses(way: str, client: Any) -> Any:
    body: Any = {"model": "gpt-4o", "input": f"{ASKED} {way}"}
    if way == "structured":
        return await got(client.responses.parse(**body, text_format=City))
    if way == "helper":
        return await _all_of(client.responses.stream(**body))
    if "tools" in way:
        body["tools"] = [{"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}]
    if "streamed" in way:
        return await items(await got(client.responses.create(**body, stream=True)))
    return await got(client.responses.create(**body))


async def _anthropic(way: str, client: Any) -> Any:
    body: Any = {
        "model": "claude",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": f"{ASKED} {way}"}],
    }
    if way == "structured":
        return await got(client.messages.parse(**body, output_format=City))
    if way == "helper":
        return await _all_of(client.messages.stream(**body))
    if "tools" in way:
        body["tools"] = [{"name": "get_weather", "input_schema": SCHEMA}]
    if "streamed" in way:
        return await items(await got(client.messages.create(**body, stream=True)))
    return await got(client.messages.create(**body))


async def _gemini(way: str, client: Any) -> Any:
    body: Any = {"model": "gemini-2.5-flash", "contents": f"{ASKED} {way}", "config": {}}
    if way == "structured":
        body["config"] = {"response_mime_type": "application/json", "response_schema": City}
    if "tools" in way:
        body["config"]["tools"] = [
            {"function_declarations": [{"name": "get_weather", "parameters_json_schema": SCHEMA}]}
        ]
    if way == "helper":
        chat = client.chats.create(model=body["model"])
        return [await got(chat.send_message("One")), await got(chat.send_message("Two"))]
    if "streamed" in way:
        return await items(await got(client.models.generate_content_stream(**body)))
    return await got(client.models.generate_content(**body))


async def _all_of(manager: Any) -> list[Any]:
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            return await items(stream)
    with manager as stream:
        return await items(stream)


async def hear_all(base_url: str, cache_dir: str | None) -> dict[str, Any]:
    """Return what every way hears, by its name; without a cache if there is no directory."""
    heard = {}
    for sdk in SDKS:
        for is_async in (False, True):
            given = client_of(sdk, base_url, is_async=is_async)
            client = spark_cache.cached(given, enabled=True, cache_dir=cache_dir) if cache_dir else given
            used = client.aio if sdk == "gemini" and is_async else client
            for way in WAYS:
                heard[f"{sdk} {way} {'async' if is_async else 'sync'}"] = await hear(sdk, way, used)
            await close(given)
    return heard


if __name__ == "__main__":
    print(json.dumps(asyncio.run(hear_all(sys.argv[1], sys.argv[2]))))

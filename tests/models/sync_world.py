"""Helpers for the tests of the synchronous methods."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from spark_cache import AnthropicModel, BedrockModel, GeminiModel, OpenAIModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spark_cache import Model

NAMES = ["openai", "responses", "anthropic", "gemini", "bedrock"]

SECONDS = 20
"""How long a test waits for another thread or process before it fails."""


def model_of(name: str, base_url: str, cache_dir: Path, *model_id: str) -> Model:
    """Return a model of the stand-in with the cache on, whose client does not retry."""
    options: dict[str, Any] = {"enable_cache": True, "cache_dir": cache_dir}
    root = base_url.removesuffix("/v1")
    args: dict[str, Any] = {"base_url": root, "api_key": "test", "max_retries": 0}
    match name:
        case "openai" | "responses":
            api: Any = "chat" if name == "openai" else name
            args["base_url"] = base_url
            return OpenAIModel(*model_id or ("gpt-4o",), api=api, client_args=args, **options)
        case "anthropic":
            return AnthropicModel("claude-sonnet-5", client_args=args, params={"max_tokens": 500}, **options)
        case "gemini":
            args = {"api_key": "test", "http_options": {"base_url": root}}
            return GeminiModel(*model_id or ("gemini-2.5-flash",), client_args=args, **options)
    config = {"config": Config(retries={"total_max_attempts": 1})}
    return BedrockModel(
        *model_id or ("us.amazon.nova-lite-v1:0",),
        region_name="us-east-1",
        endpoint_url=root,
        client_args=config,
        **options,
    )


def in_threads(count: int, function: Callable[[], Any]) -> list[Any]:
    """Call a function in many threads at once and return its results, errors included."""
    start = threading.Barrier(count)
    results: list[Any] = []

    def run() -> None:
        start.wait()
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(results) == count
    return results

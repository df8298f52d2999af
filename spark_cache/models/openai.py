"""OpenAI's chat completions, through the official SDK."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

import orjson

from spark_cache.keys import normalise_endpoint, normalise_message
from spark_cache.models.base import Model
from spark_cache.models.response import ModelResponse, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from openai import AsyncOpenAI

    from spark_cache.types import Request

__all__ = ["OpenAIModel"]

_OWN_ENDPOINT = "https://api.openai.com/v1"
"""The SDK's own default (``openai.AsyncOpenAI``)."""

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
}


class OpenAIModel(Model):
    """A model behind OpenAI's chat completions interface, or one that speaks it.

    Args:
        model_id: Such as ``gpt-4o``.
        client: An ``openai.AsyncOpenAI`` of yours; you close it.
        client_args: Arguments for the client that is made when the first call goes out: ``api_key``, ``base_url``, …
        **options: ``params`` and those of the cache: see :class:`Model`.

    Raises:
        ConfigError: The configuration cannot be used.
        ValueError: Both ``client`` and ``client_args`` are given.
    """

    provider: ClassVar[str] = "openai"

    def __init__(
        self,
        model_id: str,
        *,
        client: AsyncOpenAI | None = None,
        client_args: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if client is not None and client_args:
            raise ValueError(
                "give client or client_args, not both: client_args are for the client that is made here"
            )
        super().__init__(model_id, **options)
        self._given_client = client
        self._client_args = dict(client_args or {})
        # Connections belong to the event loop that opened them.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()

    async def aclose(self) -> None:
        """Close the connections that this model opened on the running event loop; a client of yours stays open."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def _endpoint(self) -> str | None:
        address = (
            self._given_client.base_url
            if self._given_client is not None
            else self._client_args.get("base_url")
        )
        if address is None:
            address = os.environ.get("OPENAI_BASE_URL") or _OWN_ENDPOINT
        return normalise_endpoint(str(address), _OWN_ENDPOINT)

    async def _call(self, request: Request) -> Any:
        answer = await self._client().chat.completions.with_raw_response.create(**_body(request))
        try:
            return orjson.loads(answer.content)
        except ValueError:
            # Not JSON: the SDK has its own error for that.
            return answer.parse().model_dump(mode="json")

    def _read(self, raw: Any) -> ModelResponse:
        return _read(raw)

    def _client(self) -> AsyncOpenAI:
        if self._given_client is not None:
            return self._given_client
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            from openai import AsyncOpenAI  # noqa: PLC0415 - a hit needs no SDK

            client = self._clients[loop] = AsyncOpenAI(**self._client_args)
        return client


def _body(request: Request) -> dict[str, Any]:
    """The arguments of ``chat.completions.create``."""
    messages = [_message(message) for message in request.messages]
    if request.system_prompt is not None:
        messages.insert(0, {"role": "system", "content": request.system_prompt})
    body = {**request.parameters, "model": request.model_id, "messages": messages}
    if request.tool_specs is not None:
        body["tools"] = [_tool(spec) for spec in request.tool_specs]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice, request.tool_specs or ())
    return body


def _message(message: Any) -> Any:
    message = normalise_message(message)
    if not isinstance(message, dict) or not isinstance(message.get("content"), list | tuple):
        return message
    return {**message, "content": [_block(block) for block in message["content"]]}


def _block(block: Any) -> Any:
    if isinstance(block, dict) and "type" not in block and isinstance(block.get("text"), str):
        return {"type": "text", **block}
    return block


def _tool(spec: Any) -> Any:
    if not isinstance(spec, dict) or "type" in spec or "name" not in spec:
        return spec
    return {"type": "function", "function": spec}


def _tool_choice(choice: Any, specs: Sequence[Any]) -> Any:
    if choice == "any":
        return "required"
    names = {spec.get("name") for spec in specs if isinstance(spec, dict)}
    if isinstance(choice, str) and choice in names - {"auto", "none", "required"}:
        return {"type": "function", "function": {"name": choice}}
    return choice


def _read(raw: Any) -> ModelResponse:
    """Understand a chat completion; what a compatible service leaves out stays empty."""
    choice: dict[str, Any] = next(iter(raw.get("choices") or ()), {})
    message = choice.get("message") or {}
    reason = choice.get("finish_reason")
    stop_reason = "refusal" if message.get("refusal") else _STOP_REASONS.get(reason or "", reason)
    return ModelResponse(
        content=message.get("content") or "",
        stop_reason=stop_reason,
        usage=_usage(raw.get("usage")),
        tool_calls=tuple(_tool_call(call) for call in message.get("tool_calls") or ()),
        raw=raw,
        provider_stop_reason=reason,
    )


def _usage(usage: Any) -> Usage | None:
    if not usage:
        return None
    return Usage(
        input_tokens=usage.get("prompt_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or 0,
        total_tokens=usage.get("total_tokens") or 0,
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        reasoning_tokens=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
    )


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    if "custom" in call:
        return ToolCall.from_text(call["id"], call["custom"]["name"], call["custom"]["input"])
    return ToolCall.from_text(call["id"], call["function"]["name"], call["function"]["arguments"])

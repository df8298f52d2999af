"""Anthropic's messages, through the official SDK."""

from __future__ import annotations

import json
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

from spark_cache.models.base import Model
from spark_cache.models.sdk_client import Sdk, SdkClient
from spark_cache.models.sdks import refuse_given_by_place, refuse_stream
from spark_cache.providers.anthropic.messages import body_of, read_answer, turn_of
from spark_cache.providers.anthropic.stream import events_of, gather, read_event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from os import PathLike

    from anthropic import AsyncAnthropic

    from spark_cache.config import CacheConfig
    from spark_cache.providers.response import ModelResponse
    from spark_cache.providers.stream import StreamEvent
    from spark_cache.types import Request

__all__ = ["AnthropicModel"]

_SDK = Sdk(
    module="anthropic",
    client="AsyncAnthropic",
    own_address="https://api.anthropic.com",
    variables="ANTHROPIC",
    own_headers=frozenset({"anthropic-version"}),
    choose_address=("config", "profile"),
)

_MAX_TOKENS = 4096
"""What every model can answer, also the oldest; the provider wants a limit with each request."""

_GIVEN_BY_PLACE = frozenset({"model", "messages"})


class AnthropicModel(Model):
    """A model behind Anthropic's messages interface, or one that speaks it.

    A call without ``max_tokens`` asks for at most 4096. What the SDK does not know by name goes to the provider all the same, and a
    call with ``betas`` goes through the SDK's beta interface. ``get_json`` asks for the schema by ``output_config``, which is
    structured output of the provider's own. The keep-alive events of a stream (``ping``) are not passed on by the SDK.

    A turn that the provider paused (``pause_turn``) is whole as far as it goes, and stored. A call with ``container`` leans on state
    at the provider, and is not cached. A file that is named by its ``file_id`` never changes, and is keyed by that name.

    Args:
        model_id: Such as ``claude-sonnet-5``.
        client: An ``anthropic.AsyncAnthropic`` of yours, for one event loop; you close it.
        client_args: Arguments for the client that is made when the first call goes out, one for each event loop:
            ``api_key``, ``base_url``, … What the SDK takes from the environment is as it was at the first call.
        params: Parameters of every call, such as ``{"max_tokens": 1000}``; those of a call win.
        should_cache: Asked of every answer that may be stored, with its request: whether it is.
        enable_cache: Whether answers are cached. This and what follows comes from :func:`spark_cache.load_config` where it
            is left at None.
        cache_ttl_seconds: How long an answer may be served: seconds, or text such as ``"24h"``.
        cache_dir: Where entries are kept.
        cache_config: A whole configuration, instead of the one that is found.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: ``client`` is not an asynchronous one, ``model_id`` is no text, or ``cache_config`` no configuration.
        ValueError: Both ``client`` and ``client_args`` are given, or an argument by which the SDK chooses the address.
    """

    provider: ClassVar[str] = "anthropic"

    def __init__(
        self,
        model_id: str,
        *,
        client: AsyncAnthropic | None = None,
        client_args: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        should_cache: Callable[[Request, ModelResponse], bool] | None = None,
        enable_cache: bool | None = None,
        cache_ttl_seconds: float | str | None = None,
        cache_dir: str | PathLike[str] | None = None,
        cache_config: CacheConfig | None = None,
    ) -> None:
        self._sdk = SdkClient(_SDK, client, client_args)
        super().__init__(
            model_id,
            enable_cache=enable_cache,
            cache_ttl_seconds=cache_ttl_seconds,
            cache_dir=cache_dir,
            cache_config=cache_config,
            params=params,
            should_cache=should_cache,
        )

    async def aclose(self) -> None:
        """Close the connections that this model opened on the running event loop; a client of yours stays open."""
        await super().aclose()
        await self._sdk.aclose()

    def _endpoint(self) -> str | None:
        return self._sdk.endpoint()

    def _is_left_out(self, value: object) -> bool:
        return self._sdk.is_left_out(value)

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        parameters = super()._parameters(given)
        refuse_given_by_place(parameters, _GIVEN_BY_PLACE)
        refuse_stream(parameters)
        if parameters.get("max_tokens") is None:
            parameters["max_tokens"] = _MAX_TOKENS
        self._sdk.add_to(parameters)
        return parameters

    def _state_of(self, request: Request) -> str | None:
        return "thread" if request.parameters.get("thread") is not None else None

    # -- answers --------------------------------------------------------------------------------------------------------------------

    async def _call(self, request: Request) -> Any:
        messages, body = self._asked(request)
        answer = await messages.with_raw_response.create(**body)
        try:
            return json.loads(answer.http_response.content)
        except ValueError:
            from anthropic import APIResponseValidationError  # noqa: PLC0415 - for an answer that is no answer

            raise APIResponseValidationError(
                response=answer.http_response, body=answer.http_response.text
            ) from None

    def _read(self, raw: Any) -> ModelResponse:
        return read_answer(raw)

    def _stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        return ("end_turn" if response.stop_reason == "pause_turn" else response.stop_reason,)

    def _turn_of(self, response: ModelResponse) -> Sequence[Any] | None:
        return turn_of(response.raw)

    async def _stream(self, request: Request) -> AsyncGenerator[Any, None]:
        messages, body = self._asked(request)
        from anthropic import AsyncStream  # noqa: PLC0415 - a hit needs no SDK

        stream = await messages.create(**body, stream=True)
        # The SDK's own objects leave out what they do not know; as plain objects the events are what was sent.
        async with AsyncStream(cast_to=object, response=stream.response, client=self._sdk.client()) as events:
            async for event in events:
                yield event

    def _gather(self, events: Sequence[Any]) -> Any | None:
        return gather(events)

    def _event(self, raw_event: Any) -> StreamEvent:
        return read_event(raw_event)

    def _events_of(self, raw: Any) -> Sequence[Any]:
        return events_of(raw)

    def _asked(self, request: Request) -> tuple[Any, dict[str, Any]]:
        """The interface of the SDK that a request goes through, and its arguments there."""
        body = body_of(request)
        client = self._sdk.client()
        messages = client.beta.messages if "betas" in body else client.messages
        known = signature(messages.create).parameters
        unknown = {name: body.pop(name) for name in list(body) if name not in known}
        if unknown:
            body["extra_body"] = {**unknown, **(body.get("extra_body") or {})}
        return messages, body

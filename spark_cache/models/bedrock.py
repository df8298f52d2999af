"""Amazon Bedrock's converse interface, through boto3."""

from __future__ import annotations

import json
import os
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from spark_cache.models.base import Model
from spark_cache.models.boto3_calls import EventReader, Threads, keep_wire, wire_of
from spark_cache.models.sdks import import_sdk, refuse_given_by_place
from spark_cache.providers.bedrock.address import configured_address, endpoint_of
from spark_cache.providers.bedrock.converse import body_of, kept_by_provider, read_answer, turn_of
from spark_cache.providers.bedrock.embeddings import batch_of, embedding_body, vectors_of
from spark_cache.providers.bedrock.stream import events_of, gather, read_event
from spark_cache.providers.response import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from os import PathLike

    import boto3  # type: ignore[import-untyped]  # it ships no types

    from spark_cache.config import CacheConfig
    from spark_cache.providers.response import ModelResponse
    from spark_cache.providers.stream import StreamEvent
    from spark_cache.types import Request

__all__ = ["BedrockModel"]

_GIVEN_BY_PLACE = frozenset({"modelId", "messages"})

_MAKING = Lock()
"""A session of boto3 makes one client at a time."""

_COUNTED = "x-amzn-bedrock-input-token-count"
"""The header that tells how many tokens a call of ``invoke_model`` had."""


class BedrockModel(Model):
    """A model behind Amazon Bedrock's ``converse``.

    Parameters of a call are those of boto3's ``converse`` (``inferenceConfig``, ``additionalModelRequestFields``,
    ``guardrailConfig``, …); ``max_tokens``, ``temperature``, ``top_p`` and ``stop_sequences`` go into its inference configuration.
    ``get_json`` asks for the schema by ``outputConfig``, the service's own structured output, which needs a boto3 and a model that
    know it.

    ``embed`` asks the models of Amazon Titan, which take one text a call, and of Cohere, by ``invoke_model``.

    boto3 blocks, so its calls are made in threads of this model's own. ``raw`` is the JSON that the service sent, not what boto3
    makes of it: bytes are base64 text, as they came, and fields that boto3 does not know are there. Wherever a conversation
    holds bytes, base64 text does as well, so that a message of ``raw`` can be sent back as it is;
    ``spark_cache.providers.bedrock.converse.with_bytes`` turns a block into boto3's form. boto3's ``ResponseMetadata`` (the
    id, the time and the retries of one request) is no part of an answer, and is not kept.

    The region says where a model runs and is not in the key; an address other than AWS's own is. A request that names the
    draft of a guardrail or a prompt without a version leans on what may change, and is not cached; an object in S3 is keyed by its
    address.

    Args:
        model_id: Such as ``us.anthropic.claude-sonnet-4-5-20250929-v1:0``, or the ARN of an inference profile.
        boto_session: A ``boto3.Session`` of yours, which has the credentials.
        region_name: The AWS region; None leaves it to boto3.
        endpoint_url: Another address than AWS's own; None leaves it to boto3's variables and configuration file.
        client_args: Further arguments for the client that is made when the first call goes out, such as ``config``.
        threads: How many calls, and waits for the next event of a stream, can be under way at once.
        params: Parameters of every call, such as ``{"temperature": 0}``; those of a call win.
        should_cache: Asked before a fresh answer is stored, with its request: False keeps it out of the cache.
        enable_cache: Whether answers are cached. This and what follows comes from :func:`spark_cache.load_config` where it
            is left at None.
        cache_ttl_seconds: How long an answer may be served: seconds, or text such as ``"24h"``.
        cache_dir: Where entries are kept.
        cache_config: A whole configuration, instead of the one that is found.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: ``model_id`` is no text, or ``cache_config`` no configuration.
        ValueError: ``threads`` is not positive.
    """

    provider: ClassVar[str] = "bedrock"

    def __init__(
        self,
        model_id: str,
        *,
        boto_session: boto3.Session | None = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        client_args: Mapping[str, Any] | None = None,
        threads: int = 10,
        params: Mapping[str, Any] | None = None,
        should_cache: Callable[[Request, ModelResponse], bool] | None = None,
        enable_cache: bool | None = None,
        cache_ttl_seconds: float | str | None = None,
        cache_dir: str | PathLike[str] | None = None,
        cache_config: CacheConfig | None = None,
    ) -> None:
        if threads < 1:
            raise ValueError(f"threads is how many calls can be under way at once, from 1 up: {threads}")
        super().__init__(
            model_id,
            enable_cache=enable_cache,
            cache_ttl_seconds=cache_ttl_seconds,
            cache_dir=cache_dir,
            cache_config=cache_config,
            params=params,
            should_cache=should_cache,
        )
        self.embed_batch = batch_of(model_id)  # type: ignore[misc]  # each family of models has its own
        self._session = boto_session
        named = {"region_name": region_name, "endpoint_url": endpoint_url}
        given = {name: value for name, value in named.items() if value is not None}
        self._client_args = {**(client_args or {}), **given}
        self._most_threads = threads
        self._threads = Threads(threads)
        self._made: Any = None
        self._made_by = 0
        self._found_address = False

    async def aclose(self) -> None:
        """Close the connections that this model opened, and let its threads end; it can still be used."""
        await super().aclose()
        self._threads.close()
        made, self._made = self._made, None
        if made is not None:
            made.close()

    def _endpoint(self) -> str | None:
        return endpoint_of(self._address())

    def _address(self) -> str | None:
        """The address that calls go to; found once, so that keys and calls agree whatever the environment does later."""
        if not self._found_address:
            profile = None if self._session is None else self._session.profile_name
            given = self._client_args.get("endpoint_url") or configured_address(profile)
            if given is not None:
                self._client_args["endpoint_url"] = given
            self._found_address = True
        address: str | None = self._client_args.get("endpoint_url")
        return address

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        parameters = super()._parameters(given)
        refuse_given_by_place(parameters, _GIVEN_BY_PLACE)
        return parameters

    def _state_of(self, request: Request) -> str | None:
        return kept_by_provider(request)

    # -- answers --------------------------------------------------------------------------------------------------------------------

    async def _call(self, request: Request) -> Any:
        return await self._threads.run(self._converse, body_of(request))

    def _converse(self, body: Mapping[str, Any]) -> Any:
        return wire_of(self._client().converse(**body))

    def _read(self, raw: Any) -> ModelResponse:
        return read_answer(raw)

    def _turn_of(self, response: ModelResponse) -> Sequence[Any] | None:
        return turn_of(response.raw)

    async def _stream(self, request: Request) -> AsyncGenerator[Any, None]:
        body = body_of(request)
        reader = EventReader(lambda: self._client().converse_stream(**body))
        try:
            while (event := await self._threads.run(reader.read)) is not None:
                yield event
        finally:
            reader.close()

    def _gather(self, events: Sequence[Any]) -> Any | None:
        return gather(events)

    def _event(self, raw_event: Any) -> StreamEvent:
        return read_event(raw_event)

    def _events_of(self, raw: Any) -> Sequence[Any]:
        return events_of(raw)

    async def _embed(
        self, texts: Sequence[str], parameters: Mapping[str, Any]
    ) -> tuple[Sequence[Sequence[float]], Usage | None]:
        body = json.dumps(embedding_body(self.model_id, texts, parameters))
        raw, tokens = await self._threads.run(self._invoke, body)
        return vectors_of(raw), None if tokens is None else Usage(input_tokens=tokens, total_tokens=tokens)

    def _invoke(self, body: str) -> tuple[Any, int | None]:
        response = self._client().invoke_model(modelId=self.model_id, body=body)
        counted = response["ResponseMetadata"]["HTTPHeaders"].get(_COUNTED)
        return json.loads(response["body"].read()), None if counted is None else int(counted)

    def _client(self) -> Any:
        """The client, made in the thread of the first call: boto3 takes its time."""
        with _MAKING:
            # A forked child must not share the connections of its parent.
            if self._made is None or self._made_by != os.getpid():
                self._made, self._made_by = self._make_client(), os.getpid()
            return self._made

    def _make_client(self) -> Any:
        boto3 = import_sdk("boto3", "bedrock")
        from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415 - a hit needs no SDK

        session = boto3.Session() if self._session is None else self._session
        config = Config(max_pool_connections=self._most_threads)
        given = self._client_args.get("config")
        together = config if given is None else config.merge(given)
        client = session.client("bedrock-runtime", **{**self._client_args, "config": together})
        for operation in ("Converse", "ConverseStream"):
            client.meta.events.register(f"before-parse.bedrock-runtime.{operation}", keep_wire)
        return client

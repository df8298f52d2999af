"""Amazon Bedrock models through boto3."""

from __future__ import annotations

import json
import os
from threading import Lock
from typing import TYPE_CHECKING, Any

from spark_cache.models.base import Model
from spark_cache.models.boto3_calls import EventReader, Threads, keep_wire, wire_of
from spark_cache.models.sdks import import_sdk
from spark_cache.providers.bedrock.address import configured_address, endpoint_of
from spark_cache.providers.bedrock.converse import in_form_of_boto3
from spark_cache.providers.bedrock.dialect import BedrockDialect
from spark_cache.providers.bedrock.embeddings import batch_of, body_with_texts, vectors_of
from spark_cache.providers.bedrock.reading import BedrockReading
from spark_cache.providers.dialect import Added
from spark_cache.providers.response import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from typing import Unpack

    import boto3  # type: ignore[import-untyped]  # it ships no types

    from spark_cache.models.options import ModelOptions
    from spark_cache.providers.dialect import Dialect
    from spark_cache.types import Request

__all__ = ["BedrockModel", "BedrockProvider"]

_DIALECT = BedrockDialect()

_CREATE_CLIENT = Lock()
"""A boto3 session can create only one client at a time."""

_INPUT_COUNT_HEADER = "x-amzn-bedrock-input-token-count"
"""The header with the number of input tokens of an ``invoke_model`` call."""


class BedrockModel(Model):
    """A model behind Amazon Bedrock's Converse API.

    The parameters of a call are those of boto3's ``converse`` (``inferenceConfig``, ``additionalModelRequestFields``,
    ``guardrailConfig``, …). ``max_tokens``, ``temperature``, ``top_p`` and ``stop_sequences`` are added to the inference
    configuration. ``get_json`` sends the schema in ``outputConfig``, the service's own structured output, which needs a boto3
    and a model that support it. ``embed`` calls ``invoke_model`` for Amazon Titan, one text a call, and Cohere.

    boto3 blocks, so calls run in threads of this model. ``raw`` is the JSON that the service sent, not boto3's version of it:
    bytes are base64 strings, and fields that boto3 does not know are kept. Conversations accept base64 strings wherever they
    accept bytes, so a message of ``raw`` can be sent back unchanged.
    ``spark_cache.providers.bedrock.converse.with_bytes`` converts a block to boto3's form. boto3's ``ResponseMetadata`` (ID,
    time and retries of one request) is not part of a response.

    The region says where a model runs and is not part of the key; an address other than AWS's own is. A request that names the
    draft of a guardrail, or a prompt without a version, depends on state that may change and is not cached. An object in S3 is
    keyed by its address.

    Args:
        model_id: Such as ``us.anthropic.claude-sonnet-4-5-20250929-v1:0``, or the ARN of an inference profile.
        boto_session: A ``boto3.Session`` of yours, with credentials.
        region_name: The AWS region; None leaves it to boto3.
        endpoint_url: An address other than AWS's own; None leaves it to boto3's variables and configuration file.
        client_args: Further arguments for the client, which is created when the first call is sent, such as ``config``.
        threads: How many calls, and waits for the next event of a stream, can run at once.
        **options: See :class:`spark_cache.models.ModelOptions`.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: An option does not exist.
        ValueError: ``threads`` is not positive.
    """

    provider = "bedrock"

    def __init__(
        self,
        model_id: str,
        *,
        boto_session: boto3.Session | None = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        client_args: Mapping[str, Any] | None = None,
        threads: int = 10,
        **options: Unpack[ModelOptions],
    ) -> None:
        named = {"region_name": region_name, "endpoint_url": endpoint_url}
        given = {name: value for name, value in named.items() if value is not None}
        provider = BedrockProvider(boto_session, {**(client_args or {}), **given}, threads)
        super().__init__(model_id, provider, **options)


class BedrockProvider(BedrockReading):
    """Amazon Bedrock behind its SDK; arguments as for the model."""

    def __init__(self, session: boto3.Session | None, client_args: dict[str, Any], threads: int) -> None:
        if threads < 1:
            raise ValueError(
                f"threads={threads} must be 1 or more: it is the number of calls that can run at once"
            )
        self._session = session
        self._client_args = client_args
        self._most_threads = threads
        self._threads = Threads(threads)
        self._cached_client: Any = None
        self._client_process = 0
        self._is_address_resolved = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cached_client": None}

    async def aclose(self) -> None:
        self._threads.close()
        client, self._cached_client = self._cached_client, None
        if client is not None:
            client.close()

    # -- requests ----------------------------------------------------------------------------------------------

    def added(self) -> Added:
        return Added(endpoint_of(self._address()))

    @property
    def dialect(self) -> Dialect:
        return _DIALECT

    def _address(self) -> str | None:
        """Return the address that calls go to. It is resolved once, so that keys and calls agree if the environment changes."""
        if not self._is_address_resolved:
            profile = None if self._session is None else self._session.profile_name
            given = self._client_args.get("endpoint_url") or configured_address(profile, os.environ)
            if given is not None:
                self._client_args["endpoint_url"] = given
            self._is_address_resolved = True
        address: str | None = self._client_args.get("endpoint_url")
        return address

    def embed_batch(self, model_id: str) -> int:
        return batch_of(model_id)

    # -- responses ---------------------------------------------------------------------------------------------

    async def call(self, request: Request) -> Any:
        return await self._threads.run(self._converse, _arguments(request))

    def _converse(self, arguments: Mapping[str, Any]) -> Any:
        raw = wire_of(self._client().converse(**arguments))
        if isinstance(raw, dict) and "output" not in raw and raw.get("message"):
            from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # noqa: PLC0415 - only for an error with the status 200

            error = {"Code": str(raw.get("__type", "Unknown")), "Message": str(raw["message"])}
            raise ClientError({"Error": error}, "Converse")
        return raw

    async def stream(self, request: Request) -> AsyncGenerator[Any, None]:
        arguments = _arguments(request)
        reader = EventReader(lambda: self._client().converse_stream(**arguments))
        try:
            while (event := await self._threads.run(reader.read)) is not None:
                yield event
        finally:
            reader.close()

    async def embed(
        self, request: Request, texts: Sequence[str]
    ) -> tuple[Sequence[Sequence[float]], Usage | None]:
        body = json.dumps(body_with_texts(request.body, texts))
        raw, tokens = await self._threads.run(self._invoke, request.model_id, body)
        return vectors_of(raw), None if tokens is None else Usage(input_tokens=tokens, total_tokens=tokens)

    def _invoke(self, model_id: str, body: str) -> tuple[Any, int | None]:
        response = self._client().invoke_model(modelId=model_id, body=body)
        tokens = response["ResponseMetadata"]["HTTPHeaders"].get(_INPUT_COUNT_HEADER)
        return json.loads(response["body"].read()), None if tokens is None else int(tokens)

    def _client(self) -> Any:
        """Return the client. It is created in the thread of the first call, because creating one takes long."""
        with _CREATE_CLIENT:
            # A forked child must not use the connections of its parent.
            if self._cached_client is None or self._client_process != os.getpid():
                self._cached_client, self._client_process = self._make_client(), os.getpid()
            return self._cached_client

    def _make_client(self) -> Any:
        boto3 = import_sdk("boto3", "bedrock")
        from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415 - a hit needs no SDK

        session = boto3.Session() if self._session is None else self._session
        config = Config(max_pool_connections=self._most_threads)
        given = self._client_args.get("config")
        merged = config if given is None else config.merge(given)
        client = session.client("bedrock-runtime", **{**self._client_args, "config": merged})
        for operation in ("Converse", "ConverseStream"):
            client.meta.events.register(f"before-parse.bedrock-runtime.{operation}", keep_wire)
        return client


def _arguments(request: Request) -> dict[str, Any]:
    return {**in_form_of_boto3(request.body), "modelId": request.model_id}

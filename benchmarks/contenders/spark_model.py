"""spark-cache as most programs use it: ``await model.get_text(...)`` and ``await model.embed(...)``."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.base import Contender, Embedder, MissError
from benchmarks.contenders.spark import configuration
from benchmarks.workload import MODEL, answer, shaped
from spark_cache import Model, OpenAIModel
from spark_cache.models import Provider, Usage
from spark_cache.testing import StandInProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.contenders.base import EmbeddingProvider
    from benchmarks.workload import Request, Vectors
    from spark_cache import ModelResponse

__all__ = ["SparkEmbedder", "SparkModel"]

_EMBED_BATCH = 2048
_TEXT_TOKENS = 25


class SparkModel(Contender):
    """A model whose entries come from one call to a local provider.

    The response to this call is stored for all other requests as well, because twenty thousand calls take minutes and result in
    the same files.
    """

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        config = configuration(directory, cap_bytes)
        with StandInProvider(answer=lambda _body: answer()["content"]) as provider:
            self._model = OpenAIModel(
                MODEL, client_args={"base_url": provider.base_url, "api_key": "any"}, cache_config=config
            )
            first = asyncio.run(self._ask_and_close(shaped("small")))
        entry = self._model.cache.get_entry(str(first.cache_key))
        if entry is None:
            raise RuntimeError("the response of the stand-in provider was not stored")
        self._stored = entry.response

    def prepare(self, request: Request) -> Any:
        """Split the request into its messages and its other parameters.

        Args:
            request: The request.
        """
        rest = {name: value for name, value in request.items() if name not in {"model", "messages"}}
        return request["messages"], rest

    def get(self, prepared: Any) -> ModelResponse:
        """Make one call in a new event loop; only the calls of :meth:`time_gets` are timed.

        Args:
            prepared: The messages and the other parameters.
        """
        return asyncio.run(self._ask(prepared))

    def put(self, prepared: Any) -> None:
        """Store the provider's response under the key of the call.

        Args:
            prepared: The messages and the other parameters.
        """
        messages, rest = prepared
        key = self._model.cache_key(messages, **rest)
        if not self._model.cache.set(key, "openai", MODEL, None, self._stored):
            raise RuntimeError("the response was not stored")

    def text(self, found: ModelResponse) -> str:
        """Return the content.

        Args:
            found: The response.
        """
        return found.content

    def time_gets(self, prepared: Sequence[Any]) -> float:
        """Return the time of sequential hits of all requests in one event loop, in seconds.

        Args:
            prepared: The messages and the other parameters of each request.
        """
        return asyncio.run(self._time(prepared))

    async def _time(self, prepared: Sequence[Any]) -> float:
        get_text = self._model.get_text
        started = perf_counter()
        for messages, rest in prepared:
            if not (await get_text(messages, **rest)).cached:
                raise MissError
        return perf_counter() - started

    async def _ask(self, prepared: Any) -> ModelResponse:
        messages, rest = prepared
        return await self._model.get_text(messages, **rest)

    async def _ask_and_close(self, request: Request) -> ModelResponse:
        async with self._model:
            return await self._ask(self.prepare(request))


class SparkEmbedder(Embedder):
    """A model of a provider in the same process, without an SDK."""

    def __init__(self, directory: str, provider: EmbeddingProvider) -> None:
        self._model = Model(MODEL, _Vectors(provider), cache_config=configuration(directory, None))
        self._loop = asyncio.Runner()

    def embed(self, texts: list[str]) -> Vectors:
        """Call ``embed`` in a running event loop.

        Args:
            texts: The texts.
        """
        return self._loop.run(self._model.embed(texts))

    def embed_as_array(self, texts: list[str]) -> Any:
        """Call ``embed`` with ``as_array``.

        Args:
            texts: The texts.
        """
        return self._loop.run(self._model.embed(texts, as_array=True))


class _Vectors(Provider):
    name = "benchmark"

    def __init__(self, provider: EmbeddingProvider) -> None:
        self._provider = provider

    def embed_batch(self, _model_id: str) -> int:
        return _EMBED_BATCH

    async def embed(self, _request: Any, texts: Sequence[str]) -> tuple[Vectors, Usage]:
        tokens = _TEXT_TOKENS * len(texts)
        return self._provider(texts), Usage(input_tokens=tokens, total_tokens=tokens)

    async def call(self, request: Any) -> Any:
        raise NotImplementedError

    def read(self, raw: Any) -> ModelResponse:
        raise NotImplementedError

"""LangChain's SQLite cache, called as its chat models call it, and its cache of vectors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_community.cache import SQLiteCache
from langchain_core.embeddings import Embeddings
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration

try:
    from langchain_classic.embeddings import CacheBackedEmbeddings
    from langchain_classic.storage import LocalFileStore
except ImportError:  # before LangChain 1.0
    from langchain.embeddings import CacheBackedEmbeddings
    from langchain.storage import LocalFileStore

from benchmarks.contenders.base import Contender, Embedder
from benchmarks.workload import MODEL, PARAMETERS, answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.contenders.base import EmbeddingProvider
    from benchmarks.workload import Request, Vectors

__all__ = ["LangChain", "LangChainEmbedder"]

_KINDS = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
_MODEL_TEXT = json.dumps({"model_name": MODEL, **PARAMETERS}, sort_keys=True) + "---[('stop', None)]"
"""The description of a chat model; computed once here, although a chat model computes it for every call."""


class LangChain(Contender):
    """``SQLiteCache.lookup`` and ``update``, with the messages serialized for every call."""

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._cache = SQLiteCache(f"{directory}/langchain.db")
        given = answer()
        self._generations = [
            ChatGeneration(message=AIMessage(content=given["content"], usage_metadata=given["usage"]))
        ]

    def prepare(self, request: Request) -> Any:
        """Convert the messages to LangChain's classes.

        Args:
            request: The request.
        """
        return [_KINDS[message["role"]](content=message["content"]) for message in request["messages"]]

    def get(self, prepared: Any) -> Any:
        """Call ``lookup``.

        Args:
            prepared: The messages.
        """
        return self._cache.lookup(dumps(prepared), _MODEL_TEXT)

    def put(self, prepared: Any) -> None:
        """Call ``update``.

        Args:
            prepared: The messages.
        """
        self._cache.update(dumps(prepared), _MODEL_TEXT, self._generations)

    def text(self, found: Any) -> str:
        """Return the text of the first generation.

        Args:
            found: The stored generations.
        """
        return str(found[0].text)

    def fill(self, requests: Iterable[Request]) -> None:
        """Store all rows in one transaction, because one transaction per row takes minutes and gives the same table.

        Args:
            requests: The requests.
        """
        from sqlalchemy.orm import Session  # noqa: PLC0415 - not part of the measurement

        stored = dumps(self._generations[0])
        table = self._cache.cache_schema
        with Session(self._cache.engine) as session, session.begin():
            for request in requests:
                prompt = dumps(self.prepare(request))
                session.add(table(prompt=prompt, llm=_MODEL_TEXT, response=stored, idx=0))


class LangChainEmbedder(Embedder):
    """``CacheBackedEmbeddings`` with a ``LocalFileStore``, and SHA-256 instead of SHA-1, as its documentation recommends."""

    def __init__(self, directory: str, provider: EmbeddingProvider) -> None:
        self._cache = CacheBackedEmbeddings.from_bytes_store(
            _Vectors(provider), LocalFileStore(directory), namespace=MODEL, key_encoder="sha256"
        )

    def embed(self, texts: list[str]) -> Vectors:
        """Call ``embed_documents``.

        Args:
            texts: The texts.
        """
        return self._cache.embed_documents(texts)


class _Vectors(Embeddings):
    def __init__(self, provider: EmbeddingProvider) -> None:
        self._provider = provider

    def embed_documents(self, texts: list[str]) -> Vectors:
        return self._provider(texts)

    def embed_query(self, text: str) -> list[float]:
        return self._provider([text])[0]

"""Inspect's cache of model outputs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from inspect_ai.model import (
    CachePolicy,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    ContentImage,
    ContentText,
    GenerateConfig,
    ModelOutput,
)

# Its fetch and store have no public name: a model calls them.
from inspect_ai.model._cache import CacheEntry, cache_fetch, cache_store

from benchmarks.contenders.base import Contender
from benchmarks.workload import MODEL, PARAMETERS, answer

if TYPE_CHECKING:
    from benchmarks.workload import Request

__all__ = ["Inspect"]

_KINDS = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


class Inspect(Contender):
    """``cache_fetch`` and ``cache_store`` with an entry made for every call, as ``Model.generate`` makes it."""

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        os.environ["INSPECT_CACHE_DIR"] = directory
        self._policy = CachePolicy()
        self._config = GenerateConfig(**PARAMETERS)
        self._output = ModelOutput.from_content(MODEL, answer()["content"])

    def prepare(self, request: Request) -> Any:
        """The messages in Inspect's own classes."""
        return [
            _KINDS[message["role"]](content=_content(message["content"])) for message in request["messages"]
        ]

    def get(self, prepared: Any) -> Any:
        """``cache_fetch``."""
        return cache_fetch(self._entry(prepared))

    def put(self, prepared: Any) -> None:
        """``cache_store``."""
        if not cache_store(self._entry(prepared), self._output):
            raise RuntimeError("the answer was not stored")

    def text(self, found: Any) -> str:
        """The completion."""
        return str(found.completion)

    def _entry(self, messages: Any) -> CacheEntry:
        return CacheEntry(
            base_url=None,
            config=self._config,
            input=messages,
            model=MODEL,
            policy=self._policy,
            tool_choice=None,
            tools=[],
        )


def _content(content: Any) -> Any:
    if isinstance(content, str):
        return content
    return [
        ContentText(text=block["text"])
        if block["type"] == "text"
        else ContentImage(image=block["image_url"]["url"])
        for block in content
    ]

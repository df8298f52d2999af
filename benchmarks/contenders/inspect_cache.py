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

# The functions have no public names; Inspect's models call them.
from inspect_ai.model._cache import CacheEntry, cache_fetch, cache_store

from benchmarks.contenders.base import Contender
from benchmarks.workload import MODEL, PARAMETERS, answer

if TYPE_CHECKING:
    from benchmarks.workload import Request

__all__ = ["Inspect"]

_KINDS = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


class Inspect(Contender):
    """``cache_fetch`` and ``cache_store`` with a new entry for every call, as in ``Model.generate``."""

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        os.environ["INSPECT_CACHE_DIR"] = directory
        self._policy = CachePolicy()
        self._config = GenerateConfig(**PARAMETERS)
        self._output = ModelOutput.from_content(MODEL, answer()["content"])

    def prepare(self, request: Request) -> Any:
        """Convert the messages to Inspect's classes.

        Args:
            request: The request.
        """
        return [
            _KINDS[message["role"]](content=_content(message["content"])) for message in request["messages"]
        ]

    def get(self, prepared: Any) -> Any:
        """Call ``cache_fetch``.

        Args:
            prepared: The messages.
        """
        return cache_fetch(self._entry(prepared))

    def put(self, prepared: Any) -> None:
        """Call ``cache_store``.

        Args:
            prepared: The messages.
        """
        if not cache_store(self._entry(prepared), self._output):
            raise RuntimeError("the response was not stored")

    def text(self, found: Any) -> str:
        """Return the completion.

        Args:
            found: The stored output.
        """
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

"""DSPy's request cache, with the type of response that it holds in a program, and its embedder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dspy
from dspy.clients.cache import Cache

from benchmarks.contenders.base import Contender, Embedder
from benchmarks.workload import answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litellm import ModelResponse

    from benchmarks.contenders.base import EmbeddingProvider
    from benchmarks.workload import Request, Vectors

__all__ = ["Dspy", "DspyEmbedder", "DspyEmbedderFromDisk", "DspyFromDisk", "response"]

_OWN_SIZE_LIMIT = 30_000_000_000


class Dspy(Contender):
    """The default configuration: memory first, then disk. Responses stored by this process are read from memory."""

    in_memory = True

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._cache = Cache(
            enable_disk_cache=True,
            enable_memory_cache=self.in_memory,
            disk_cache_dir=directory,
            disk_size_limit_bytes=cap_bytes or _OWN_SIZE_LIMIT,
        )
        self._response = response()

    def get(self, prepared: Request) -> Any:
        """Call ``Cache.get``.

        Args:
            prepared: The request.
        """
        return self._cache.get(prepared)

    def put(self, prepared: Request) -> None:
        """Call ``Cache.put``.

        Args:
            prepared: The request.
        """
        self._cache.put(prepared, self._response)

    def text(self, found: Any) -> str:
        """Return the content of the first choice.

        Args:
            found: The stored response.
        """
        return str(found.choices[0].message.content)


class DspyFromDisk(Dspy):
    """The cache without its memory, as every new process finds it."""

    in_memory = False


class DspyEmbedder(Embedder):
    """``dspy.Embedder`` with a function. Vectors of batches that this process has embedded are read from memory."""

    in_memory = True

    def __init__(self, directory: str, provider: EmbeddingProvider) -> None:
        dspy.configure_cache(enable_memory_cache=self.in_memory, disk_cache_dir=directory)

        # A plain function, because DSPy would copy the object of a method with each call.
        def embed(texts: Sequence[str]) -> Vectors:
            return provider(texts)

        self._embedder = dspy.Embedder(embed, caching=True)

    def embed(self, texts: list[str]) -> Any:
        """Call the embedder, which returns an array.

        Args:
            texts: The texts.
        """
        return self._embedder(texts)


class DspyEmbedderFromDisk(DspyEmbedder):
    """The embedder without the memory, as every new process finds it."""

    in_memory = False


def response() -> ModelResponse:
    """Return the response of the workload as LiteLLM returns it."""
    from litellm import ModelResponse  # noqa: PLC0415 - an embedder does not need it

    given = answer()
    usage = given["usage"]
    return ModelResponse(
        id="chatcmpl-1",
        created=1_700_000_000,
        model="gpt-4o",
        choices=[
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": given["content"]},
            }
        ],
        usage={
            "prompt_tokens": usage["input_tokens"],
            "completion_tokens": usage["output_tokens"],
            "total_tokens": usage["total_tokens"],
        },
    )

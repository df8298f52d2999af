"""DSPy's request cache, with the kind of response that it holds in a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspy.clients.cache import Cache
from litellm import ModelResponse

from benchmarks.contenders.base import Contender
from benchmarks.workload import answer

if TYPE_CHECKING:
    from benchmarks.workload import Request

__all__ = ["Dspy", "DspyFromDisk", "response"]

_OWN_SIZE_LIMIT = 30_000_000_000


class Dspy(Contender):
    """As it comes: memory first, then disk. What this process stored is answered from memory."""

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
        """``Cache.get``."""
        return self._cache.get(prepared)

    def put(self, prepared: Request) -> None:
        """``Cache.put``."""
        self._cache.put(prepared, self._response)

    def text(self, found: Any) -> str:
        """The content of the first choice."""
        return str(found.choices[0].message.content)


class DspyFromDisk(Dspy):
    """Without its memory: what every new process finds."""

    in_memory = False


def response() -> ModelResponse:
    """The answer of the workload as LiteLLM gives it."""
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

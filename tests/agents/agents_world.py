"""A scripted model for the agent tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache import Model, ModelResponse
from spark_cache.models import ToolCall, Usage
from spark_cache.providers.base import Provider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_cache.types import Request


def calls(*tool_calls: tuple[str, str], text: str = "") -> dict[str, Any]:
    """Return a response that calls tools. Each call is a tool name and its arguments as JSON."""
    return {"text": text, "calls": [[f"call-{number}", *call] for number, call in enumerate(tool_calls)]}


def says(text: str) -> dict[str, Any]:
    """Return a response that calls no tool."""
    return {"text": text, "calls": []}


class ScriptedProvider(Provider):
    """A provider that returns the given responses in order, and then repeats the last one."""

    name = "openai"

    def __init__(self, answers: Sequence[dict[str, Any]]) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    def endpoint(self) -> str | None:
        """Return None for the default address."""
        return None

    async def call(self, request: Request) -> Any:
        """Record the request and return the next response."""
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def read(self, raw: Any) -> ModelResponse:
        """Read a response."""
        tool_calls = tuple(ToolCall.from_text(*call) for call in raw["calls"])
        stop_reason = "tool_use" if tool_calls else "end_turn"
        return ModelResponse(raw["text"], stop_reason, Usage(1000, 100, 1100), tool_calls, raw)


class ScriptedModel(Model):
    """A model of a scripted provider."""

    def __init__(self, *answers: dict[str, Any], **options: Any) -> None:
        scripted = ScriptedProvider(answers)
        super().__init__("gpt-4o", scripted, **options)
        self.requests = scripted.requests

    @property
    def last_messages(self) -> list[Any]:
        """The messages of the last request."""
        return list(self.requests[-1].body["messages"])

    @property
    def results(self) -> list[tuple[str, str, bool]]:
        """The tool results in the last message: the call id, the text, and whether the result is an error."""
        blocks = [block["toolResult"] for block in self.last_messages[-1]["content"]]
        return [
            (block["toolUseId"], block["content"][0]["text"], block.get("status") == "error")
            for block in blocks
        ]

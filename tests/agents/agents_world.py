"""What the tests of agents share: a model that says what it is told to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache import Model, ModelResponse
from spark_cache.models import ToolCall, Usage

if TYPE_CHECKING:
    from spark_cache.types import Request


def calls(*wanted: tuple[str, str], text: str = "") -> dict[str, Any]:
    """An answer that calls tools, each given as its name and its arguments as JSON."""
    return {"text": text, "calls": [[f"call-{number}", *call] for number, call in enumerate(wanted)]}


def says(text: str) -> dict[str, Any]:
    """An answer that calls no tool."""
    return {"text": text, "calls": []}


class ScriptedModel(Model):
    """A model that gives one answer after the other, and the last one for ever."""

    provider = "openai"

    def __init__(self, *answers: dict[str, Any], **values: Any) -> None:
        super().__init__("gpt-4o", **values)
        self.answers = list(answers)
        self.requests: list[Request] = []

    def _endpoint(self) -> str | None:
        return None

    async def _call(self, request: Request) -> Any:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def _read(self, raw: Any) -> ModelResponse:
        wanted = tuple(ToolCall.from_text(*call) for call in raw["calls"])
        stop_reason = "tool_use" if wanted else "end_turn"
        return ModelResponse(raw["text"], stop_reason, Usage(1000, 100, 1100), wanted, raw)

    @property
    def told(self) -> list[Any]:
        """The messages of the last request."""
        return list(self.requests[-1].messages)

    @property
    def results(self) -> list[tuple[str, str, bool]]:
        """The results of tools in the last message: the call, the text, and whether it is an error."""
        blocks = [block["toolResult"] for block in self.told[-1]["content"]]
        return [
            (block["toolUseId"], block["content"][0]["text"], block.get("status") == "error")
            for block in blocks
        ]

"""The agent: ask, run the tools that the model calls, ask again."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from spark_cache.agents.tools import Tool
from spark_cache.errors import TurnLimitError
from spark_cache.savings.prices import price

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spark_cache.models import Model, ModelResponse, ToolCall

__all__ = ["Agent", "AgentConfig", "CostStats"]


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What an agent is made of.

    Attributes:
        model: The model it asks.
        name: What it is called.
        system_prompt: Its instructions.
        parameters: Parameters of every call, such as ``{"temperature": 0}``.
        tools: What the model may call: functions, synchronous or not, or each as a :class:`Tool`.
        max_turns: How often it asks the model for one question, at the most.
    """

    model: Model
    name: str = "agent"
    system_prompt: str | None = field(default=None, repr=False)
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tools: Sequence[Tool | Callable[..., Any]] = ()
    max_turns: int = 10


@dataclass(frozen=True, slots=True)
class CostStats:
    """What an agent's calls came to.

    Attributes:
        calls: Answers that it got from its model.
        hits: Those that came from the cache, or from an equal call that was under way.
        total_cost: What the other calls cost, in US dollars, as far as the model's price is known.
        cache_savings: What the hits would have cost, likewise.
        unpriced_calls: Answers that neither sum holds, because the price or the usage is unknown.
    """

    calls: int = 0
    hits: int = 0
    total_cost: float = 0.0
    cache_savings: float = 0.0
    unpriced_calls: int = 0


class Agent:
    """Asks its model one question at a time. Agents share answers because their models share a cache.

    Args:
        config: What it is made of.

    Raises:
        TypeError: One of the tools cannot be described to a model.
        ValueError: Two tools have one name, or ``max_turns`` is less than 1.
    """

    def __init__(self, config: AgentConfig) -> None:
        if config.max_turns < 1:
            raise ValueError(f"max_turns={config.max_turns!r}: it takes a number from 1 up")
        self.config = config
        self._tools = _by_name([tool if isinstance(tool, Tool) else Tool.of(tool) for tool in config.tools])
        self._stats = CostStats()
        self._lock = Lock()

    @property
    def name(self) -> str:
        """What it is called."""
        return self.config.name

    async def process(self, query: str) -> str:
        """Answer a question; raises what :meth:`run` raises."""
        return await self.run(query)

    async def run(self, query: str, **parameters: Any) -> str:
        """Answer a question, with the help of its tools.

        What a tool returns goes back to the model, and so does the error that it raises: the model may try something else.

        Args:
            query: The question.
            **parameters: Parameters of this call, as :meth:`spark_cache.Model.get_text` takes them.

        Returns:
            The text of the first answer that calls no tool.

        Raises:
            TurnLimitError: The model still calls tools after ``max_turns`` answers.

        What the model raises comes through.
        """
        messages: list[Any] = [{"role": "user", "content": query}]
        asked = {**self.config.parameters, **parameters}
        if self._tools:
            asked = {"tool_specs": [tool.spec for tool in self._tools.values()], **asked}
        for _ in range(self.config.max_turns):
            response = await self.config.model.get_text(
                messages, **{"system_prompt": self.config.system_prompt, **asked}
            )
            self._count(response)
            if not self._tools or not response.tool_calls:
                return response.content
            messages += self.config.model.turn_of(response)
            # One after another: what tools do may depend on their order.
            results = [await self._result(call) for call in response.tool_calls]
            messages.append({"role": "user", "content": results})
        raise TurnLimitError(self.config.name, self.config.max_turns)

    def get_cost_stats(self) -> CostStats:
        """What the calls so far cost and saved."""
        return self._stats

    async def _result(self, call: ToolCall) -> dict[str, Any]:
        """The block that tells the model what came of a call."""
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools)
            text, failed = f"there is no tool {call.name!r}; the tools are {known}", True
        else:
            text, failed = await tool.answer(call)
        status = {"status": "error"} if failed else {}
        return {"toolResult": {"toolUseId": call.id, "content": [{"text": text}], **status}}

    def _count(self, response: ModelResponse) -> None:
        model = self.config.model
        cost = price(model.provider, model.model_id, response.usage)
        spared = response.cached or response.shared
        with self._lock:
            stats = self._stats
            self._stats = CostStats(
                calls=stats.calls + 1,
                hits=stats.hits + spared,
                total_cost=stats.total_cost + (0.0 if spared else float(cost or 0)),
                cache_savings=stats.cache_savings + (float(cost or 0) if spared else 0.0),
                unpriced_calls=stats.unpriced_calls + (cost is None),
            )


def _by_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    named: dict[str, Tool] = {}
    for tool in tools:
        if tool.name in named:
            raise ValueError(f"two tools are called {tool.name!r}: give one of them another name, as a Tool")
        named[tool.name] = tool
    return named

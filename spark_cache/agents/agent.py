"""The agent loop: call the model, run the tools that it calls, and call the model again."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from spark_cache.agents.tools import Tool
from spark_cache.calls.threads import CallerThread
from spark_cache.errors import TurnLimitError
from spark_cache.savings.prices import price

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spark_cache.models import Model, ModelResponse, ToolCall

__all__ = ["Agent", "AgentConfig", "CostStats"]


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The configuration of an agent.

    Attributes:
        model: The model that the agent calls.
        name: The name of the agent.
        system_prompt: The instructions for the model.
        parameters: Parameters for every call, such as ``{"temperature": 0}``.
        tools: The tools that the model can call. Each is a synchronous or ``async`` function, or a :class:`Tool`.
        max_turns: The maximum number of model calls for one question.
    """

    model: Model
    name: str = "agent"
    system_prompt: str | None = field(default=None, repr=False)
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tools: Sequence[Tool | Callable[..., Any]] = ()
    max_turns: int = 10


@dataclass(frozen=True, slots=True)
class CostStats:
    """The cost and savings of an agent's calls.

    Attributes:
        calls: The number of responses from the model.
        hits: The number of responses from the cache, or from an equal call that was already in progress.
        total_cost: The cost of the other calls in US dollars, as far as the price of the model is known.
        cache_savings: What the hits would have cost in US dollars, as far as the price of the model is known.
        unpriced_calls: The number of responses that neither sum includes, because the price or the usage is unknown.
    """

    calls: int = 0
    hits: int = 0
    total_cost: float = 0.0
    cache_savings: float = 0.0
    unpriced_calls: int = 0


class Agent:
    """An agent that answers questions with one model and optional tools.

    Agents share entries because their models share a cache.

    Args:
        config: The configuration of the agent.

    Raises:
        TypeError: A tool cannot be described to a model.
        ValueError: Two tools have the same name, or ``max_turns`` is less than 1.
    """

    def __init__(self, config: AgentConfig) -> None:
        if config.max_turns < 1:
            raise ValueError(f"max_turns must be at least 1, not {config.max_turns!r}")
        self.config = config
        self._tools = _by_name([tool if isinstance(tool, Tool) else Tool.of(tool) for tool in config.tools])
        self._stats = CostStats()
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = Lock()

    @property
    def name(self) -> str:
        """The name of the agent."""
        return self.config.name

    async def process(self, query: str) -> str:
        """Answer a question.

        Args:
            query: The question.

        Returns:
            The text of the first response that calls no tool.

        Raises:
            TurnLimitError: The model still calls tools after ``max_turns`` responses.

        Errors from the model are raised unchanged.
        """
        return await self.run(query)

    async def run(self, query: str, **parameters: Any) -> str:
        """Answer a question, with call parameters.

        The agent returns the result of each tool to the model. If a tool raises an error, the model receives the error,
        so that it can try something else.

        Args:
            query: The question.
            **parameters: Parameters for this call, as for :meth:`spark_cache.Model.get_text`.

        Returns:
            The text of the first response that calls no tool.

        Raises:
            TurnLimitError: The model still calls tools after ``max_turns`` responses.

        Errors from the model are raised unchanged.
        """
        messages: list[Any] = [{"role": "user", "content": query}]
        arguments = {**self.config.parameters, **parameters}
        if self._tools:
            arguments = {"tool_specs": [tool.spec for tool in self._tools.values()], **arguments}
        for _ in range(self.config.max_turns):
            response = await self.config.model.get_text(
                messages, **{"system_prompt": self.config.system_prompt, **arguments}
            )
            self._count(response)
            if not self._tools or not response.tool_calls:
                return response.content
            messages += self.config.model.turn_of(response)
            # Run tools one after another, because their effects can depend on the order.
            results = [await self._tool_result(call) for call in response.tool_calls]
            messages.append({"role": "user", "content": results})
        raise TurnLimitError(self.config.name, self.config.max_turns)

    def run_sync(self, query: str, **parameters: Any) -> str:
        """Like :meth:`run`, for synchronous programs. See :meth:`spark_cache.Model.get_text_sync`."""
        return CallerThread().run(self.run(query, **parameters))

    def get_cost_stats(self) -> CostStats:
        """Return the cost and savings of all calls so far."""
        return self._stats

    async def _tool_result(self, call: ToolCall) -> dict[str, Any]:
        """Run a tool call and return the result block for the model."""
        tool = self._tools.get(call.name)
        if tool is None:
            names = ", ".join(self._tools)
            text, failed = f"there is no tool {call.name!r}; the tools are {names}", True
        else:
            text, failed = await tool.answer(call)
        status = {"status": "error"} if failed else {}
        return {"toolResult": {"toolUseId": call.id, "content": [{"text": text}], **status}}

    def _count(self, response: ModelResponse) -> None:
        model = self.config.model
        cost = price(model.provider, model.model_id, response.usage)
        is_saved = response.cached or response.shared
        with self._lock:
            stats = self._stats
            self._stats = CostStats(
                calls=stats.calls + 1,
                hits=stats.hits + is_saved,
                total_cost=stats.total_cost + (0.0 if is_saved else float(cost or 0)),
                cache_savings=stats.cache_savings + (float(cost or 0) if is_saved else 0.0),
                unpriced_calls=stats.unpriced_calls + (cost is None),
            )


def _by_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    by_name: dict[str, Tool] = {}
    for tool in tools:
        if tool.name in by_name:
            raise ValueError(f"two tools have the name {tool.name!r}: rename one with Tool.of(…, name=…)")
        by_name[tool.name] = tool
    return by_name

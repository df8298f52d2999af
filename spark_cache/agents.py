"""A small agent: one model, one system prompt, and what its calls cost and saved."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from spark_cache.pricing import price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.models import Model, ModelResponse

__all__ = ["Agent", "AgentConfig", "CostStats"]


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What an agent is made of.

    Attributes:
        model: The model it asks.
        name: What it is called.
        system_prompt: Its instructions.
        parameters: Parameters of every call, such as ``{"temperature": 0}``.
    """

    model: Model
    name: str = "agent"
    system_prompt: str | None = field(default=None, repr=False)
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class CostStats:
    """What an agent's calls came to.

    Attributes:
        calls: Questions asked.
        hits: Those answered from the cache, or by an equal call that was under way.
        total_cost: What the other calls cost, in US dollars, as far as the model's price is known.
        cache_savings: What the hits would have cost, likewise.
        unpriced_calls: Questions that neither sum holds, because the price or the usage is unknown.
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
    """

    def __init__(self, config: AgentConfig) -> None:
        self.config = config
        self._stats = CostStats()
        self._lock = Lock()

    @property
    def name(self) -> str:
        """What it is called."""
        return self.config.name

    async def process(self, query: str) -> str:
        """Answer a question; raises what the model raises."""
        return await self.run(query)

    async def run(self, query: str, **parameters: Any) -> str:
        """Answer a question, with parameters for this call; raises what the model raises."""
        response = await self.config.model.get_text(
            [{"role": "user", "content": query}],
            system_prompt=self.config.system_prompt,
            **{**self.config.parameters, **parameters},
        )
        with self._lock:
            self._stats = _counted(self._stats, self.config.model, response)
        return response.content

    def get_cost_stats(self) -> CostStats:
        """What the calls so far cost and saved."""
        return self._stats


def _counted(stats: CostStats, model: Model, response: ModelResponse) -> CostStats:
    cost = price(model.provider, model.model_id, response.usage)
    spared = response.cached or response.shared
    return CostStats(
        calls=stats.calls + 1,
        hits=stats.hits + spared,
        total_cost=stats.total_cost + (0.0 if spared else cost or 0.0),
        cache_savings=stats.cache_savings + (cost or 0.0 if spared else 0.0),
        unpriced_calls=stats.unpriced_calls + (cost is None),
    )

"""A small agent: one model, one system prompt, optional tools, and a record of what its calls cost and saved."""

from __future__ import annotations

from spark_cache.agents.agent import Agent, AgentConfig, CostStats
from spark_cache.agents.tools import Tool

__all__ = ["Agent", "AgentConfig", "CostStats", "Tool"]

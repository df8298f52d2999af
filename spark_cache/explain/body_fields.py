"""The fields of a body that hold what the model is asked and may use, under the names of all providers."""

from __future__ import annotations

__all__ = ["CONVERSATION", "INSTRUCTIONS", "SCHEMAS", "TOOLS"]

CONVERSATION = ("messages", "input", "contents")
INSTRUCTIONS = ("system_prompt", "system", "systemInstruction", "instructions")
TOOLS = ("tool_specs", "tools", "toolConfig")
SCHEMAS = ("output_schema", "response_format", "text", "output_config", "outputConfig")

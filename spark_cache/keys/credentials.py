"""Credentials inside a request's tools and parameters: they name who asks, and enter neither a key nor an entry.

Only the places are known where providers take them. What is merely called ``key`` or ``token`` somewhere, as a property in the
schema of a tool is, stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import is_not
from typing import TYPE_CHECKING, Any, Literal

from spark_cache.keys.headers import server_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["without_credentials"]

Headers = Literal["keyed", "dropped"]
"""What becomes of the headers for a tool's server: those that name nobody count in a key, and none is stored."""

_EACH = "[]"

_MCP: tuple[tuple[str, ...], ...] = (("authorization",), ("headers",))
"""Where OpenAI's tools of type ``mcp`` hold credentials."""

_TOOL: tuple[tuple[str, ...], ...] = (
    ("mcp_servers", _EACH, "streamable_http_transport", "headers"),
    ("google_maps", "auth_config"),
    ("parallel_ai_search", "api_key"),
    ("exa_ai_search", "api_key"),
)
"""Where Gemini's tools do; each name is also known in the form of the wire, such as ``mcpServers``."""

_HUMP = re.compile(r"_([a-z])")


def _on_the_wire(name: str) -> str:
    """A name in the form in which JSON has it: ``mcpServers``."""
    return _HUMP.sub(lambda hump: hump[1].upper(), name)


_TELLING = frozenset(name for path in (*_MCP, *_TOOL) for name in (path[0], _on_the_wire(path[0])))
"""A tool that has none of these names holds no credentials: most tools are done with when that is known."""

_PARAMETERS: tuple[tuple[str, ...], ...] = (
    # Anthropic
    ("mcp_servers", _EACH, "authorization_token"),
    # Azure OpenAI
    ("data_sources", _EACH, "parameters", "authentication"),
    ("data_sources", _EACH, "parameters", "embedding_dependency", "authentication"),
)

_BODIES = ("extra_body", "additionalModelRequestFields")
"""The parameters that are themselves laid over the body of a request."""


def without_credentials(parameters: Mapping[str, Any], headers: Headers) -> dict[str, Any]:
    """A request's parameters, or a part of them, without the credentials in the places that are known.

    Args:
        parameters: The parameters; ``{"tools": …}`` are the tools alone. They stay as they are.
        headers: What becomes of the headers for a tool's server.

    Returns:
        A new dictionary; what holds no credentials is the same object in it.
    """
    kept = _of_body(parameters, headers)
    for name in _BODIES:
        if isinstance(kept.get(name), Mapping):
            kept[name] = _of_body(kept[name], headers)
    return kept


def _of_body(body: Mapping[str, Any], headers: Headers) -> dict[str, Any]:
    kept = dict(body)
    if "tools" in kept:
        kept["tools"] = _each(kept["tools"], lambda tool: _tool(tool, headers))
    for path in _PARAMETERS:
        if path[0] in kept:
            kept = _without(kept, path, headers)
    return kept


def _tool(tool: Any, headers: Headers) -> Any:
    opened = tool if isinstance(tool, dict) else _opened(tool)
    if opened is None or _TELLING.isdisjoint(opened):
        return tool
    kept: Any = opened
    for path in _MCP if opened.get("type") == "mcp" else _TOOL:
        kept = _without(kept, path, headers)
    return tool if kept is opened else kept


def _opened(tool: Any) -> Mapping[str, Any] | None:
    """A tool as a mapping: a pydantic model that may hold credentials in the form in which it is keyed; None for all else."""
    if isinstance(tool, Mapping):
        return tool
    fields = getattr(type(tool), "model_fields", None)
    if not isinstance(fields, Mapping) or not any(path[0] in fields for path in _TOOL):
        return None
    try:
        form = tool.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)
    except Exception:  # noqa: BLE001 - a model's own serialisers may raise anything; then it has no key, and is not stored
        return None
    return form if isinstance(form, Mapping) else None


def _without(value: Any, path: Sequence[str], headers: Headers) -> Any:
    """A value without what is at the end of a path; the same object where there is nothing."""
    step, *rest = path
    if step == _EACH:
        return _each(value, lambda item: _without(item, rest, headers))
    if not isinstance(value, Mapping):
        return value
    for name in (step, _on_the_wire(step)):
        held = value.get(name)
        if held is None:
            continue
        if rest:
            kept = _without(held, rest, headers)
        elif step == "headers" and headers == "keyed" and isinstance(held, Mapping):
            kept = server_headers(held) or None
        else:
            kept = None
        if kept is not held:
            others = {other: item for other, item in value.items() if other != name}
            value = others if kept is None else {**others, name: kept}
    return value


def _each(values: Any, change: Callable[[Any], Any]) -> Any:
    if not isinstance(values, list | tuple):
        return values
    changed = [change(value) for value in values]
    return changed if any(map(is_not, changed, values)) else values

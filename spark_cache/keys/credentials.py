"""Credentials in the body of a request.

Credentials identify the caller, so they are part of neither a key nor an entry. They are removed only from the fields in which
providers accept them. A field that is merely named ``key`` or ``token``, such as a property in a tool's schema, stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import is_not
from typing import TYPE_CHECKING, Any, Literal

from spark_cache.keys.headers import is_credential, server_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["without_credentials"]

Headers = Literal["keyed", "dropped"]
"""What happens to the headers for a tool's server. A key includes those that are not credentials. An entry stores none."""

_EACH = "[]"

_MCP: tuple[tuple[str, ...], ...] = (("authorization",), ("headers",))
"""The credential fields of OpenAI's tools of type ``mcp``."""

_TOOL: tuple[tuple[str, ...], ...] = (
    ("mcp_servers", _EACH, "streamable_http_transport", "headers"),
    ("google_maps", "auth_config"),
    ("parallel_ai_search", "api_key"),
    ("exa_ai_search", "api_key"),
)
"""The credential fields of Gemini's tools. Each name is also recognised in its JSON form, such as ``mcpServers``."""

_SECRET_SETTING = re.compile(r".*(key|password|pwd|secret|signature|token)", re.IGNORECASE)
"""A setting of a connection string that is a secret, such as ``AccountKey``."""

_HUMP = re.compile(r"_([a-z])")


def _on_the_wire(name: str) -> str:
    """Return the JSON form of a name, such as ``mcpServers``."""
    return _HUMP.sub(lambda hump: hump[1].upper(), name)


_FIRST_NAMES = frozenset(name for path in (*_MCP, *_TOOL) for name in (path[0], _on_the_wire(path[0])))
"""The first name of every path. A tool with none of these names has no credentials, which settles most tools quickly."""

_PARAMETERS: tuple[tuple[str, ...], ...] = (
    # Anthropic
    ("mcp_servers", _EACH, "authorization_token"),
    # Azure OpenAI
    ("data_sources", _EACH, "parameters", "authentication"),
    ("data_sources", _EACH, "parameters", "embedding_dependency", "authentication"),
)

_FURTHER_FIELDS = "additionalModelRequestFields"
"""The field in which Bedrock takes fields of the model's own API."""


def without_credentials(body: Mapping[str, Any], headers: Headers) -> dict[str, Any]:
    """Return the body of a request without the credentials in known fields.

    Args:
        body: The body, which is not modified.
        headers: What happens to the headers for a tool's server.

    Returns:
        A new dictionary. Values without credentials are the same objects.
    """
    kept = _of_body(body, headers)
    if isinstance(kept.get(_FURTHER_FIELDS), Mapping):
        kept[_FURTHER_FIELDS] = _of_body(kept[_FURTHER_FIELDS], headers)
    return kept


def _of_body(body: Mapping[str, Any], headers: Headers) -> dict[str, Any]:
    kept = dict(body)
    for name in ("tools", "tool_specs"):
        if name in kept:
            kept[name] = _each(kept[name], lambda tool: _tool(tool, headers))
    for path in _PARAMETERS:
        if path[0] in kept:
            kept = _without(kept, path, headers)
    return kept


def _tool(tool: Any, headers: Headers) -> Any:
    if not isinstance(tool, Mapping) or _FIRST_NAMES.isdisjoint(tool):
        return tool
    kept: Any = tool
    for path in _MCP if tool.get("type") == "mcp" else _TOOL:
        kept = _without(kept, path, headers)
    return kept


def _without(value: Any, path: Sequence[str], headers: Headers) -> Any:
    """Return a value without the field at the end of a path, or the same object if it has no such field."""
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
        elif step == "authentication" and headers == "keyed" and isinstance(held, Mapping):
            kept = _account(held) or None
        else:
            kept = None
        if kept is not held:
            others = {other: item for other, item in value.items() if other != name}
            value = others if kept is None else {**others, name: kept}
    return value


def _account(authentication: Mapping[str, Any]) -> dict[str, Any]:
    """Return what names the account of a data source, which may stand in its connection string alone."""
    kept = {
        name: value
        for name, value in authentication.items()
        if name != "type" and not is_credential(str(name))
    }
    connection = kept.get("connection_string")
    if isinstance(connection, str):
        settings = (setting for setting in connection.split(";") if setting.strip())
        kept["connection_string"] = [
            setting
            for setting in settings
            if not _SECRET_SETTING.fullmatch(setting.partition("=")[0].strip())
        ]
    return kept


def _each(values: Any, change: Callable[[Any], Any]) -> Any:
    if not isinstance(values, list | tuple):
        return values
    changed = [change(value) for value in values]
    return changed if any(map(is_not, changed, values)) else values

"""Requests of Gemini's ``generateContent``, and the state that they refer to. Pure functions, without the SDK or a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from spark_cache.providers.gemini.content import contents_of, instructions_of, plain, tool_config_of, tools_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spark_cache.types import Request

__all__ = ["body_of", "kept_by_provider", "model_path", "named_once"]

_TOP_LEVEL = {
    "cached_content": "cachedContent",
    "continuation_token": "continuationToken",
    "labels": "labels",
    "model_armor_config": "modelArmorConfig",
    "safety_settings": "safetySettings",
    "service_tier": "serviceTier",
    "store": "store",
    "system_instruction": "systemInstruction",
    "tool_config": "toolConfig",
    "tools": "tools",
}
"""The parameters outside the generation config, with their names in the API. All others are part of it."""

_OTHER_NAMES = {"max_tokens": "maxOutputTokens"}
"""Parameters that have a different name in this API."""

_UNCHANGED = frozenset(
    {
        "generationConfig",
        "labels",
        "responseJsonSchema",
        "responseSchema",
        "systemInstruction",
        "tools",
    }
)
"""Parameters that contain names chosen by the caller, or that may already be in the form of the API."""

_NOT_SENT = ("extra_body", "extra_headers", "generation_config", "timeout")

_STORES = ("fileSearch", "file_search", "retrieval")
"""Tools that read from a store at the provider."""

_WORD_START = re.compile(r"_([a-z0-9])")


def named_once(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters under the names of the API. Of two names for one parameter, the later one is sent.

    Args:
        parameters: The parameters of a call.
    """
    return {
        name if name in _NOT_SENT else _TOP_LEVEL.get(name) or _config_name(name, value): value
        for name, value in parameters.items()
        if value is not None
    }


def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON body of a ``generateContent`` request, before the SDK merges the extra body into it.

    Args:
        request: The request.
    """
    messages = [plain(message) for message in request.messages]
    given = {name: _value(name, value) for name, value in request.parameters.items() if value is not None}
    body: dict[str, Any] = {"contents": contents_of(messages)}
    body |= {_TOP_LEVEL.get(name, name): value for name, value in given.items() if _is_top_level(name)}
    instructions = instructions_of(request.system_prompt, messages)
    if not instructions and isinstance(body.get("systemInstruction"), str):
        instructions = [{"text": body["systemInstruction"]}]
    if instructions:
        body["systemInstruction"] = {"parts": instructions, "role": "user"}
    if request.tool_specs is not None:
        body["tools"] = tools_of(request.tool_specs)
    if request.tool_choice is not None:
        body["toolConfig"] = tool_config_of(request.tool_choice)
    config = {**(given.get("generation_config") or {}), **_generation_config(request.parameters)}
    if request.operation == "json":
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = plain(request.output_schema)
    if config or "generation_config" in given:
        body["generationConfig"] = config
    return body


def model_path(model_id: str, *, vertex: bool) -> str:
    """Return the path of a model.

    Args:
        model_id: The name of the model, or its path.
        vertex: Whether the service is Vertex AI.
    """
    path_prefixes = ("projects/", "models/", "publishers/") if vertex else ("models/", "tunedModels/")
    if model_id.startswith(path_prefixes):
        return model_id
    if not vertex:
        return f"models/{model_id}"
    publisher, slash, name = model_id.partition("/")
    return f"publishers/{publisher}/models/{name}" if slash else f"publishers/google/models/{model_id}"


def kept_by_provider(request: Request) -> str | None:
    """Return the path of a reference to state at the provider that may change; None if there is none.

    Such state is an uploaded file (after it is deleted, another file may get its name), an object in Google's storage, the store
    of a search tool, and a response to be continued. Any other address on the web is keyed like an address in the text of a prompt.

    Args:
        request: The request.
    """
    for index, message in enumerate(request.messages):
        if any(map(_is_kept, _file_uris(_blocks(message)))):
            return f"messages[{index}]"
    if request.parameters.get("continuationToken") is not None:
        return "parameters.continuationToken"
    for place, tools in (
        ("tool_specs", request.tool_specs),
        ("parameters.tools", request.parameters.get("tools")),
    ):
        for index, tool in enumerate(tools or ()):
            for store in _STORES:
                if _field(tool, store) is not None:
                    return f"{place}[{index}].{store}"
    return None


def _is_top_level(name: str) -> bool:
    return name in _TOP_LEVEL or name in _TOP_LEVEL.values()


def _generation_config(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        _config_name(name, value): _value(name, value)
        for name, value in parameters.items()
        if value is not None and not _is_top_level(name) and name not in _NOT_SENT
    }


def _config_name(name: str, value: Any) -> str:
    if isinstance(value, type) and name in ("response_schema", "responseSchema"):
        # A model class gives a JSON schema. response_schema is Gemini's own schema format.
        return "responseJsonSchema"
    return _OTHER_NAMES.get(name) or _camel(name)


def _value(name: str, value: Any) -> Any:
    """Convert the value of a parameter to JSON, with the field names of the API instead of the SDK's."""
    value = plain(value)
    return value if _camel(name) in _UNCHANGED else _camelled(value)


def _camelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel(name): _camelled(item) for name, item in value.items()}
    return [_camelled(item) for item in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    return _WORD_START.sub(lambda match: match[1].upper(), name)


def _blocks(message: Any) -> Sequence[Any]:
    blocks = _field(message, "parts") or _field(message, "content")
    return blocks if isinstance(blocks, list | tuple) else ()


def _file_uris(blocks: Sequence[Any]) -> Iterator[str]:
    for block in blocks:
        file = _field(block, "fileData") or _field(block, "file_data")
        if file is not None:
            yield str(_field(file, "fileUri") or _field(file, "file_uri"))
        result = _field(block, "functionResponse") or _field(block, "function_response")
        if result is not None:
            yield from _file_uris(_blocks(result))


def _field(value: Any, name: str) -> Any:
    """Return a field of a dictionary or of an SDK object."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _is_kept(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError:
        return True
    return parts.scheme not in ("http", "https") or f".{host}".endswith(".googleapis.com")

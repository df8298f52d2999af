"""Requests of Gemini's ``generateContent``. Pure functions, without the SDK or a connection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from spark_cache.providers.gemini.content import contents_of, instructions_of, tool_config_of, tools_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.providers.dialect import Arguments

__all__ = ["body_of", "embedding_body", "model_path", "named_once"]

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

_TOP_NAMES = frozenset(_TOP_LEVEL.values())
_CONFIG = "generationConfig"
_NOT_NAMED = frozenset({"extra_body", "extra_headers", "timeout", _CONFIG})

_WORD_START = re.compile(r"_([a-z0-9])")


def named_once(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters under the names of the API. Of two names for one parameter, the later one is sent.

    Args:
        parameters: The parameters of a call.
    """
    return {
        name if name in _NOT_NAMED else _TOP_LEVEL.get(name) or _config_name(name, value): value
        for name, value in parameters.items()
    }


def body_of(arguments: Arguments) -> dict[str, Any]:
    """Return the JSON body of a ``generateContent`` request.

    Args:
        arguments: The arguments of the call.
    """
    given = {name: _value(name, value) for name, value in arguments.parameters.items()}
    body: dict[str, Any] = {"contents": contents_of(arguments.messages)}
    body |= {name: value for name, value in given.items() if name in _TOP_NAMES}
    instructions = instructions_of(arguments.system_prompt, arguments.messages)
    if not instructions and isinstance(body.get("systemInstruction"), str):
        instructions = [{"text": body["systemInstruction"]}]
    if instructions:
        body["systemInstruction"] = {"parts": instructions, "role": "user"}
    if arguments.tool_specs is not None:
        body["tools"] = tools_of(arguments.tool_specs)
    if arguments.tool_choice is not None:
        body["toolConfig"] = tool_config_of(arguments.tool_choice)
    config = {name: value for name, value in given.items() if name not in _TOP_NAMES and name != _CONFIG}
    config = {**(given.get(_CONFIG) or {}), **config}
    if arguments.operation == "json":
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = arguments.output_schema
    if config or _CONFIG in given:
        body[_CONFIG] = config
    return body


def embedding_body(text: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON body of an ``embedContent`` request, without the model.

    Args:
        text: The text.
        parameters: The parameters of the call.
    """
    return {**parameters, "content": {"parts": [{"text": text}]}}


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


def _config_name(name: str, value: Any) -> str:
    if isinstance(value, type) and name in ("response_schema", "responseSchema"):
        # A model class gives a JSON schema. response_schema is Gemini's own schema format.
        return "responseJsonSchema"
    return _OTHER_NAMES.get(name) or _camel(name)


def _value(name: str, value: Any) -> Any:
    """Return the value of a parameter with the field names of the API instead of the SDK's."""
    return value if name in _UNCHANGED else _camelled(value)


def _camelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel(name): _camelled(item) for name, item in value.items()}
    return [_camelled(item) for item in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    return _WORD_START.sub(lambda match: match[1].upper(), name)

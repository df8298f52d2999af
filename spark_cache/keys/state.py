"""State at the provider: with it, a response is not a function of the request, so the request is not cached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.types import Request

__all__ = ["state_path"]

_FIELDS = frozenset(
    {
        "assistant_id",
        "background",
        "cachedContent",
        "cached_content",
        "container",
        "continuationToken",
        "conversation",
        "data_sources",
        "previous_response_id",
        "prompt",
        "thread",
        "thread_id",
    }
)
"""Fields of a body that refer to state that may change."""

_FURTHER_FIELDS = "additionalModelRequestFields"
"""The field in which Bedrock takes fields of the model's own API."""

_STORES = ("fileSearch", "file_search", "retrieval")
"""Tools of Gemini that read from a store at the provider."""


def state_path(request: Request) -> str | None:
    """Return the path of the first reference to state at the provider that may change; None if there is none.

    Objects that never change do not count: a file of OpenAI or Anthropic, a reasoning item, a prompt with its version. An object
    in S3 and an address on the web belong to the caller and are keyed by their address.

    Args:
        request: The request.

    Returns:
        The path, such as ``body.tools[0].vector_store_ids``, or None.
    """
    body = request.body
    if not _FIELDS.isdisjoint(body):
        for name in _references(body):
            return f"body.{name}"
    fields, search = _SEARCHES.get(request.provider, _NO_SEARCH)
    return None if fields.isdisjoint(body) else next(search(request), None)


def _references(fields: Mapping[str, Any]) -> Iterator[str]:
    return (name for name, value in fields.items() if name in _FIELDS and _refers(name, value))


def _refers(name: str, value: Any) -> bool:
    if name == "prompt":
        # A text is a prompt itself. A stored one that is named with its version never changes.
        return isinstance(value, Mapping) and value.get("version") is None
    return value is not None and value is not False


def _in_openai(request: Request) -> Iterator[str]:
    body = request.body
    for at, item in enumerate(_items(body.get("input"))):
        if isinstance(item, Mapping) and item.get("type") == "item_reference":
            yield f"body.input[{at}]"
    for at, tool in enumerate(_items(body.get("tools"))):
        if not isinstance(tool, Mapping):
            continue
        environment = tool.get("environment")
        if tool.get("vector_store_ids"):
            yield f"body.tools[{at}].vector_store_ids"
        elif isinstance(tool.get("container"), str):
            yield f"body.tools[{at}].container"
        elif isinstance(environment, Mapping) and "container_id" in environment:
            yield f"body.tools[{at}].environment.container_id"


def _in_gemini(request: Request) -> Iterator[str]:
    # After an uploaded file is deleted, another one may get its name. An object in Google's storage can be replaced.
    for at, content in enumerate(_items(request.body.get("contents"))):
        if any(map(_is_kept, _file_uris(content))):
            yield f"body.contents[{at}]"
    tools = request.body.get("tools")
    # One tool may stand alone, without a list.
    for at, tool in enumerate([tools] if isinstance(tools, Mapping) else _items(tools)):
        for store in _STORES:
            if isinstance(tool, Mapping) and tool.get(store) is not None:
                yield f"body.tools[{at}].{store}"


def _file_uris(content: Any) -> Iterator[str]:
    parts = content.get("parts") if isinstance(content, Mapping) else None
    for part in _items(parts):
        if not isinstance(part, Mapping):
            continue
        file = part.get("fileData") or part.get("file_data")
        if isinstance(file, Mapping):
            yield str(file.get("fileUri") or file.get("file_uri"))
        result = part.get("functionResponse") or part.get("function_response")
        if result is not None:
            yield from _file_uris(result)


def _is_kept(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError:
        return True
    return parts.scheme not in ("http", "https") or f".{host}".endswith(".googleapis.com")


def _in_bedrock(request: Request) -> Iterator[str]:
    further = request.body.get(_FURTHER_FIELDS)
    if isinstance(further, Mapping):
        for name in _references(further):
            yield f"body.{_FURTHER_FIELDS}.{name}"
    guardrail = request.body.get("guardrailConfig")
    if isinstance(guardrail, Mapping) and guardrail.get("guardrailVersion") == "DRAFT":
        yield "body.guardrailConfig.guardrailVersion"
    _, is_prompt, name = request.model_id.partition(":prompt/")
    if is_prompt and ":" not in name:
        yield "model_id"


_NO_SEARCH: tuple[frozenset[str], Callable[[Request], Iterator[str]]] = (frozenset(), lambda _: iter(()))
_SEARCHES = {
    "bedrock": (frozenset({"messages"}), _in_bedrock),
    "gemini": (frozenset({"contents", "tools"}), _in_gemini),
    "openai": (frozenset({"input", "tools"}), _in_openai),
}
"""Where further references are looked for: the fields without any of which there are none, and the function."""


def _items(value: Any) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, list | tuple) else ()

"""Gemini generateContent and batchEmbedContents, answered without a model in the same way as chat completions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spark_cache.testing.standin.embeddings import embed
from spark_cache.testing.standin.protocol import ProtocolError, count_tokens, expect, request_digest
from spark_cache.testing.standin.schema import UnmetSchemaError, example
from spark_cache.testing.standin.tools import chosen_tool, tool_call
from spark_cache.testing.standin.transport import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.testing.standin.chat import Answer

__all__ = ["embed_contents", "generate_content", "refuse_content", "stream_content"]

_ROLES = {None, "user", "model"}
_STATUSES = {401: "UNAUTHENTICATED", 404: "NOT_FOUND"}
_CHARACTERS_PER_TOKEN = 4
_SHOWN_CHARACTERS = 200
_THOUGHT = {"text": "[stand-in] No model thought.", "thought": True}


def generate_content(body: dict[str, Any], answer: Answer | None = None) -> dict[str, Any]:
    """Answer a request to ``…/models/MODEL:generateContent``.

    Args:
        body: The body of the request, with the ``model`` from its path.
        answer: Scripts the response: its text, or fields of a candidate such as ``content`` and ``finishReason``.

    Returns:
        The body of the response.

    Raises:
        ProtocolError: The service would refuse the request.
    """
    contents = expect(body, "contents", list, required=True)
    if not contents:
        raise ProtocolError(400, "contents: must not be empty.")
    for index, content in enumerate(contents):
        if not isinstance(content, dict) or content.get("role") not in _ROLES or not content.get("parts"):
            raise ProtocolError(
                400, f"contents[{index}]: must have 'parts', and a 'role' of 'user' or 'model' if any."
            )
    config = expect(body, "generationConfig", dict) or {}
    digest = request_digest(body)
    candidates = [
        _candidate(body, config, answer, digest, index) for index in range(config.get("candidateCount") or 1)
    ]
    return {
        "candidates": candidates,
        "usageMetadata": _usage(body, candidates),
        "modelVersion": body["model"],
        "responseId": digest[:22],
    }


def stream_content(body: dict[str, Any], answer: Answer | None = None) -> Stream:
    """Answer a request to ``…/models/MODEL:streamGenerateContent?alt=sse`` with the same response, split into events.

    Args:
        body: The body of the request, with the ``model`` from its path.
        answer: Scripts the response, as for :func:`generate_content`.
    """
    return Stream("text/event-stream", _framed(_events(generate_content(body, answer))))


def embed_contents(body: dict[str, Any], _answer: Answer | None = None) -> dict[str, Any]:
    """Answer a request to ``…/models/MODEL:batchEmbedContents``.

    Args:
        body: The body of the request, with the ``model`` from its path.
    """
    requests = expect(body, "requests", list, required=True)
    dimensions = (requests[0] if requests else {}).get("outputDimensionality")
    texts = [_text(request["content"]["parts"]) for request in requests]
    embedded = embed({"model": body["model"], "input": texts, "dimensions": dimensions})
    return {"embeddings": [{"values": one["embedding"]} for one in embedded["data"]]}


def refuse_content(error: ProtocolError) -> dict[str, Any]:
    """Return the body of an error response in the format of the service.

    Args:
        error: The error.
    """
    status = _STATUSES.get(error.status, "INVALID_ARGUMENT")
    return {"error": {"code": error.status, "message": error.message, "status": status}}


def _candidate(
    body: dict[str, Any], config: dict[str, Any], answer: Answer | None, digest: str, index: int
) -> dict[str, Any]:
    scripted = None if answer is None else answer(body)
    own = [{"text": scripted}] if isinstance(scripted, str) else _own_parts(body, config, digest, index)
    candidate: dict[str, Any] = dict(scripted) if isinstance(scripted, dict) else {"content": {"parts": own}}
    parts: list[dict[str, Any]] = candidate.get("content", {}).get("parts") or []
    limit = int(config.get("maxOutputTokens") or 0)
    cut = bool(limit and parts) and count_tokens(parts[-1].get("text") or "") > limit
    if cut:
        text = parts[-1]["text"][: _CHARACTERS_PER_TOKEN * limit]
        candidate["content"] = {**candidate["content"], "parts": [*parts[:-1], {**parts[-1], "text": text}]}
    if "content" in candidate:
        candidate["content"] = {"role": "model", **candidate["content"]}
    return {"finishReason": "MAX_TOKENS" if cut else "STOP", "index": index, **candidate}


def _own_parts(body: dict[str, Any], config: dict[str, Any], digest: str, index: int) -> list[dict[str, Any]]:
    last = body["contents"][-1]["parts"]
    results = [part["functionResponse"] for part in last if "functionResponse" in part]
    call = _call(body, None if results else _text(last), digest)
    if call is not None:
        return [{"functionCall": call, "thoughtSignature": digest[:16]}]
    if config.get("responseMimeType") == "application/json":
        return [{"text": _structured(config)}]
    shown = json.dumps(results[-1].get("response")) if results else _text(last)
    shown = shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"
    echo = f"The tool said: {shown}" if results else f"You asked: {shown}"
    choice = f"choice {index + 1}, " if index else ""
    answer: dict[str, Any] = {"text": f"[stand-in] {echo} (no model answered; {choice}request {digest[:8]})"}
    thinks = (config.get("thinkingConfig") or {}).get("includeThoughts")
    return [_THOUGHT, answer] if thinks else [answer]


def _call(body: dict[str, Any], user_text: str | None, digest: str) -> dict[str, Any] | None:
    declared = [
        function
        for tool in expect(body, "tools", list) or []
        for function in tool.get("functionDeclarations", ())
    ]
    tools = [
        {"function": {"name": function["name"], "parameters": function.get("parametersJsonSchema")}}
        for function in declared
    ]
    calling = (expect(body, "toolConfig", dict) or {}).get("functionCallingConfig") or {}
    allowed = calling.get("allowedFunctionNames")
    wanted: Any = {"ANY": "required", "NONE": "none"}.get(calling.get("mode", "AUTO"), "auto")
    if wanted == "required" and allowed:
        wanted = {"function": {"name": allowed[0]}}
    tool = chosen_tool({"tools": tools, "tool_choice": wanted}, user_text)
    if tool is None:
        return None
    arguments = tool_call(tool, digest)["function"]["arguments"]
    return {"id": digest[:8], "name": tool["name"], "args": json.loads(arguments)}


def _structured(config: dict[str, Any]) -> str:
    try:
        return json.dumps(example(config.get("responseJsonSchema") or {"type": "object"}))
    except UnmetSchemaError as error:
        raise ProtocolError(400, f"generationConfig.responseJsonSchema: {error}.") from error


def _text(parts: list[dict[str, Any]]) -> str:
    """Return the text of a content's parts; parts without text are shown by their type."""
    return " ".join(part["text"] if "text" in part else f"[{next(iter(part), '')}]" for part in parts)


def _usage(body: dict[str, Any], candidates: list[dict[str, Any]]) -> dict[str, Any]:
    prompt = count_tokens(json.dumps(body["contents"]))
    parts = [part for candidate in candidates for part in candidate.get("content", {}).get("parts") or ()]
    thoughts = sum(count_tokens(part["text"]) for part in parts if part.get("thought"))
    output = sum(
        count_tokens(part.get("text") or json.dumps(part)) for part in parts if not part.get("thought")
    )
    usage = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": output,
        "totalTokenCount": prompt + output + thoughts,
    }
    return {**usage, "thoughtsTokenCount": thoughts} if thoughts else usage


def _events(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Split the response into events: the last event of a candidate holds its finish reason, every event holds the usage."""
    shared = {name: value for name, value in whole.items() if name != "candidates"}
    for candidate in whole["candidates"]:
        content = candidate.get("content") or {"parts": []}
        *pieces, last = [[piece] for part in content["parts"] for piece in _pieces(part)] or [[]]
        for parts in pieces:
            begun = {"index": candidate["index"], "content": {**content, "parts": parts}}
            yield {"candidates": [begun], **shared}
        yield {"candidates": [{**candidate, "content": {**content, "parts": last}}], **shared}


def _pieces(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    text = part.get("text")
    if not text:
        yield part
        return
    for start in range(0, len(text), _CHARACTERS_PER_TOKEN):
        yield {**part, "text": text[start : start + _CHARACTERS_PER_TOKEN]}


def _framed(events: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    for event in events:
        yield f"data: {json.dumps(event)}\r\n\r\n".encode()

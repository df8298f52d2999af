"""OpenAI Responses, answered without a model by converting the request to a chat completion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spark_cache.testing.standin.chat import Answer, complete_chat
from spark_cache.testing.standin.protocol import ProtocolError, expect, request_digest
from spark_cache.testing.standin.transport import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["answer_response"]

_CREATED = 1_700_000_000
_CHARACTERS_PER_EVENT = 4
_ECHOED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "previous_response_id",
    "temperature",
    "tool_choice",
    "tools",
)


def answer_response(body: dict[str, Any], answer: Answer | None = None) -> dict[str, Any] | Stream:
    """Answer a request to ``/v1/responses``.

    Args:
        body: The body of the request.
        answer: Scripts the message, as for a chat completion; it receives the body of this request.

    Returns:
        The response, or its events if the request asks for a stream.

    Raises:
        ProtocolError: The service would refuse the request.
    """
    scripted: Answer | None = None if answer is None else lambda _: answer(body)
    completion = complete_chat(_as_chat(body), scripted)
    if not isinstance(completion, dict):
        raise TypeError("the chat completion must not be a stream")
    response = _response(body, completion)
    if expect(body, "stream", bool):
        return Stream("text/event-stream; charset=utf-8", _framed(_events(response)))
    return response


# -- the request --------------------------------------------------------------------------------------------------------------------


def _as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """Return the equivalent chat completion request."""
    given = expect(body, "input", str, list, required=True)
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    messages = [_message(item, index) for index, item in enumerate(items)]
    instructions = expect(body, "instructions", str)
    if instructions is not None:
        messages.insert(0, {"role": "system", "content": instructions})
    chat: dict[str, Any] = {
        "model": expect(body, "model", str, required=True),
        "messages": messages,
        # Requests that differ in any parameter must have different responses.
        "metadata": {"responses": request_digest(body)},
    }
    limit = expect(body, "max_output_tokens", int)
    if limit is not None:
        chat["max_completion_tokens"] = limit
    functions = [tool for tool in expect(body, "tools", list) or [] if tool.get("type") == "function"]
    if functions:
        chat["tools"] = [{"type": "function", "function": tool} for tool in functions]
        chat["tool_choice"] = _tool_choice(expect(body, "tool_choice", str, dict))
    form = (expect(body, "text", dict) or {}).get("format") or {}
    if form.get("type") == "json_schema":
        chat["response_format"] = {"type": "json_schema", "json_schema": form}
    return chat


def _message(item: Any, index: int) -> dict[str, Any]:
    match item:
        case {"type": "function_call_output", "call_id": call, "output": output}:
            return {"role": "tool", "tool_call_id": call, "content": output}
        case {"role": str(role), "content": content}:
            return {"role": role, "content": content}
        case {"type": str()}:
            return {"role": "assistant", "content": ""}
    raise ProtocolError(400, f"Invalid 'input[{index}]': must be a message or another item.", param="input")


def _tool_choice(choice: Any) -> Any:
    match choice:
        case {"type": "function", "name": name}:
            return {"type": "function", "function": {"name": name}}
    return choice


# -- the response -------------------------------------------------------------------------------------------------------------------


def _response(body: dict[str, Any], completion: dict[str, Any]) -> dict[str, Any]:
    digest = request_digest(body)
    choice = completion["choices"][0]
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(choice["finish_reason"])
    used = completion["usage"]
    return {
        **{name: body.get(name) for name in _ECHOED},
        "id": f"resp_{digest[:32]}",
        "object": "response",
        "created_at": _CREATED,
        "status": "completed" if cut is None else "incomplete",
        "error": None,
        "incomplete_details": None if cut is None else {"reason": cut},
        "model": completion["model"],
        "output": list(_items(choice["message"], digest)),
        "parallel_tool_calls": True,
        "usage": {
            "input_tokens": used["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": used["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used["total_tokens"],
        },
    }


def _items(message: dict[str, Any], digest: str) -> Iterator[dict[str, Any]]:
    parts = []
    if message.get("content"):
        parts.append({"type": "output_text", "text": message["content"], "annotations": [], "logprobs": []})
    if message.get("refusal"):
        parts.append({"type": "refusal", "refusal": message["refusal"]})
    calls = message.get("tool_calls") or ()
    if parts or not calls:
        named = {"id": f"msg_{digest[:24]}", "type": "message", "status": "completed", "role": "assistant"}
        yield {**named, "content": parts}
    for call in calls:
        function = call["function"]
        yield {
            "id": f"fc_{call['id']}",
            "type": "function_call",
            "status": "completed",
            "call_id": call["id"],
            "name": function["name"],
            "arguments": function["arguments"],
        }


# -- the stream ---------------------------------------------------------------------------------------------------------------------


def _framed(events: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    for number, event in enumerate(events):
        numbered = {**event, "sequence_number": number}
        yield f"event: {event['type']}\ndata: {json.dumps(numbered)}\n\n".encode()


def _events(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for at, item in enumerate(response["output"]):
        yield from _events_of_message(item, at) if item["type"] == "message" else _events_of_call(item, at)
    yield {"type": f"response.{response['status']}", "response": response}


def _events_of_message(item: dict[str, Any], at: int) -> Iterator[dict[str, Any]]:
    begun = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": at, "item": begun}
    for index, part in enumerate(item["content"]):
        where = {"item_id": item["id"], "output_index": at, "content_index": index}
        said = "refusal" if part["type"] == "refusal" else "text"
        kind = "response.refusal" if said == "refusal" else "response.output_text"
        yield {"type": "response.content_part.added", **where, "part": {**part, said: ""}}
        for piece in _pieces(part[said]):
            yield {"type": f"{kind}.delta", **where, "delta": piece}
        yield {"type": f"{kind}.done", **where, said: part[said]}
        yield {"type": "response.content_part.done", **where, "part": part}
    yield {"type": "response.output_item.done", "output_index": at, "item": item}


def _events_of_call(item: dict[str, Any], at: int) -> Iterator[dict[str, Any]]:
    where = {"item_id": item["id"], "output_index": at}
    begun = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", "output_index": at, "item": begun}
    for piece in _pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.function_call_arguments.done", **where, **done}
    yield {"type": "response.output_item.done", "output_index": at, "item": item}


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), _CHARACTERS_PER_EVENT):
        yield text[start : start + _CHARACTERS_PER_EVENT]

"""Amazon Bedrock Converse, answered without a model in the same way as chat completions, and Titan and Cohere embeddings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spark_cache.providers.bedrock.frames import event_frame
from spark_cache.testing.standin.embeddings import embed
from spark_cache.testing.standin.protocol import ProtocolError, count_tokens, expect, request_digest
from spark_cache.testing.standin.schema import UnmetSchemaError, example
from spark_cache.testing.standin.tools import chosen_tool, tool_call
from spark_cache.testing.standin.transport import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.testing.standin.chat import Answer

__all__ = ["answer_converse", "invoke", "refuse", "stream_converse"]

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_SHOWN_CHARACTERS = 200


def answer_converse(body: dict[str, Any], answer: Answer | None = None) -> dict[str, Any]:
    """Answer a request to ``/model/{model}/converse``.

    Args:
        body: The body of the request, with the model from its path.
        answer: Scripts the response: its text, or a message (``content``), which may hold ``stopReason``.

    Returns:
        The body of the response.

    Raises:
        ProtocolError: The service would refuse the request.
    """
    if not expect(body, "messages", list, required=True):
        raise ProtocolError(400, "The conversation must have at least one message.")
    for message in body["messages"]:
        if not isinstance(message, dict) or not isinstance(message.get("content"), list):
            raise ProtocolError(400, "Each item of 'messages' must have a 'role' and a list as 'content'.")
    digest = request_digest(body)
    scripted = None if answer is None else answer(body)
    own = {"content": [{"text": scripted}]} if isinstance(scripted, str) else scripted
    message = {"role": "assistant", **(own or {"content": _own_content(body, digest)})}
    reason = message.pop("stopReason", None) or _cut(
        message, (body.get("inferenceConfig") or {}).get("maxTokens")
    )
    input_tokens = _TOKENS_PER_MESSAGE * len(body["messages"]) + count_tokens(json.dumps(body["messages"]))
    output_tokens = sum(map(_tokens, message["content"]))
    return {
        "output": {"message": message},
        "stopReason": reason,
        "usage": {
            "inputTokens": input_tokens,
            "outputTokens": output_tokens,
            "totalTokens": input_tokens + output_tokens,
        },
        "metrics": {"latencyMs": 1},
    }


def stream_converse(body: dict[str, Any], answer: Answer | None = None) -> Stream:
    """Answer a request to ``/model/{model}/converse-stream`` with the same response, split into events.

    Args:
        body: The body of the request, with the model from its path.
        answer: Scripts the response, as for :func:`answer_converse`.
    """
    whole = answer_converse(body, answer)
    frames = (event_frame(kind, payload) for kind, payload in _events(whole))
    return Stream("application/vnd.amazon.eventstream", frames)


def invoke(body: dict[str, Any], _answer: Answer | None = None) -> dict[str, Any]:
    """Answer a request to ``/model/{model}/invoke`` with Titan or Cohere embeddings.

    Args:
        body: The body of the request, with the model from its path.
    """
    model = body["model"]
    if "texts" in body:
        found = embed({"model": model, "input": body["texts"]})
        return {
            "embeddings": [item["embedding"] for item in found["data"]],
            "response_type": "embeddings_floats",
        }
    text = expect(body, "inputText", str, required=True)
    found = embed({"model": model, "input": text})
    return {"embedding": found["data"][0]["embedding"], "inputTextTokenCount": count_tokens(text)}


def refuse(error: ProtocolError) -> dict[str, Any]:
    """Return the body of an error response in the format of the service.

    Args:
        error: The error.
    """
    return {"message": error.message}


def _own_content(body: dict[str, Any], digest: str) -> list[dict[str, Any]]:
    text, is_result = _text(body["messages"][-1]["content"])
    config = expect(body, "toolConfig", dict) or {}
    call = _call(config, None if is_result else text, digest)
    if call is not None:
        return [call]
    wanted = (expect(body, "outputConfig", dict) or {}).get("textFormat")
    if wanted:
        try:
            return [{"text": json.dumps(example(json.loads(wanted["structure"]["jsonSchema"]["schema"])))}]
        except UnmetSchemaError as error:
            raise ProtocolError(400, f"outputConfig.textFormat: {error}.") from error
    shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    echo = f"The tool said: {shown}" if is_result else f"You asked: {shown}"
    return [{"text": f"[stand-in] {echo} (no model answered; request {digest[:8]})"}]


def _call(config: dict[str, Any], user_text: str | None, digest: str) -> dict[str, Any] | None:
    tools = [
        {"function": {"name": spec["name"], "parameters": spec["inputSchema"]["json"]}}
        for spec in (tool.get("toolSpec") for tool in config.get("tools") or [])
        if spec
    ]
    choice = config.get("toolChoice") or {}
    named: Any = {"function": choice.get("tool")}
    wanted = named if "tool" in choice else "required" if "any" in choice else "auto"
    tool = chosen_tool({"tools": tools, "tool_choice": wanted}, user_text)
    if tool is None:
        return None
    arguments = json.loads(tool_call(tool, digest)["function"]["arguments"])
    return {"toolUse": {"toolUseId": f"tooluse_{digest[:22]}", "name": tool["name"], "input": arguments}}


def _text(content: list[dict[str, Any]]) -> tuple[str, bool]:
    """Return the text of a message and whether it holds a tool result; blocks without text are shown by their type."""
    results = [block["toolResult"] for block in content if "toolResult" in block]
    if results:
        return _text(results[-1].get("content") or [])[0], True
    return " ".join(block["text"] if "text" in block else f"[{'/'.join(block)}]" for block in content), False


def _cut(message: dict[str, Any], limit: int | None) -> str:
    """Cut the text at the token limit, and return the stop reason."""
    block = message["content"][-1]
    if "toolUse" in block:
        return "tool_use"
    if limit is None or _tokens(block) <= limit:
        return "end_turn"
    message["content"] = [*message["content"][:-1], {"text": block["text"][: _CHARACTERS_PER_TOKEN * limit]}]
    return "max_tokens"


def _tokens(block: dict[str, Any]) -> int:
    return count_tokens(block["text"] if "text" in block else json.dumps(block))


# -- events -------------------------------------------------------------------------------------------------------------------------


def _events(whole: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    message = whole["output"]["message"]
    yield "messageStart", {"role": message["role"]}
    for index, block in enumerate(message["content"]):
        at = {"contentBlockIndex": index, "p": "abcdefgh"[: index + 1]}
        start, deltas = _split(block)
        if start:
            yield "contentBlockStart", {"start": start, **at}
        for delta in deltas:
            yield "contentBlockDelta", {"delta": delta, **at}
        yield "contentBlockStop", at
    yield "messageStop", {"stopReason": whole["stopReason"]}
    yield "metadata", {"usage": whole["usage"], "metrics": whole["metrics"]}


def _split(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block:
        case {"text": text}:
            return {}, [{"text": piece} for piece in _pieces(text)]
        case {"toolUse": {"input": arguments, **call}}:
            pieces = _pieces(json.dumps(arguments))
            return {"toolUse": call}, [{"toolUse": {"input": piece}} for piece in pieces]
        case {"reasoningContent": {"reasoningText": reasoning}}:
            return {}, [{"reasoningContent": {name: piece}} for name, piece in reasoning.items()]
    return {}, [block]


def _pieces(text: str) -> list[str]:
    size = _CHARACTERS_PER_TOKEN
    return [text[start : start + size] for start in range(0, len(text), size)]

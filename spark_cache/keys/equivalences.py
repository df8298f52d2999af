"""The equivalences: what two ways to write the same request have in common is the form that is keyed.

``docs/explanation/keys.md`` lists all of them. A request that differs in anything else has a different key.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from spark_cache.keys.canonical import DIGEST_FROM, INT_MAX, INT_MIN, TEXT_DIGEST, float_form, is_exact
from spark_cache.keys.credentials import without_credentials

if TYPE_CHECKING:
    from spark_cache.keys.canonical import Digest
    from spark_cache.types import Request

__all__ = ["keyed_body", "simple_body"]

_TRANSPORT = frozenset({"stream", "stream_options"})
"""Fields that say how the response is sent."""

_EMPTY_IS_ABSENT = frozenset(
    {"generationConfig", "include", "inferenceConfig", "safetySettings", "system", "tools"}
)
"""Fields for which the providers do not distinguish an empty list or object from none."""

_CONTAINERS = (dict, list, tuple)

_OF_VECTORS = "encoding_format"
"""The field of an embedding that says how vectors travel. They are always returned as lists of numbers."""

_TURNS = frozenset({"input", "messages"})
"""The fields that hold the conversation, with the role and the content of each message."""

_TEXT_BLOCKS = frozenset({"input_text", "output_text", "text"})


def keyed_body(request: Request) -> dict[str, Any]:
    """Return the body of a request in the form that is keyed, without credentials.

    Args:
        request: The request. It is not modified, and values that need no change are shared.
    """
    given = {
        name: value
        for name, value in request.body.items()
        if value is not None
        and name not in _TRANSPORT
        and not (name in _EMPTY_IS_ABSENT and type(value) in _CONTAINERS and not value)
    }
    body = without_credentials(given, "keyed")
    if request.operation == "embedding":
        _rewrite_embedding(body)
    elif request.provider != "gemini":
        _rewrite_conversation(body)
    return body


def simple_body(request: Request, digest: Digest) -> dict[str, Any] | None:
    """Return the form that is keyed of a body with ordinary turns and, beside them, only numbers, short strings and booleans.

    Most requests have such a body, and this function takes a third of the time of :func:`keyed_body` and what follows it.

    Args:
        request: The request.
        digest: A function that returns the SHA-256 of long values.

    Returns:
        The canonical form, or None for any other body.
    """
    simple: dict[str, Any] = {}
    embeds = request.operation == "embedding"
    for name, value in request.body.items():
        kind = type(value)
        if type(name) is not str or name[:1] == "~":
            return None
        form = value
        if kind is str:
            # The input of a response has another form.
            is_own_form = len(value) < DIGEST_FROM and (embeds or name != "input")
        elif kind is list:
            form = _simple_turns(value, digest) if name in _TURNS else None
            is_own_form = form is not None
        else:
            is_own_form = kind is bool or value is None or _is_parameter(name, value, kind)
        if not is_own_form:
            return None
        if value is not None and name not in _TRANSPORT and not (embeds and name == _OF_VECTORS):
            simple[name] = float_form(value) if kind is float else form
    return simple


def _simple_turns(messages: list[Any], digest: Digest) -> list[Any] | None:
    """Return the canonical form of a conversation in which every message is a role and a text; None for any other."""
    has_long_text = False
    try:
        for message in messages:
            if type(message) is not dict or len(message) != 2:  # noqa: PLR2004 - a role and a content
                return None
            role, content = message["role"], message["content"]
            if type(role) is not str or type(content) is not str or len(role) >= DIGEST_FROM:
                return None
            if len(content) >= DIGEST_FROM:
                has_long_text = True
        return [_digested(message, digest) for message in messages] if has_long_text else messages
    except (KeyError, UnicodeEncodeError):
        return None


def _digested(turn: dict[str, str], digest: Digest) -> dict[str, Any]:
    content = turn["content"]
    return turn if len(content) < DIGEST_FROM else {**turn, "content": {TEXT_DIGEST: digest(content)}}


def _is_parameter(name: str, value: Any, kind: type) -> bool:
    """Return whether a value is a number whose form does not depend on its place."""
    if kind is float:
        return isfinite(value) and not is_exact(name)
    return kind is int and INT_MIN <= value <= INT_MAX


def _rewrite_embedding(body: dict[str, Any]) -> None:
    body.pop(_OF_VECTORS, None)
    for name in ("input", "texts"):
        texts = body.get(name)
        if type(texts) is list and len(texts) == 1 and (type(texts[0]) is str or _are_tokens(texts[0])):
            body[name] = texts[0]


def _are_tokens(value: Any) -> bool:
    """Return whether a value is one text as token IDs."""
    return type(value) is list and all(type(token) is int for token in value)


def _rewrite_conversation(body: dict[str, Any]) -> None:
    given = body.get("input")
    if type(given) is str:
        body["input"] = [{"role": "user", "content": given}]
    for name in _TURNS:
        turns = body.get(name)
        if type(turns) is list:
            body[name] = [_plain_turn(turn) for turn in turns]
    system = body.get("system")
    if system is not None:
        body["system"] = _plain_text(system)


def _plain_turn(turn: Any) -> Any:
    if type(turn) is not dict or "role" not in turn or "content" not in turn:
        return turn
    content = turn["content"]
    text = _plain_text(content)
    if turn.get("type") == "message":
        return {name: text if name == "content" else value for name, value in turn.items() if name != "type"}
    return turn if text is content else {**turn, "content": text}


def _plain_text(content: Any) -> Any:
    """Return the text of content that is one block of text; any other content is returned unchanged."""
    if type(content) is not list or len(content) != 1:
        return content
    block = content[0]
    if type(block) is not dict or type(block.get("text")) is not str:
        return content
    others = block.keys() - {"text"}
    if not others or (others == {"type"} and type(block["type"]) is str and block["type"] in _TEXT_BLOCKS):
        return block["text"]
    return content

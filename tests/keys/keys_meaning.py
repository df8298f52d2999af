"""Bodies of requests for properties of keys, and their meaning: the equivalences, written a second time and as simply as possible."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from spark_cache.types import Base64Text, Request

_TRANSPORT = ("stream", "stream_options")
EMPTY_IS_ABSENT = ("generationConfig", "include", "inferenceConfig", "safetySettings", "system", "tools")
TEXT_BLOCKS = ("input_text", "output_text", "text")
EXACT = (
    "contents",
    "input",
    "messages",
    "output_schema",
    "responseSchema",
    "schema",
    "system",
    "tool_specs",
    "tools",
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = texts | st.sampled_from(["~", "~int", "~decimal", "~bytes", "~~", "~sha256:text", "a", "b"])
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.integers(-2, 2).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
    st.binary(max_size=8),
    st.binary(max_size=8).map(Base64Text),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.dates(),
    st.datetimes(),
    st.uuids(),
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
blocks = st.one_of(
    st.fixed_dictionaries({"text": texts | leaves}),
    st.fixed_dictionaries({"type": st.sampled_from([*TEXT_BLOCKS, "thinking"]), "text": texts}),
    st.fixed_dictionaries({"type": st.just("text"), "text": texts, "cache_control": values}),
    values,
)
contents = texts | st.lists(blocks, max_size=2) | values
turns = st.one_of(
    st.fixed_dictionaries({"role": texts, "content": texts}),
    st.fixed_dictionaries(
        {"content": contents},
        optional={
            "role": st.sampled_from(["user", "assistant"]),
            "type": st.sampled_from(["message", "reasoning"]),
            "name": texts,
        },
    ),
    values,
)
conversations = st.lists(turns, max_size=4) | texts
objects = st.dictionaries(names, values, max_size=3)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "messages": conversations,
        "input": conversations,
        "contents": conversations,
        "system": st.lists(blocks, max_size=2) | texts,
        "tools": st.lists(objects, max_size=2),
        "tool_specs": st.lists(objects, max_size=2),
        "output_schema": objects,
        "generationConfig": st.fixed_dictionaries({}, optional={"responseSchema": objects, "topK": leaves}),
        "include": st.lists(texts, max_size=2),
        "texts": st.lists(texts, max_size=2),
        "encoding_format": st.sampled_from(["float", "base64"]),
        "temperature": leaves,
        "stop": st.lists(texts, max_size=2),
        "metadata": values,
        "stream": st.booleans(),
    },
)
requests = st.builds(
    Request,
    provider=st.sampled_from(["anthropic", "bedrock", "echo", "gemini", "openai"]),
    model_id=texts,
    body=bodies,
    operation=st.sampled_from(["text", "json", "embedding"]),
    endpoint=st.none() | texts,
    headers=st.dictionaries(texts, texts, max_size=2),
    query=st.dictionaries(texts, texts, max_size=2),
    sample=st.none() | st.integers(0, 5),
)

_similar_contents = st.sampled_from(
    [
        "a",
        ["a"],
        [],
        None,
        1,
        1.0,
        [{"text": "a"}],
        [{"text": 1}],
        [{"text": "a"}, {"text": "a"}],
        [{"text": "a", "cache_control": None}],
        *([{"type": kind, "text": "a"}] for kind in (*TEXT_BLOCKS, "thinking")),
    ]
)
_similar_turns = st.fixed_dictionaries(
    {"content": _similar_contents},
    optional={"role": st.just("user"), "type": st.sampled_from(["message", "reasoning"])},
)
_similar_objects = st.recursive(
    st.sampled_from([1, 1.0, 0, 0.0, -0.0, True, None]),
    lambda inner: st.dictionaries(st.sampled_from(["a", "input", "schema"]), inner, min_size=1, max_size=1),
    max_leaves=2,
)
_similar_texts = st.sampled_from(
    ["a", ["a"], [["a"]], ["a", "a"], [], 1, 1.0, [1], [[1]], [1, 1], [[1, 1]], [[1.0]]]
)


def _similar(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values.map(lambda value: {name: value}), min_size=4, max_size=12)


similar_bodies = st.one_of(
    _similar("messages", st.lists(_similar_turns, min_size=1, max_size=1)),
    _similar(
        "input", st.lists(_similar_turns, min_size=1, max_size=1) | st.sampled_from(["a", ["a"], ["a", "a"]])
    ),
    _similar("texts", _similar_texts),
    _similar("input", _similar_texts),
    _similar("system", _similar_contents | st.sampled_from(["", {}, False, 0.0])),
    _similar("metadata", st.lists(_similar_objects, min_size=1, max_size=1)),
    _similar("tools", st.lists(_similar_objects, min_size=1, max_size=1)),
)
"""Bodies with one field, so similar that two of them often mean the same."""


def meaning_of_request(request: Request) -> Any:
    """Return what a request means. Requests with equal meanings have equal keys, and all others differ."""
    body = {name: value for name, value in request.body.items() if name not in _TRANSPORT}
    body = {name: value for name, value in body.items() if value is not None}
    body = {
        name: value
        for name, value in body.items()
        if name not in EMPTY_IS_ABSENT or value or not isinstance(value, list | dict)
    }
    if request.operation == "embedding":
        body.pop("encoding_format", None)
        for name in ("input", "texts"):
            match body.get(name):
                case [str(one)]:
                    body[name] = one
                case [list(one)] if all(type(token) is int for token in one):
                    body[name] = one
    elif request.provider != "gemini":
        if isinstance(body.get("input"), str):
            body["input"] = [{"role": "user", "content": body["input"]}]
        for name in ("input", "messages"):
            if isinstance(body.get(name), list):
                body[name] = [_turn(turn) for turn in body[name]]
        if "system" in body:
            body["system"] = _text(body["system"])
    others = {name: value for name, value in request._asdict().items() if name not in ("body", "options")}
    return others, meaning(body)


def _turn(turn: Any) -> Any:
    if not isinstance(turn, dict) or not turn.keys() >= {"role", "content"}:
        return turn
    fields = {name: value for name, value in turn.items() if (name, value) != ("type", "message")}
    return {**fields, "content": _text(turn["content"])}


def _text(content: Any) -> Any:
    match content:
        case [{"text": str(text)} as block] if block.keys() == {"text"}:
            return text
        case [{"type": kind, "text": str(text)} as block] if len(block) == 2 and kind in TEXT_BLOCKS:
            return text
    return content


def meaning(value: Any, *, exact: bool = False) -> Any:
    """Return a value in a form that compares equal if and only if the meaning is the same.

    Args:
        value: The value.
        exact: Whether ``1`` and ``1.0`` differ.
    """
    if isinstance(value, dict):
        return {name: meaning(item, exact=exact or name in EXACT) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [meaning(item, exact=exact) for item in value]
    if type(value) is Base64Text:
        return ("str", str(value))
    if not exact and type(value) is float and abs(value) <= 2**53 and value == int(value):
        return ("int", str(int(value)))
    return (type(value).__name__, str(value))

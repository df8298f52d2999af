"""Pairs of requests, one for each usual cause of a miss, in the formats of the providers, with the expected explanations."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, NamedTuple

from explain_world import request_to

if TYPE_CHECKING:
    from spark_cache.types import Request

__all__ = ["CAUSES", "Cause"]


class Cause(NamedTuple):
    """A stored request, a request that misses, and the expected differences and hints."""

    stored: Request
    request: Request
    differences: list[str]
    hints: list[str]
    config: dict[str, Any] | None = None
    """The configuration of the reader, if it differs."""


def openai(content: Any = "What is new?", **parts: Any) -> Request:
    return request_to("openai", "gpt-4o", [{"role": "user", "content": content}], **parts)


def anthropic(text: str = "What is new?", **parts: Any) -> Request:
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    return request_to(
        "anthropic", "claude-sonnet-4-5", messages, **{"parameters": {"max_tokens": 1024}, **parts}
    )


def bedrock(*blocks: dict[str, Any], **parts: Any) -> Request:
    return request_to(
        "bedrock", "amazon.nova-lite-v1:0", [{"role": "user", "content": list(blocks)}], **parts
    )


def gemini(*parts: dict[str, Any], **others: Any) -> Request:
    return request_to("gemini", "gemini-2.5-flash", [{"role": "user", "parts": list(parts)}], **others)


def function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


def tool(name: str) -> dict[str, Any]:
    return {"name": name, "input_schema": {"type": "object", "properties": {}}}


def tool_spec(name: str) -> dict[str, Any]:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}}


def png(data: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + data * 50


LONG = "You are the assistant of a public library. Answer in one sentence, and name the shelf. "

DATE = "a date differs, so the request changes every day: leave the date out, or use a fixed clock."
TIME = (
    "a time of day differs, so the request changes with every run: leave the time out, or use a fixed clock."
)
TIMESTAMP = "a timestamp differs, so the request changes with every run: leave the timestamp out, or use a fixed clock."
UUID = "a UUID differs, so each run makes a new request: leave the UUID out, or use a fixed one."
IDENTIFIER = "an identifier differs: if it is random, leave it out, or use a fixed one."
NUMBER = "only numbers differ: if they are random or count runs, seed or fix them."
TEMPERATURE = (
    "the temperature is part of the request: use the same value in all calls that should share a response."
)
SEED = "the seed is part of the request: use a fixed one."
DEFAULT = "a parameter was added, removed or changed: check whether a default changed in the SDK, a framework or your program."
TOOL_ORDER = "the order of the tools is part of the request: sort them, for example by name."
WHITE_SPACE = (
    "only white space differs, which includes line endings: check templates, indentation and stripping."
)
UNICODE = "the strings look alike but use different Unicode forms: normalise both with unicodedata.normalize."
BYTES = "encoding an image or a document again may produce different bytes for the same content: encode it once and keep the file."
ALIAS = (
    "the cache treats an alias and a release of the same model as different models: use one name everywhere."
)
MODEL = "an entry of one model never answers a request to another model."
NAMESPACE = "each namespace has separate entries: see SPARK_CACHE_NAMESPACE."
VERSION = "a new cache version ignores all earlier entries: see SPARK_CACHE_VERSION."
ENDPOINT = "each endpoint has separate entries: set SPARK_CACHE_ENDPOINT to one name to share entries across addresses."
SAMPLE = "each sample has a separate entry."
NONE = "inside nested values, None is a value: leave the name out instead. Only a top-level parameter that is None counts as absent."
KIND = '1, "1" and true are different values: use the same type.'
OPERATION = "text, structured responses and embeddings have separate entries."

CAUSES = {
    "date in a system prompt": Cause(
        openai(system_prompt=LONG + "Today is 2026-11-20."),
        openai(system_prompt=LONG + "Today is 2026-11-21."),
        ['body.messages[0].content: differs from character 106: "…2026-11-20…" / "…2026-11-21…"'],
        [DATE],
    ),
    "date in words": Cause(
        anthropic(LONG + "Today is Friday, November 20, 2026."),
        anthropic(LONG + "Today is Saturday, November 21, 2026."),
        [
            'body.messages[0].content: differs from character 97: "…Today is Friday, November 20…" / "…Today is Saturday, November 21…"'
        ],
        [DATE],
    ),
    "time of day": Cause(
        bedrock({"text": LONG + "It is 09:41:07 in Lisbon."}),
        bedrock({"text": LONG + "It is 17:03:55 in Lisbon."}),
        [
            'body.messages[0].content: differs from character 94: "…shelf. It is 09:41:07…" / "…shelf. It is 17:03:55…"'
        ],
        [TIME],
    ),
    "timestamp": Cause(
        gemini({"text": LONG + "Log of 1700000000:"}),
        gemini({"text": LONG + "Log of 1700000123:"}),
        ['body.contents[0].parts[0].text: differs from character 102: "…of 1700000000:" / "…of 1700000123:"'],
        [TIMESTAMP],
    ),
    "UUID in a conversation": Cause(
        request_to(
            "openai",
            "gpt-4o",
            [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hello!"},
                {"role": "user", "content": LONG + "Session 7b1f0c9e-6d1c-4a57-9d6c-0a4f8b1de001."},
            ],
        ),
        request_to(
            "openai",
            "gpt-4o",
            [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hello!"},
                {"role": "user", "content": LONG + "Session e2aa41d5-0d7f-4c0b-8a35-c55c6f4a9b02."},
            ],
        ),
        [
            (
                "body.messages[2].content: differs from character 96: "
                '"…Session 7b1f0c9e-6d1c-4a57-9d6c-0a4f8b1de001…" / "…Session e2aa41d5-0d7f-4c0b-8a35-c55c6f4a9b02…"'
            )
        ],
        [UUID],
    ),
    "random identifier": Cause(
        bedrock({"text": LONG + "Trace 9f86d081884c7d65."}),
        bedrock({"text": LONG + "Trace 60303ae22b998861."}),
        [
            'body.messages[0].content: differs from character 94: "…shelf. Trace 9f86d081884c7d65…" / "…shelf. Trace 60303ae22b998861…"'
        ],
        [IDENTIFIER],
    ),
    "random number": Cause(
        gemini({"text": "Pick card 17 of 52."}),
        gemini({"text": "Pick card 42 of 52."}),
        ['body.contents[0].parts[0].text: "Pick card 17 of 52." -> "Pick card 42 of 52."'],
        [NUMBER],
    ),
    "temperature": Cause(
        openai(parameters={"temperature": 0.7}),
        openai(parameters={"temperature": 0.9}),
        ["body.temperature: 0.7 -> 0.9"],
        [TEMPERATURE],
    ),
    "temperature of a nested configuration": Cause(
        bedrock({"text": "Hi"}, parameters={"inferenceConfig": {"temperature": 0, "maxTokens": 100}}),
        bedrock({"text": "Hi"}, parameters={"inferenceConfig": {"temperature": 0.5, "maxTokens": 100}}),
        ["body.inferenceConfig.temperature: 0 -> 0.5"],
        [TEMPERATURE],
    ),
    "seed": Cause(
        openai(parameters={"seed": 1}), openai(parameters={"seed": 2}), ["body.seed: 1 -> 2"], [SEED]
    ),
    "default that was added": Cause(
        openai(),
        openai(parameters={"parallel_tool_calls": True}),
        ["body.parallel_tool_calls: absent -> true"],
        [DEFAULT],
    ),
    "default that changed": Cause(
        anthropic(parameters={"max_tokens": 1024}),
        anthropic(parameters={"max_tokens": 4096}),
        ["body.max_tokens: 1024 -> 4096"],
        [DEFAULT],
    ),
    "default that was removed": Cause(
        gemini({"text": "Hi"}, parameters={"top_k": 40}),
        gemini({"text": "Hi"}),
        ['body.generationConfig: {"topK":40} -> absent'],
        [DEFAULT],
    ),
    "tool order": Cause(
        openai(tool_specs=[function("search"), function("weather")]),
        openai(tool_specs=[function("weather"), function("search")]),
        ["body.tools: in a different order: search, weather -> weather, search"],
        [TOOL_ORDER],
    ),
    "tool order of Anthropic": Cause(
        anthropic(tool_specs=[tool("a"), tool("b")]),
        anthropic(tool_specs=[tool("b"), tool("a")]),
        ["body.tools: in a different order: a, b -> b, a"],
        [TOOL_ORDER],
    ),
    "tool order of Bedrock": Cause(
        bedrock({"text": "Hi"}, tool_specs=[tool_spec("a"), tool_spec("b")]),
        bedrock({"text": "Hi"}, tool_specs=[tool_spec("b"), tool_spec("a")]),
        ["body.toolConfig.tools: in a different order: a, b -> b, a"],
        [TOOL_ORDER],
    ),
    "tool that was added": Cause(
        openai(tool_specs=[function("search")]),
        openai(tool_specs=[function("search"), function("weather")]),
        ['body.tools[1]: absent -> {"type":"function","function":{"name":"weather","parameters…'],
        [],
    ),
    "white space": Cause(
        openai(LONG + "Be brief."),
        openai(LONG + " Be brief."),
        ['body.messages[0].content: differs from character 88: "…the shelf. Be…" / "…the shelf.  Be…"'],
        [WHITE_SPACE],
    ),
    "line ends": Cause(
        anthropic("First line\nsecond line\nthird line, and the last"),
        anthropic("First line\r\nsecond line\r\nthird line, and the last"),
        [
            'body.messages[0].content: differs from character 11: "First line\\nsecond line…" / "First line\\r\\nsecond line\\r…"'
        ],
        [WHITE_SPACE],
    ),
    "Unicode forms": Cause(
        gemini({"text": "Where is the caf\u00e9?"}),
        gemini({"text": "Where is the cafe\u0301?"}),
        ['body.contents[0].parts[0].text: "Where is the café?" -> "Where is the café?"'],
        [UNICODE],
    ),
    "image in a data URL": Cause(
        openai(
            [
                {"type": "text", "text": "What is this?"},
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64," + b64encode(png(b"one")).decode()},
                },
            ]
        ),
        openai(
            [
                {"type": "text", "text": "What is this?"},
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64," + b64encode(png(b"three")).decode()},
                },
            ]
        ),
        [
            "body.messages[0].content[1].image_url.url: image/png of 158 bytes (d6455ba9) -> image/png of 258 bytes (7ff67208)"
        ],
        [BYTES],
    ),
    "image as bytes": Cause(
        bedrock({"text": "What is this?"}, {"image": {"format": "png", "source": {"bytes": png(b"one")}}}),
        bedrock({"text": "What is this?"}, {"image": {"format": "png", "source": {"bytes": png(b"two")}}}),
        [
            "body.messages[0].content[1].image.source.bytes: data of 158 bytes (d6455ba9) -> data of 158 bytes (056be51b)"
        ],
        [BYTES],
    ),
    "document of Anthropic": Cause(
        request_to(
            "anthropic",
            "claude-sonnet-4-5",
            [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "source": {
                                "type": "base64",
                                "media_type": "application/pdf",
                                "data": b64encode(png(b"one")).decode(),
                            },
                        },
                        {"type": "text", "text": "Sum it up."},
                    ],
                }
            ],
        ),
        request_to(
            "anthropic",
            "claude-sonnet-4-5",
            [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "source": {
                                "type": "base64",
                                "media_type": "application/pdf",
                                "data": b64encode(png(b"two")).decode(),
                            },
                        },
                        {"type": "text", "text": "Sum it up."},
                    ],
                }
            ],
        ),
        [
            "body.messages[0].content[0].source.data: data of 158 bytes (d6455ba9) -> data of 158 bytes (056be51b)"
        ],
        [BYTES],
    ),
    "image of Gemini": Cause(
        gemini({"inline_data": {"mime_type": "image/png", "data": png(b"one")}}),
        gemini({"inline_data": {"mime_type": "image/png", "data": png(b"two")}}),
        [
            "body.contents[0].parts[0].inline_data.data: data of 158 bytes (d6455ba9) -> data of 158 bytes (056be51b)"
        ],
        [BYTES],
    ),
    "model alias": Cause(
        openai(),
        openai()._replace(model_id="gpt-4o-2024-11-20"),
        ['model_id: "gpt-4o" -> "gpt-4o-2024-11-20"'],
        [ALIAS],
    ),
    "inference profile of Bedrock": Cause(
        bedrock({"text": "Hi"}),
        bedrock({"text": "Hi"})._replace(model_id="us.amazon.nova-lite-v1:0"),
        ['model_id: "amazon.nova-lite-v1:0" -> "us.amazon.nova-lite-v1:0"'],
        [ALIAS],
    ),
    "another model": Cause(
        anthropic(),
        anthropic()._replace(model_id="claude-haiku-4-5"),
        ['model_id: "claude-sonnet-4-5" -> "claude-haiku-4-5"'],
        [MODEL],
    ),
    "namespace": Cause(
        openai(), openai(), ['namespace: absent -> "blue"'], [NAMESPACE], {"namespace": "blue"}
    ),
    "cache version": Cause(
        gemini({"text": "Hi"}),
        gemini({"text": "Hi"}),
        ["cache_version: differs"],
        [VERSION],
        {"cache_version": "2"},
    ),
    "endpoint": Cause(
        openai(),
        openai(endpoint="http://localhost:8080/v1"),
        ['endpoint: absent -> "http://localhost:8080/v1"'],
        [ENDPOINT],
    ),
    "sample": Cause(anthropic(sample=0), anthropic(sample=1), ["sample: 0 -> 1"], [SAMPLE]),
    "None in a tool": Cause(
        openai(tool_specs=[function("search")]),
        openai(
            tool_specs=[{"type": "function", "function": {**function("search")["function"], "strict": None}}]
        ),
        ["body.tools[0].function.strict: absent -> null"],
        [NONE],
    ),
    "number as a string": Cause(
        gemini({"text": "Hi"}, parameters={"candidate_count": 1}),
        gemini({"text": "Hi"}, parameters={"candidate_count": "1"}),
        ['body.generationConfig.candidateCount: 1 -> "1"'],
        [KIND],
    ),
    "another operation": Cause(
        openai(),
        openai(operation="json", output_schema={"type": "object"}),
        [
            'operation: "text" -> "json"',
            'body.response_format: absent -> {"type":"json_schema","json_schema":{"name":"answer","schem…',
        ],
        [OPERATION],
    ),
    "longer conversation": Cause(
        bedrock({"text": LONG}),
        request_to(
            "bedrock",
            "amazon.nova-lite-v1:0",
            [
                {"role": "user", "content": [{"text": LONG}]},
                {"role": "assistant", "content": [{"text": "Shelf 4."}]},
                {"role": "user", "content": [{"text": "Thanks."}]},
            ],
        ),
        [
            'body.messages[1]: absent -> {"role":"assistant","content":"Shelf 4."}',
            'body.messages[2]: absent -> {"role":"user","content":"Thanks."}',
        ],
        [],
    ),
}

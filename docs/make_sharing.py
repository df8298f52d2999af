"""Write the table of ``docs/explanation/who-shares-an-entry.md`` from the requests that SDKs and frameworks sent.

The keys are computed from the captured requests, so the table stays true. A test compares it with what this program makes::

    python docs/make_sharing.py          # writes the table
    python docs/make_sharing.py --check  # fails if the table is out of date
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_cache.keys import cache_key, keyed_body
from spark_cache.providers.known import plain_request
from spark_cache.providers.wire import request_of_http

if TYPE_CHECKING:
    from spark_cache.types import Request

FOLDER = Path(__file__).parent / "explanation"
PAGE = FOLDER / "who-shares-an-entry.md"
CAPTURED = FOLDER / "captured-requests.json"
START, END = "<!-- table: docs/make_sharing.py -->", "<!-- end of the table -->"

INTERFACES = {
    "chat": "OpenAI, chat completions",
    "responses": "OpenAI, responses",
    "messages": "Anthropic",
    "generate": "Gemini",
    "converse": "Bedrock",
}
KINDS = {"question": "a question", "tool": "instructions and a tool"}
CLIENTS = {
    "anthropic": "SDK",
    "boto3": "SDK",
    "google-genai": "SDK",
    "javascript": "JavaScript SDK",
    "langchain": "LangChain",
    "litellm": "LiteLLM",
    "openai": "SDK",
    "openai-agents": "OpenAI Agents SDK",
    "openai-async": "asynchronous SDK",
    "pydantic-ai": "pydantic-ai",
}

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "weather", "description": "The weather in a city.", "parameters": SCHEMA}


def ours(interface: str, kind: str) -> Request:
    """Return the request that a model of this library sends."""
    provider, model = {
        "chat": ("openai", "gpt-4o"),
        "responses": ("openai", "gpt-4o"),
        "messages": ("anthropic", "claude-sonnet-5"),
        "generate": ("gemini", "gemini-2.5-flash"),
        "converse": ("bedrock", "us.amazon.nova-lite-v1:0"),
    }[interface]
    system, tools = ("Answer in one word.", [TOOL]) if kind == "tool" else (None, None)
    api = {"api": "responses"} if interface == "responses" else {}
    return plain_request(provider, model, QUESTION, system, tools, None, None, "text", None, None, api, {})


def captured() -> list[dict[str, Any]]:
    """Return the captured requests."""
    requests: list[dict[str, Any]] = json.loads(CAPTURED.read_text(encoding="utf-8"))["requests"]
    return requests


def request_of(one: dict[str, Any]) -> Request:
    """Return a captured request as if it had gone to the provider's own address."""
    request = request_of_http(one["method"], f"http://localhost{one['path']}", one["headers"], one["body"])
    if request is None:
        raise ValueError(f"not a call of a model: {one['path']}")
    return request._replace(endpoint=None)


def table() -> str:
    """Return the table: for each interface and kind of question, who shares the entry of our model, and what others add."""
    lines = ["| | shares the entry of our model | has another entry |", "| --- | --- | --- |"]
    for interface, title in INTERFACES.items():
        for kind, what in KINDS.items():
            own = ours(interface, kind)
            same, others = [], []
            for one in captured():
                if (one["interface"], one["kind"]) != (interface, kind):
                    continue
                request, name = request_of(one), CLIENTS[one["client"]]
                if cache_key(request) == cache_key(own):
                    same.append(name)
                else:
                    others.append(f"{name}: {', '.join(differences(own, request))}")
            lines.append(f"| {title}: {what} | {', '.join(same) or 'nobody'} | {'; '.join(others)} |")
    return "\n".join(lines)


def differences(own: Request, other: Request) -> list[str]:
    """Return the fields in which two requests differ."""
    bodies = keyed_body(own), keyed_body(other)
    fields = [name for name in {**bodies[0], **bodies[1]} if bodies[0].get(name) != bodies[1].get(name)]
    return [f"`{name}`" for name in (*fields, *other.headers, *other.query)]


def page() -> str:
    """Return the page with the table that the captured requests give."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    written = page()
    if "--check" not in sys.argv:
        PAGE.write_text(written, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != written:
        sys.exit(f"{PAGE} is out of date: run python docs/make_sharing.py")

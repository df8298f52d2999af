"""The calls that are captured: the same questions, asked through each SDK and framework.

Each function asks one question. Its name is the client, two underscores, and the interface. ``kind`` is ``question``, or ``tool``
for a question with instructions and a tool.
"""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["CALLS"]

QUESTION = "What is the capital of France?"
SYSTEM = "Answer in one word."
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
_OPENAI_TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather in a city.", "parameters": SCHEMA},
}


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}."


def _chat(kind: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": QUESTION}]
    if kind == "question":
        return {"messages": messages}
    return {"messages": [{"role": "system", "content": SYSTEM}, *messages], "tools": [_OPENAI_TOOL]}


def openai__chat(url: str, kind: str) -> None:
    import openai

    openai.OpenAI(base_url=f"{url}/v1", api_key="k").chat.completions.create(model="gpt-4o", **_chat(kind))


def openai_async__chat(url: str, kind: str) -> None:
    import openai

    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
            await client.chat.completions.create(model="gpt-4o", **_chat(kind))

    asyncio.run(ask())


def openai__responses(url: str, kind: str) -> None:
    import openai

    more: dict[str, Any] = {}
    if kind == "tool":
        function = {**_OPENAI_TOOL["function"], "strict": False}
        more = {"instructions": SYSTEM, "tools": [{"type": "function", **function}]}
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="k")
    client.responses.create(model="gpt-4o", input=QUESTION, **more)


def openai__embeddings(url: str, kind: str) -> None:
    import openai

    if kind == "question":
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="k")
        client.embeddings.create(model="text-embedding-3-small", input=QUESTION)


def anthropic__messages(url: str, kind: str) -> None:
    import anthropic

    tool = {"name": "weather", "description": "The weather in a city.", "input_schema": SCHEMA}
    more = {"system": SYSTEM, "tools": [tool]} if kind == "tool" else {}
    anthropic.Anthropic(base_url=url, api_key="k").messages.create(
        model="claude-sonnet-5", max_tokens=4096, messages=[{"role": "user", "content": QUESTION}], **more
    )


def google_genai__generate(url: str, kind: str) -> None:
    from google import genai
    from google.genai import types

    function = types.FunctionDeclaration(
        name="weather", description="The weather in a city.", parameters_json_schema=SCHEMA
    )
    config = types.GenerateContentConfig(
        system_instruction=SYSTEM, tools=[types.Tool(function_declarations=[function])]
    )
    client = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=url))
    client.models.generate_content(
        model="gemini-2.5-flash", contents=QUESTION, config=config if kind == "tool" else None
    )


def boto3__converse(url: str, kind: str) -> None:
    import boto3

    tool = {"name": "weather", "description": "The weather in a city.", "inputSchema": {"json": SCHEMA}}
    more: dict[str, Any] = {}
    if kind == "tool":
        more = {"system": [{"text": SYSTEM}], "toolConfig": {"tools": [{"toolSpec": tool}]}}
    boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="k",
        aws_secret_access_key="k",
    ).converse(
        modelId="us.amazon.nova-lite-v1:0",
        messages=[{"role": "user", "content": [{"text": QUESTION}]}],
        **more,
    )


# -- frameworks ---------------------------------------------------------------------------------------------


def _langchain(model: Any, kind: str) -> None:
    from langchain_core.tools import tool

    if kind == "question":
        model.invoke(QUESTION)
    else:
        model.bind_tools([tool(weather)]).invoke([("system", SYSTEM), ("user", QUESTION)])


def langchain__chat(url: str, kind: str) -> None:
    from langchain_openai import ChatOpenAI

    _langchain(ChatOpenAI(model="gpt-4o", base_url=f"{url}/v1", api_key="k"), kind)


def langchain__responses(url: str, kind: str) -> None:
    from langchain_openai import ChatOpenAI

    _langchain(ChatOpenAI(model="gpt-4o", base_url=f"{url}/v1", api_key="k", use_responses_api=True), kind)


def langchain__messages(url: str, kind: str) -> None:
    from langchain_anthropic import ChatAnthropic

    _langchain(
        ChatAnthropic(model="claude-sonnet-5", max_tokens=4096, base_url=url, api_key="k"),
        kind,
    )


def langchain__generate(url: str, kind: str) -> None:
    from langchain_google_genai import ChatGoogleGenerativeAI

    _langchain(
        ChatGoogleGenerativeAI(model="gemini-2.5-flash", google_api_key="k", base_url=url, transport="rest"),
        kind,
    )


def langchain__converse(url: str, kind: str) -> None:
    from langchain_aws import ChatBedrockConverse

    _langchain(
        ChatBedrockConverse(
            model="us.amazon.nova-lite-v1:0",
            endpoint_url=url,
            base_url=url,
            region_name="us-east-1",
            aws_access_key_id="k",
            aws_secret_access_key="k",
        ),
        kind,
    )


def _pydantic_ai(model: Any, kind: str) -> None:
    from pydantic_ai import Agent

    if kind == "question":
        Agent(model).run_sync(QUESTION)
    else:
        Agent(model, system_prompt=SYSTEM, tools=[weather]).run_sync(QUESTION)


def pydantic_ai__chat(url: str, kind: str) -> None:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    _pydantic_ai(OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=f"{url}/v1", api_key="k")), kind)


def pydantic_ai__responses(url: str, kind: str) -> None:
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=f"{url}/v1", api_key="k")
    _pydantic_ai(OpenAIResponsesModel("gpt-4o", provider=provider), kind)


def pydantic_ai__messages(url: str, kind: str) -> None:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(base_url=url, api_key="k")
    provider = AnthropicProvider(anthropic_client=client)
    _pydantic_ai(AnthropicModel("claude-sonnet-5", provider=provider), kind)


def pydantic_ai__generate(url: str, kind: str) -> None:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    provider = GoogleProvider(api_key="k", base_url=url)
    _pydantic_ai(GoogleModel("gemini-2.5-flash", provider=provider), kind)


def pydantic_ai__converse(url: str, kind: str) -> None:
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    provider = BedrockProvider(
        base_url=url, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="k"
    )
    _pydantic_ai(BedrockConverseModel("us.amazon.nova-lite-v1:0", provider=provider), kind)


def _openai_agents(model: Any, kind: str) -> None:
    from agents import Agent, Runner, function_tool, set_tracing_disabled

    set_tracing_disabled(disabled=True)
    more: dict[str, Any] = {}
    if kind == "tool":
        more = {"instructions": SYSTEM, "tools": [function_tool(weather)]}
    asyncio.run(Runner.run(Agent(name="a", model=model, **more), QUESTION))


def openai_agents__chat(url: str, kind: str) -> None:
    from agents import OpenAIChatCompletionsModel
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="k")
    _openai_agents(OpenAIChatCompletionsModel("gpt-4o", openai_client=client), kind)


def openai_agents__responses(url: str, kind: str) -> None:
    from agents import OpenAIResponsesModel
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="k")
    _openai_agents(OpenAIResponsesModel("gpt-4o", openai_client=client), kind)


def litellm__chat(url: str, kind: str) -> None:
    import litellm

    litellm.completion(model="openai/gpt-4o", api_base=f"{url}/v1", api_key="k", **_chat(kind))


def litellm__messages(url: str, kind: str) -> None:
    import litellm

    litellm.completion(
        model="anthropic/claude-sonnet-5", max_tokens=4096, api_base=url, api_key="k", **_chat(kind)
    )


def litellm__generate(url: str, kind: str) -> None:
    import litellm

    litellm.completion(
        model="gemini/gemini-2.5-flash",
        api_base=f"{url}/v1beta",
        api_key="k",
        **_chat(kind),
    )


# -- JavaScript ---------------------------------------------------------------------------------------------


def _javascript(client: str, url: str, kind: str) -> None:
    script = Path(__file__).with_name("clients.mjs")
    subprocess.run(["node", str(script), client, url, kind], check=True, timeout=60)


def javascript__chat(url: str, kind: str) -> None:
    _javascript("chat", url, kind)


def javascript__responses(url: str, kind: str) -> None:
    _javascript("responses", url, kind)


def javascript__messages(url: str, kind: str) -> None:
    _javascript("messages", url, kind)


def javascript__generate(url: str, kind: str) -> None:
    _javascript("generate", url, kind)


CALLS = {
    name.replace("__", " ").replace("_", "-"): function
    for name, function in list(globals().items())
    if "__" in name.strip("_") and callable(function)
}

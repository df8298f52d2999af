"""A local stand-in for a model provider: real HTTP on the loopback interface, without a model.

The modules, from the outside in::

    provider     StandInProvider: starts, stops, counts requests and injects failures
    transport    HTTP on a loopback port, one thread per connection
    routes       maps a path to its protocol and refuses requests that have no route or no API key
    chat         OpenAI Chat Completions; ``streaming`` splits a completion into chunks, ``tools`` calls a tool
    responses    OpenAI Responses, built from a chat completion
    embeddings   OpenAI embeddings
    anthropic    Anthropic Messages
    bedrock      Amazon Bedrock Converse and embeddings
    gemini       Gemini content generation and embeddings
    schema       builds a value that fits a JSON schema
    protocol     shared errors and token counts

Responses are deterministic, are labeled as coming from a stand-in, and differ whenever the requests differ.
"""

from __future__ import annotations

from spark_cache.testing.standin.provider import ReceivedRequest, StandInProvider

__all__ = ["ReceivedRequest", "StandInProvider"]

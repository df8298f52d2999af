"""A local stand-in for a model provider: real HTTP on loopback, no model behind it.

From the outside in::

    provider     StandInProvider: what a test holds, counts and makes fail
    transport    HTTP on a loopback port, one thread a connection
    routes       path -> protocol, and what is wrong with a request before anyone reads it
    chat         OpenAI's chat completions; ``streaming`` cuts one into events, ``tools`` calls a tool
    responses    OpenAI's Responses interface, by way of a chat completion
    embeddings   OpenAI's embeddings
    schema       a value that fits a JSON schema
    protocol     errors and token counts, which all of them share

The answers are deterministic, say that they come from a stand-in, and differ wherever the requests differ.
"""

from __future__ import annotations

from spark_cache.testing.standin.provider import ReceivedRequest, StandInProvider

__all__ = ["ReceivedRequest", "StandInProvider"]

"""Verify the cache with recorded traffic: every response must be complete, first from a server and then from the cache.

The modules, from the outside in::

    __main__     runs both passes and prints the report
    passes       one pass: sends every recorded request through its model, in a separate process
    compare      finds the differences from the recording
    anthropic, bedrock, gemini, openai    for each provider: its exchanges, their calls, and the content of their recordings
"""

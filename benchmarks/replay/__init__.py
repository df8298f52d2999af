"""Prove the cache on recorded traffic: every answer comes back complete, first from a server and then from the cache.

From the outside in::

    __main__     both passes, and the report
    passes       one pass: every recorded request sent through its model, in a process of its own
    compare      what differs from the recording
    anthropic, bedrock, gemini, openai    a provider each: which exchanges are its own, how each is asked, and what its recording says
"""

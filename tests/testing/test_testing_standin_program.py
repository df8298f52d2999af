"""The command ``python -m spark_cache.testing.standin``."""

from __future__ import annotations

import signal
import subprocess
import sys

import openai


def test_it_prints_its_address_and_serves_until_interrupted():
    """The command prints a line for the shell, and Ctrl-C stops it without an error."""
    command = [sys.executable, "-m", "spark_cache.testing.standin"]
    # A shell starts background jobs with SIGINT ignored, and a child inherits that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with running:
        word, address, key = running.stdout.readline().split()
        url, name = address.partition("=")[2], key.partition("=")[2]
        with openai.OpenAI(base_url=url, api_key=name) as client:
            vectors = client.embeddings.create(model="m", input="Hi")
        running.send_signal(signal.SIGINT)
        _, complaints = running.communicate(timeout=30)

    assert (word, address.partition("=")[0], key.partition("=")[0]) == (
        "export",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
    )
    assert len(vectors.data) == 1
    assert (running.returncode, complaints) == (0, "")

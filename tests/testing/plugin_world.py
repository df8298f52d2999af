"""Helpers for the plugin tests: a program that calls a model without a network, and test suites for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

# Imported here because pytester removes the modules that an in-process run imports.
import genai_prices  # noqa: F401 - see above

import spark_cache.models
import spark_cache.testing.plugin.suite  # noqa: F401 - see above

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
addopts = -p no:randomly -p no:cacheprovider
"""

PROGRAM = '''
import asyncio
import pathlib

from spark_cache import CacheMissError, Model, ModelResponse
from spark_cache.models import Provider

CALLS = pathlib.Path(__file__).with_name("calls.txt")


class EchoProvider(Provider):
    """A provider that repeats the question and records each call."""

    name = "openai"

    def endpoint(self):
        return None

    async def call(self, request):
        with CALLS.open("a") as file:
            file.write("call\\n")
        return {"said": request.body["messages"][-1]["content"]}

    def read(self, raw):
        usage = spark_usage(len(raw["said"]))
        return ModelResponse(raw["said"], "end_turn", usage, raw=raw)


class Echo(Model):
    """A model of the provider above."""

    def __init__(self, model_id, **options):
        super().__init__(model_id, EchoProvider(), **options)


def spark_usage(length):
    from spark_cache.models import Usage

    return Usage(input_tokens=1000, output_tokens=length, total_tokens=1000 + length)


async def ask(text, model=None):
    return (await (model or Echo("gpt-4o")).get_text([{"role": "user", "content": text}])).content


async def ask_carelessly(text):
    try:
        return await ask(text)
    except CacheMissError:
        return "the model is not available"
'''

SUITE = """
import pytest
from program import ask

@pytest.mark.spark_cache
async def test_one():
    assert await ask("one") == "one"

@pytest.mark.spark_cache
async def test_two():
    assert await ask("two") == "two"
"""


def make_suite(pytester: pytest.Pytester, suite: str = SUITE) -> None:
    """Write a project with the program and a test suite."""
    pytester.makeini(INI)
    pytester.makepyfile(program=PROGRAM)
    pytester.makepyfile(test_program=suite)


def calls(pytester: pytest.Pytester) -> int:
    """Return the number of provider calls made so far."""
    path = pytester.path / "calls.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


def recordings(folder: Path) -> list[str]:
    """Return the contents of the recordings in a folder, sorted."""
    import json  # noqa: PLC0415 - only this helper needs it

    return sorted(json.loads(path.read_text())["content"] for path in folder.glob("[!.]*/*/*.json"))

"""What the plugin's tests share: a program that asks a model which needs no network, and suites of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

# Imported before any run inside this process, whose own imports pytester forgets afterwards.
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

CALLS = pathlib.Path(__file__).with_name("calls.txt")


class Echo(Model):
    """A model that says what it is asked, and notes each call."""

    provider = "openai"

    def _endpoint(self):
        return None

    async def _call(self, request):
        with CALLS.open("a") as file:
            file.write("call\\n")
        return {"said": request.messages[-1]["content"]}

    def _read(self, raw):
        usage = spark_usage(len(raw["said"]))
        return ModelResponse(raw["said"], "end_turn", usage, raw=raw)


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
    """Write a project of the program and a suite of it."""
    pytester.makeini(INI)
    pytester.makepyfile(program=PROGRAM)
    pytester.makepyfile(test_program=suite)


def calls(pytester: pytest.Pytester) -> int:
    """How many calls went out so far."""
    path = pytester.path / "calls.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


def recordings(folder: Path) -> list[str]:
    """What the recordings in a folder answer, sorted."""
    import json  # noqa: PLC0415 - the helpers above do without

    return sorted(json.loads(path.read_text())["content"] for path in folder.glob("[!.]*/*/*.json"))

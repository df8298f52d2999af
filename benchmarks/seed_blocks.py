"""Run every Python block of documents that were written for Spark, with ``spark.`` replaced by ``spark_cache.``.

usage: seed_blocks.py DOCUMENT.md ...

The blocks of a document run in order, in one namespace and with a new home directory, against the stand-in provider. A block may
use ``await`` at its top level. A block for pytest is run by pytest. Code that a block only defines is called afterwards. A name
that no block defines belongs to the reader's program: it is supplied from a table in this module, and the block is listed with the
names that it lacked. The exit code is 1 if a block fails in any other way.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import contextlib
import gc
import inspect
import io
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from spark_cache import CacheManager
from spark_cache.testing import StandInProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BLOCK = re.compile(r"^(?P<indent> *)```python\n(?P<code>.*?)^ *```", re.DOTALL | re.MULTILINE)
_OF_SPARK = re.compile(r"\bspark\.(?=[a-z])")
_SETTINGS = ("SPARK_", "XDG_", "OPENAI_", "GEMINI_", "GOOGLE_", "AWS_")

_CLOSE_SECONDS = 0.1
"""The time that closing local connections may take."""

READERS_OWN = {
    "Agent": "from spark_cache.agents import Agent",
    "AgentConfig": "from spark_cache.agents import AgentConfig",
    "CacheManager": "from spark_cache.models.cache import CacheManager",
    "MAX_SIZE": "MAX_SIZE = 1",
    "OpenAIModel": "from spark_cache.models.openai import OpenAIModel",
    "Path": "from pathlib import Path",
    "cache_size": "cache_size = 2",
    "is_expensive_query": "is_expensive_query = True",
    "manager": "from spark_cache.models.cache import CacheManager\nmanager = CacheManager.get_instance()",
    "messages": "messages = [{'role': 'user', 'content': 'Hello'}]",
    "model": "from spark_cache.models.openai import OpenAIModel\nmodel = OpenAIModel('gpt-4o', enable_cache=True)",
    "queries": "queries = ['One?', 'Two?', 'One?']",
    "random": "import random",
    "time": "import time",
}
"""Names that a block takes for granted, and the code that defines them: imports of earlier blocks and values of a program."""

FOLLOW_UPS = {
    "CacheAwareAgent": """
        aware = CacheAwareAgent(AgentConfig(model=OpenAIModel(model_id="gpt-4o", enable_cache=True)))
        for _ in range(2):
            await aware.run("Asked twice?")
        assert aware.get_savings_report()["cache_savings"] == 0.01, aware.get_savings_report()
        """,
    "CacheMonitor": "assert monitor.hits >= 1, monitor.hits",
    "CacheSavingsTracker": """
        assert (report["cache_hits"], report["cache_misses"]) == (1, 2), report
        assert report["total_savings"] > 0
        """,
    "ConditionalCacheModel": """
        assert not response.cached
        assert (await model.get_text_with_freshness(messages)).cached
        """,
    "VersionedCacheModel": """
        answers = [await one.get_text(messages) for one in (model_v1, model_v2, model_v1)]
        assert [answer.cached for answer in answers] == [False, False, True]
        """,
}
"""Code that uses and checks what a block defines, by the name of a class in the block."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a block.

    Attributes:
        line: The line of the document where the block starts.
        lacked: The names of the reader's program that it needed.
        failure: Why it failed, or None.
    """

    line: int
    lacked: list[str] = field(default_factory=list)
    failure: str | None = None


def blocks_of(document: str) -> Iterator[tuple[int, str]]:
    """Yield the Python blocks of a document, each with the line where its code starts.

    Args:
        document: The text of the document.
    """
    for found in _BLOCK.finditer(document):
        line = document.count("\n", 0, found.start("code")) + 1
        yield line, _OF_SPARK.sub("spark_cache.", textwrap.dedent(found["code"]))


async def run_documents(paths: Sequence[Path]) -> int:
    """Run documents, print the results of their blocks, and return the number of failed blocks.

    Args:
        paths: The documents.
    """
    failed = 0
    for path in paths:
        with StandInProvider(answer=answer) as provider, fresh_home(provider):
            failed += report(path.name, await run_document(path), provider.calls)
    return failed


async def run_document(path: Path) -> list[Outcome]:
    """Run the blocks of a document in order, and return their results.

    Args:
        path: The document.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    document = await asyncio.to_thread(path.read_text, encoding="utf-8")
    outcomes = [await run_block(code, line, namespace) for line, code in blocks_of(document)]
    # The blocks do not close their models. The SDK closes them on this event loop when they are garbage-collected.
    namespace.clear()
    gc.collect()
    await asyncio.sleep(_CLOSE_SECONDS)
    return outcomes


async def run_block(code: str, line: int, namespace: dict[str, Any]) -> Outcome:
    """Run a block and its follow-up code, and retry with each name of the reader's program that it lacks.

    Args:
        code: The code of the block.
        line: The line of the document where it starts.
        namespace: The namespace of the document.
    """
    if "import pytest" in code or "def pytest_" in code:
        return Outcome(line, failure=await asyncio.to_thread(run_by_pytest, code))
    lacked: list[str] = []
    follow_up = "".join(textwrap.dedent(FOLLOW_UPS.get(name, "")) for name in _classes_in(code))
    while True:
        try:
            await execute(code, namespace)
            await execute(follow_up, namespace)
        except NameError as error:
            if error.name not in READERS_OWN or error.name in lacked:
                return Outcome(line, lacked, repr(error))
            lacked.append(error.name)
            await execute(READERS_OWN[error.name], namespace)
        except Exception:  # noqa: BLE001 - every exception is reported
            return Outcome(line, lacked, traceback.format_exc(limit=-3))
        else:
            return Outcome(line, lacked)


async def execute(code: str, namespace: dict[str, Any]) -> None:
    """Execute code that may use ``await`` at its top level, and discard its output.

    Args:
        code: The code.
        namespace: The namespace in which it runs.
    """
    compiled = compile(code, "<block>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(io.StringIO()):
        result = eval(compiled, namespace)
        if inspect.iscoroutine(result):
            await result


def run_by_pytest(code: str) -> str | None:
    """Run a block as a test module or as a ``conftest.py``, and return the output if it failed, or None.

    Args:
        code: The code of the block.
    """
    with tempfile.TemporaryDirectory() as folder:
        is_module = "def test_" in code
        Path(folder, "test_block.py").write_text(
            code if is_module else "def test_nothing(): pass\n", encoding="utf-8"
        )
        if not is_module:
            Path(folder, "conftest.py").write_text(code, encoding="utf-8")
        options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
        command = [sys.executable, "-m", "pytest", *options, folder]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    return None if done.returncode == 0 else done.stdout


def _classes_in(code: str) -> list[str]:
    return re.findall(r"^class (\w+)", code, re.MULTILINE)


@contextlib.contextmanager
def fresh_home(provider: StandInProvider) -> Iterator[None]:
    """Use a new home and working directory without the user's settings, with the stand-in in place of OpenAI.

    Args:
        provider: The stand-in provider.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    kept.pop("ENVIRONMENT", None)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        environ = {
            **kept,
            "HOME": home,
            "OPENAI_BASE_URL": provider.base_url,
            "OPENAI_API_KEY": "any",
            # With a fixed endpoint, a manager computes the same keys as the models, without knowing their client.
            "SPARK_CACHE_ENDPOINT": "stand-in",
        }
        with patch.dict(os.environ, environ, clear=True), contextlib.chdir(home):
            yield
            CacheManager.reset_instance()


def answer(body: dict[str, Any]) -> str:
    """Return the stand-in's response: the question, and the sum that one block asks for.

    Args:
        body: The body of the request.
    """
    return f"[stand-in] You asked: {body['messages'][-1]['content']} It is 4."


def report(name: str, outcomes: Sequence[Outcome], calls: int) -> int:
    """Print the results of a document's blocks, and return the number of failed blocks.

    Args:
        name: The name of the document.
        outcomes: The results of its blocks.
        calls: The number of provider calls.
    """
    failures = [outcome for outcome in outcomes if outcome.failure is not None]
    sketches = [outcome for outcome in outcomes if outcome.lacked and outcome.failure is None]
    as_written = len(outcomes) - len(failures) - len(sketches)
    print(f"{name}: {len(outcomes)} blocks: {as_written} ran as written,")
    print(
        f"  {len(sketches)} ran with names of the reader's program, {len(failures)} failed; {calls} provider calls"
    )
    for outcome in sketches:
        print(f"  line {outcome.line}: needed {', '.join(outcome.lacked)}")
    for outcome in failures:
        print(f"  line {outcome.line}: FAILED\n{textwrap.indent(outcome.failure or '', '    ')}")
    return len(failures)


def main() -> int:
    """Run the documents, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("documents", nargs="+", type=Path)
    paths = [path.resolve() for path in parser.parse_args().documents]
    return 1 if asyncio.run(run_documents(paths)) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Run every test in a clean environment, and run the examples of every document as a test.

The examples of a document (README.md or a page under docs/) form one test. They build on one another, so they run in order, in
one process and in a new folder. Provider calls reach a local stand-in.

- ``python`` blocks are executed.
- ``console`` blocks that run ``spark-cache`` or ``pytest`` are executed line by line, and their output is compared. ``…``
  matches any text within a line; a line that consists of ``…`` matches any number of lines. A command shown without output must
  succeed.
- A ``literalinclude`` with a caption is written to the file that the caption names, as a reader would do.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from sybil import Region, Sybil
from sybil.example import SybilFailure
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser

from spark_cache.testing import StandInProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sybil import Document, Example

_ROOT = Path(__file__).parent
_DOCS = _ROOT / "docs"
_VARIABLE_PREFIXES = ("SPARK_", "XDG_", "OPENAI_", "ANTHROPIC_", "AWS_", "GEMINI_", "GOOGLE_")
_OUTPUT_VARIABLES = {"ENVIRONMENT", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
# On CI the plugin replays, and pytest and rich format their output differently.
_CI_VARIABLES = {"CI", "BUILD_NUMBER", "GITHUB_ACTIONS", "TF_BUILD"}
_COMMAND_SECONDS = 60
_RUNS_OUR_CODE = re.compile(r"(?:\w+=\S* )*(?:spark-cache|pytest)(?: |$)")
_SHOWN_FILE = re.compile(r"^```\{literalinclude\} (\S+)\n(?::\w+:.*\n)*?:caption: (\S+)$", re.MULTILINE)


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path) -> Iterator[None]:
    with clean_environment(tmp_path):
        yield


@contextlib.contextmanager
def clean_environment(home: Path) -> Iterator[None]:
    """Use ``home`` as home and working directory without the user's settings, and restore this process afterwards.

    Args:
        home: The directory to use.
    """
    logger = logging.getLogger("spark_cache")
    logging_before = logger.level, logger.propagate, list(logger.handlers)
    with patch.dict(os.environ), contextlib.chdir(home):
        for name in list(os.environ):
            if name.startswith(_VARIABLE_PREFIXES) or name in _OUTPUT_VARIABLES | _CI_VARIABLES:
                del os.environ[name]
        os.environ["HOME"] = str(home)
        yield
    logger.level, logger.propagate, logger.handlers = logging_before
    if "spark_cache.manager" in sys.modules:
        sys.modules["spark_cache.manager"].CacheManager.reset_instance()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the README and the documentation pages."""
    is_page = file_path.suffix == ".md" and _DOCS in file_path.parents and "_build" not in file_path.parts
    if is_page or file_path == _ROOT / "README.md":
        return _DocumentFile.from_parent(parent, path=file_path)
    return None


class _DocumentFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        document = _SYBIL.parse(self.path)
        if any(document.examples()):
            yield _Examples.from_parent(self, name="examples", document=document)


class _Examples(pytest.Item):
    def __init__(self, name: str, parent: pytest.Collector, document: Document) -> None:
        super().__init__(name, parent)
        self.document = document

    def runtest(self) -> None:
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
            clean_environment(Path(home)),
            StandInProvider() as provider,
        ):
            os.environ.update(_provider_variables(provider.base_url))
            os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
            self.document.namespace["__name__"] = "__main__"
            for example in self.document.examples():
                example.evaluate()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, SybilFailure):
            return str(excinfo.value)
        excinfo.traceback = excinfo.traceback.cut(path=self.path)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"examples of {self.path.relative_to(_ROOT)}"


def _provider_variables(address: str) -> dict[str, str]:
    """Return the environment variables that point every provider's SDK to the stand-in."""
    host = address.removesuffix("/v1")
    return {
        "OPENAI_BASE_URL": address,
        "OPENAI_API_KEY": "stand-in",
        "ANTHROPIC_BASE_URL": host,
        "ANTHROPIC_API_KEY": "stand-in",
        "GOOGLE_GEMINI_BASE_URL": host,
        "GEMINI_API_KEY": "stand-in",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": host,
        "AWS_ACCESS_KEY_ID": "stand-in",
        "AWS_SECRET_ACCESS_KEY": "stand-in",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _run_console(example: Example) -> str | None:
    """Execute a console block, and return how its output differs, or None."""
    steps = _steps(example.parsed)
    if not any(_RUNS_OUR_CODE.match(command) for command, _ in steps):
        return None
    for command, expected in steps:
        done = subprocess.run(  # noqa: S602 - a console block holds what a reader types into a shell
            command,
            shell=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_SECONDS,
        )
        if not expected and done.returncode:
            return f"$ {command}\nexit code {done.returncode}\n{done.stdout}"
        if expected and not matches(expected, done.stdout):
            difference = difflib.ndiff(expected, done.stdout.splitlines())
            return "\n".join([f"$ {command}", *difference])
    return None


def _shown_files(document: Document) -> Iterator[Region]:
    """Yield the files that a page includes."""
    for match in _SHOWN_FILE.finditer(document.text):
        yield Region(match.start(), match.end(), match.groups(), _write_shown_file)


def _write_shown_file(example: Example) -> None:
    source, target = example.parsed
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).write_bytes((Path(example.path).parent / source).read_bytes())


def _steps(block: str) -> list[tuple[str, list[str]]]:
    steps: list[tuple[str, list[str]]] = []
    for line in block.rstrip().splitlines():
        if line.startswith("$ "):
            steps.append((line.removeprefix("$ "), []))
        elif steps:
            steps[-1][1].append(line)
        else:
            raise ValueError(f"a console block must start with '$ ', not with {line!r}")
    return steps


def matches(expected: list[str], output: str) -> bool:
    """Return whether the output of a command matches the expected lines, ignoring trailing spaces.

    Args:
        expected: The expected lines, in which ``…`` matches any text, or any number of lines if it is the whole line.
        output: The output of the command.
    """
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == "…" else re.escape(line.rstrip()).replace("…", ".*") + r"\n"
        for line in expected
    )
    shown = "".join(f"{line.rstrip()}\n" for line in output.rstrip().splitlines())
    return re.fullmatch(pattern, shown) is not None


_SYBIL = Sybil(
    parsers=[
        PythonCodeBlockParser(),
        CodeBlockParser("console", _run_console),
        _shown_files,
        SkipParser(),
    ],
    patterns=["*.md"],
)

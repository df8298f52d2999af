"""The examples in a document run as tests, and a wrong example fails."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PYTHON = "```python\n{}\n```\n"
CONSOLE = "```console\n{}\n```\n"
DOCUMENTS = {
    "state_carries_over": PYTHON.format("a = 1") + "\ntext\n\n" + PYTHON.format("assert a == 1"),
    "home_is_empty": PYTHON.format(
        "import os, pathlib\nassert not os.listdir() and pathlib.Path.home() == pathlib.Path.cwd()"
    ),
    "settings_are_hidden": PYTHON.format(
        "import os\nassert not {'ENVIRONMENT', 'SPARK_CACHE_TTL'} & set(os.environ)"
    ),
    "stand_in_is_reachable": PYTHON.format(
        "import openai\n"
        "with openai.OpenAI() as client:\n"
        "    vectors = client.embeddings.create(model='m', input='Hi')\n"
        "assert len(vectors.data) == 1"
    ),
    "output_matches": CONSOLE.format("$ spark-cache --version && echo one two three\n…\none … three"),
    "omitted_lines_match": CONSOLE.format("$ spark-cache --version && echo 2 && echo 3\n…\n3"),
    "other_commands_in_the_block_run": CONSOLE.format("$ spark-cache --version\n…\n$ echo yes\nyes"),
    "console_without_spark_cache_does_not_run": CONSOLE.format("$ git clone nowhere\nany output"),
    "skipped": "% skip: next\n\n" + PYTHON.format("1 / 0"),
}
WRONG = {
    "false_assertion": PYTHON.format("assert 1 == 2"),
    "wrong_output": CONSOLE.format("$ spark-cache --version\nspark-cash …"),
    "missing_output": CONSOLE.format("$ spark-cache --version\n…\nand more"),
    "failing_command": CONSOLE.format("$ spark-cache no-such-command"),
    "output_before_a_command": CONSOLE.format("Hi\n$ spark-cache --version"),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Return the outcome of each document's test by document name."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "docs").mkdir()
    for name, text in {**DOCUMENTS, **WRONG}.items():
        (folder / "docs" / f"{name}.md").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "--tb=no", "-p", "no:cacheprovider", "docs"],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "ENVIRONMENT": "testing", "SPARK_CACHE_TTL": "1h"},
    )
    return {
        name: word for word, name in re.findall(r"^(PASSED|FAILED) docs/(\w+)\.md", done.stdout, re.MULTILINE)
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_correct_document_passes(outcomes, name):
    """A document passes if its examples behave as shown."""
    assert outcomes[name] == "PASSED"


@pytest.mark.parametrize("name", WRONG)
def test_wrong_document_fails(outcomes, name):
    """A document fails if its examples do not behave as shown."""
    assert outcomes[name] == "FAILED"

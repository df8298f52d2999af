"""Documents are tests: a wrong example in one fails."""

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
    "starts_in_an_empty_home": PYTHON.format(
        "import os, pathlib\nassert not os.listdir() and pathlib.Path.home() == pathlib.Path.cwd()"
    ),
    "hides_settings": PYTHON.format(
        "import os\nassert not {'ENVIRONMENT', 'SPARK_CACHE_TTL'} & set(os.environ)"
    ),
    "reaches_the_stand_in": PYTHON.format(
        "import openai\n"
        "with openai.OpenAI() as client:\n"
        "    vectors = client.embeddings.create(model='m', input='Hi')\n"
        "assert len(vectors.data) == 1"
    ),
    "output_matches": CONSOLE.format("$ spark-cache --version && echo one two three\n…\none … three"),
    "lines_left_out_match": CONSOLE.format("$ spark-cache --version && echo 2 && echo 3\n…\n3"),
    "other_commands_of_the_block_run": CONSOLE.format("$ spark-cache --version\n…\n$ echo yes\nyes"),
    "console_without_spark_cache_is_left_alone": CONSOLE.format("$ git clone nowhere\nnothing of the kind"),
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
    """What becomes of each document, by its name."""
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
def test_a_right_document_passes(outcomes, name):
    """A document whose examples do what it says passes."""
    assert outcomes[name] == "PASSED"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_document_fails(outcomes, name):
    """A document whose examples do something else fails."""
    assert outcomes[name] == "FAILED"

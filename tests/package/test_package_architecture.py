"""The page about the architecture shows the package as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "architecture.md"


def test_the_picture_is_up_to_date():
    """The picture shows the imports of the source."""
    check = [sys.executable, "docs/make_architecture.py", "--check"]

    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_every_room_has_its_task():
    """The table names every folder of the package."""
    table = PAGE.read_text(encoding="utf-8").split("## The way of a hit")[0]
    rooms = {path.parent.name for path in (ROOT / "spark_cache").glob("*/__init__.py")}

    assert rooms <= set(re.findall(r"`(\w+)`", table))


def test_the_files_per_call_are_as_stated():
    """The numbers of files are those that a call passes."""
    stated = re.findall(r"^\| (.+?) \| (\d+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    count = [sys.executable, "-m", "benchmarks.call_files"]
    done = subprocess.run(count, cwd=ROOT, capture_output=True, text=True, check=True)

    found = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert {name.replace("`", ""): number for name, number in stated} == {name: n for n, name in found}

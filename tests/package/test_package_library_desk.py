"""Run the example project as a reader would; the testing tutorial covers the remaining steps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spark_cache.testing import StandInProvider

EXAMPLE = Path(__file__).parents[2] / "examples" / "library-desk"
WITHOUT_NETWORK = ("unshare", "--map-root-user", "--net")


@pytest.fixture
def project(tmp_path):
    return shutil.copytree(
        EXAMPLE, tmp_path / "desk", ignore=shutil.ignore_patterns("__pycache__", ".*_cache")
    )


def suite(project, *arguments, before=(), **environ):
    """Run the suite of the example and return the result."""
    return subprocess.run(
        [*before, sys.executable, "-m", "pytest", "-q", *arguments],
        check=False,
        cwd=project,
        capture_output=True,
        text=True,
        env={**os.environ, "OPENAI_API_KEY": "stand-in", **environ},
    )


def has_namespaces():
    """Return whether programs can be run without network access here."""
    try:
        return subprocess.run([*WITHOUT_NETWORK, "true"], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def test_it_records_once_and_replays_without_a_provider(project):
    """The first run makes a call for each request, and the second run makes none."""
    with StandInProvider() as provider:
        first = suite(project, OPENAI_BASE_URL=provider.base_url)
        second = suite(project, OPENAI_BASE_URL=provider.base_url)

    assert "spark-cache: 0 hits, 3 recorded, 3 misses" in first.stdout, first.stdout
    assert "spark-cache: 3 hits, 0 recorded, 0 misses" in second.stdout, second.stdout
    assert provider.calls == 3


@pytest.mark.skipif(not has_namespaces(), reason="programs cannot be run without network access here")
def test_a_recorded_suite_needs_no_network(project):
    """A recorded suite passes without network access."""
    with StandInProvider() as provider:
        suite(project, OPENAI_BASE_URL=provider.base_url)

    done = suite(project, before=WITHOUT_NETWORK, CI="true")

    assert done.returncode == 0, done.stdout
    assert "spark-cache: 3 hits, 0 recorded, 0 misses" in done.stdout


def test_a_changed_prompt_replaces_one_recording(project):
    """A changed prompt replaces its own recording and leaves the others unchanged."""
    recordings = project / "tests" / "recordings"
    program = project / "desk.py"
    with StandInProvider() as provider:
        suite(project, OPENAI_BASE_URL=provider.base_url)
        before = {path: path.read_bytes() for path in recordings.glob("*/*/*.json")}
        program.write_text(program.read_text().replace("one sentence", "two sentences"))
        suite(project, "--spark-cache-prune", OPENAI_BASE_URL=provider.base_url)

    after = {path: path.read_bytes() for path in recordings.glob("*/*/*.json")}
    assert len(before.items() & after.items()) == 2
    assert len(before) == len(after) == 3

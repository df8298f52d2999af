"""The public names of ``spark_cache``, and what importing the package loads and writes."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import spark_cache
import spark_cache.testing

HEAVY = ["openai", "boto3", "google.genai", "anthropic", "pydantic", "structlog", "rich", "cryptography"]
# Slow modules of the standard library. Importing ``typing`` takes longer than the rest of the import.
SLOW = ["typing", "re", "pathlib"]
PUBLIC = [name for name in spark_cache.__all__ if name != "__version__"]

WATCH_THE_IMPORT = """
import os, sys

writes = []
before = set(sys.modules)

def watch(event, args):
    if event == "open":
        path, mode, flags = args
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            writes.append(str(path))
    elif event in {"os.mkdir", "os.rename", "os.link", "os.symlink"}:
        writes.append(f"{event} {args[0]}")

sys.addaudithook(watch)
import spark_cache
loaded = sorted(set(sys.modules) - before)
import json
print(json.dumps({"writes": writes, "loaded": loaded}))
"""


@pytest.fixture(scope="module")
def bare_import():
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCH_THE_IMPORT],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_public_in_its_home_module(name):
    """The package exports each public name, and the home module lists it in ``__all__``."""
    value = getattr(spark_cache, name)
    home = import_module(spark_cache._HOMES[name])

    assert getattr(home, name) is value
    assert name in home.__all__


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_in_the_reference(name):
    """The reference documents every public name."""
    reference = Path(__file__).parents[2] / "docs" / "reference" / "api.md"

    assert re.search(rf"^\.\. auto\w+:: {name}$", reference.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("room", ["agents", "config", "errors", "models", "testing", "types"])
def test_names_of_public_room_are_in_the_reference(room):
    """The reference documents every public name of these rooms."""
    reference = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text(encoding="utf-8")

    documented = {
        name.rpartition(".")[2] for name in re.findall(r"^\.\. auto\w+:: (\S+)$", reference, re.MULTILINE)
    }

    assert set(import_module(f"spark_cache.{room}").__all__) <= documented


def test_type_checkers_and_programs_see_the_same_names():
    """The imports for type checkers and the table for lazy imports list the same home modules."""
    tree = ast.parse(Path(spark_cache.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in guarded.body if isinstance(node, ast.ImportFrom) and node.module != "typing"]

    seen = {alias.name: node.module for node in imports for alias in node.names}

    assert seen == spark_cache._HOMES
    assert sorted(seen) == sorted(PUBLIC)


@pytest.mark.parametrize("module", [spark_cache, spark_cache.testing])
def test_unknown_name_raises_attribute_error(module):
    """An unknown name raises ``AttributeError``, as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        module.nonsense  # noqa: B018 - the test is the attribute access


@pytest.mark.parametrize("module", [spark_cache, spark_cache.testing])
def test_public_names_are_listed_before_they_are_loaded(module):
    """``dir`` lists the public names whether or not they are loaded."""
    assert dir(module) == sorted(module.__all__)


@pytest.mark.parametrize("name", HEAVY + SLOW)
def test_import_does_not_load_slow_package(bare_import, name):
    """Importing the package imports neither a provider's SDK nor any other slow module."""
    assert name not in bare_import["loaded"]


def test_import_writes_nothing(bare_import):
    """Importing the package opens no file for writing and creates no directory."""
    assert bare_import["writes"] == []

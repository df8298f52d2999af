"""What a program gets from ``import spark_cache``."""

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
SLOW = [
    "typing",
    "re",
    "pathlib",
]  # of the standard library; ``typing`` takes longer than the rest of the import
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
def test_a_public_name_is_public_in_its_home_module(name):
    """A public name is there, and its home module lists it too."""
    value = getattr(spark_cache, name)
    home = import_module(spark_cache._HOMES[name])

    assert getattr(home, name) is value
    assert name in home.__all__


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_in_the_reference(name):
    """The reference documents every public name."""
    reference = Path(__file__).parents[2] / "docs" / "reference" / "api.md"

    assert re.search(rf"^\.\. auto\w+:: {name}$", reference.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("room", ["agents", "config", "errors", "models", "testing", "types"])
def test_the_names_of_a_public_room_are_in_the_reference(room):
    """What a program may import from one of these rooms is documented too."""
    reference = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text(encoding="utf-8")

    documented = {
        name.rpartition(".")[2] for name in re.findall(r"^\.\. auto\w+:: (\S+)$", reference, re.MULTILINE)
    }

    assert set(import_module(f"spark_cache.{room}").__all__) <= documented


def test_type_checkers_see_the_names_that_programs_see():
    """The imports for type checkers and the table for programs name the same homes."""
    tree = ast.parse(Path(spark_cache.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in guarded.body if isinstance(node, ast.ImportFrom) and node.module != "typing"]

    seen = {alias.name: node.module for node in imports for alias in node.names}

    assert seen == spark_cache._HOMES
    assert sorted(seen) == sorted(PUBLIC)


@pytest.mark.parametrize("module", [spark_cache, spark_cache.testing])
def test_an_unknown_name_is_an_attribute_error(module):
    """Asking a package for a name it does not have fails as for any module."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        module.nonsense  # noqa: B018 - the access is what is tested


@pytest.mark.parametrize("module", [spark_cache, spark_cache.testing])
def test_public_names_are_listed_before_they_are_loaded(module):
    """``dir`` lists the public names, loaded or not."""
    assert dir(module) == sorted(module.__all__)


@pytest.mark.parametrize("name", HEAVY + SLOW)
def test_import_leaves_a_slow_package_alone(bare_import, name):
    """Importing the package imports neither a provider's SDK nor anything else that takes long."""
    assert name not in bare_import["loaded"]


def test_import_writes_nothing(bare_import):
    """Importing the package opens no file for writing and makes no directory."""
    assert bare_import["writes"] == []

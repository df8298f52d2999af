"""Measure what an import adds to the startup time of a program."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from benchmarks.import_cost import seconds
from benchmarks.results import Series

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.plan import Plan
    from benchmarks.results import Results

__all__ = ["STATEMENTS", "measure_imports"]

STATEMENTS = (
    "import spark_cache",
    "from spark_cache import CacheManager",
    "from spark_cache import OpenAIModel",
    "import diskcache",
    "import joblib",
    "from langchain_community.cache import SQLiteCache",
    "import inspect_ai.model",
    "import litellm",
    "import dspy",
)


def measure_imports(plan: Plan, results: Results, say: Callable[[str], None]) -> None:
    """Compare the time of a new interpreter with each import to one without it.

    Args:
        plan: The plan of the run.
        results: The results to add to.
        say: Called with progress messages.
    """
    for statement in STATEMENTS:
        say(f"imports: {statement}")
        code = f"import warnings; warnings.simplefilter('ignore'); {statement}"
        try:
            if plan.imports > 1:
                seconds(code)  # the first run compiles the modules and reads them from disk
            added = [seconds(code) - seconds("import warnings") for _ in range(plan.imports)]
        except subprocess.CalledProcessError:
            results.missing[statement] = "it cannot be imported"
        else:
            results.imports[statement] = Series(tuple(added))

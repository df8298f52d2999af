"""What an import adds to the start of a program."""

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
    """Time a new interpreter for each statement, beside one that does nothing.

    Args:
        plan: How long to measure.
        results: What was measured is added to it.
        say: Told what happens.
    """
    for statement in STATEMENTS:
        say(f"imports: {statement}")
        code = f"import warnings; warnings.simplefilter('ignore'); {statement}"
        try:
            if plan.imports > 1:
                seconds(code)  # the first run compiles, and reads from the disk
            added = [seconds(code) - seconds("import warnings") for _ in range(plan.imports)]
        except subprocess.CalledProcessError:
            results.missing[statement] = "it cannot be imported"
        else:
            results.imports[statement] = Series(tuple(added))

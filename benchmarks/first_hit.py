"""Measure the start of a new process: its first hit, and ``spark-cache ls``, compared with the imports that both need.

    python -m benchmarks.first_hit

The programs are started alternately, so that a busy machine slows all of them equally. The fastest start of each counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from spark_cache.testing import StandInProvider

RUNS = 25

CALL = """
import asyncio
from spark_cache.models.openai import OpenAIModel
model = OpenAIModel("gpt-4o-mini")
print(asyncio.run(model.get_text([{"role": "user", "content": "What is the capital of France?"}])).cached)
"""

PROGRAMS = {
    "imports of a hit": ["-c", "import asyncio, pydantic_settings, orjson, sqlite3"],
    "first hit": ["-c", CALL],
    "imports of ls": ["-c", "import asyncio, pydantic_settings, orjson, sqlite3, click, rich"],
    "spark-cache ls": ["-m", "spark_cache.cli", "ls"],
}


def seconds(arguments: list[str], folder: Path, environ: dict[str, str]) -> float:
    """Return the time that a new interpreter takes, in seconds."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environ, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Record one response, measure the starts, and print the results."""
    with tempfile.TemporaryDirectory() as name, StandInProvider() as provider:
        folder = Path(name)
        environ = os.environ | {
            "PYTHONDONTWRITEBYTECODE": "",  # an installed package is compiled
            "ENVIRONMENT": "development",
            "HOME": name,
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": provider.base_url,
            "SPARK_CACHE_ENDPOINT": "stand-in",
        }
        seconds(PROGRAMS["first hit"], folder, environ)
        best = dict.fromkeys(PROGRAMS, float("inf"))
        for _ in range(RUNS):
            for program, arguments in PROGRAMS.items():
                best[program] = min(best[program], seconds(arguments, folder, environ))
    print(f"start of a new process, fastest of {RUNS}")
    for program, base, goal in (
        ("first hit", "imports of a hit", 1.15),
        ("spark-cache ls", "imports of ls", 1.2),
    ):
        ratio = best[program] / best[base]
        print(
            f"  {program:<15} {best[program] * 1000:6.1f} ms   {base:<17} {best[base] * 1000:6.1f} ms   "
            f"{ratio:.2f} times (goal: at most {goal})"
        )


if __name__ == "__main__":
    main()

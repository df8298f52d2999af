"""Measure the cost of ``import spark_cache``: a new interpreter with the import, compared with one without it.

The two are started alternately, so that a busy machine slows both equally.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 21
SDKS = ("openai", "anthropic", "boto3", "google.genai")


def seconds(code: str) -> float:
    """Return the time that a new interpreter takes to run code, in seconds.

    Args:
        code: The code to run.
    """
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def imported_sdks() -> list[str]:
    """Return the provider SDKs that ``import spark_cache`` imports."""
    code = f"import sys, spark_cache; print(*(name for name in {SDKS!r} if name in sys.modules))"
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()


def main() -> None:
    """Measure, and print the results."""
    bare, importing = [], []
    for _ in range(RUNS):
        bare.append(seconds("pass"))
        importing.append(seconds("import spark_cache"))
    bare_ms, importing_ms = statistics.median(bare) * 1000, statistics.median(importing) * 1000
    print(f"import cost, median of {RUNS} runs each")
    print(f"  python -c pass                  {bare_ms:7.1f} ms")
    print(f"  python -c 'import spark_cache'  {importing_ms:7.1f} ms")
    print(f"  difference                      {importing_ms - bare_ms:7.1f} ms")
    print(f"  provider SDKs imported          {', '.join(imported_sdks()) or 'none':>10}")


if __name__ == "__main__":
    main()

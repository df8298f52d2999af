"""What the pytest plugin costs a suite that does not use it.

    python benchmarks/plugin_startup.py

Measured inside a new interpreter that has pytest already: to import the plugin, to register it, and to add its options. That
is all that happens before the tests. By the processor time, and the fastest of all runs counts: what else the machine does
makes a run slower, and none faster. (Whole runs of pytest differ from one another by more than the plugin costs.)

Ends with exit code 1 when the promise of at most 10 ms is broken.
"""

from __future__ import annotations

import subprocess
import sys

RUNS = 31
ALLOWED_MS = 10.0
MEASURE = """
import time
import pytest, _pytest.config
config = _pytest.config.get_config()
started = time.process_time()
config.pluginmanager.import_plugin("spark_cache.testing.plugin")
print((time.process_time() - started) * 1000)
"""


def milliseconds() -> float:
    """The processor time of one start of the plugin."""
    done = subprocess.run([sys.executable, "-c", MEASURE], check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> int:
    """Measure, print, and return the exit code."""
    fastest = min(milliseconds() for _ in range(RUNS))
    print(f"the pytest plugin in a suite that does not use it, fastest of {RUNS} starts")
    print(f"  {fastest:.1f} ms of processor time; allowed are {ALLOWED_MS:.0f} ms")
    return 0 if fastest <= ALLOWED_MS else 1


if __name__ == "__main__":
    sys.exit(main())

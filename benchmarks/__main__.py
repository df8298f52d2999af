"""Compare spark-cache with other caches and with the limit of the machine; ``make bench`` runs this.

The caches are stored in the system's temporary directory. Set ``TMPDIR`` to measure another disk.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace

from benchmarks.calls import measure_calls
from benchmarks.embeddings import measure_embeddings
from benchmarks.growth import measure_growth
from benchmarks.imports import measure_imports
from benchmarks.machine import machine_facts, versions
from benchmarks.plan import Plan
from benchmarks.report.charts import calls_chart, growth_chart
from benchmarks.report.page import CALLS_CHART, GROWTH_CHART, page
from benchmarks.results import Results
from benchmarks.worker import quiet_environment

_DOCS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs")
_MILLION = 1_000_000


def main() -> None:
    """Run the benchmarks, print the page, and write it to the documentation unless ``--quick`` is given."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="check in under a minute that everything works; write nothing"
    )
    parser.add_argument(
        "--million", action="store_true", help="also measure spark-cache with 1,000,000 entries"
    )
    given = parser.parse_args()
    plan = Plan.quick() if given.quick else Plan()
    if given.million:
        plan = replace(plan, sizes_without_peers=(_MILLION,))

    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="spark-cache-bench-") as directory:
        os.environ.update(quiet_environment(directory))
        facts = machine_facts(directory)
        results = _measured(plan, directory)
        facts["duration"] = f"{time.perf_counter() - started:.0f} s"
        print(page(results, facts, versions()), flush=True)
        if not given.quick:
            _write("explanation/benchmarks.md", page(results, facts, versions(), charts="../images"))
            _write(f"images/{CALLS_CHART}", calls_chart(results))
            _write(f"images/{GROWTH_CHART}", growth_chart(results))
        _say("removing the caches")


def _measured(plan: Plan, directory: str) -> Results:
    results = Results(plan.entries)
    measure_imports(plan, results, _say)
    measure_calls(plan, directory, results, _say)
    measure_embeddings(plan, directory, results, _say)
    measure_growth(plan, directory, results, _say)
    return results


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _write(name: str, text: str) -> None:
    path = os.path.join(_DOCS, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()

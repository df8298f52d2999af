"""Programs that nobody edits: the cache is installed when Python starts, and the process reports what it did at the end."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from spark_cache.clients.exchange import Exchange
from spark_cache.clients.installation import install

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.manager import CacheManager

__all__ = ["REPORTS", "STARTUP", "begin", "environment", "summary"]

REPORTS = "_SPARK_RUN_REPORTS"
"""The variable that names the folder for the reports of the processes of one run."""

STARTUP = os.path.dirname(__file__)
"""The folder that Python searches for ``sitecustomize`` when it starts."""

_COUNTS = ("hits", "misses", "tokens_saved", "seconds_saved")


def environment(environ: Mapping[str, str], reports: str) -> dict[str, str]:
    """Return the environment of a program whose Python processes go through the cache.

    Args:
        environ: The environment to start from.
        reports: A folder for the reports of the processes.
    """
    path = [STARTUP, *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**environ, "PYTHONPATH": os.pathsep.join(path), REPORTS: reports}


def begin() -> None:
    """Install the cache in this process, as the environment configures it.

    Raises:
        ConfigError: The configuration cannot be used.
    """
    exchange = Exchange.of(None, None, {})
    manager = exchange.manager
    install(cache_manager=manager)
    _report_at_exit(manager, os.environ.get(REPORTS))


def _report_at_exit(manager: CacheManager, folder: str | None) -> None:
    import atexit  # noqa: PLC0415 - the start of every process pays for imports

    if folder is not None:
        atexit.register(_report, manager, folder)


def _report(manager: CacheManager, folder: str) -> None:
    totals = manager.calls.totals()
    counts = {name: getattr(totals, name) for name in _COUNTS}
    try:
        with open(os.path.join(folder, f"{os.getpid()}.json"), "w", encoding="ascii") as file:
            json.dump(counts, file)
    except OSError:
        # The run ended before this process did.
        return


def summary(reports: str) -> dict[str, float]:
    """Add up the reports of a run.

    Args:
        reports: Their folder.

    Returns:
        The hits, the misses, and the tokens and seconds that the hits saved.
    """
    total = dict.fromkeys(_COUNTS, 0.0)
    for name in os.listdir(reports):
        with open(os.path.join(reports, name), encoding="ascii") as file:
            try:
                counts = json.load(file)
            except ValueError:
                # The process was killed while it wrote.
                continue
        total = {field: total[field] + counts[field] for field in _COUNTS}
    return total

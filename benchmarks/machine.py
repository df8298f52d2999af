"""What the figures were measured on, and with."""

from __future__ import annotations

import datetime as dt
import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version

__all__ = ["machine_facts", "versions"]

_PACKAGES = (
    "spark-cache",
    "orjson",
    "diskcache",
    "dspy",
    "litellm",
    "langchain-core",
    "langchain-community",
    "inspect-ai",
    "joblib",
)


def machine_facts(directory: str) -> dict[str, str]:
    """The machine, by what is told of it.

    Args:
        directory: Where the caches are kept.
    """
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "file system": _file_system(directory),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": sqlite3.sqlite_version,
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def versions() -> dict[str, str]:
    """The version of each package that is measured, or ``not installed``."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _file_system(directory: str) -> str:
    """The kind of the file system that holds ``directory``."""
    found = ("", "unknown")
    try:
        with open("/proc/mounts", encoding="utf-8") as lines:
            for line in lines:
                _, place, kind, *_ = line.split(" ")
                inside = os.path.realpath(directory).startswith(f"{place.rstrip('/')}/")
                if inside and len(place) >= len(found[0]):
                    found = (place, kind)
    except OSError:
        pass
    return found[1]

"""The machine and the package versions of a run."""

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
    "langchain-core",
    "langchain-community",
    "langchain-classic",
    "inspect-ai",
    "joblib",
    "numpy",
)


def machine_facts(directory: str) -> dict[str, str]:
    """Return a description of the machine.

    Args:
        directory: The directory of the caches.
    """
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "file system": _file_system(directory),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": sqlite3.sqlite_version,
        "load at start": f"{os.getloadavg()[0]:.1f}",
    }


def versions() -> dict[str, str]:
    """Return the version of each measured package, or ``not installed``."""
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
    """Return the type of the file system that contains ``directory``."""
    found = ("", "unknown")
    try:
        with open("/proc/mounts", encoding="utf-8") as lines:
            for line in lines:
                _, mount_point, kind, *_ = line.split(" ")
                inside = os.path.realpath(directory).startswith(f"{mount_point.rstrip('/')}/")
                if inside and len(mount_point) >= len(found[0]):
                    found = (mount_point, kind)
    except OSError:
        pass
    return found[1]

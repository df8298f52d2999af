"""Run the checks: the configuration first, then the directory, then its contents."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spark_cache.config.check import check
from spark_cache.config.resolve import resolve
from spark_cache.core.directory import open_directory
from spark_cache.errors import StoreError
from spark_cache.maintenance.doctor.contents import (
    clock_check,
    encryption,
    entries,
    hidden_folder,
    index,
    savings,
    temporary_files,
)
from spark_cache.maintenance.doctor.directory import (
    access,
    directory,
    disk_space,
    file_system,
    has_rights,
    mode,
    nearest_existing,
)
from spark_cache.maintenance.doctor.finding import Finding, Level
from spark_cache.maintenance.rotation import count
from spark_cache.savings import SAVINGS_FILE
from spark_cache.stores import HIDDEN, SCRATCH, FileStore
from spark_cache.types import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spark_cache.config import CacheConfig
    from spark_cache.config.context import ConfigContext
    from spark_cache.config.origins import Origin
    from spark_cache.events import Sink

__all__ = ["configuration", "examine"]

_MEGABYTE = 2**20


def configuration(
    profile: Origin | None, overrides: Mapping[str, object], context: ConfigContext
) -> tuple[CacheConfig | None, list[Finding]]:
    """Check the configuration.

    Args:
        profile: The profile, or None to use the one from the environment.
        overrides: Values that take precedence over every layer.
        context: The context that the layers are read from.

    Returns:
        The configuration, or None if it is invalid, and the findings: one for each problem and warning, or a single
        one that says that all is well.
    """
    verdict = check(profile, context, with_directory=False)  # checked below
    resolution = resolve(profile, overrides, context)
    problems = dict.fromkeys((*verdict.problems, *resolution.problems))
    findings = [Finding("configuration", Level.PROBLEM, str(problem)) for problem in problems]
    findings += [Finding("configuration", Level.NOTE, str(warning)) for warning in verdict.warnings]
    config = resolution.config
    if config is not None and not findings:
        name = "no profile" if config.profile is None else f"profile {config.profile}"
        state = f"on, mode {config.mode.value}" if config.enabled else "off"
        findings.append(Finding("configuration", Level.OK, f"{name}, caching is {state}"))
    return config, findings


def examine(
    config: CacheConfig,
    *,
    clock: Callable[[], float],
    sink: Sink,
    mounts: str | None,
    step: Callable[[], None],
) -> Iterator[Finding]:
    """Check the configured cache directory and its contents.

    Args:
        config: The configuration.
        clock: Return the current time, in seconds since the epoch.
        sink: The receiver of events.
        mounts: The mounted file systems in the format of ``/proc/mounts``, or None if they are not known.
        step: Called after each entry that is read.
    """
    if config.store == "memory":
        yield Finding("directory", Level.OK, "entries are stored in memory, so there is no directory")
        return
    root, writes = str(config.cache_dir), _writes(config)
    store = open_directory(root, config, clock=clock, sink=sink).store
    if not isinstance(store, FileStore):
        raise TypeError("a cache directory must have a file store")
    finding = directory(root, store, writes=writes)
    yield finding
    if finding.level is Level.PROBLEM:
        return
    exists = os.path.isdir(root)
    if exists:
        yield mode(root)
        yield access(root, writes=writes)
        if not has_rights(root, os.R_OK | os.X_OK):
            return
    yield file_system(root, mounts)
    try:
        if writes:
            yield _disk_space(root, store, config)
        if exists:
            yield from _hidden_files(root, store, clock(), writes=writes)
        census = count(store, step=step)
        if exists:
            yield entries(census)
            yield clock_check(store, clock(), replay=config.mode is Mode.REPLAY)
        yield encryption(config, census)
    except StoreError as error:
        remedy = f"allow this user to read everything below {root}, or remove what is in the way"
        yield Finding("entries", Level.PROBLEM, str(error), remedy)


def _disk_space(root: str, store: FileStore, config: CacheConfig) -> Finding:
    status = os.statvfs(nearest_existing(root))
    cap, left = config.max_cache_size_mb, None
    if cap is not None:
        occupied = sum(totals.occupied_bytes for totals in store.totals(write=False).folders)
        left = max(0.0, cap * _MEGABYTE - occupied)
    return disk_space(
        free=status.f_bavail * status.f_frsize, size=status.f_blocks * status.f_frsize, left=left
    )


def _hidden_files(root: str, store: FileStore, now: float, *, writes: bool) -> Iterator[Finding]:
    folder = f"{root}/{HIDDEN}"
    found = hidden_folder(folder, writes=writes)
    yield found
    if found.level is Level.OK and os.path.isdir(folder):
        yield temporary_files(f"{folder}/{SCRATCH}", now)
        yield savings(f"{folder}/{SAVINGS_FILE}")
        if writes:
            yield index(folder, store)


def _writes(config: CacheConfig) -> bool:
    """Return whether the configuration lets any call store its response."""
    ruled = [(name, value) for rule in config.rules for name, value in rule.settings]
    modes = [config.mode, *(value for name, value in ruled if name == "mode")]
    return (config.enabled or ("enabled", True) in ruled) and any(Mode(found).writes for found in modes)

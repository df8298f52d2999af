"""Check whether a run was complete, so that recordings that no test used can be deleted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["why_incomplete"]

_NARROWING = {
    "ignore": "--ignore",
    "ignore_glob": "--ignore-glob",
    "lf": "--lf",
    "collectonly": "--collect-only",
}
"""Options that exclude tests without leaving a trace in the collected tests, and their command-line names."""


def why_incomplete(config: pytest.Config, *, exitstatus: int, skipped: bool, unfinished: int) -> str | None:
    """Return why recordings that no test used may still be needed; None if every test ran and passed.

    Args:
        config: The pytest configuration.
        exitstatus: The exit status of the run.
        skipped: Whether a whole module was skipped.
        unfinished: How many of the collected tests that use recordings did not run or did not pass.
    """
    if unfinished:
        return f"{unfinished} of the tests that use recordings did not run or did not pass"
    if exitstatus:
        return "the run failed"
    for option, name in _NARROWING.items():
        if getattr(config.option, option, None):
            return f"{name} excludes tests"
    if skipped:
        return "a module was skipped"
    if not _covers_suite(config):
        return "only part of the suite was selected; run pytest without paths"
    return None


def _covers_suite(config: pytest.Config) -> bool:
    """Return whether the paths on the command line cover the whole suite."""
    if "::" in " ".join(config.args):
        return False
    root = str(config.rootpath)
    suite = [os.path.join(root, path) for path in config.getini("testpaths")] or [root]
    selected = [os.path.join(config.invocation_params.dir, path) for path in config.args]
    return all(any(_is_within(path, folder) for folder in selected) for path in suite)


def _is_within(path: str, folder: str) -> bool:
    folder, path = os.path.realpath(folder), os.path.realpath(path)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)

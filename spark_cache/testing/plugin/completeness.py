"""Whether a run was complete, so that a recording that no test read is of no use."""

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
"""Options that keep tests from being collected or run, without a trace in what is collected; with what they are called."""


def why_incomplete(config: pytest.Config, *, exitstatus: int, skipped: bool, left: int) -> str | None:
    """Why recordings may be in use though no test read them; None when every test ran and passed.

    Args:
        config: The configuration of pytest.
        exitstatus: What the run came to.
        skipped: Whether a module was skipped whole.
        left: How many of the collected tests that use recordings did not run, or did not pass.
    """
    if left:
        return f"{left} of the tests that use recordings did not run or did not pass"
    if exitstatus:
        return "the run failed"
    for option, name in _NARROWING.items():
        if getattr(config.option, option, None):
            return f"{name} leaves tests out"
    if skipped:
        return "a module was skipped"
    if not _covers(config):
        return "only a part of the suite was asked for; run pytest without paths"
    return None


def _covers(config: pytest.Config) -> bool:
    """Whether what was asked for takes in the whole suite."""
    if "::" in " ".join(config.args):
        return False
    root = str(config.rootpath)
    suite = [os.path.join(root, path) for path in config.getini("testpaths")] or [root]
    asked = [os.path.join(config.invocation_params.dir, path) for path in config.args]
    return all(any(_is_in(place, folder) for folder in asked) for place in suite)


def _is_in(place: str, folder: str) -> bool:
    folder, place = os.path.realpath(folder), os.path.realpath(place)
    return place == folder or place.startswith(folder.rstrip(os.sep) + os.sep)

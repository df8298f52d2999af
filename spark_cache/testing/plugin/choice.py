"""The mode, folder and profile of a test's recordings, and the precedence of their sources."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from spark_cache.config import load_config
from spark_cache.types import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spark_cache.config import CacheConfig
    from spark_cache.config.origins import Origin

__all__ = ["Choice", "choose"]

T = TypeVar("T")

_FOLDER = Path("tests", "recordings")
_PROFILE = "testing"
_FALSE_VALUES = frozenset({"", "0", "false", "no", "off"})
_LOW_PRECEDENCE = frozenset({"shipped profile", "default"})
"""Configuration layers that suit most programs; the plugin's own defaults override them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The recording settings of one test.

    Attributes:
        mode: The cache mode of the test's calls.
        folder: The absolute path of the folder that holds the recordings.
        variables: Environment variables to set while the test runs, so that every configuration loaded meanwhile agrees.
    """

    mode: Mode
    folder: Path
    variables: Mapping[str, str]


def choose(markers: Iterable[pytest.Mark], option: str | None, root: Path) -> Choice:
    """Choose the folder of a test's recordings and the mode of its calls.

    Args:
        markers: The test's markers, closest first.
        option: The mode given on the command line, or None.
        root: The root directory of the suite.

    Raises:
        ConfigError: The configuration is invalid.
        UsageError: A marker has invalid arguments.
    """
    arguments = _marker_arguments(markers)
    config = load_config(arguments.get("profile") or _PROFILE, cwd=root)
    mode = arguments.get("mode") or option or _configured(config, "mode", config.mode)
    folder = arguments.get("dir") or _configured(config, "cache_dir", config.cache_dir) or _FOLDER
    if mode is None:
        mode = Mode.READ_WRITE if os.environ.get("CI", "").lower() in _FALSE_VALUES else Mode.REPLAY
    path = Path(os.path.abspath(root / folder))
    variables = {
        "SPARK_PROFILE": str(config.profile),
        "SPARK_ENABLE_CACHE": "true",
        "SPARK_CACHE_DIR": str(path),
        "SPARK_CACHE_MODE": str(mode),
    }
    profiles = _project_profiles(config)
    if profiles is not None:
        # Profiles are looked up from the working directory, which a test may change.
        variables["SPARK_PROFILES_DIR"] = str(profiles)
    return Choice(Mode(mode), path, variables)


def _marker_arguments(markers: Iterable[pytest.Mark]) -> dict[str, Any]:
    """Merge the arguments of all markers; the closest marker wins."""
    merged: dict[str, Any] = {}
    for marker in markers:
        unknown = marker.kwargs.keys() - {"mode", "dir", "profile"}
        if marker.args or unknown:
            raise pytest.UsageError(
                "the spark_cache marker takes mode=…, dir=… and profile=…, "
                f"not {', '.join([*map(repr, marker.args), *sorted(unknown)])}"
            )
        merged = {**marker.kwargs, **merged}
    mode = merged.get("mode")
    if mode is not None and mode not in list(Mode):
        raise pytest.UsageError(
            f"the spark_cache marker has an unknown mode {mode!r}: "
            f"choose from {', '.join(map(repr, map(str, Mode)))}"
        )
    return merged


def _configured(config: CacheConfig, name: str, value: T) -> T | None:
    """Return a value set by the environment, ``.env``, or a project or user profile; None if no such source sets it."""
    return None if config.origins[name].kind in _LOW_PRECEDENCE else value


def _project_profiles(config: CacheConfig) -> Path | None:
    """Return the folder of the project's profiles if one of them contributes to the configuration."""
    origins: list[Origin] = [
        source for origin in config.origins.values() for source in (origin, *origin.items, *origin.shadows)
    ]
    found = (origin.path for origin in origins if origin.kind == "project profile")
    return next((path.parent for path in found if path is not None), None)

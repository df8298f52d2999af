"""What a test's recordings are: the mode, the folder, the profile, and who decides each."""

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
_NO = frozenset({"", "0", "false", "no", "off"})
_GIVE_WAY = frozenset({"shipped profile", "default"})
"""Layers that say what suits most programs; what suits a suite goes before them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The recordings of one test.

    Attributes:
        mode: What its calls may do.
        folder: Where the recordings are, absolute.
        variables: What the environment says while the test runs, so that whatever loads a configuration comes to the same.
    """

    mode: Mode
    folder: Path
    variables: Mapping[str, str]


def choose(markers: Iterable[pytest.Mark], option: str | None, root: Path) -> Choice:
    """Decide where a test's recordings are and what its calls may do with them.

    Args:
        markers: Its markers, the closest first.
        option: The mode that the command line gives.
        root: The root directory of the suite.

    Raises:
        ConfigError: The configuration cannot be used.
        UsageError: A marker has other arguments than it takes.
    """
    marked = _marked(markers)
    config = load_config(marked.get("profile") or _PROFILE, cwd=root)
    mode = marked.get("mode") or option or _said(config, "mode", config.mode)
    folder = marked.get("dir") or _said(config, "cache_dir", config.cache_dir) or _FOLDER
    if mode is None:
        mode = Mode.READ_WRITE if os.environ.get("CI", "").lower() in _NO else Mode.REPLAY
    place = Path(os.path.abspath(root / folder))
    variables = {
        "SPARK_PROFILE": str(config.profile),
        "SPARK_ENABLE_CACHE": "true",
        "SPARK_CACHE_DIR": str(place),
        "SPARK_CACHE_MODE": str(mode),
    }
    profiles = _project_profiles(config)
    if profiles is not None:
        # Tests change the working directory, from which they are looked for.
        variables["SPARK_PROFILES_DIR"] = str(profiles)
    return Choice(Mode(mode), place, variables)


def _marked(markers: Iterable[pytest.Mark]) -> dict[str, Any]:
    """The arguments of all markers, those of the closest first."""
    marked: dict[str, Any] = {}
    for marker in markers:
        unknown = marker.kwargs.keys() - {"mode", "dir", "profile"}
        if marker.args or unknown:
            raise pytest.UsageError(
                "the marker takes spark_cache(mode=…, dir=…, profile=…), "
                f"not {', '.join([*map(repr, marker.args), *sorted(unknown)])}"
            )
        marked = {**marker.kwargs, **marked}
    mode = marked.get("mode")
    if mode is not None and mode not in list(Mode):
        raise pytest.UsageError(
            f"the marker spark_cache has mode={mode!r}: it takes {', '.join(map(repr, map(str, Mode)))}"
        )
    return marked


def _said(config: CacheConfig, name: str, value: T) -> T | None:
    """A value that the environment, ``.env`` or a profile of the project or the user gives; None for any other."""
    return None if config.origins[name].kind in _GIVE_WAY else value


def _project_profiles(config: CacheConfig) -> Path | None:
    """The folder of the project's profiles, where one of them has a part in the configuration."""
    origins: list[Origin] = [
        place for origin in config.origins.values() for place in (origin, *origin.shadows)
    ]
    found = (origin.path for origin in origins if origin.kind == "project profile")
    return next((path.parent for path in found if path is not None), None)

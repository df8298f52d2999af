"""The context of a configuration: the process environment, the working directory and the folders to search."""

from __future__ import annotations

import os
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from spark_cache.config.origins import Origin
from spark_cache.config.paths import expand_path, home, is_location_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.resources.abc import Traversable

__all__ = ["ConfigContext", "shipped_profiles"]

_ROOT_MARKS = ("pyproject.toml", ".git")


class ConfigContext:
    """The context that the layers are read from.

    Args:
        environ: The process environment.
        cwd: The working directory; ``/`` if it no longer exists.
        shipped: The folder with the shipped profiles.
        unset: Variables that count as unset, also in ``.env``.
        has_cwd: Whether the working directory exists.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        cwd: Path,
        shipped: Path | Traversable,
        unset: frozenset[str] = frozenset(),
        *,
        has_cwd: bool = True,
    ) -> None:
        self.environ = environ
        self.cwd = cwd
        self.shipped = shipped
        self.unset = unset
        self.has_cwd = has_cwd

    @classmethod
    def of(cls, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> ConfigContext:
        """Create a context. Values that are not given come from the process."""
        given = os.environ if environ is None else environ
        try:
            folder = Path.cwd() if cwd is None else cwd.absolute()
        except FileNotFoundError:
            # A deployment replaced it. Only relative paths need it.
            return cls(given, Path("/"), shipped_profiles(), has_cwd=False)
        return cls(given, folder, shipped_profiles())

    def expand(self, raw: object, base: Path | None = None, *, from_file: bool = False) -> Path:
        """Return a path setting as an absolute path.

        Args:
            raw: The setting as written.
            base: The directory at which a relative path starts. None means the working directory.
            from_file: Whether a file contains the setting. It can refer to few variables.

        Raises:
            ValueError: The setting is not a valid path, or it is relative and the working directory no longer exists.
        """
        return expand_path(
            raw, self.environ, lambda: self._start(base), is_location_variable if from_file else None
        )

    def _start(self, base: Path | None) -> Path:
        folder = self.cwd if base is None else base
        if not self.has_cwd and folder == self.cwd:
            raise ValueError(
                "a relative path needs the working directory, which no longer exists: use an absolute path"
            )
        return folder

    def without(self, variables: Iterable[str]) -> ConfigContext:
        """Return a context in which some variables count as unset."""
        unset = self.unset.union(variables)
        environ = {name: value for name, value in self.environ.items() if name not in unset}
        return ConfigContext(environ, self.cwd, self.shipped, unset, has_cwd=self.has_cwd)

    @cached_property
    def project(self) -> tuple[Path, ...]:
        """The working directory and its parents up to the project root. Without a root, only the working directory."""
        if not self.has_cwd:
            return ()
        folders = (self.cwd, *self.cwd.parents)
        for count, folder in enumerate(folders, 1):
            if any(os.path.lexists(folder / mark) for mark in _ROOT_MARKS):
                return folders[:count]
        return folders[:1]

    @property
    def project_root(self) -> Path:
        """The project root, or the working directory if there is none."""
        return self.project[-1] if self.project else self.cwd

    @cached_property
    def user_profiles(self) -> Path:
        """The folder with the user profiles."""
        return self._xdg("XDG_CONFIG_HOME", ".config")[0] / "spark-cache" / "profiles"

    @property
    def default_cache_dir(self) -> Path:
        """The default cache directory."""
        return self._xdg("XDG_CACHE_HOME", ".cache")[0] / "spark" / "llm-responses"

    @property
    def default_cache_dir_origin(self) -> Origin:
        """The origin of the default cache directory, which is derived from a variable."""
        _, variable, written = self._xdg("XDG_CACHE_HOME", ".cache")
        raw = f"{written}/spark/llm-responses"
        return Origin("derived", variable, raw=raw, expanded=str(self.default_cache_dir))

    def _xdg(self, variable: str, default: str) -> tuple[Path, str, str]:
        folder = Path(self.environ.get(variable, ""))
        if folder.is_absolute():
            return folder, variable, f"${variable}"
        return home(self.environ) / default, "HOME", f"~/{default}"


@cache
def shipped_profiles() -> Path | Traversable:
    """Return the folder with the shipped profiles: inside the installed package, or next to it in a checkout."""
    package = Path(__file__).parents[1]
    if os.path.isdir(package / "_profiles"):
        return package / "_profiles"
    if not os.path.isdir(package):
        # The package is imported from a zip file or a bundle.
        from importlib.resources import files  # noqa: PLC0415 - rarely needed

        return files("spark_cache") / "_profiles"
    return package.parent / "profiles"

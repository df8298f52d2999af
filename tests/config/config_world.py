"""An isolated world to resolve a configuration in: a project, a home, shipped profiles and an environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spark_cache.config.context import ConfigContext
from spark_cache.config.load import profile_from_code, usable
from spark_cache.config.resolve import Resolution, resolve

if TYPE_CHECKING:
    from pathlib import Path

    from spark_cache.config import CacheConfig


@dataclass
class World:
    """A folder with everything that the layers are read from. Nothing outside the folder is read."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.project = self.root / "project"
        self.shipped = self.root / "shipped"
        self.environ["HOME"] = str(self.root / "home")
        for folder in (self.project, self.shipped, self.root / "home"):
            folder.mkdir(parents=True)
        (self.project / "pyproject.toml").touch()

    @property
    def project_profiles(self) -> Path:
        """The folder with the project profiles."""
        return self.project / "profiles"

    @property
    def user_profiles(self) -> Path:
        """The folder with the user profiles."""
        return self.root / "home" / ".config" / "spark-cache" / "profiles"

    def write(self, path: Path, text: str) -> Path:
        """Write a file and create its parent folders."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def dotenv(self, text: str) -> Path:
        """Write the project's ``.env``."""
        return self.write(self.project / ".env", text)

    def profile(self, name: str, text: str) -> Path:
        """Write a project profile."""
        return self.write(self.project_profiles / f"{name}.toml", text)

    def user(self, name: str, text: str) -> Path:
        """Write a user profile."""
        return self.write(self.user_profiles / f"{name}.toml", text)

    def ship(self, name: str, text: str) -> Path:
        """Write a shipped profile."""
        return self.write(self.shipped / f"{name}.toml", text)

    def context(self, cwd: Path | None = None) -> ConfigContext:
        """Return the context that the layers are read from."""
        return ConfigContext(self.environ, cwd or self.project, self.shipped)

    def resolve(self, profile: str | None = None, *, cwd: Path | None = None, **overrides: Any) -> Resolution:
        """Resolve the layers, with or without problems."""
        return resolve(profile_from_code(profile), overrides, self.context(cwd))

    def load(self, profile: str | None = None, *, cwd: Path | None = None, **overrides: Any) -> CacheConfig:
        """Load the configuration as ``load_config`` does."""
        return usable(self.resolve(profile, cwd=cwd, **overrides))

"""Check a configuration thoroughly, including values that are shadowed and have no effect yet."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import dataclass
from shutil import which
from typing import TYPE_CHECKING

from spark_cache.config.fields import FIELDS
from spark_cache.config.origins import origin_of
from spark_cache.config.resolve import Resolution, resolve
from spark_cache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spark_cache.config.context import ConfigContext
    from spark_cache.config.origins import Origin
    from spark_cache.config.sources import Source

__all__ = ["Verdict", "check", "unreadable_values"]

_SECRET_VARIABLE = "SPARK_CACHE_ENCRYPTION_KEY"  # noqa: S105 - a variable name
_GIT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a check.

    Attributes:
        profile: The profile that was checked, or None for the built-in defaults.
        problems: Everything that must be fixed.
        warnings: Everything that may need attention.
    """

    profile: str | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def check(profile: Origin | None, context: ConfigContext, *, with_directory: bool = True) -> Verdict:
    """Check every layer of a profile, including shadowed values, guards, unknown variables and files with secrets.

    Args:
        profile: The profile to check. None selects the one from the environment.
        context: The context that the layers are read from.
        with_directory: Whether to check the cache directory as well.
    """
    resolution = resolve(profile, {}, context)
    ignored = resolution.dotenv.ignored if resolution.dotenv else ()
    problems = [
        *resolution.problems,
        *(warning for warning in resolution.warnings if warning not in ignored),
        *_shadowed_profiles(resolution),
        *(problem for source in resolution.sources for problem in unreadable_values(source)),
        *(_cache_dir(resolution) if with_directory else ()),
        *_secret_files(resolution),
        *_sensitive_without_key(resolution),
    ]
    name = resolution.choice.name or (None if profile is None else str(profile.raw))
    return Verdict(name, tuple(dict.fromkeys(problems)), (*ignored, *resolution.ignored))


def _shadowed_profiles(resolution: Resolution) -> Iterator[Problem]:
    """Yield unknown profile names that have no effect while a higher layer names another profile."""
    for origin in resolution.choice.origin.shadows:
        if isinstance(origin.raw, str) and resolution.profiles.find(origin.raw) is None:
            yield origin.problem(resolution.profiles.unknown_message(origin.raw))


def unreadable_values(source: Source) -> Iterator[Problem]:
    """Yield a problem for every invalid value of a layer, shadowed or not."""
    for name, setting in source.settings.items():
        try:
            if name in FIELDS:
                FIELDS[name].kind.parse(setting.value)
        except ValueError as error:
            yield setting.origin.problem(str(error))


def _cache_dir(resolution: Resolution) -> Iterator[Problem]:
    """Yield a problem if the cache directory exists and is not a directory."""
    folder = None if resolution.config is None else resolution.config.cache_dir
    if folder is not None and os.path.lexists(folder) and not os.path.isdir(folder):
        yield resolution.origins["cache_dir"].problem(f"{folder} is not a directory: choose another path")


def _secret_files(resolution: Resolution) -> Iterator[Problem]:
    """Yield a problem for every file with encryption keys that other users can read or git could commit."""
    dotenv = resolution.dotenv
    if dotenv is not None and dotenv.variables.get(_SECRET_VARIABLE):
        line = dotenv.lines[_SECRET_VARIABLE]
        mode = stat.S_IMODE(dotenv.path.stat().st_mode)
        if mode & 0o077:
            message = (
                f"this file contains an encryption key and is accessible to other users (mode {mode:04o}): "
                "run chmod 600 on it"
            )
            yield Problem(message, str(dotenv.path), line, _SECRET_VARIABLE)
        if _could_be_committed(dotenv.path):
            message = "this file contains an encryption key and git does not ignore it: add it to .gitignore"
            yield Problem(message, str(dotenv.path), line, _SECRET_VARIABLE)
    origin = resolution.origins["encryption_key_file"]
    path = None if resolution.config is None else resolution.config.encryption_key_file
    if path is not None and _could_be_committed(path):
        message = f"git does not ignore the key file {path}: add it to .gitignore, or move it elsewhere"
        yield origin.problem(message)


def _sensitive_without_key(resolution: Resolution) -> Iterator[Problem]:
    """Yield a problem for every rule that marks requests as sensitive although their entries cannot be encrypted."""
    config = resolution.config
    if config is None or not config.enabled or (config.encryption != "off" and config.fernet_keys()):
        return
    reason = "encryption is off" if config.encryption == "off" else "no encryption key is set"
    for number, rule in enumerate(config.rules):
        if ("sensitive", True) in rule.settings:
            models = f"{rule.provider or '*'}/{rule.model or '*'}"
            message = (
                f"the rule for {models} marks requests as sensitive, but {reason}: they are never cached. "
                "Provide a key, for example with SPARK_CACHE_ENCRYPTION_KEY_FILE"
            )
            yield origin_of(f"rules[{number}]", resolution.origins).problem(message)


def _could_be_committed(path: Path) -> bool:
    """Return whether a file is in a git work tree that does not ignore it; git never ignores a tracked file."""
    git = which("git", path=os.environ.get("PATH"))
    if git is None:
        return False
    # The exit code is 0 for an ignored file, 1 for any other file, and 128 outside a work tree.
    command = [git, "-C", str(path.parent), "check-ignore", "--quiet", path.name]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=_GIT_SECONDS)  # noqa: S603 - no shell
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 1

"""A thorough look at a configuration: what is wrong, also where it does no harm yet."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import dataclass
from shutil import which
from typing import TYPE_CHECKING

from spark_cache.config.fields import FIELDS
from spark_cache.config.resolve import Resolution, resolve
from spark_cache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spark_cache.config.context import ConfigContext
    from spark_cache.config.origins import Origin
    from spark_cache.config.sources import Source

__all__ = ["Verdict", "check", "unreadable_values"]

_SECRET_VARIABLE = "SPARK_CACHE_ENCRYPTION_KEY"  # noqa: S105 - the name of a variable
_GIT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    Attributes:
        profile: The profile that was checked; None for the built-in defaults.
        problems: What must be changed.
        warnings: What deserves a look.
    """

    profile: str | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def check(profile: Origin | None, around: ConfigContext) -> Verdict:
    """Check every layer of one profile: shadowed values, guards, variables nobody reads, and files of secrets.

    Args:
        profile: The profile to check; None leaves it to the environment.
        around: What the layers are read from.
    """
    resolution = resolve(profile, {}, around)
    ignored = resolution.dotenv.ignored if resolution.dotenv else ()
    problems = [
        *resolution.problems,
        *(notice for notice in resolution.notices if notice not in ignored),
        *_shadowed_profiles(resolution),
        *(problem for source in resolution.sources for problem in unreadable_values(source, around)),
        *_secret_files(resolution),
        *_sensitive_without_key(resolution),
    ]
    name = resolution.choice.name or (None if profile is None else str(profile.raw))
    return Verdict(name, tuple(dict.fromkeys(problems)), tuple(ignored))


def _shadowed_profiles(resolution: Resolution) -> Iterator[Problem]:
    """Names of profiles that are unknown, and do no harm while something above names another."""
    for origin in resolution.choice.origin.shadows:
        if isinstance(origin.raw, str) and resolution.profiles.find(origin.raw) is None:
            yield Problem(resolution.profiles.unknown(origin.raw), origin.source, origin.line, origin.name)


def unreadable_values(source: Source, around: ConfigContext) -> Iterator[Problem]:
    """The values of one layer that are refused, whether or not a higher layer shadows them."""
    for name, setting in source.settings.items():
        spec = FIELDS[name]
        try:
            if spec.is_path:
                setting.path(around)
            else:
                spec.parse(setting.raw)
        except ValueError as error:
            origin = setting.origin
            yield Problem(str(error), origin.source, origin.line, origin.name)


def _secret_files(resolution: Resolution) -> Iterator[Problem]:
    """Files that hold keys and could be read or committed by others."""
    dotenv = resolution.dotenv
    if dotenv is not None and dotenv.variables.get(_SECRET_VARIABLE):
        line = dotenv.lines[_SECRET_VARIABLE]
        mode = stat.S_IMODE(dotenv.path.stat().st_mode)
        if mode & 0o077:
            message = f"this file holds a key and is open to others (mode {mode:04o}): run chmod 600 on it"
            yield Problem(message, str(dotenv.path), line, _SECRET_VARIABLE)
        if _could_be_committed(dotenv.path):
            message = "this file holds a key and git does not ignore it: add it to .gitignore"
            yield Problem(message, str(dotenv.path), line, _SECRET_VARIABLE)
    origin = resolution.origins["encryption_key_file"]
    path = None if resolution.config is None else resolution.config.encryption_key_file
    if path is not None and _could_be_committed(path):
        message = f"git does not ignore the key file {path}: add it to .gitignore, or keep it elsewhere"
        yield Problem(message, origin.source, origin.line, origin.name)


def _sensitive_without_key(resolution: Resolution) -> Iterator[Problem]:
    """Rules that call requests sensitive where nothing could encrypt their answers."""
    config = resolution.config
    if config is None or not config.enabled or (config.encryption != "off" and config.fernet_keys()):
        return
    lacking = "encryption is off" if config.encryption == "off" else "there is no encryption key"
    origin = resolution.origins["rules"]
    for rule in config.rules:
        if ("sensitive", True) in rule.settings:
            models = f"{rule.provider or '*'}/{rule.model or '*'}"
            message = (
                f"the rule for {models} says sensitive, and {lacking}: its requests are never cached. "
                "Give a key, for example with SPARK_CACHE_ENCRYPTION_KEY_FILE"
            )
            yield Problem(message, origin.source, origin.line, "rules")


def _could_be_committed(path: Path) -> bool:
    """Whether a file lies in a git work tree that does not ignore it; a tracked file is never ignored."""
    git = which("git", path=os.environ.get("PATH"))
    if git is None:
        return False
    # git says 0 for an ignored file, 1 for any other, 128 outside of a work tree.
    command = [git, "-C", str(path.parent), "check-ignore", "--quiet", path.name]
    done = subprocess.run(command, check=False, capture_output=True, timeout=_GIT_SECONDS)  # noqa: S603 - no shell
    return done.returncode == 1

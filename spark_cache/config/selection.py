"""Which profile it is, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spark_cache.config.fields import PROFILE_VARIABLES
from spark_cache.config.origins import Origin
from spark_cache.config.values import shown
from spark_cache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spark_cache.config.dotenv import DotenvFile
    from spark_cache.config.profiles import Profiles

__all__ = ["ProfileChoice", "select_profile"]

_CAUTIOUS = "production"
"""Whose values are taken where the application's environment has a name of its own."""


@dataclass(frozen=True, slots=True)
class ProfileChoice:
    """The profile.

    Attributes:
        name: The profile, by its full name; None means the built-in defaults.
        origin: What named it, over what else would have.
        guarded: Whether its guards hold.
        problems: Why it cannot be used.
        notices: What deserves a warning.
    """

    name: str | None
    origin: Origin
    guarded: bool = True
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()


def select_profile(
    asked: Origin | None, environ: Mapping[str, str], dotenv: DotenvFile | None, profiles: Profiles
) -> ProfileChoice:
    """Choose by the first that names one: the code, the process environment, ``.env``.

    Args:
        asked: What the code asks for, where it does.
        environ: The process environment.
        dotenv: The ``.env`` file, where there is one.
        profiles: Where profiles are found.
    """
    named = [*([asked] if asked else ()), *_named_in(environ, None)]
    if dotenv is not None:
        named += _named_in(dotenv.variables, dotenv)
    if not named:
        return ProfileChoice(None, Origin("default"))
    winner = named[0].over(*named[1:], Origin("default"))
    written = str(winner.raw)
    found = profiles.find(written)
    if found is not None:
        note = None if found == written else f"{written} stands for {found}"
        return ProfileChoice(found, replace(winner, note=note))
    unknown = Problem(profiles.unknown(written), winner.source, winner.line, winner.name)
    if winner.name != "ENVIRONMENT":
        return ProfileChoice(None, winner, problems=(unknown,))
    # ENVIRONMENT belongs to the whole application: a name of its own there must not stop it.
    taken = f"the values of {_CAUTIOUS} are taken, without its guards"
    notice = replace(unknown, message=f"{unknown.message}; {taken}")
    origin = replace(winner, note=f"no profile is called {shown(written)}: {taken}")
    return ProfileChoice(_CAUTIOUS, origin, guarded=False, notices=(notice,))


def _named_in(variables: Mapping[str, str], file: DotenvFile | None) -> Iterator[Origin]:
    for variable in PROFILE_VARIABLES:
        raw = variables.get(variable, "").strip()
        if raw and file is None:
            yield Origin("environment", variable, raw=raw)
        elif raw and file is not None:
            yield Origin(".env", variable, file.path, file.lines[variable], raw=raw)

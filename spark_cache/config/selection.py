"""Select the profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spark_cache.config.fields import PROFILE_VARIABLES
from spark_cache.config.origins import Origin
from spark_cache.config.sources import variable_origin
from spark_cache.config.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spark_cache.config.dotenv import DotenvFile
    from spark_cache.config.profiles import Profiles
    from spark_cache.errors import Problem

__all__ = ["ProfileChoice", "select_profile"]

_FALLBACK = "production"
"""The profile whose values are used if ``ENVIRONMENT`` names no profile."""


class ProfileChoice(NamedTuple):
    """The selected profile.

    Attributes:
        name: The full name of the profile. None means the built-in defaults.
        origin: The origin of the name, with the names that it shadows.
        guarded: Whether the guards of the profile apply.
        problems: The reasons why the profile cannot be used.
        warnings: The warnings to log.
    """

    name: str | None
    origin: Origin
    guarded: bool = True
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def select_profile(
    selected: Origin | None, environ: Mapping[str, str], dotenv: DotenvFile | None, profiles: Profiles
) -> ProfileChoice:
    """Select the profile by the first source that names one: code, the process environment, ``.env``.

    Args:
        selected: The profile that code selects, if any.
        environ: The process environment.
        dotenv: The ``.env`` file, if there is one.
        profiles: The profiles that can be found.
    """
    named = [*([selected] if selected else ()), *_named_in(environ, None)]
    if dotenv is not None:
        named += _named_in(dotenv.variables, dotenv)
    if not named:
        return ProfileChoice(None, Origin("default"))
    winner = named[0].over(*named[1:], Origin("default"))
    written = str(winner.raw)
    found = profiles.find(written)
    if found is not None:
        note = None if found == written else f"{written} means {found}"
        return ProfileChoice(found, winner._replace(note=note))
    unknown = winner.problem(profiles.unknown_message(written))
    if winner.name != "ENVIRONMENT":
        return ProfileChoice(None, winner, problems=(unknown,))
    # ENVIRONMENT belongs to the whole application, so an unknown name there must not stop the application.
    fallback = f"the values of {_FALLBACK} are used, without its guards"
    warning = unknown._replace(message=f"{unknown.message}; {fallback}")
    origin = winner._replace(note=f"unknown profile {shown(written)}: {fallback}")
    return ProfileChoice(_FALLBACK, origin, guarded=False, warnings=(warning,))


def _named_in(variables: Mapping[str, str], file: DotenvFile | None) -> Iterator[Origin]:
    for variable in PROFILE_VARIABLES:
        if raw := variables.get(variable, "").strip():
            yield variable_origin(variable, raw, file)

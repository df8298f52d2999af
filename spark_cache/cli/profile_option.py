"""The profile that the command line selects."""

from __future__ import annotations

from spark_cache.config.origins import Origin

__all__ = ["asked", "named"]


def asked(profile: str | None) -> Origin | None:
    """Return the profile that ``--profile`` selects, or None if the option is not given.

    Args:
        profile: The value of the option.
    """
    return None if profile is None else named("--profile", profile)


def named(option: str, profile: str) -> Origin:
    """Return a profile that the command line selects.

    Args:
        option: The option or argument.
        profile: Its value.
    """
    return Origin("command line", option, raw=profile)

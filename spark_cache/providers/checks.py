"""Checks of the parameters of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["refuse_reserved", "refuse_stream"]


def refuse_reserved(parameters: Mapping[str, Any], names: frozenset[str]) -> None:
    """Refuse parameters that a model or its messages set.

    Args:
        parameters: The parameters of a call.
        names: The reserved names.

    Raises:
        TypeError: A reserved name is among the parameters.
    """
    if not names.isdisjoint(parameters):
        name = next(name for name in parameters if name in names)
        raise TypeError(
            f"{name!r} is not a parameter of a call: give it to the model, or as an argument of get_text"
        )


def refuse_stream(parameters: dict[str, Any]) -> None:
    """Refuse the parameter ``stream=True``. Any other value of ``stream`` is removed.

    Args:
        parameters: The parameters of a call.

    Raises:
        TypeError: ``stream`` is true.
    """
    if parameters.pop("stream", None):
        raise TypeError("leave out stream=True: call stream_text for a stream, get_text for a whole response")

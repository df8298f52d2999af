"""What single calls of other people's clients ask of the cache: a context variable, or headers of the request."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.calls.request import DEFAULT_MODE, mode_of_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spark_cache.types import Mode

__all__ = ["HEADER", "CallOptions", "options", "options_of"]

HEADER = "x-spark-cache"
"""The header of a request that asks for a mode, and of a response that says what it came to. Others begin with it."""

_SAMPLE, _SENSITIVE = f"{HEADER}-sample", f"{HEADER}-sensitive"
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


class CallOptions(NamedTuple):
    """What a call asks of the cache.

    Attributes:
        mode: The mode; None is the configured one.
        sample: The number of this sample.
        sensitive: Whether the entry must be encrypted.
    """

    mode: Mode | None = None
    sample: int | None = None
    sensitive: bool | None = None


_current: ContextVar[CallOptions] = ContextVar("spark_cache_options", default=CallOptions())  # noqa: B039 - immutable


@contextmanager
def options(
    *, cache: str = DEFAULT_MODE, sample: int | None = None, sensitive: bool | None = None
) -> Iterator[None]:
    """Set, for the calls of other people's code in a block, what a model of this library takes as arguments.

    The options apply to the calls of a client that goes through the cache, in this task or thread and in those it starts. A
    nested block replaces what it names.

    Args:
        cache: What the calls may do with the cache: a mode, or ``default``.
        sample: The number of this sample.
        sensitive: Whether the entries must be encrypted.

    Raises:
        ValueError: ``cache`` is not a mode, or ``sample`` is not a number of at least 0.
    """
    if sample is not None and (not isinstance(sample, int) or isinstance(sample, bool) or sample < 0):
        raise ValueError(f"sample must be a number of at least 0, not {sample!r}")
    outer = _current.get()
    mode = mode_of_call(cache)
    token = _current.set(
        CallOptions(
            outer.mode if mode is None else mode,
            outer.sample if sample is None else sample,
            outer.sensitive if sensitive is None else sensitive,
        )
    )
    try:
        yield
    finally:
        _current.reset(token)


def options_of(headers: Mapping[str, str]) -> CallOptions:
    """Return the options of a request: those of its headers, and otherwise those of the block it is in.

    Args:
        headers: The headers of the request, with names in lower case.

    Raises:
        ValueError: A header does not have a possible value.
    """
    outer = _current.get()
    mode, sample, sensitive = headers.get(HEADER), headers.get(_SAMPLE), headers.get(_SENSITIVE)
    if mode is None and sample is None and sensitive is None:
        return outer
    if sample is not None and not sample.isdecimal():
        raise ValueError(f"the header {_SAMPLE} must be a number of at least 0, not {sample!r}")
    if sensitive is not None and sensitive.lower() not in _TRUE | _FALSE:
        raise ValueError(f"the header {_SENSITIVE} must be true or false, not {sensitive!r}")
    try:
        asked = None if mode is None else mode_of_call(mode.lower())
    except ValueError as error:
        raise ValueError(f"the header {HEADER}: {error}") from None
    return CallOptions(
        outer.mode if mode is None else asked,
        outer.sample if sample is None else int(sample),
        outer.sensitive if sensitive is None else sensitive.lower() in _TRUE,
    )

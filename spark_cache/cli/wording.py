"""Numbers as people read them."""

from __future__ import annotations

__all__ = ["counted", "harmless", "left_text", "seconds_text", "share_text", "size_text", "span_text"]

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_STEP = 1024
_ONE_DECIMAL_BELOW = 10


def span_text(seconds: float) -> str:
    """A span of time in its two largest units: ``41s``, ``2m 5s``, ``23h 59m``, ``6d``; ``-`` before a negative one."""
    rest = round(abs(seconds))
    parts = []
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
    sign = "-" if seconds < 0 and parts else ""
    return sign + (" ".join(parts[:2]) or "0s")


def left_text(seconds: float | None) -> str:
    """The time that an entry has left; None is for ever."""
    if seconds is None:
        return "for ever"
    return span_text(seconds) if seconds > 0 else "expired"


def seconds_text(seconds: float) -> str:
    """A measured time: ``3.4 ms``, ``0.61 s``, ``12.3 s``."""
    if seconds < 0.1:  # noqa: PLR2004 - below a tenth of a second, milliseconds say more
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.2f} s" if seconds < _ONE_DECIMAL_BELOW else f"{seconds:.1f} s"


def size_text(size_bytes: int) -> str:
    """A size in units of 1024: ``512 B``, ``4.0 KB``, ``120 MB``."""
    size, unit = float(size_bytes), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < _STEP:
            break
        size, unit = size / _STEP, larger
    return f"{size:.1f} {unit}" if size < _ONE_DECIMAL_BELOW and unit != "B" else f"{size:.0f} {unit}"


def share_text(share: float) -> str:
    """A share of one as a percentage: ``67%``."""
    return f"{share:.0%}"


def counted(number: int, one: str, many: str) -> str:
    """A number with its noun: ``1 entry``, ``1,204 entries``."""
    return f"{number:,} {one if number == 1 else many}"


def harmless(text: str) -> str:
    """Text without control characters: what stands in an entry must not steer the terminal."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else repr(character)[1:-1]
        for character in text
    )

"""Numbers as people read them."""

from __future__ import annotations

__all__ = [
    "bar_text",
    "counted",
    "dollars_text",
    "harmless",
    "left_text",
    "seconds_text",
    "share_text",
    "size_text",
    "span_text",
    "waiting_text",
]

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_STEP = 1024
_ONE_DECIMAL_BELOW = 10
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


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


def waiting_text(seconds: float) -> str:
    """A time that was not spent, from milliseconds to days; ``-`` where there is none."""
    if not seconds:
        return "-"
    return seconds_text(seconds) if seconds < 60 else span_text(seconds)  # noqa: PLR2004 - a minute


def dollars_text(dollars: float | None) -> str:
    """An amount of money: ``$1,204.50``, ``$0.0125``, ``<$0.0001``; None is ``unknown``."""
    if dollars is None:
        return "unknown"
    if 0 < dollars < 0.0001:  # noqa: PLR2004 - the least that is shown
        return "<$0.0001"
    return f"${dollars:.4f}" if 0 < dollars < 1 else f"${dollars:,.2f}"


def bar_text(share: float, width: int) -> str:
    """A bar for a share of one, in eighths of a character; anything above zero can be seen."""
    whole, rest = divmod(max(round(share * width * 8), 1 if share else 0), 8)
    return "█" * whole + _EIGHTHS[rest]


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

"""Format numbers, sizes and durations as readable text."""

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
    """Format a duration in its two largest units: ``41s``, ``2m 5s``, ``23h 59m``, ``6d``, ``-1m 30s``.

    Args:
        seconds: The duration.
    """
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
    """Format the time until an entry expires.

    Args:
        seconds: The time, or None if the entry never expires.
    """
    if seconds is None:
        return "no limit"
    return span_text(seconds) if seconds > 0 else "expired"


def seconds_text(seconds: float) -> str:
    """Format a measured time: ``3.4 ms``, ``0.61 s``, ``12.3 s``.

    Args:
        seconds: The time.
    """
    if seconds < 0.1:  # noqa: PLR2004 - milliseconds are more precise here
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.2f} s" if seconds < _ONE_DECIMAL_BELOW else f"{seconds:.1f} s"


def waiting_text(seconds: float) -> str:
    """Format a saved time, from milliseconds to days. Zero is shown as ``-``.

    Args:
        seconds: The time.
    """
    if not seconds:
        return "-"
    return seconds_text(seconds) if seconds < 60 else span_text(seconds)  # noqa: PLR2004 - a minute


def dollars_text(dollars: float | None) -> str:
    """Format an amount of money: ``$1,204.50``, ``$0.0125``, ``<$0.0001``.

    Args:
        dollars: The amount. None is shown as ``unknown``.
    """
    if dollars is None:
        return "unknown"
    if 0 < dollars < 0.0001:  # noqa: PLR2004 - the smallest amount shown
        return "<$0.0001"
    return f"${dollars:.4f}" if 0 < dollars < 1 else f"${dollars:,.2f}"


def bar_text(share: float, width: int) -> str:
    """Draw a bar in steps of an eighth of a character. Any share above zero is visible.

    Args:
        share: The length, from 0 to 1.
        width: The number of characters for a share of 1.
    """
    whole, rest = divmod(max(round(share * width * 8), 1 if share else 0), 8)
    return "█" * whole + _EIGHTHS[rest]


def size_text(size_bytes: int) -> str:
    """Format a size in units of 1024: ``512 B``, ``4.0 KB``, ``120 MB``.

    Args:
        size_bytes: The size.
    """
    size, unit = float(size_bytes), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < _STEP:
            break
        size, unit = size / _STEP, larger
    return f"{size:.1f} {unit}" if size < _ONE_DECIMAL_BELOW and unit != "B" else f"{size:.0f} {unit}"


def share_text(share: float) -> str:
    """Format a share as a percentage: ``67%``.

    Args:
        share: The share, from 0 to 1.
    """
    return f"{share:.0%}"


def counted(number: int, one: str, many: str) -> str:
    """Format a number with its noun: ``1 entry``, ``1,204 entries``.

    Args:
        number: The number.
        one: The singular noun.
        many: The plural noun.
    """
    return f"{number:,} {one if number == 1 else many}"


def harmless(text: str) -> str:
    """Escape control characters, so that the content of an entry cannot control the terminal.

    Args:
        text: The text. Newlines and tabs are kept.
    """
    return "".join(
        character if character.isprintable() or character in "\n\t" else repr(character)[1:-1]
        for character in text
    )

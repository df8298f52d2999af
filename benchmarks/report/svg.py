"""The subset of SVG that the charts need."""

from __future__ import annotations

import math
from html import escape

__all__ = ["Drawing", "LogScale", "time_label"]

_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #333 }
  .title { font-weight: 600 } .minor { fill: #777; font-size: 11px } .grid { stroke: #ddd }
  .spark { fill: #c2410c; stroke: #c2410c } .limit { fill: #777; stroke: #777 } .peer { fill: #2563a8; stroke: #2563a8 }
  .line { fill: none; stroke-width: 2 } .whisker { stroke-width: 2; opacity: .45 }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd } .minor { fill: #999 } .grid { stroke: #444 }
    .spark { fill: #fb923c; stroke: #fb923c } .limit { fill: #999; stroke: #999 } .peer { fill: #7cb3ee; stroke: #7cb3ee }
    .line { fill: none }
  }
"""


class LogScale:
    """A logarithmic scale from one power of ten to another.

    Args:
        low: The smallest value to show.
        high: The largest value to show.
        start: The coordinate of the lowest power of ten.
        end: The coordinate of the highest power of ten.
    """

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._first = math.floor(math.log10(low))
        self._last = max(math.ceil(math.log10(high)), self._first + 1)
        self._start, self._end = start, end

    @property
    def ticks(self) -> list[float]:
        """The powers of ten on the scale."""
        return [10.0**power for power in range(self._first, self._last + 1)]

    def at(self, value: float) -> float:
        """Return the coordinate of a value.

        Args:
            value: The value.
        """
        part = (math.log10(value) - self._first) / (self._last - self._first)
        return self._start + part * (self._end - self._start)


class Drawing:
    """An SVG drawing with its origin at the top left.

    Args:
        width: The width, in pixels.
        height: The height, in pixels.
        title: A description for readers who cannot see the drawing.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
        ]

    def text(self, x: float, y: float, text: str, *, kind: str = "", anchor: str = "start") -> None:
        """Add text.

        Args:
            x: The horizontal position of the anchor.
            y: The vertical position of the baseline.
            text: The text.
            kind: The CSS classes.
            anchor: ``start``, ``middle`` or ``end``.
        """
        self._parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, *, kind: str) -> None:
        """Add a straight line.

        Args:
            x1: The horizontal position of the start.
            y1: The vertical position of the start.
            x2: The horizontal position of the end.
            y2: The vertical position of the end.
            kind: The CSS classes.
        """
        self._parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def path(self, points: list[tuple[float, float]], *, kind: str) -> None:
        """Add a line through points.

        Args:
            points: The points, as pairs of horizontal and vertical position.
            kind: The CSS classes.
        """
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline class="{kind}" points="{joined}"/>')

    def dot(self, x: float, y: float, *, kind: str) -> None:
        """Add a dot.

        Args:
            x: The horizontal position.
            y: The vertical position.
            kind: The CSS classes.
        """
        self._parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4" stroke="none"/>')

    def __str__(self) -> str:
        """Return the content of the SVG file."""
        return "\n".join([*self._parts, "</svg>", ""])


def time_label(seconds: float) -> str:
    """Format a time that is a power of ten, such as ``10 µs``.

    Args:
        seconds: The time, in seconds.
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size * 0.999:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 1e-6:g} µs"

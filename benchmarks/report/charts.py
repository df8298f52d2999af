"""Two charts: the time of a call by cache, and by number of entries. The time axes are logarithmic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.calls import ROWS
from benchmarks.contenders import CONTENDERS
from benchmarks.growth import FIGURES
from benchmarks.report.svg import Drawing, LogScale, time_label

if TYPE_CHECKING:
    from benchmarks.results import Results, Series

__all__ = ["calls_chart", "growth_chart"]

_ROWS = ("small", "messages", "image", "image again", "put")
_DRAWN = {"limit": "limit", "spark": "spark", "diskcache": "peer"}

_NAMES, _PANEL, _GAP, _TOP, _LINE = 190, 168, 20, 44, 24
_GROWTH_PANEL, _GROWTH_GAP, _GROWTH_LEFT, _GROWTH_HEIGHT = 165, 58, 50, 190


def calls_chart(results: Results) -> str:
    """Return a chart with a row for each cache and a panel for each call; dots are medians, bars span all rounds.

    Args:
        results: The results of the run.
    """
    names = [name for name in CONTENDERS if any(name in results.calls.get(row, {}) for row in _ROWS)]
    height = _TOP + _LINE * len(names) + 24
    drawing = Drawing(
        _NAMES + len(_ROWS) * (_PANEL + _GAP), height, "Time of hits and puts, by cache and request"
    )
    bottom = height - 24
    for line, name in enumerate(names):
        drawing.text(0, _TOP + _LINE * (line + 0.5) + 4, CONTENDERS[name])
    every = [series for row in _ROWS for series in results.calls.get(row, {}).values()]
    low, high = min(series.low for series in every), max(series.high for series in every)
    for panel, row in enumerate(_ROWS):
        left = _NAMES + panel * (_PANEL + _GAP)
        scale = LogScale(low, high, left, left + _PANEL)
        drawing.text(left, 16, ROWS[row], kind="title")
        for tick in scale.ticks:
            drawing.line(scale.at(tick), _TOP - 8, scale.at(tick), bottom, kind="grid")
        for tick in scale.ticks[::2]:
            drawing.text(scale.at(tick), bottom + 16, time_label(tick), kind="minor", anchor="middle")
        for line, name in enumerate(names):
            series = results.calls.get(row, {}).get(name)
            if series is not None:
                _dot(drawing, scale, series, _TOP + _LINE * (line + 0.5), _kind(name))
    return str(drawing)


def growth_chart(results: Results) -> str:
    """Return a chart with a panel for each figure and a line for each cache, by number of entries.

    Args:
        results: The results of the run.
    """
    step = _GROWTH_PANEL + _GROWTH_GAP
    drawing = Drawing(
        _GROWTH_LEFT + len(FIGURES) * step,
        _GROWTH_HEIGHT + 92,
        "Hits, puts, counts and cleanup, by number of entries",
    )
    sizes = list(results.growth)
    top, bottom = 44, 44 + _GROWTH_HEIGHT
    for panel, (figure, title) in enumerate(FIGURES.items()):
        left = _GROWTH_LEFT + panel * step
        lines = {
            name: {
                size: grown.figures[figure][name].median
                for size, grown in results.growth.items()
                if name in grown.figures.get(figure, {})
            }
            for name in _DRAWN
        }
        values = [value for line in lines.values() for value in line.values()]
        if not values:
            continue
        across = LogScale(min(sizes), max(sizes), left, left + _GROWTH_PANEL)
        up = LogScale(min(values), max(values), bottom, top)
        drawing.text(left, 16, title, kind="title")
        for tick in up.ticks:
            drawing.line(left, up.at(tick), left + _GROWTH_PANEL, up.at(tick), kind="grid")
            drawing.text(left - 6, up.at(tick) + 4, time_label(tick), kind="minor", anchor="end")
        for tick in across.ticks:
            drawing.text(across.at(tick), bottom + 16, f"{tick:,.0f}", kind="minor", anchor="middle")
        for name, line in lines.items():
            points = [(across.at(size), up.at(value)) for size, value in line.items()]
            drawing.path(points, kind=f"line {_kind(name)}")
            for x, y in points:
                drawing.dot(x, y, kind=_kind(name))
    for position, (name, kind) in enumerate(_DRAWN.items()):
        x = _GROWTH_LEFT + position * 220
        drawing.dot(x, bottom + 40, kind=kind)
        drawing.text(x + 10, bottom + 44, CONTENDERS[name])
    return str(drawing)


def _dot(drawing: Drawing, scale: LogScale, series: Series, y: float, kind: str) -> None:
    drawing.line(scale.at(series.low), y, scale.at(series.high), y, kind=f"whisker {kind}")
    drawing.dot(scale.at(series.median), y, kind=kind)


def _kind(name: str) -> str:
    if name.startswith("spark"):
        return "spark"
    return "limit" if name == "limit" else "peer"

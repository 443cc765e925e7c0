"""Panels of curves over one another, as SVG.

Strategy: a page of text with lines in it, written by hand: it needs no
library, can be read in a diff, and follows the reader's dark or light mode.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, PANEL_HEIGHT, GAP = 760, 190, 58
LEFT, RIGHT, TOP = 70, 20, 64
TICKS = 5
COLOURS = ("#2a78d6", "#d9600e", "#1a8f5a", "#9b4dca")

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600; font-size: 13px } .paper { fill: #fff }
.grid { stroke: #ddd } .axis { stroke: #888 } .knee { stroke: #888; stroke-dasharray: 4 4 }
.line { fill: none; stroke-width: 2 } .thin { stroke-dasharray: 5 4 }
@media (prefers-color-scheme: dark) {
text { fill: #ccc } .paper { fill: #16181d } .grid { stroke: #333 } .axis, .knee { stroke: #888 } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line of a panel.

    Attributes:
        colour: Of the line.
        points: Place and value, in order.
        is_dashed: Whether the line is.
        has_line: Whether there is a line at all.
        has_dots: Whether each point is a dot.
    """

    colour: str
    points: Sequence[tuple[float, float]]
    is_dashed: bool = False
    has_line: bool = True
    has_dots: bool = True


@dataclass(frozen=True, slots=True)
class Axis:
    """What values are where.

    Attributes:
        ticks: The values that get a line, the lowest first.
        is_log: Whether equal factors, not equal differences, are equally far apart.
    """

    ticks: Sequence[float]
    is_log: bool

    def height(self, value: float) -> float:
        """Return where a value lies: 0 at the bottom, 1 at the top."""
        low, high = self.ticks[0], self.ticks[-1]
        if not self.is_log:
            return (value - low) / (high - low)
        return (log10(max(value, low)) - log10(low)) / (log10(high) - log10(low))


def linear_axis(values: Sequence[float]) -> Axis:
    """Return an axis from 0 to a round number that holds all values."""
    most = nice_ceiling(max(values))
    return Axis([most * tick / TICKS for tick in range(TICKS + 1)], is_log=False)


def log_axis(values: Sequence[float]) -> Axis:
    """Return an axis of whole powers of ten that holds all values above 0."""
    positive = [value for value in values if value > 0] or [1.0]
    low = floor(log10(min(positive)))
    high = max(low + 1, ceil(log10(max(positive))))
    return Axis([10.0**power for power in range(low, high + 1)], is_log=True)


@dataclass(frozen=True, slots=True)
class Panel:
    """What is drawn over one axis.

    Attributes:
        title: What the values are, and their unit.
        curves: The lines.
        axis: Where values are.
    """

    title: str
    curves: Sequence[Curve]
    axis: Axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Panels over the same places.

    Attributes:
        summary: What it says, for those who do not see it.
        legend: What each colour means.
        mark: What the vertical lines mean.
        marks: Where they are.
        panels: From the top.
        places: What the horizontal axis is.
        most: Where it ends; it begins at 0.
    """

    summary: str
    legend: Mapping[str, str]
    mark: str
    marks: Sequence[float]
    panels: Sequence[Panel]
    places: str
    most: float


def draw(picture: Picture) -> str:
    """Return the picture as SVG."""
    height = TOP + len(picture.panels) * (PANEL_HEIGHT + GAP)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(picture.summary)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        *_legend(picture),
    ]
    for place, panel in enumerate(picture.panels):
        top = TOP + place * (PANEL_HEIGHT + GAP)
        parts += _panel(top, panel, picture.most)
        parts += _marks(top, picture)
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 8}" text-anchor="middle">'
        f"{escape(picture.places)}</text>"
    )
    return "\n".join([*parts, "</svg>", ""])


def _legend(picture: Picture) -> list[str]:
    parts, x = [], LEFT
    for name, colour in picture.legend.items():
        parts.append(
            f'<line class="line" x1="{x}" x2="{x + 24}" y1="22" y2="22" stroke="{colour}"/>'
        )
        parts.append(f'<text x="{x + 30}" y="26">{escape(name)}</text>')
        x += 60 + 7 * len(name)
    parts.append(
        f'<line class="knee" x1="{x}" x2="{x + 24}" y1="22" y2="22"/>'
        f'<text x="{x + 30}" y="26">{escape(picture.mark)}</text>'
    )
    return parts


def _panel(top: int, panel: Panel, most: float) -> list[str]:
    bottom = top + PANEL_HEIGHT
    parts = [f'<text class="title" x="{LEFT}" y="{top - 8}">{escape(panel.title)}</text>']
    for value in panel.axis.ticks:
        y = bottom - PANEL_HEIGHT * panel.axis.height(value)
        kind = "axis" if value == panel.axis.ticks[0] else "grid"
        parts.append(
            f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:g}" y2="{y:g}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:g}" text-anchor="end">{value:,g}</text>'
        )
    for tick in range(TICKS + 1):
        place = most * tick / TICKS
        parts.append(
            f'<text x="{_x(place, most):g}" y="{bottom + 18}" '
            f'text-anchor="middle">{round(place, 1):g}</text>'
        )
    for curve in panel.curves:
        points = [
            (_x(place, most), round(bottom - PANEL_HEIGHT * panel.axis.height(value), 1))
            for place, value in curve.points
        ]
        if curve.has_line:
            kind = "line thin" if curve.is_dashed else "line"
            path = " ".join(f"{x},{y}" for x, y in points)
            parts.append(f'<polyline class="{kind}" stroke="{curve.colour}" points="{path}"/>')
        if curve.has_dots:
            parts += [f'<circle fill="{curve.colour}" r="3" cx="{x}" cy="{y}"/>' for x, y in points]
    return parts


def _marks(top: int, picture: Picture) -> list[str]:
    return [
        f'<line class="knee" x1="{_x(place, picture.most):g}" x2="{_x(place, picture.most):g}" '
        f'y1="{top}" y2="{top + PANEL_HEIGHT}"/>'
        for place in picture.marks
    ]


def _x(place: float, most: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * place / most, 1)


def nice_ceiling(value: float) -> float:
    """Return the least of 1, 2, 2.5, 5 times a power of ten that is not below the value."""
    if value <= 0:
        return 1.0
    power = 10.0 ** ceil(log10(value) - 1)
    return next(
        (step * power for step in (1, 2, 2.5, 5, 10) if value <= step * power * (1 + 1e-9)),
        10 * power,
    )

"""A ramp as a picture: three panels over the number of users, as SVG.

Strategy: a page of text with lines in it, written by hand: it needs no
library, can be read in a diff, and follows the reader's dark or light mode.
Times are on a logarithmic axis, or a median of one millisecond would lie on the
floor beneath a p99 of a hundred.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from load.steps import Knee, Step

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
        points: Users and value, in order.
        is_dashed: Whether the line is.
    """

    colour: str
    points: Sequence[tuple[float, float]]
    is_dashed: bool = False


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


def draw_ramp(ramps: Mapping[str, Sequence[Step]], knees: Mapping[str, Knee]) -> str:
    """Return the picture.

    Args:
        ramps: Each contender's name and its steps.
        knees: Where each of them bends, where that is known.
    """
    colours = dict(zip(ramps, COLOURS, strict=False))

    def curves(value: Callable[[Step], float], *, dashed: bool = False) -> list[Curve]:
        return [
            Curve(
                colour=colours[name],
                points=[(step.users, value(step)) for step in steps],
                is_dashed=dashed,
            )
            for name, steps in ramps.items()
        ]

    times = curves(lambda step: step.p50_ms, dashed=True) + curves(lambda step: step.p99_ms)
    panels = (
        ("requests per second", curves(lambda step: step.rate), linear_axis),
        ("milliseconds: p50 dashed, p99 solid", times, log_axis),
        (
            "failed requests per second",
            curves(lambda step: step.failures / step.seconds),
            linear_axis,
        ),
    )
    most_users = max(step.users for steps in ramps.values() for step in steps)
    height = TOP + len(panels) * (PANEL_HEIGHT + GAP)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(_summary(ramps, knees))}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        *_legend(colours),
    ]
    for place, (title, lines, make_axis) in enumerate(panels):
        top = TOP + place * (PANEL_HEIGHT + GAP)
        axis = make_axis([value for curve in lines for _, value in curve.points])
        parts += _panel(top, title, axis, lines, most_users)
        parts += _knee_lines(top, knees, most_users)
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 8}" text-anchor="middle">users</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def _summary(ramps: Mapping[str, Sequence[Step]], knees: Mapping[str, Knee]) -> str:
    words = [
        f"{name}: knee at {knees[name].step.users} users, {knees[name].step.rate:,.0f} requests/s"
        for name in ramps
        if name in knees
    ]
    return "A ramp of users. " + "; ".join(words)


def _legend(colours: Mapping[str, str]) -> list[str]:
    parts, x = [], LEFT
    for name, colour in colours.items():
        parts.append(
            f'<line class="line" x1="{x}" x2="{x + 24}" y1="22" y2="22" stroke="{colour}"/>'
        )
        parts.append(f'<text x="{x + 30}" y="26">{escape(name)}</text>')
        x += 60 + 7 * len(name)
    parts.append(
        f'<line class="knee" x1="{x}" x2="{x + 24}" y1="22" y2="22"/>'
        f'<text x="{x + 30}" y="26">knee</text>'
    )
    return parts


def _panel(top: int, title: str, axis: Axis, curves: Sequence[Curve], most_users: int) -> list[str]:
    bottom = top + PANEL_HEIGHT
    parts = [f'<text class="title" x="{LEFT}" y="{top - 8}">{escape(title)}</text>']
    for value in axis.ticks:
        y = bottom - PANEL_HEIGHT * axis.height(value)
        kind = "axis" if value == axis.ticks[0] else "grid"
        parts.append(
            f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:g}" y2="{y:g}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:g}" text-anchor="end">{value:,g}</text>'
        )
    for tick in range(TICKS + 1):
        users = most_users * tick / TICKS
        parts.append(
            f'<text x="{_x(users, most_users):g}" y="{bottom + 18}" '
            f'text-anchor="middle">{users:g}</text>'
        )
    for curve in curves:
        places = [
            (_x(users, most_users), round(bottom - PANEL_HEIGHT * axis.height(value), 1))
            for users, value in curve.points
        ]
        kind = "line thin" if curve.is_dashed else "line"
        points = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline class="{kind}" stroke="{curve.colour}" points="{points}"/>')
        parts += [f'<circle fill="{curve.colour}" r="3" cx="{x}" cy="{y}"/>' for x, y in places]
    return parts


def _knee_lines(top: int, knees: Mapping[str, Knee], most_users: int) -> list[str]:
    places = sorted({knee.step.users for knee in knees.values() if knee.is_reached})
    return [
        f'<line class="knee" x1="{_x(users, most_users):g}" x2="{_x(users, most_users):g}" '
        f'y1="{top}" y2="{top + PANEL_HEIGHT}"/>'
        for users in places
    ]


def _x(users: float, most_users: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * users / most_users, 1)


def nice_ceiling(value: float) -> float:
    """Return the least of 1, 2, 2.5, 5 times a power of ten that is not below the value."""
    if value <= 0:
        return 1.0
    power = 10.0 ** ceil(log10(value) - 1)
    return next(
        (step * power for step in (1, 2, 2.5, 5, 10) if value <= step * power * (1 + 1e-9)),
        10 * power,
    )

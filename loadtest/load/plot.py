"""A ramp as a picture: three panels over the number of users.

Times are on a logarithmic axis, or a median of one millisecond would lie on the
floor beneath a p99 of a hundred.
"""

from collections.abc import Callable, Mapping, Sequence

from load.panels import COLOURS, Axis, Curve, Panel, Picture, draw, linear_axis, log_axis
from load.steps import Knee, Step


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
    failures = curves(lambda step: step.failures / step.seconds)
    return draw(
        Picture(
            summary=_summary(ramps, knees),
            legend=colours,
            mark="knee",
            marks=sorted({knee.step.users for knee in knees.values() if knee.is_reached}),
            panels=[
                _panel("requests per second", curves(lambda step: step.rate), linear_axis),
                _panel("milliseconds: p50 dashed, p99 solid", times, log_axis),
                _panel("failed requests per second", failures, linear_axis),
            ],
            places="users",
            most=max(step.users for steps in ramps.values() for step in steps),
        )
    )


def _panel(
    title: str, curves: Sequence[Curve], make_axis: Callable[[Sequence[float]], Axis]
) -> Panel:
    return Panel(title, curves, make_axis([value for curve in curves for _, value in curve.points]))


def _summary(ramps: Mapping[str, Sequence[Step]], knees: Mapping[str, Knee]) -> str:
    words = [
        f"{name}: knee at {knees[name].step.users} users, {knees[name].step.rate:,.0f} requests/s"
        for name in ramps
        if name in knees
    ]
    return "A ramp of users. " + "; ".join(words)

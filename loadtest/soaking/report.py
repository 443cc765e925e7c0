"""What is told of a soak: a picture and a section of a Markdown file. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from load.panels import COLOURS, Curve, Panel, Picture, draw, linear_axis

from soaking.sample import Sample
from soaking.verdict import Limits, Verdict

BEGIN = "<!-- soak: begin; written by loadtest/soak.py -->"
END = "<!-- soak: end -->"
POINTS = 300
"""About so many to a line: more could not be told from each other."""

_LOADED, _QUIET = COLOURS[:2]
_MILLION, _MEBI = 10**6, 2**20


def draw_soak(samples: Sequence[Sample]) -> str:
    """Return memory, descriptors and speed over the commands, as SVG.

    Args:
        samples: All, the last of a proxy without clients.
    """
    quiet = [sample for sample in samples if sample.is_quiet]
    loaded = [sample for sample in samples[:-1] if not sample.is_quiet and not sample.event]
    loaded = loaded[:: max(1, len(loaded) // POINTS)]

    def panel(title: str, value: Callable[[Sample], float]) -> Panel:
        curves = [
            Curve(colour=_LOADED, points=_points(loaded, value), has_dots=False),
            Curve(colour=_QUIET, points=_points(quiet, value), has_line=False),
        ]
        return Panel(title, curves, linear_axis([value(sample) for sample in samples]))

    speeds = [
        (later.commands / _MILLION, _rate(earlier, later)) for earlier, later in pairwise(quiet)
    ]
    speed = Panel(
        "thousand commands per second, a round's mean",
        [Curve(colour=_LOADED, points=speeds, has_dots=False)],
        linear_axis([rate for _, rate in speeds]),
    )
    return draw(
        Picture(
            summary=(
                f"A soak of {samples[-1].commands:,} commands: resident memory at rest "
                f"{quiet[0].resident_bytes / _MEBI:.1f} MiB at first, "
                f"{quiet[-1].resident_bytes / _MEBI:.1f} MiB at the end"
            ),
            legend={"under load": _LOADED, "at rest": _QUIET},
            mark="failover, or slots move",
            marks=[sample.commands / _MILLION for sample in samples if sample.event],
            panels=[
                panel("resident memory, MiB", lambda sample: sample.resident_bytes / _MEBI),
                panel("open descriptors", lambda sample: sample.descriptors),
                speed,
            ],
            places="million commands",
            most=samples[-1].commands / _MILLION,
        )
    )


def write_markdown(
    facts: Mapping[str, str],
    samples: Sequence[Sample],
    verdict: Verdict,
    limits: Limits,
    picture: str,
) -> str:
    """Return the section: circumstances, figures, the picture.

    Args:
        facts: Date, machine, command and so on, in their order.
        samples: All.
        verdict: On them.
        limits: That it was judged by.
        picture: Where the plot is, relative to the Markdown file.
    """
    end = samples[-1]
    rows = {
        "commands, each answered as by a standalone server": f"{end.commands:,}",
        "clients that came and went": f"{end.visits:,}",
        "connections at a time": f"up to {max(sample.connections for sample in samples):,}",
        "failovers · times that 200 slots moved": " · ".join(
            f"{sum(sample.event == event for sample in samples)}"
            for event in ("failover", "slots move")
        ),
        "seconds · the proxy's CPU": f"{end.seconds:,.0f} · {end.cpu_s:,.0f}",
        "resident memory under load": (
            f"up to {max(sample.resident_bytes for sample in samples) / _MEBI:.1f} MiB"
        ),
        "resident memory at rest": (
            f"{_mebi(verdict.warm)} after {verdict.warm.commands:,} commands, "
            f"{_mebi(verdict.last)} after {verdict.last.commands:,}"
        ),
        "growth by the slope · between thirds": (
            f"{verdict.growth_bytes / _MEBI:.2f} MiB · {verdict.shift_bytes / _MEBI:.2f} MiB "
            f"(limit {limits.growth_bytes / _MEBI:g} MiB)"
        ),
        "growth a command": f"{verdict.bytes_per_command:.4f} bytes",
        "least leak that would be found": smallest_leak(verdict, limits),
        "descriptors at rest but for clients and nodes": (
            f"{verdict.warm.other_descriptors}, {verdict.last.other_descriptors} at the end"
        ),
        "connections to nodes at rest": (
            f"{verdict.warm.node_connections}, {verdict.last.node_connections} at the end"
        ),
    }
    verdict_line = "; ".join(verdict.problems) or "nothing grew"
    return "\n".join(
        [
            *(f"- {name}: {value}" for name, value in facts.items()),
            f"- verdict: {verdict_line}",
            "",
            f"![Memory, descriptors and speed over the commands]({picture})",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in rows.items()),
        ]
    )


def smallest_leak(verdict: Verdict, limits: Limits) -> str:
    """Return what the limit comes to for a command and for a visit."""
    commands = verdict.last.commands - verdict.warm.commands
    visits = verdict.last.visits - verdict.warm.visits
    return (
        f"{limits.growth_bytes / commands:.2f} bytes a command, "
        f"{limits.growth_bytes / visits:.1f} bytes a visit"
    )


def _points(
    samples: Sequence[Sample], value: Callable[[Sample], float]
) -> list[tuple[float, float]]:
    return [(sample.commands / _MILLION, value(sample)) for sample in samples]


def _rate(earlier: Sample, later: Sample) -> float:
    seconds = max(later.seconds - earlier.seconds, 0.001)
    return (later.commands - earlier.commands) / seconds / 1000


def _mebi(sample: Sample) -> str:
    return f"{sample.resident_bytes / _MEBI:.1f} MiB"

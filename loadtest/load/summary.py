"""What is written of a ramp: a CSV of its steps, and a section of a Markdown file."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from load.steps import KNEE_SHARE, Knee, Step

BEGIN = "<!-- ramp: begin; written by loadtest/ramp.py -->"
END = "<!-- ramp: end -->"


def write_csv(ramps: Mapping[str, Sequence[Step]]) -> str:
    """Return one row for each contender and step."""
    parties = _parties(ramps)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["contender", "users", "seconds", "requests", "failures", "requests/s", "p50 ms", "p99 ms"]
        + [f"cores of {party}" for party in parties]
    )
    for name, steps in ramps.items():
        for step in steps:
            writer.writerow(
                [name, step.users, step.seconds, step.requests, step.failures]
                + [f"{step.rate:.1f}", f"{step.p50_ms:g}", f"{step.p99_ms:g}"]
                + [f"{step.cores[party]:.2f}" if party in step.cores else "" for party in parties]
            )
    return text.getvalue()


def write_markdown(
    facts: Mapping[str, str],
    ramps: Mapping[str, Sequence[Step]],
    knees: Mapping[str, Knee],
    picture: str,
) -> str:
    """Return the section: what was done, where the knees are, the picture, every step.

    Args:
        facts: Date, machine, command and so on, in their order.
        ramps: Each contender's name and its steps.
        knees: Each contender's knee, where there is one.
        picture: Where the plot is, relative to the Markdown file.
    """
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", *(f"- {knee_sentence(name, knee)}" for name, knee in knees.items())]
    lines += ["", f"![Users against requests per second, latency and failures]({picture})"]
    for name, steps in ramps.items():
        parties = _parties({name: steps})
        heading = ["users", "requests/s", "p50 ms", "p99 ms", "failures"]
        heading += [f"cores: {party}" for party in parties]
        lines += ["", f"**{name}**", "", f"| {' | '.join(heading)} |"]
        lines.append("|" + "---:|" * len(heading))
        for step in steps:
            cells = [f"{step.users}", f"{step.rate:,.0f}", f"{step.p50_ms:g}", f"{step.p99_ms:g}"]
            cells.append(f"{step.failures}")
            cells += [
                f"{step.cores[party]:.2f}" if party in step.cores else "" for party in parties
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def knee_sentence(name: str, knee: Knee) -> str:
    """Return where a contender bends, in words."""
    step = knee.step
    figures = f"{step.rate:,.0f} requests/s, p50 {step.p50_ms:g} ms, p99 {step.p99_ms:g} ms"
    if not knee.is_reached:
        return f"**{name}**: no knee up to {step.users} users ({figures})"
    return (
        f"**{name}**: the knee is at {step.users} users ({figures}): "
        f"{KNEE_SHARE:.0%} of the best throughput"
    )


def put_between_markers(path: Path, section: str, begin: str = BEGIN, end: str = END) -> None:
    """Put a section between two lines of a file, the ramp's unless others are given.

    Raises:
        ValueError: The file lacks a marker.
    """
    text = path.read_text()
    pattern = re.compile(rf"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{path} has no lines {begin!r} and {end!r}")
    path.write_text(pattern.sub(lambda _: f"{begin}\n\n{section}\n\n{end}", text, count=1))


def _parties(ramps: Mapping[str, Sequence[Step]]) -> list[str]:
    return list(
        dict.fromkeys(party for steps in ramps.values() for s in steps for party in s.cores)
    )

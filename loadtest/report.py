"""Turn samples into medians, tables and verdicts; print them or write them down.

Strategy: everything here is a function of the samples; nothing is measured.
The figure of a contender is the median of its runs, a ratio is the quotient
of two medians, and the verdict compares that ratio with the target as it
is, without tolerance.
"""

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from measure import Sample
from workloads import RATE_FLOOR, Workload

SUBJECT = "slotway"
YARDSTICKS = ("predixy", "nutcracker", "envoy")
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that gave no figures."""

    workload: str
    contender: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target, met or missed.

    Attributes:
        figure: What is compared.
        yardstick: Whose figure is 1.
        ratio: Ours, as a multiple of the yardstick's.
        bound: The target.
        is_floor: Whether the ratio has to be at least ``bound``, not at most.
    """

    figure: str
    yardstick: str
    ratio: float
    bound: float
    is_floor: bool

    @property
    def is_met(self) -> bool:
        """Whether the target is met."""
        return self.ratio >= self.bound if self.is_floor else self.ratio <= self.bound

    def __str__(self) -> str:
        sign = ">=" if self.is_floor else "<="
        outcome = "ok" if self.is_met else f"missed by {abs(self.ratio - self.bound):.2f}"
        return (
            f"{self.figure} {self.ratio:.2f} x {self.yardstick} "
            f"(target {sign} {self.bound:g}): {outcome}"
        )


class Results:
    """All samples of one execution of compare.py."""

    def __init__(
        self, workloads: Sequence[Workload], contenders: Sequence[str], facts: Mapping[str, str]
    ) -> None:
        """Start empty.

        Args:
            workloads: In the order of the report.
            contenders: Their names, in the order of the rows.
            facts: Machine, versions and command line, in the order of the report.
        """
        self.workloads = workloads
        self.facts = dict(facts)
        self.samples: dict[str, dict[str, list[Sample]]] = {
            workload.name: {name: [] for name in contenders} for workload in workloads
        }
        self.failures: list[Failure] = []

    def add(self, workload: Workload, contender: str, sample: Sample) -> None:
        """Keep the figures of one run."""
        self.samples[workload.name][contender].append(sample)

    def add_failure(self, workload: Workload, contender: str, error: Exception) -> None:
        """Keep the fact that one run gave no figures."""
        self.failures.append(Failure(workload.name, contender, str(error)))

    def medians(self, workload: Workload) -> dict[str, Sample]:
        """Return the median figures of each contender that has any in one workload."""
        samples = self.samples[workload.name]
        return {name: take_median(runs) for name, runs in samples.items() if runs}

    def verdicts(self, workload: Workload) -> list[Verdict]:
        """Return the targets that can be judged: both sides have figures."""
        medians = self.medians(workload)
        ours = medians.get(SUBJECT)
        if ours is None:
            return []
        found = []
        for name in YARDSTICKS:
            if (theirs := medians.get(name)) is None:
                continue
            floor = RATE_FLOOR[name]
            found.append(Verdict("req/s", name, ours.rate / theirs.rate, floor, is_floor=True))
            if (bound := workload.cpu_targets.get(name)) is not None:
                ratio = ours.cpu_us / theirs.cpu_us
                found.append(Verdict("CPU", name, ratio, bound, is_floor=False))
        return found

    @property
    def all_held(self) -> bool:
        """Whether no run failed and no target was missed."""
        return not self.failures and all(
            verdict.is_met for workload in self.workloads for verdict in self.verdicts(workload)
        )


def take_median(runs: Sequence[Sample]) -> Sample:
    """Return the median of each figure, one by one."""
    figures: dict[str, float | None] = {}
    for item in fields(Sample):
        values = [value for run in runs if (value := getattr(run, item.name)) is not None]
        figures[item.name] = statistics.median(values) if values else None
    return Sample(**figures)  # type: ignore[arg-type]  # None only where every run had None


def table_rows(results: Results, workload: Workload) -> list[list[str]]:
    """Return one workload's table, the first row being the heading."""
    medians = results.medians(workload)
    yardsticks = [name for name in YARDSTICKS if name in medians]
    heading = ["", "req/s", "p50 ms", "p99 ms", "CPU us/cmd", "memory MiB"]
    if workload.idle_clients:
        heading.append("KiB/idle client")
    heading += [f"req/s vs {name}" for name in yardsticks]
    heading += [f"CPU vs {name}" for name in yardsticks]
    rows = [heading]
    for name, figures in medians.items():
        row = [
            name,
            f"{figures.rate:,.0f}",
            f"{figures.p50_ms:.2f}",
            f"{figures.p99_ms:.2f}",
            f"{figures.cpu_us:.2f}",
            f"{figures.resident_bytes / _MIB:.1f}",
        ]
        if workload.idle_clients:
            idle = figures.idle_client_bytes
            row.append("" if idle is None else f"{idle / 1024:.2f}")
        row += [f"{figures.rate / medians[other].rate:.2f}" for other in yardsticks]
        row += [f"{figures.cpu_us / medians[other].cpu_us:.2f}" for other in yardsticks]
        rows.append(row)
    return rows


def spread_line(results: Results, workload: Workload) -> str:
    """Return how far apart the runs of one contender lie, for the worst contender."""
    samples = [runs for runs in results.samples[workload.name].values() if runs]
    count = max((len(runs) for runs in samples), default=0)
    if count < 2:
        return "one run: no spread known"
    rate = max(_spread([run.rate for run in runs]) for runs in samples)
    cpu = max(_spread([run.cpu_us for run in runs]) for runs in samples)
    return f"{count} runs; (max - min) / median, widest: req/s {rate:.0%}, CPU {cpu:.0%}"


def _spread(values: Sequence[float]) -> float:
    return (max(values) - min(values)) / statistics.median(values)


def write_text(results: Results) -> str:
    """Return the report for a terminal."""
    lines = [f"{name}: {value}" for name, value in results.facts.items()]
    for workload in results.workloads:
        rows = table_rows(results, workload)
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        lines += ["", f"{workload.title}  [{workload.name}]"]
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  " + "  ".join(cells))
        lines.append(f"  {spread_line(results, workload)}")
        lines += [f"  {verdict}" for verdict in results.verdicts(workload)]
    lines += ["", *_closing_lines(results)]
    return "\n".join(lines)


def write_markdown(results: Results) -> str:
    """Return the report as the section ``## Results`` of a Markdown file."""
    lines = ["## Results", ""]
    lines += [f"- {name}: {_code(name, value)}" for name, value in results.facts.items()]
    for workload in results.workloads:
        heading, *rows = table_rows(results, workload)
        lines += ["", f"### {workload.title}", "", _markdown_row(heading)]
        lines.append("|---|" + "---:|" * (len(heading) - 1))
        lines += [_markdown_row(row) for row in rows]
        lines += ["", f"{spread_line(results, workload)}."]
        if verdicts := results.verdicts(workload):
            lines += ["", *(f"- {verdict}" for verdict in verdicts)]
    lines += ["", "### Summary", "", *(f"- {line}" for line in _closing_lines(results)), ""]
    return "\n".join(lines)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(name: str, value: str) -> str:
    return f"`{value}`" if name == "command" else value


def _closing_lines(results: Results) -> list[str]:
    verdicts = [(w, verdict) for w in results.workloads for verdict in results.verdicts(w)]
    missed = [f"{w.name}: {verdict}" for w, verdict in verdicts if not verdict.is_met]
    failed = [f"{f.workload}: {f.contender} failed: {f.text}" for f in results.failures]
    if not verdicts:
        return [f"no target judged: that needs {SUBJECT} and a yardstick", *failed]
    return [f"{len(verdicts) - len(missed)} of {len(verdicts)} targets met", *missed, *failed]


def put_section(path: Path, section: str) -> None:
    """Put ``## Results`` into a Markdown file, in place of the one it has, else at its end."""
    text = path.read_text() if path.exists() else ""
    pattern = re.compile(r"^## Results\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if pattern.search(text):
        following = f"{section}\n"
        text = pattern.sub(lambda _: following, text, count=1).rstrip("\n") + "\n"
    else:
        text = f"{text.rstrip()}\n\n{section}".lstrip("\n")
    path.write_text(text)


def write_json(results: Results) -> str:
    """Return every sample, the medians and the verdicts."""
    workloads = {
        workload.name: {
            "title": workload.title,
            "samples": {
                name: [asdict(run) for run in runs]
                for name, runs in results.samples[workload.name].items()
            },
            "medians": {name: asdict(run) for name, run in results.medians(workload).items()},
            "verdicts": [
                asdict(verdict) | {"is_met": verdict.is_met}
                for verdict in results.verdicts(workload)
            ],
        }
        for workload in results.workloads
    }
    failures = [asdict(failure) for failure in results.failures]
    return json.dumps(
        {"facts": results.facts, "workloads": workloads, "failures": failures}, indent=2
    )

"""What was measured, as one small JSON file for each fault and engine."""

from __future__ import annotations

import json
from pathlib import Path

from judging.findings import Kind
from trial import Outcome

from proxy.embedded import engine_label


def save_outcome(folder: Path, name: str, engine: str, outcome: Outcome) -> None:
    """Write a row of the report."""
    verdict = outcome.verdict
    row = {
        "fault": name,
        "engine": engine_label(engine),
        "requests": verdict.requests,
        "errors": dict(sorted(verdict.errors.items())),
        "wrong": verdict.wrong,
        "lost": verdict.count(Kind.LOST),
        "explained": verdict.explained,
        "doubled": verdict.count(Kind.DOUBLED),
        "stuck": verdict.count(Kind.STUCK),
        "longest_wait_s": round(outcome.longest_wait_s, 2),
        "calm_wait_s": round(outcome.calm_during_s, 2),
        "outage_s": round(outcome.outage_s, 2),
        "own_outage_s": round(outcome.own_outage_s, 2),
        "grown_kb": outcome.growth.resident_bytes // 1024,
        "left_descriptors": outcome.growth.descriptors,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{engine}-{name.replace(' ', '-')}.json"
    path.write_text(json.dumps(row, indent=1) + "\n")

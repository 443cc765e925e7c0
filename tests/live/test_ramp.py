"""loadtest/ramp.py, as ``make load`` runs it but small: it measures, draws, and writes its page."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = [pytest.mark.live, pytest.mark.takes(20)]

RAMP = Path(__file__).parents[2] / "loadtest" / "ramp.py"
LIMIT_S = 90
MARKERS = "<!-- ramp: begin; written by loadtest/ramp.py -->\n\n<!-- ramp: end -->\n"


def test_a_ramp_leaves_plot_figures_and_page(tmp_path: Path) -> None:
    page, results, reports = tmp_path / "page.md", tmp_path / "results", tmp_path / "reports"
    page.write_text(f"# Load\n\n{MARKERS}")
    size = "--users 8 --steps 2 --step-s 5 --processes 1 --mix cache,session"
    places = ["--results", results, "--reports", reports, "--markdown", page]

    done = subprocess.run(
        [sys.executable, RAMP, *size.split(), *places],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "slotway: " in done.stdout
    rows = list(csv.DictReader((results / "ramp.csv").read_text().splitlines()))
    assert [(row["contender"], row["users"]) for row in rows] == [
        ("slotway", "4"),
        ("slotway", "8"),
    ]
    assert all(int(row["requests"]) > 0 and row["failures"] == "0" for row in rows)
    assert all(float(row[f"cores of {party}"]) > 0 for row in rows for party in ("locust", "proxy"))
    assert ElementTree.parse(results / "ramp.svg").getroot().tag.endswith("svg")
    assert "HGETALL" in (results / "slotway_stats.csv").read_text()
    assert "<html" in (reports / "slotway.html").read_text()
    assert "](results/ramp.svg)" in page.read_text()
    assert "| 8 | " in page.read_text()

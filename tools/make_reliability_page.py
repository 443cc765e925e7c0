"""Put what the fault suite has measured into docs/reliability.md, between its markers.

    SLOTWAY_FAULTS=full SLOTWAY_FAULTS_RESULTS=build/faults python -m pytest tests/faults
    python tools/make_reliability_page.py build/faults

``make faults`` is both. The rows come in the order in which the faults were tried, an engine
beside the other; the words around them are the page's own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- faults: begin; written by tools/make_reliability_page.py -->"
END = "<!-- faults: end -->"

HEAD = (
    "| fault | server | requests | errors | wrong | lost | doubled | stuck | longest wait |"
    " wait elsewhere | no service | needed anyway |\n"
    "|---|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)

SECONDS = ("longest_wait_s", "calm_wait_s", "outage_s", "own_outage_s")

Row = Mapping[str, object]


def read_rows(folder: Path) -> list[Row]:
    """Return what was measured, in the order in which the faults were first tried.

    Raises:
        FileNotFoundError: Nothing was.
    """
    files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    if not files:
        raise FileNotFoundError(f"{folder} holds no results")
    rows: list[dict[str, object]] = [json.loads(path.read_text()) for path in files]
    first: dict[object, int] = {}
    for place, row in enumerate(rows):
        first.setdefault(row["fault"], place)
    return sorted(rows, key=lambda row: (first[row["fault"]], str(row["engine"])))


def table(rows: Sequence[Row]) -> str:
    """Return the section: a sentence of sums, and a row for each fault and server."""
    sums = {
        name: sum(int(str(row[name])) for row in rows)
        for name in ("requests", "wrong", "lost", "doubled", "stuck", "explained")
    }
    faults = len({row["fault"] for row in rows})
    summary = (
        f"{faults} faults, {len(rows)} trials on {os.cpu_count()} cores, "
        f"{sums['requests']:,} requests: {sums['wrong']} wrong answers, {sums['lost']} lost writes "
        f"({sums['explained']} more went with the server that had acknowledged them), "
        f"{sums['doubled']} doubled, {sums['stuck']} requests stuck."
    )
    return "\n".join([summary, "", HEAD, *map(line, rows)])


def line(row: Row) -> str:
    """Return one row of the table."""
    errors = row["errors"]
    assert isinstance(errors, dict)
    explained = f" ({row['explained']})" if row["explained"] else ""
    cells = [
        str(row["fault"]),
        str(row["engine"]),
        f"{row['requests']:,}",
        ", ".join(f"{count} {kind}" for kind, count in errors.items()) or "none",
        str(row["wrong"]),
        f"{row['lost']}{explained}",
        str(row["doubled"]),
        str(row["stuck"]),
        *(f"{row[name]:.2f} s" for name in SECONDS),
    ]
    return f"| {' | '.join(cells)} |"


def put(section: str, page: Path = PAGE) -> None:
    """Put the section between the page's markers.

    Raises:
        ValueError: The page lacks them.
    """
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the faults")
    page.write_text(f"{before}{BEGIN}\n{section}\n{END}{after}")


if __name__ == "__main__":
    put(table(read_rows(Path(sys.argv[1]))))

"""docs/reliability.md names tests that exist, and has a row for every fault that is tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
NAMED = re.findall(r"`(tests/\S+\.py)::(\w+)`", PAGE)
TRIED = ROOT / "tests" / "faults"


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_named_test_exists(path: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_every_row_of_complaints_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if re.search(r"#\d+ \|", line)]

    assert len(rows) > 20
    assert [row for row in rows if "::test_" not in row] == []


def test_every_fault_that_is_tried_has_a_row_for_each_engine() -> None:
    sources = "\n".join(path.read_text() for path in TRIED.glob("test_*.py"))
    names = re.findall(r'Fault\(\s*"([^"]+)"', sources)
    names += re.findall(r'^    "([^"]+)": \(', sources, re.MULTILINE)

    rows = {
        name: len(re.findall(rf"^\| {re.escape(name)} \|", PAGE, re.MULTILINE)) for name in names
    }

    only_one = {"4,000 slots move at once"}  # Redis cannot
    assert {n: c for n, c in rows.items() if c != (1 if n in only_one else 2)} == {}


def test_no_answer_was_wrong_and_nothing_lost_doubled_or_stuck() -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in PAGE.splitlines()
        if re.match(r"\| .* \| (Valkey|Redis) \d", line)
    ]

    assert rows
    for row in rows:
        wrong, lost, doubled, stuck = row[4:8]
        assert (wrong, lost.split()[0], doubled, stuck) == ("0", "0", "0", "0"), row[0]

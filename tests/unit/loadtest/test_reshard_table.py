"""loadtest/reshard.py without a server: what is run, and the table that is made of it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import reshard
from load.summary import put_between_markers
from reshard import BEGIN, END, Run, command_of, write_markdown

PAGE = Path(__file__).parents[3] / "docs" / "cluster.md"
RUNS = {
    ("redis", "redis-cli"): [Run(6.0, 0.1), Run(8.0, 0.3), Run(7.0, 0.2)],
    ("redis", "classic"): [Run(3.5, 0.05)],
}


def test_the_ratio_is_of_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reshard, "engine_label", str.capitalize)
    options = argparse.Namespace(slots=2000, keys=200_000, rounds=3)

    rows = [
        line
        for line in write_markdown({"date": "today"}, options, RUNS).splitlines()
        if " ms " in line
    ]

    assert [row.split(" | ", 1)[1] for row in rows] == [
        "7.0 s | 200 ms |  |",
        "3.5 s | 50 ms | 2.0 |",
    ]


def test_both_tools_move_the_same_slots() -> None:
    theirs = command_of("redis-cli", "h:1", ["a", "b"], 7)
    ours = command_of("atomic", "h:1", ["a", "b"], 7)

    for words in (theirs, ours):
        assert {"a", "b", "7", "h:1", "reshard"} <= set(words)
    assert ours[ours.index("--method") + 1] == "atomic"


def test_the_page_has_the_markers_and_a_page_without_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(PAGE.read_text())

    put_between_markers(copy, "| new |", BEGIN, END)

    assert f"{BEGIN}\n\n| new |\n\n{END}" in copy.read_text()
    copy.write_text("nothing")
    with pytest.raises(ValueError, match="has no lines"):
        put_between_markers(copy, "| new |", BEGIN, END)

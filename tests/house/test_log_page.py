"""docs/observability.md has every line that an operator may see, and none that does not exist."""

from __future__ import annotations

import re

from pages import ROOT, Page

PAGE = Page(ROOT / "docs" / "observability.md")
CALL = re.compile(r'\b(?:log\.(?:info|warning|error)|tell)\(\s*"([^"]+)"')
# Rooms that have no part in serving: what they print is not the log.
OTHERS = {"embedded", "demo", "advise", "manage", "cli_cluster"}
# Whatever Python itself would have printed.
STRAYS = ROOT / "proxy" / "logs" / "strays.py"


def lines_of_the_code() -> set[str]:
    """Return the names of the lines, but for bugs and for what only debugging shows."""
    return {
        name
        for path in (ROOT / "proxy").rglob("*.py")
        if path.relative_to(ROOT / "proxy").parts[0] not in OTHERS and path != STRAYS
        for name in CALL.findall(path.read_text())
    }


def lines_of_the_page() -> set[str]:
    logs = PAGE.text.partition("## Logs")[2].partition("## Access log")[0]
    first_cells = re.findall(r"^\| (`[^|]+) \|", logs, re.MULTILINE)
    return {name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_line_is_explained_and_every_explanation_is_of_a_line() -> None:
    assert lines_of_the_page() == lines_of_the_code()

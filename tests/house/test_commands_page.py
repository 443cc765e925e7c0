"""docs/commands.md is what its tool makes of the command table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tools importable, as they are when run."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    for name in ("make_commands_page", "command_notes"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("page_tools")
def test_the_page_is_up_to_date() -> None:
    from make_commands_page import PAGE, render

    assert PAGE.read_text() == render()


@pytest.mark.usefixtures("page_tools")
def test_every_note_is_about_a_command_that_exists() -> None:
    from command_notes import NOTES
    from make_commands_page import PAGE

    page = PAGE.read_text()
    named = [name.replace("|", " ").upper() for _, names in NOTES for name in names]

    assert [name for name in named if f"| {name} " not in page] == []

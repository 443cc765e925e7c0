"""Run ``slotway cluster ...`` in this process, as a user types it."""

from __future__ import annotations

from typer.testing import CliRunner

from proxy.cli_cluster import app


def slotway(*words: object, code: int = 0) -> str:
    """Run a command, require its exit code, and return what it printed to standard output."""
    outcome = CliRunner().invoke(app, [*map(str, words)])
    assert outcome.exit_code == code, outcome.output
    return outcome.stdout

"""Run ``slotway cluster ...`` in this process, or in one that can be killed, as a user types it."""

from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner

from proxy.cli_cluster import app


def slotway(*words: object, code: int = 0) -> str:
    """Run a command, require its exit code, and return what it printed to standard output."""
    outcome = CliRunner().invoke(app, [*map(str, words)])
    assert outcome.exit_code == code, outcome.output
    return outcome.stdout


def begin_slotway(*words: object) -> subprocess.Popen[bytes]:
    """Begin a command in a process of its own; the caller ends it and waits for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "proxy", "cluster", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )

"""Run ``slotway cluster ...`` in this process, or in one that can be killed, as a user types it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

from typer.testing import CliRunner

from proxy.cli_cluster import app
from proxy.embedded import wait_for
from proxy.manage import ClusterManager

SEEN_DEADLINE_S = 30.0


def slotway(*words: object, code: int = 0) -> str:
    """Run a command, require its exit code, and return what it printed to standard output."""
    outcome = CliRunner().invoke(app, [*map(str, words)])
    assert outcome.exit_code == code, outcome.output
    return outcome.stdout


def begin_slotway(*words: object) -> subprocess.Popen[bytes]:
    """Begin a command in a process of its own; the caller ends it and waits for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "proxy", "cluster", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def end_in_the_middle(
    command: subprocess.Popen[bytes], manager: ClusterManager, end: Callable[[], None]
) -> bytes:
    """Break something while slots are open that a command moves, and return what it told."""

    def stands_in_the_middle() -> bool:
        # Stopped, it cannot come to an end between the look and the signal.
        command.send_signal(signal.SIGSTOP)
        if manager.open_slots():
            return True
        command.send_signal(signal.SIGCONT)
        return False

    wait_for(stands_in_the_middle, SEEN_DEADLINE_S, "slots on their way")
    end()
    command.send_signal(signal.SIGCONT)
    return command.communicate()[1]

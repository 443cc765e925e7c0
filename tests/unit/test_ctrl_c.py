"""Ctrl-C while the command line is still being loaded: the process ends, and says nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

INTERRUPTED_AT = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

# Whoever runs the tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
sys.argv = ["slotway", *{args!r}]
from proxy.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("args", "module"),
    [
        (["demo"], "typer"),
        (["demo"], "proxy.cli_cluster"),
        (["demo"], "proxy.demo"),
        (["serve"], "proxy.config"),
        (["serve"], "proxy.serve"),
    ],
)
def test_ctrl_c_while_it_is_loaded_ends_it_without_a_word(args: list[str], module: str) -> None:
    script = INTERRUPTED_AT.format(args=args, module=module)

    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=60, check=False
    )

    assert (found.returncode, found.stdout, found.stderr) == (130, b"", b"")

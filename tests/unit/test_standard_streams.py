"""Standard streams that are closed or full: the command line says so, or does without."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WITHOUT = """
import os
os.close({number})
os.execv({python!r}, [{python!r}, "-m", "proxy", *{args!r}])
"""


@pytest.mark.parametrize("args", [["version"], ["--help"], ["check", "--help"]])
def test_a_full_disk_is_said_in_a_line(args: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        found = subprocess.run(
            [sys.executable, "-m", "proxy", *args],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert found.stderr == b"slotway: cannot write: No space left on device\n"
    assert found.returncode == 1


@pytest.mark.parametrize("is_full", [True, False], ids=["a full disk", "a reader that has gone"])
def test_what_is_still_in_the_buffer_cannot_be_written(is_full: bool) -> None:
    script = "import sys; sys.argv = ['slotway', 'health']; from proxy import cli, __main__\n"
    script += "cli.app = lambda: (sys.stdout.write('kept'), sys.exit(0))\n__main__.main()"
    reading, writing = os.pipe()
    os.close(reading)
    with open("/dev/full", "wb") as full, open(writing, "wb") as unread:
        found = subprocess.run(
            [sys.executable, "-c", script],
            env={name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"},
            stdout=full if is_full else unread,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    said = b"slotway: cannot write: No space left on device\n" if is_full else b""
    assert (found.returncode, found.stderr) == (1, said)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_stream_that_is_closed_is_done_without(number: int) -> None:
    args = ["serve", "--set", "admin.enabled=false", "--listen", "256.0.0.1:0"]
    script = WITHOUT.format(number=number, python=sys.executable, args=args)

    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=60, check=False
    )

    said = b"" if number == 2 else b"slotway: listen.address, listen.port: given 256.0.0.1, 0"
    assert found.returncode == 2
    assert found.stderr.startswith(said)
    assert b"Traceback" not in found.stderr

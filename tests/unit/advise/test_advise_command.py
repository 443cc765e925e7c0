"""``slotway advise`` from the outside: sources, options, exit codes."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from typer.testing import CliRunner
from written_log import log_of

from proxy.cli import app
from proxy.embedded.waiting import wait_for

HARMLESS = log_of("GET a \n SET b 1")
SPLIT = log_of("MGET a b")
BROKEN = log_of("EVAL body 2 a b")
BATCH = log_of("MULTI \n SET a 1 \n SET b 1 \n EXEC")


def advise(*args: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "proxy", "advise", *args]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("log", "options", "code"),
    [
        (HARMLESS, [], 0),
        (SPLIT, [], 1),
        (SPLIT, ["--for", "cluster"], 1),
        (SPLIT, ["--for", "slotway"], 0),
        (BROKEN, ["--for", "slotway"], 1),
        (BROKEN, ["--for", "slotway", "--pin", "=all"], 0),
        (BATCH, ["--for", "slotway"], 1),
        (BATCH, ["--for", "slotway", "--set", "commands.transactions=split"], 0),
        (log_of("SELECT 3"), ["--cluster-databases", "16"], 0),
        (b"", [], 2),
        (b"not a log\n", [], 2),
    ],
)
def test_the_exit_code_says_whether_something_would_break(
    tmp_path: Path, log: bytes, options: list[str], code: int
) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"OK\n" + log)

    found = CliRunner().invoke(app, ["advise", str(path), *options])

    assert found.exit_code == code
    assert isinstance(found.exception, SystemExit | None)


def test_standard_input_is_read_and_json_is_alone_on_standard_output() -> None:
    found = advise("-", "--json", given=SPLIT)

    report = json.loads(found.stdout)
    assert report["source"]["name"] == "-"
    assert report["cluster"] == {"works": 0, "slower": 0, "partial": 0, "breaks": 1, "unknown": 0}
    assert found.stderr == b""


def test_text_is_plain_when_nobody_watches() -> None:
    found = advise("-", given=SPLIT)

    assert b"\x1b" not in found.stdout
    assert b"MGET a b" in found.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], b"--server"),
        (["/no/such/file"], b"No such file"),
        (["-", "--pin", "x={"], b"--pin"),
        (["-", "--for", "nobody"], b"--for"),
        (["-", "--set", "commands.transactions=maybe"], b"commands.transactions"),
        (["--server", "nowhere"], b"--server"),
        (["--server", "127.0.0.1:1"], b"127.0.0.1:1"),
        (["-", "--seconds", "3"], b"--seconds"),
        (
            ["--server", "127.0.0.1:1", "--password", "x", "--password-file", "y"],
            b"--password-file",
        ),
        (["--server", "127.0.0.1:1", "--password-file", "/no/such"], b"--password-file"),
        (["--server", "127.0.0.1:1", "--user", "u"], b"--user"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(args: list[str], words: bytes) -> None:
    found = CliRunner().invoke(app, ["advise", *args])

    assert found.exit_code == 2
    assert words.decode() in found.output
    assert isinstance(found.exception, SystemExit)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m proxy advise - | head -1"
    found = subprocess.run(command, shell=True, input=BATCH, capture_output=True, check=False)

    assert found.stderr == b""


def test_an_interrupted_log_is_reported_as_far_as_it_was_read() -> None:
    command = [sys.executable, "-m", "proxy", "advise", "-", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(SPLIT)
        process.stdin.flush()
        pipe = process.stdin.fileno()
        wait_for(lambda: wants_more(process.pid, pipe), 30, "all of it to be read")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)

    report = json.loads(out)
    assert (process.returncode, report["source"]["is_interrupted"]) == (1, True)
    assert report["totals"]["commands"] == 1


def wants_more(pid: int, pipe: int) -> bool:
    """Return whether a process waits in a system call on descriptor 0, of which nothing is left.

    That it sleeps is not enough: it may have read everything and wait for a lock.
    """
    left = int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
    call = Path(f"/proc/{pid}/syscall").read_text().split()
    return left == 0 and call[1:2] == ["0x0"]

"""The logging of a whole process: one way for all lines, and a level that can change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

PRELUDE = """
import logging, sys, threading, warnings
import structlog
from proxy.logs import configure_logging, current_level, requested_lines, set_level
log = structlog.get_logger()
configure_logging("info", "json")
"""


MUCH = "for _ in range(10000): requested_lines().info('x' * 400)"


def run(program: str, *, form: str = "json") -> list[str]:
    """Return what a program that logs has written to standard error, line by line."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE.replace('"json"', repr(form)) + program],
        capture_output=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert done.stdout == b""
    return done.stderr.decode().splitlines()


def events(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Return level and event of lines in JSON."""
    return [(line["level"], line["event"]) for line in map(json.loads, lines)]


def test_a_line_is_one_object_with_time_level_and_event_first() -> None:
    (line,) = run("log.info('listening', node='a:1', port=6379)")

    fields = json.loads(line)
    assert list(fields) == ["timestamp", "level", "event", "node", "port"]
    assert fields["timestamp"].endswith("Z")
    assert (fields["level"], fields["event"], fields["port"]) == ("info", "listening", 6379)


def test_for_people_it_is_a_line_without_colours_if_nobody_sees_them() -> None:
    (line,) = run("log.warning('node unreachable', node='a:1', problem='no route')", form="console")

    assert "[warning  ] node unreachable" in line
    assert line.endswith("node=a:1 problem='no route'")
    assert "\x1b" not in line


def test_the_level_changes_also_for_loggers_that_have_been_used() -> None:
    lines = run(
        "log.debug('a'); log.info('b')\n"
        "set_level('debug'); log.debug('c'); assert current_level() == 'debug'\n"
        "set_level('error'); log.warning('d'); log.error('e')"
    )

    assert events(lines) == [("info", "b"), ("debug", "c"), ("error", "e")]


def test_requested_lines_come_whatever_the_level_is_and_however_many() -> None:
    lines = run(
        "set_level('error'); access = requested_lines()\n"
        "for number in range(200): access.info('request', number=number)"
    )

    assert [json.loads(line)["number"] for line in lines] == list(range(200))
    assert list(json.loads(lines[0])) == ["timestamp", "level", "event", "number"]


def test_a_storm_is_a_few_lines_and_one_that_counts_the_others() -> None:
    lines = run("for number in range(5000): log.warning('client closed', client=number)")

    found = [json.loads(line) for line in lines]
    told = sum(line["event"] == "client closed" for line in found)
    assert 20 <= told < 40
    (left_out,) = [line for line in found if line["event"] == "lines left out"]
    assert (left_out["of"], left_out["lines"]) == ("client closed", 5000 - told)


def test_libraries_that_use_logging_are_heard_from_warnings_on() -> None:
    lines = run(
        "other = logging.getLogger('hypercorn.error')\n"
        "other.info('Running on http://...'); other.warning('no %s', 'certificate')"
    )

    (line,) = map(json.loads, lines)
    assert (line["level"], line["event"]) == ("warning", "no certificate")
    assert line["logger"] == "hypercorn.error"


def test_what_python_itself_would_print_is_logged() -> None:
    lines = run(
        "warnings.warn('old', DeprecationWarning)\n"
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()\n"
        "class Odd:\n    def __del__(self): raise ValueError('odd')\n"
        "Odd()\n"
        "raise RuntimeError('the end')"
    )

    found = [json.loads(line) for line in lines]
    assert [line["level"] for line in found] == ["warning", "error", "error", "critical"]
    assert "DeprecationWarning: old" in found[0]["event"]
    assert [line["exception"].splitlines()[-1] for line in found[1:]] == [
        "ZeroDivisionError: division by zero",
        "ValueError: odd",
        "RuntimeError: the end",
    ]


def test_an_exception_is_logged_with_its_traceback() -> None:
    program = "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('bug')"

    (line,) = run(program)
    for_people = run(program, form="console")

    assert json.loads(line)["exception"].startswith("Traceback (most recent call last)")
    assert for_people[1] == "    Traceback (most recent call last):"
    assert for_people[-1] == "    ZeroDivisionError: division by zero"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_nobodys_values(form: str) -> None:
    program = (
        "class Login:\n"
        "    def __init__(self, password): self.password = password\n"
        "    def send(self, password): raise RuntimeError('no route')\n"
        "login = Login('hu' + 'sh')\n"
        "try:\n    login.send(login.password)\n"
        "except RuntimeError:\n    log.exception('bug')\n"
        "login.send(login.password)"
    )

    lines = "\n".join(run(program, form=form))

    assert lines.count("RuntimeError: no route") == 2
    assert "hush" not in lines


def test_a_process_whose_log_nobody_reads_ends_all_the_same() -> None:
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE + MUCH],
            stderr=writing,
            timeout=30,
            check=False,
        )
    finally:
        os.close(writing)
        os.close(reading)

    assert done.returncode == 0

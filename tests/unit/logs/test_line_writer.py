"""Lines are written by a thread; a reader that stops stops nobody else."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator

import pytest

from proxy.embedded.waiting import wait_for
from proxy.logs.writer import LINES_LIMIT, LineWriter

PATIENCE_S = 10.0


class Pipe:
    """A pipe that a writer writes to."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.reading, self.writing = os.fdopen(reading, "rb"), os.fdopen(writing, "wb")
        self.fd = writing

    def read_all(self) -> list[str]:
        """Return the lines until the writing end is closed."""
        return self.reading.read().decode().splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.reading.close()
    made.writing.close()


def test_lines_come_out_whole_and_in_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe.fd)

    for number in range(500):
        writer.write(f"line {number}")

    assert writer.close(PATIENCE_S)
    pipe.writing.close()
    assert pipe.read_all() == [f"line {number}" for number in range(500)]
    assert writer.dropped == 0


def test_a_full_pipe_blocks_nobody_and_what_was_lost_is_told(pipe: Pipe) -> None:
    told: list[int] = []
    writer = LineWriter(
        pipe.fd, on_dropped=lambda lines: (told.append(lines), writer.write(f"lost {lines}"))
    )
    line = "x" * 1000
    lines = LINES_LIMIT + 2000  # the pipe itself takes 64 KiB

    began = time.monotonic()
    for _ in range(lines):
        writer.write(line)
    took_s = time.monotonic() - began

    assert took_s < PATIENCE_S, "it waited for the reader"
    dropped = writer.dropped
    assert dropped > 0
    assert told == []

    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(pipe.read_all()))
    reader.start()
    wait_for(lambda: told, PATIENCE_S, "word of the lost lines")
    assert writer.close(PATIENCE_S)
    pipe.writing.close()
    reader.join()
    assert told == [dropped]
    assert writer.dropped == dropped
    assert found.count(line) == lines - dropped
    assert f"lost {dropped}" in found


def test_an_end_waits_for_a_reader_only_so_long(pipe: Pipe) -> None:
    writer = LineWriter(pipe.fd)
    for _ in range(200):
        writer.write("x" * 1000)

    assert not writer.close(0.05)

    reader = threading.Thread(target=pipe.read_all)
    reader.start()
    assert writer.close(PATIENCE_S)
    pipe.writing.close()
    reader.join()


def test_a_reader_that_is_gone_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    told: list[int] = []
    writer = LineWriter(pipe.fd, on_dropped=told.append)
    pipe.reading.close()

    writer.write("nobody")
    writer.write("hears")

    assert writer.close(PATIENCE_S)
    assert writer.dropped == 2
    assert told == [], "nobody is there to be told"


def test_a_file_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    fcntl.fcntl(pipe.fd, fcntl.F_SETFL, os.O_NONBLOCK)
    writer = LineWriter(pipe.fd)
    for number in range(300):
        writer.write(f"{number:01000d}")

    reader_lines: list[str] = []
    reader = threading.Thread(target=lambda: reader_lines.extend(pipe.read_all()))
    reader.start()
    assert writer.close(PATIENCE_S)
    pipe.writing.close()
    reader.join()
    assert [int(line) for line in reader_lines] == list(range(300))


def test_what_is_due_is_done_while_nothing_and_while_much_is_logged(pipe: Pipe) -> None:
    due = threading.Event()
    writer = LineWriter(pipe.fd, when_due=due.set, look_s=0.01)

    assert due.wait(PATIENCE_S)
    due.clear()
    wait_for(lambda: writer.write("") or due.is_set(), PATIENCE_S)

    assert writer.close(PATIENCE_S)


def test_what_is_said_at_the_end_is_written_too(pipe: Pipe) -> None:
    writer = LineWriter(pipe.fd, when_due=lambda: writer.write("left out: 3"))

    writer.write("last")

    assert writer.close(PATIENCE_S)
    pipe.writing.close()
    assert pipe.read_all() == ["last", "left out: 3"]

"""What waits is bounded, and what nobody waits for any more is not done."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from split_board import NODE_0, NODE_1, NODE_2
from switchboard import FakeClient, Switchboard
from test_edges import settle_until

from proxy.resp.encode import bulk, encode_command

QUEUE_AND_END = """
from proxy.dataplane.engine import Engine
from proxy.dataplane.lane import Lane
engine, lane = Engine(None), Lane(2)
pipeline = lane.pipeline_to(0)
engine.control = type("Control", (), {"need_connection": print})
for _ in range(300_000):
    engine.submit(pipeline, b"*1\\r\\n$4\\r\\nPING\\r\\n", print)
"""


def test_replies_that_wait_for_an_earlier_one_are_bounded(board: Switchboard) -> None:
    board.engine.client_output_soft_bytes = 50_000
    client = board.client()
    board.engine.in_flight_limit = 4
    slow, quick, _ = board.nodes
    slow.is_frozen = True
    quick.answer = lambda args: bulk(b"x" * 10_000)
    get = encode_command(b"GET", NODE_1[0])

    client.send(encode_command(b"GET", NODE_0[0]), *[get] * 100)
    board.settle()
    asked_of_quick = len(quick.requests)
    slow.is_frozen = False

    assert asked_of_quick < 16
    assert len(client.read()) == len(b"+OK\r\n") + 100 * len(bulk(b"x" * 10_000))


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_full_queue_of_what_was_given_up_stops_nobody(board: Switchboard, is_gone: bool) -> None:
    board.engine.request_timeout_s = 0.01
    board.engine.node_queue_soft_bytes = 1000
    board.engine.drop(board.nodes[0].pipeline)
    first, second = board.client(), board.client()
    first.send(*[encode_command(b"GET", NODE_0[0])] * 100)
    board.settle()
    if is_gone:
        first.seen.close()
    second.send(encode_command(b"GET", NODE_0[0]), encode_command(b"GET", NODE_2[0]))
    board.settle()

    assert board.engine.is_busy
    settle_until(board, lambda: second.seen.commands == 2 and second.seen.in_flight == 0)

    assert second.read() == b"-GAVEUP sent=0\r\n+OK\r\n"


def test_a_write_that_nobody_waits_for_does_not_run_after_its_deadline(
    board: Switchboard, client: FakeClient
) -> None:
    board.engine.request_timeout_s = 0.01
    board.engine.drop(board.nodes[0].pipeline)
    client.send(encode_command(b"SET", NODE_0[0], b"old"))
    board.settle()
    client.seen.close()

    over = time.monotonic() + 0.02
    settle_until(board, lambda: time.monotonic() > over)
    board.nodes[0].connect()
    board.settle()

    assert board.nodes[0].requests == []


def test_a_long_queue_does_not_need_a_deep_stack_at_the_end() -> None:
    root = Path(__file__).parents[3]

    done = subprocess.run(
        [sys.executable, "-c", QUEUE_AND_END],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_what_a_stopped_client_sends_on_stays_in_its_socket(
    board: Switchboard, client: FakeClient
) -> None:
    board.engine.in_flight_limit = 1
    board.nodes[0].is_frozen = True
    frames = encode_command(b"SET", NODE_0[0], b"x" * 1000) * 50

    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < 10_000_000:
            sent += client.socket.send(frames)
            board.settle()

    assert client.seen.commands == 1
    assert sent > 200_000
    assert client.seen.query_buffer_bytes <= 128 * 1024

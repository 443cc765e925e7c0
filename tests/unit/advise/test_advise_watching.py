"""Watching a server: what it may answer instead of a log, and a log that comes too fast."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from written_log import written

from proxy.advise import watching
from proxy.advise.analysis import Analysis
from proxy.advise.rules import Rules
from proxy.advise.watching import CannotAnalyse, Introduction, parse_client_list, watch_server
from proxy.cluster.addresses import Address
from proxy.commands.table import snapshot_table
from proxy.control.connection import Credentials
from proxy.resp.encode import bulk
from proxy.tls.sides import NodeTls

CLIENTS = bulk(b"id=3 addr=10.0.0.1:5000 name=shop cmd=ping\n")
INTRODUCTION = b"+PONG\r\n*0\r\n" + CLIENTS + bulk(b"")

Play = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def server(play: Play, introduction: bytes = INTRODUCTION) -> AsyncIterator[Address]:
    """A server that introduces itself, reads MONITOR, and then does what ``play`` does."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(introduction)
            await stream.receive_some()
            await play(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield Address("127.0.0.1", listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


def saying(*pieces: bytes) -> Play:
    """Say all of it and close the connection."""

    async def play(stream: trio.SocketStream) -> None:
        for piece in pieces:
            await stream.send_all(piece)

    return play


async def silent(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def watch(address: Address) -> tuple[Analysis, tuple[str, ...]]:
    def begin(said: Introduction) -> Analysis:
        analysis = Analysis(snapshot_table(), Rules())
        for client, name in said.names.items():
            analysis.conversation.introduce(client, name)
        return analysis

    with trio.fail_after(10):
        analysis, notes, _ = await watch_server(
            address,
            Credentials(),
            NodeTls(),
            seconds=5,
            begin=begin,
            show=lambda analysis, seconds: None,
        )
    analysis.end()
    return analysis, notes


async def test_a_log_is_analysed_however_it_is_cut_until_the_server_closes() -> None:
    line = written("MGET", "a", "b") + b"\r\n"
    wire = b"+OK\r\n" + 3 * (b"+" + line)

    async with server(saying(wire[:3], wire[3:40], wire[40:])) as address:
        analysis, notes = await watch(address)

    (tally,) = analysis.findings.values()
    assert (analysis.commands, tally.count) == (3, 3)
    assert [client.name for client in tally.clients] == ["shop"]
    assert "closed the connection" in notes[0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"-NOPERM this user has no permissions to run the 'monitor' command\r\n", "NOPERM"),
        (b"+WHAT\r\n", "refused MONITOR: \\+WHAT"),
        (b"", "closed the connection"),
        (b"x" * 2000, "refused MONITOR"),
    ],
)
async def test_a_server_that_does_not_begin_is_an_error(answer: bytes, words: str) -> None:
    async with server(saying(answer)) as address:
        with pytest.raises(CannotAnalyse, match=words):
            await watch(address)


async def test_a_server_that_wants_a_password_is_told_so() -> None:
    refusal = b"-NOAUTH Authentication required.\r\n"

    async with server(saying(), introduction=4 * refusal) as address:
        with pytest.raises(CannotAnalyse, match="wants a password"):
            await watch(address)


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "QUESTION_TIMEOUT_S", 0.05)

    async with server(silent) as address:
        with pytest.raises(CannotAnalyse, match=r"did not answer MONITOR"):
            await watch(address)


async def test_what_is_no_redis_is_told_so() -> None:
    async with server(saying(), introduction=b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        with pytest.raises(CannotAnalyse):
            await watch(address)


async def test_a_node_of_a_cluster_is_said_to_be_only_a_part() -> None:
    info = bulk(b"# Server\r\nredis_mode:cluster\r\n")
    wire = b"+OK\r\n+" + written("GET", "a") + b"\r\n"

    async with server(saying(wire), b"+PONG\r\n*0\r\n-NOPERM no\r\n" + info) as address:
        _, notes = await watch(address)

    assert "only its part" in notes[0]
    assert "CLIENT LIST" in notes[1]


async def test_what_comes_too_fast_is_thrown_away_and_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "BACKLOG_LIMIT_BYTES", 10)
    line = b"+" + written("GET", "a") + b"\r\n"

    async with server(saying(b"+OK\r\n", 5000 * line)) as address:
        analysis, _ = await watch(address)

    assert analysis.skipped >= 1
    assert analysis.commands < 5000
    assert analysis.unreadable == 0


def test_names_are_read_from_a_list_of_clients() -> None:
    text = b"id=1 addr=[::1]:5 laddr=x name=shop age=1\nid=2 addr=10.0.0.1:6 name= age=1\n\nodd\n"

    assert parse_client_list(text) == {"[::1]:5": "shop"}

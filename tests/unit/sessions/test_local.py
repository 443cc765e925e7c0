"""The maps of local answers are whole, and their small members answer."""

from __future__ import annotations

import time

import hiredis
import pytest
from session_fakes import FakeClient, FakeContext

from proxy.commands.spec import Road
from proxy.commands.table import snapshot_table
from proxy.resp.encode import c_text
from proxy.sessions.arguments import parse_integer
from proxy.sessions.local import ASYNC, BEFORE_AUTH, SYNC, find_async, find_sync


def test_every_local_command_of_the_table_has_its_handler() -> None:
    for spec in snapshot_table():
        words = spec.name.split(b"|")

        is_answered = find_async(words) is not None or find_sync(words) is not None

        assert is_answered or spec.road is not Road.LOCAL, spec.name


def test_no_command_has_two_handlers() -> None:
    assert not ASYNC.keys() & SYNC.keys()
    assert SYNC.keys() >= BEFORE_AUTH


def test_a_subcommand_may_be_asynchronous_alone() -> None:
    assert find_async([b"Client", b"HELP"]) is not None
    assert find_async([b"CLIENT", b"ID"]) is None
    assert find_async([b"CLIENT"]) is None


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ((b"PING",), b"+PONG\r\n"),
        ((b"PING", b"\0\r\n"), b"$3\r\n\0\r\n\r\n"),
        ((b"PING", b"a", b"b"), b"-ERR wrong number of arguments for 'ping' command\r\n"),
        ((b"ECHO", b""), b"$0\r\n\r\n"),
        ((b"EXEC",), b"-ERR EXEC without MULTI\r\n"),
        ((b"DISCARD",), b"-ERR DISCARD without MULTI\r\n"),
        ((b"UNWATCH",), b"+OK\r\n"),
        ((b"READONLY",), b"-ERR This instance has cluster support disabled\r\n"),
    ],
)
def test_small_answers(words: tuple[bytes, ...], answer: bytes) -> None:
    assert FakeContext().say(FakeClient(), *words) == answer


def test_the_time_is_now() -> None:
    reader = hiredis.Reader()
    reader.feed(FakeContext().say(FakeClient(), b"TIME"))

    seconds, microseconds = reader.gets()

    assert abs(int(seconds) - time.time()) < 60
    assert 0 <= int(microseconds) < 1_000_000


@pytest.mark.parametrize("server_name", [b"redis", b"valkey"])
def test_a_client_that_sees_the_cluster_may_speak_to_it(server_name: bytes) -> None:
    ctx = FakeContext(server_name=server_name, expose_cluster=True)

    assert [ctx.say(FakeClient(), word) for word in (b"READONLY", b"READWRITE", b"ASKING")] == [
        b"+OK\r\n"
    ] * 3


@pytest.mark.parametrize(
    ("argument", "number"),
    [
        (b"0", 0),
        (b"-9223372036854775808", -(2**63)),
        (b"9223372036854775807", 2**63 - 1),
        (b"9223372036854775808", None),
        (b"-0", None),
        (b"+1", None),
        (b" 1", None),
        (b"1\n", None),
        (b"", None),
        ("\u0663".encode(), None),
    ],
)
def test_integers_are_read_as_a_server_reads_them(argument: bytes, number: int | None) -> None:
    assert parse_integer(argument) == number


def test_quoted_words_end_at_a_zero_byte() -> None:
    assert c_text(b"ab\0cd") == b"ab"
    assert c_text(b"abcdef", 3) == b"abc"

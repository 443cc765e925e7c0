"""TLS to nodes: what was sealed may have run, what was not did not, whatever is cut or breaks."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable

import pytest
from sealed_board import client_of, node_with_tls, read_from
from sealed_ends import Authority, SealedEnd
from switchboard import Switchboard

from proxy.dataplane.frames import RequestStream
from proxy.resp.encode import bulk, encode_command


def test_a_node_is_spoken_to_over_tls(sealed: Switchboard, authority: Authority) -> None:
    client = client_of(sealed, authority)
    node = node_with_tls(sealed, authority)
    client.send(encode_command(b"GET", b"a") + encode_command(b"GET", b"b"))
    sealed.settle()

    requests = RequestStream().feed(node.read())
    node.send(b"+one\r\n")
    first = read_from(sealed, client)
    node.send(b"+two\r\n")

    assert requests == [[b"GET", b"a"], [b"GET", b"b"]]
    assert (first, read_from(sealed, client)) == (b"+one\r\n", b"+two\r\n")


def test_replies_of_a_node_come_byte_by_byte(sealed: Switchboard, authority: Authority) -> None:
    client = client_of(sealed, authority)
    node = node_with_tls(sealed, authority)
    client.send(encode_command(b"GET", b"a") * 2)
    sealed.settle()
    node.read()
    node.seal(bulk(b"x" * 50) * 2)
    while node.push(at_once=1):
        sealed.settle()

    assert read_from(sealed, client) == bulk(b"x" * 50) * 2


def drained(sealed: Switchboard, node: SealedEnd, enough: Callable[[bytes], bool]) -> bytes:
    got = b""
    while not enough(got):
        sealed.settle()
        got += node.read()
    return got


def test_what_a_node_does_not_take_at_once_is_written_later(
    sealed: Switchboard, authority: Authority
) -> None:
    client = client_of(sealed, authority)
    node = node_with_tls(sealed, authority, small_buffers=True)
    value = random.Random(5).randbytes(1_000_000)
    frames = [encode_command(b"SET", b"%d" % number, value) for number in range(3)]
    small = encode_command(b"GET", b"k")
    for frame in (small, *frames, small):
        client.seal(frame)
        while client.push(at_once=100_000):
            sealed.settle()

    wire = small + b"".join(frames) + small
    got = drained(sealed, node, lambda got: len(got) >= len(wire))
    node.send(b"+OK\r\n" * 5)

    assert got == wire
    assert read_from(sealed, client) == b"+OK\r\n" * 5


def test_requests_behind_sealed_bytes_that_wait_are_not_sent(
    sealed: Switchboard, authority: Authority
) -> None:
    """Law 4: a node that dies before it has taken anything of them did not run them."""
    client = client_of(sealed, authority)
    node = node_with_tls(sealed, authority, small_buffers=True)
    pipeline = sealed.lane.pipeline_to(0)
    client.seal(encode_command(b"SET", b"big", b"x" * 1_000_000))
    while client.push(at_once=100_000):
        sealed.settle()
    client.send(encode_command(b"SET", b"after", b"1"))
    sealed.settle()
    had = (pipeline.sent_count, pipeline.unsent_count)

    node.socket.close()
    replies = read_from(sealed, client)

    assert had == (0, 2)
    assert replies == b"", "both are to be sent again"
    assert pipeline.unsent_count == 2
    assert sealed.engine.outcome_unknown == 0


def test_a_request_that_was_sealed_whole_may_have_run(
    sealed: Switchboard, authority: Authority
) -> None:
    client = client_of(sealed, authority)
    node = node_with_tls(sealed, authority, small_buffers=True)
    pipeline = sealed.lane.pipeline_to(0)
    client.send(encode_command(b"SET", b"k", b"x" * 30_000))
    sealed.settle()
    waiting = pipeline.cipher.waiting_bytes

    node.socket.close()

    assert waiting > 0, "the kernel did not take all of it"
    assert read_from(sealed, client) == b"-LOST write=1\r\n"


def test_replies_before_a_broken_record_count(sealed: Switchboard, authority: Authority) -> None:
    client = client_of(sealed, authority)
    node = node_with_tls(sealed, authority)
    client.send(encode_command(b"SET", b"a", b"1") + encode_command(b"SET", b"b", b"1"))
    sealed.settle()
    node.read()
    node.seal(b"+OK\r\n")
    node.push()
    node.socket.send(b"\x17\x03\x03\x00\x20" + b"z" * 32)

    assert read_from(sealed, client) == b"+OK\r\n-LOST write=1\r\n"


def test_a_node_that_says_goodbye_is_lost(sealed: Switchboard, authority: Authority) -> None:
    node = node_with_tls(sealed, authority)
    with pytest.raises(ssl.SSLWantReadError):
        node.tls.unwrap()
    node.push()
    sealed.settle()

    assert sealed.control.named("lost_connection") == [(0,)]
    assert sealed.lane.pipeline_to(0).cipher is None

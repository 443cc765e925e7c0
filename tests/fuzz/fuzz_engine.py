"""Targets: the whole data plane between sockets, with hostile clients or with hostile nodes.

``clients``: what clients send is by lot, the nodes are honest, and everything is cut and
interleaved by lot. Judged: each client gets exactly the replies to what it asked, in order,
and then its protocol error, if any; so no byte of another's, none lost, none too much.

``nodes``: the clients are honest, what nodes send is by lot. Judged: nothing raises, each client
gets whole frames, one for each request, and all of them once the nodes are replaced by
honest ones: nobody is left waiting.
"""

from __future__ import annotations

from fuzz_board import OWNERS, Board, Caller, answer, send
from hostile_wire import hostile_reply, hostile_request, request
from lots import Lots
from plain_requests import read_requests
from switchboard import RECEIVE_BYTES

from proxy.dataplane.frames import ReplyStream
from proxy.resp.encode import bulk, encode_command

LIMITS = {"argument_limit": 64, "argument_limit_bytes": 5000, "inline_limit_bytes": 200}
# How a client begins that speaks TLS where nobody expects it.
TLS = b"\x16\x03"


# ---- hostile clients -------------------------------------------------------------------------


def hostile_clients(data: bytes) -> None:
    """Clients by lot, honest nodes: each client gets its own replies, in order, and no more."""
    lots = Lots(data)
    board = Board(lots, **LIMITS)
    try:
        for caller in board.callers:
            for _ in range(lots.below(5)):
                caller.unsent += hostile_request(lots, caller.owner)
        while lots:
            match lots.below(8):
                case 0 | 1 | 2:
                    lots.choice(board.callers).send(lots.choice([1, 3, 16, 17, 64, 1000]))
                case 3:
                    lots.choice(board.nodes).pay(lots.choice([1, 2, 7, 100, 5000]))
                case 4:
                    board.answer_later()
                case _:
                    board.tick(board.nodes)
        board.finish()
        for caller in board.callers:
            _judge(caller)
    finally:
        board.close()
    assert board.engine.in_flight == 0


def _judge(caller: Caller) -> None:
    requests, fault = read_requests(
        bytes(caller.sent), arguments=64, argument_bytes=5000, inline_bytes=200
    )
    wanted = [_words(args) if is_line else args for is_line, args in requests]
    got = ReplyStream().feed(bytes(caller.received))
    assert len(b"".join(got)) == len(caller.received), "a reply is cut"
    if TLS in caller.sent and got and got[-1] == b"-PROTOCOL TLS\r\n":
        assert len(got) == 1, "it is what a client says first"
        return
    if fault:
        assert got.pop() == b"-PROTOCOL %b\r\n" % fault.encode()
        assert caller.is_closed, "not closed after a protocol error"
    assert len(got) == len(wanted) - wanted.count([]), (got, wanted)
    for reply, args in zip(got, filter(None, wanted), strict=True):
        # With a word too many it is no command if its keys lie apart, and a node's if they do not.
        may_be = {answer(args), bulk(b" ".join(args)) if args[0].lower()[:4] == b"mset" else b""}
        assert reply in may_be, (reply, args)


def _words(line: list[bytes]) -> list[bytes]:
    return line[0].split()


# ---- hostile nodes ----------------------------------------------------------------------------


def hostile_nodes(data: bytes) -> None:
    """Honest clients, nodes by lot: whole frames, one a request, and nobody waits for ever."""
    lots = Lots(data)
    board = Board(lots)
    counts = dict.fromkeys(OWNERS, 0)
    try:
        while lots:
            match lots.below(8):
                case 0 | 1:
                    caller = lots.choice(board.callers)
                    caller.unsent += encode_command(*(request(lots, caller.owner)))
                    counts[caller.owner] += 1
                    caller.send(RECEIVE_BYTES)
                case 2 | 3:
                    for piece in lots.cut(hostile_reply(lots)):
                        send(lots.choice(board.nodes).socket, piece)
                case 4:
                    lots.choice(board.nodes).pay(lots.choice([1, 7, 100, 5000]))
                case 5:
                    node = lots.choice(board.nodes)
                    node.socket.close()
                    board.nodes.remove(node)
                    board.tick(board.nodes)
                    board.control.wanted.add(node.pipeline)
                    board.reconnect()
                case 6:
                    board.answer_later()
                    board.reconnect()
                case _:
                    board.tick(board.nodes)
        for node in board.nodes:
            node.socket.close()
            board.control.wanted.add(node.pipeline)
        board.nodes = []
        board.finish()
        for caller in board.callers:
            got = ReplyStream().feed(bytes(caller.received))
            assert len(b"".join(got)) == len(caller.received), "a reply is cut"
            assert len(got) == counts[caller.owner], (got, counts)
    finally:
        board.close()
    assert board.engine.in_flight == 0

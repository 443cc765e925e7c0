"""A ``Switchboard`` whose clients and nodes speak TLS."""

from __future__ import annotations

import socket

from sealed_ends import Authority, SealedEnd
from switchboard import Switchboard, key_range, spec_of

from proxy.dataplane.cipher import Cipher
from proxy.dataplane.frames import ReplyStream
from proxy.resp.encode import encode_command

SPECS = (spec_of(b"get", key_range(), is_write=False), spec_of(b"set", key_range()))
SMALL_BUFFER = 4096


def connect(board: Switchboard) -> socket.socket:
    plain = socket.socket(socket.AF_UNIX)
    plain.connect(board.listener.getsockname())
    plain.setblocking(False)
    board.settle()
    return plain


def client_of(board: Switchboard, authority: Authority) -> SealedEnd:
    """Return a client whose handshake is done."""
    end = SealedEnd(connect(board), authority.client(), is_server=False)
    board.ends.append(end)
    while not end.advance():
        board.settle()
    board.settle()
    return end


def read_from(board: Switchboard, end: SealedEnd) -> bytes:
    """Return all that comes until nobody has anything left to do."""
    read = b""
    while True:
        board.settle()
        more = end.read()
        if not more:
            return read
        read += more


def ask(board: Switchboard, end: SealedEnd, *args: bytes) -> bytes:
    end.send(encode_command(*args))
    (reply,) = ReplyStream().feed(read_from(board, end))
    return reply


def node_with_tls(
    board: Switchboard, authority: Authority, *, small_buffers: bool = False
) -> SealedEnd:
    """Have the only pipeline lead to a node with TLS, after a handshake as control makes it."""
    node = board.nodes[0]
    board.engine.drop(node.pipeline)
    node.socket.close()
    board.nodes = []
    ours, theirs = socket.socketpair()
    if small_buffers:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
    far = SealedEnd(theirs, authority.server(), is_server=True)
    near = SealedEnd(ours, authority.client(), is_server=False)
    done = [False, False]
    while not all(done):
        done = [near.advance(), far.advance()]
    near.pull()
    cipher = Cipher(near.tls, near.incoming, near.outgoing, is_open=True)
    board.engine.attach(node.pipeline, ours.detach(), cipher)
    board.ends.append(far)
    return far

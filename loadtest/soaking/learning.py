"""Learn the right replies: what one standalone server answers to the same bytes.

Cost: each script runs twice on it, some 10 us a command.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from proxy.cluster.topology import Address
from proxy.resp.decode import ReplyReader
from soaking.repertoire import Piece
from soaking.steps import Ask

DEADLINE_S = 30.0
READ_BYTES = 1 << 18


class NotRepeatable(Exception):
    """A script is answered differently the second time, so nobody knows what is right."""


def learn(server: Address, script: Sequence[Piece]) -> list[Ask]:
    """Return a script with the replies to each of its pieces.

    Args:
        server: A standalone server; what the script leaves there stays.
        script: What one client sends, in order.

    Raises:
        NotRepeatable: See there.
        OSError: The server is gone.
    """
    first, second = _run(server, script), _run(server, script)
    for ask, again in zip(first, second, strict=True):
        if ask != again:
            raise NotRepeatable(
                f"{ask.request[:200]!r}: {ask.reply[:200]!r}, {again.reply[:200]!r}"
            )
    return first


def _run(server: Address, script: Sequence[Piece]) -> list[Ask]:
    asks = []
    with socket.create_connection((server.host, server.port), DEADLINE_S) as connection:
        reader = ReplyReader()
        for request, commands in script:
            connection.sendall(request)
            asks.append(Ask(request, _hear(connection, reader, commands), commands))
    return asks


def _hear(connection: socket.socket, reader: ReplyReader, count: int) -> bytes:
    chunks = []
    while count > 0:
        data = connection.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError("the standalone server ended the connection")
        chunks.append(data)
        count -= len(reader.feed(data))
    if count < 0:
        raise NotRepeatable("more replies than commands")
    return b"".join(chunks)

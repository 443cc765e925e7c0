"""A program between the proxy and the nodes that delays, cuts and swallows what passes.

Strategy: a process of its own, so that it keeps its pace whatever the tests do. For each node it
listens at a port, to which the proxy is sent by ``cluster.address_map``. Commands come as lines on
standard input, and each is answered with ``done`` on standard output:

- ``delay PORT SECONDS``: every piece waits so long, in both directions, and keeps its order;
- ``stall PORT``: nothing passes any more, and nobody is told: a partition without a reset;
- ``reset PORT``: all connections end at once with a reset, and new ones begin;
- ``split PORT``: every byte comes by itself;
- ``refuse PORT``: all connections end, and whatever is asked over new ones is answered READONLY,
  as by a primary that has become a replica and of which nobody has told us;
- ``heal PORT``: as at the beginning. What was held back passes;
  refused connections end.

``python relay.py LISTENED:NODE ...`` (ports of 127.0.0.1).
"""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass, field

import hiredis
import trio

READ_BYTES = 1 << 16
READONLY = b"-READONLY You can't write against a read only replica.\r\n"
NOT_YET = object()
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no goodbye


@dataclass
class Gate:
    """What befalls the connections to one node."""

    delay_s: float = 0.0
    is_split: bool = False
    is_refusing: bool = False
    is_open: trio.Event = field(default_factory=trio.Event)
    streams: set[trio.SocketStream] = field(default_factory=set)
    """The proxy's side of each connection; that to the node ends with it."""

    def heal(self) -> None:
        """Let everything pass."""
        self.delay_s = 0.0
        self.is_split = False
        self.is_open.set()
        if self.is_refusing:
            self.is_refusing = False
            self.reset()

    def refuse(self) -> None:
        """Let nothing pass, and say READONLY for the node."""
        self.is_refusing = True
        self.reset()

    def stall(self) -> None:
        """Let nothing pass."""
        self.is_open = trio.Event()

    def reset(self) -> None:
        """End all connections."""
        for stream in self.streams:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            stream.socket.close()
        self.streams.clear()


async def serve(gate: Gate, listener: trio.SocketListener, node: int) -> None:
    """Connect every client of one port with its node."""

    async def serve_one(client: trio.SocketStream) -> None:
        async with client:
            gate.streams.add(client)
            try:
                if gate.is_refusing:
                    await say_readonly(client)
                else:
                    await connect(client)
            except OSError:
                return  # the node is down: the client's connection ends
            finally:
                gate.streams.discard(client)  # before it is closed: who resets finds it open

    async def connect(client: trio.SocketStream) -> None:
        server = await trio.open_tcp_stream("127.0.0.1", node)
        async with server, trio.open_nursery() as nursery:
            nursery.start_soon(pass_on, gate, client, server, nursery.cancel_scope)
            nursery.start_soon(pass_on, gate, server, client, nursery.cancel_scope)

    await trio.serve_listeners(serve_one, [listener])


async def say_readonly(client: trio.SocketStream) -> None:
    """Answer every request as a replica answers writes."""
    reader = hiredis.Reader(notEnoughData=NOT_YET)
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async for data in client:
            reader.feed(data)
            while reader.gets() is not NOT_YET:
                await client.send_all(READONLY)


async def pass_on(
    gate: Gate, source: trio.SocketStream, target: trio.SocketStream, both: trio.CancelScope
) -> None:
    """Take bytes from one side to the other until either ends, which ends both."""
    send, receive = trio.open_memory_channel[tuple[float, bytes]](1000)

    async def read() -> None:
        async for data in source:
            await send.send((trio.current_time() + gate.delay_s, data))

    async def write() -> None:
        async for due, data in receive:
            await trio.sleep_until(due)
            await gate.is_open.wait()
            for piece in (
                [data[at : at + 1] for at in range(len(data))] if gate.is_split else [data]
            ):
                await target.send_all(piece)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await read()
            nursery.cancel_scope.cancel()
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    both.cancel()


async def obey(gates: dict[int, Gate]) -> None:
    """Do what is said on standard input, until it ends."""
    async for line in trio.wrap_file(sys.stdin):
        word, port, *numbers = line.split()
        gate = gates[int(port)]
        match word:
            case "delay":
                gate.delay_s = float(numbers[0])
            case "split":
                gate.is_split = True
            case _:
                getattr(gate, word)()
        print("done", flush=True)


async def main(pairs: list[tuple[int, int]]) -> None:
    """Serve until standard input ends."""
    gates: dict[int, Gate] = {}
    async with trio.open_nursery() as nursery:
        for port, node in pairs:
            gate = gates[port] = Gate()
            gate.heal()
            (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
            nursery.start_soon(serve, gate, listener, node)
        print("done", flush=True)
        await obey(gates)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, [tuple(map(int, pair.split(":"))) for pair in sys.argv[1:]])

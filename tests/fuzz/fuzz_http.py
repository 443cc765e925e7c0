"""Target: what comes over the admin port's connections, HTTP versions 1 and 2.

Judged: nothing goes wrong inside, every connection ends, what is answered is HTTP, nothing is
ordered by whoever has no token, nor shown that needs one, and somebody else is served.
"""

from __future__ import annotations

import contextlib
import re
import socket
from enum import Enum
from typing import Any

import structlog
import trio
import trio.testing
from admin_house import House
from hostile_http import PREFACE, hostile_http
from lots import Lots
from pace import PACE

from proxy.admin.server import serve
from proxy.insight.views import ClientsView
from proxy.insight.views_answers import EventsView, Explanation

HONEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# The clock of a case jumps when nobody has anything to do, and is so much faster when somebody has:
# for some milliseconds after each motion somebody always has (``_Haste``).
RATE = 20.0 / PACE
PATIENCE_S = 300
ANSWER = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9] ")


class Manner(Enum):
    """What a client does when it has sent everything."""

    WAITS = "until the connection is closed"
    SAYS_NO_MORE = "by FIN, and gets what is answered soon"
    LEAVES = "at once"


class Closed(House):
    """A site where others than this machine can connect, and who they are is not known."""

    def __init__(self) -> None:
        super().__init__(is_private=False)

    def _note(self, what: object, answer: Any) -> Any:
        assert isinstance(answer, EventsView | Explanation), "shown to somebody without a token"
        return super()._note(what, answer)

    def _clients(self, limit: int) -> ClientsView:
        raise AssertionError("shown to somebody without a token")


def speak_http(data: bytes) -> None:
    """Send by lot over a few connections, and ask for something sensible beside them."""
    with structlog.testing.capture_logs() as said:
        trio.run(_speak, Lots(data), clock=trio.testing.MockClock(RATE, 0.0))
    for line in said:
        assert "bug" not in line["event"], line


async def _speak(lots: Lots) -> None:
    house = Closed() if lots.flag() else House()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(b"")
    listener.listen(8)
    listener.setblocking(False)
    place = listener.getsockname()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, house.site, [listener], lambda: None, None)
            async with trio.open_nursery() as clients:
                for _ in range(1 + lots.below(2)):
                    wire = hostile_http(lots)
                    clients.start_soon(_pester, place, lots.cut(wire), lots.choice(list(Manner)))
            answer = await _ask(place, [HONEST], Manner.WAITS)
            nursery.cancel_scope.cancel()
    assert answer.endswith(b'{"alive":true}'), answer
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert not house.ordered


async def _pester(place: bytes, pieces: list[bytes], manner: Manner) -> None:
    answer = await _ask(place, pieces, manner)
    wire = b"".join(pieces)
    assert wire.startswith(PREFACE[:14]) or not answer or ANSWER.match(answer), answer


async def _ask(place: bytes, pieces: list[bytes], manner: Manner) -> bytes:
    """Send pieces, and return everything that is answered; or nothing: somebody was gone."""
    answer = bytearray()
    with trio.socket.socket(socket.AF_UNIX) as end, contextlib.suppress(OSError):
        await end.connect(place)
        for piece in pieces:
            await end.send(piece)
            await trio.lowlevel.checkpoint()
        if manner is Manner.LEAVES:
            return b""
        if manner is Manner.SAYS_NO_MORE:
            end.shutdown(socket.SHUT_WR)
        while data := await end.recv(65536):
            answer += data
        return bytes(answer)
    return b""

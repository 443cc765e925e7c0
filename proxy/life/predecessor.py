"""The newer side of a handover: start beside a proxy that serves, then take its place.

Strategy: everything that can go wrong at a start goes wrong while the older one still
serves: its listening sockets are there from the beginning, but nobody is accepted before
this process knows the map and the commands. Then the older one steps back, and its clients
come one after another (``sessions/moving.py``).

Cost: the start of a process, while the other one works.
"""

from __future__ import annotations

import math
import socket
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Self

import structlog

from proxy.cluster.addresses import Address
from proxy.control.successions import Successions
from proxy.errors import ConfigError
from proxy.life.handover_wire import (
    PROTOCOL,
    HandoverFailed,
    Message,
    Wire,
    expect_same_protocol,
)
from proxy.sessions.moving import Arrivals, Record
from proxy.sessions.pause import Pause
from proxy.unix_listener import UnixListener

log = structlog.get_logger()

VARIABLE = "SLOTWAY_PREDECESSOR"
"""Names the descriptor of our end of the wire."""


@dataclass(slots=True)
class Inherited:
    """Sockets that listen already."""

    listeners: Sequence[socket.socket] = ()
    """For clients."""
    tls_listeners: Sequence[socket.socket] = ()
    """For clients that speak TLS, beside others."""
    admin_listeners: Sequence[socket.socket] = ()

    def close_admin(self) -> None:
        """Have no admin port, although there was one."""
        for listener in self.admin_listeners:
            listener.close()


class Predecessor:
    """The process whose place we take.

    Attributes:
        inherited: Its sockets; ours, too.
    """

    def __init__(self, wire: Wire) -> None:
        self.inherited = Inherited()
        self._made_there = 0  # a bit for each Unix socket whose path it would remove
        self._wire = wire

    @classmethod
    async def find(cls, environment: MutableMapping[str, str]) -> Self | None:
        """Return the process that has started us to take its place; None: nobody has.

        Args:
            environment: What tells of it is removed, so that no child of ours takes it up.

        Raises:
            ConfigError: It does not speak as we do.
        """
        number = environment.pop(VARIABLE, "")
        if not number:
            return None
        try:
            end = socket.socket(fileno=int(number))
            end.set_inheritable(False)
        except (OSError, ValueError) as problem:
            raise _refusal(problem) from None
        found = cls(Wire(end))
        try:
            await found._meet()
        except HandoverFailed as problem:
            found._wire.close()
            raise _refusal(problem) from None
        return found

    async def _meet(self) -> None:
        hello = await self._wire.expect("hello", brings_sockets=True)
        try:
            expect_same_protocol(hello)
            for_clients, self._made_there = hello.number("listeners"), hello.number("made_here")
            plain = for_clients - hello.number("beside")
            if not 0 <= plain <= for_clients <= len(hello.descriptors):
                raise HandoverFailed("hello with other sockets than it says")
        except HandoverFailed:
            hello.close()
            raise
        sockets = _adopt(hello)
        self.inherited = Inherited(
            sockets[:plain], sockets[plain:for_clients], sockets[for_clients:]
        )

    async def step_back(self, successions: Successions, pause: Pause) -> int:
        """Say that we can serve; return the first id that a client of ours may have.

        From now on the older process accepts nobody.

        Args:
            successions: Is told what the older process knows.
            pause: Goes on with what is left of a CLIENT PAUSE.

        Raises:
            ConfigError: It does not; it serves on, or has ended.
        """
        try:
            await self._wire.say("ready", {"protocol": PROTOCOL})
            go = await self._wire.expect("go")
            match go.fields:
                case {"taken_over_s": float(at_s), "gone": [str(host), int(port)]}:
                    successions.remember(at_s, Address(host, port))
            match go.fields:
                case {"pause": [float(rest_s), bool(only_writes)]} if math.isfinite(rest_s):
                    pause.begin(rest_s, only_writes=only_writes)
            return go.number("next_client_id")
        except HandoverFailed as problem:
            self._wire.close()
            raise _refusal(problem) from None

    async def take_clients(self, arrivals: Arrivals) -> None:
        """Say that we serve, and take the clients that come, until there are no more."""
        taken = 0
        try:
            for at, listener in enumerate(self.inherited.listeners):
                if isinstance(listener, UnixListener) and self._made_there >> at & 1:
                    listener.own()
            await self._wire.say("serving")
            while await self._take_client(arrivals):
                taken += 1
        except HandoverFailed as problem:
            log.warning("the handover has ended early", problem=str(problem))
        finally:
            self._wire.close()
        log.info("clients taken over", clients=taken)

    async def _take_client(self, arrivals: Arrivals) -> bool:
        message = await self._wire.hear()
        try:
            if message.kind == "end":
                return False
            if message.kind != "client" or len(message.descriptors) != 1:
                raise HandoverFailed(f"{message.kind} instead of a client")
            packed = await self._wire.hear_bytes(message.number("record"))
            unread = await self._wire.hear_bytes(message.number("unread"))
            record = Record.unpack(packed)
            if arrivals.take(record, message.descriptors[0], unread) is None:
                log.warning("a client has no place here", client=record.id)
            else:
                message.descriptors.clear()  # it is the engine's
        except ValueError as problem:
            raise HandoverFailed(f"a client that is none: {problem}") from None
        finally:
            message.close()
        return True


def _adopt(hello: Message) -> list[socket.socket]:
    """Return the listening sockets of the other process as ours.

    Raises:
        HandoverFailed: One of them is none.
    """
    adopted: list[socket.socket] = []
    try:
        while hello.descriptors:
            each = socket.socket(fileno=hello.descriptors[0])
            del hello.descriptors[0]
            if each.family == socket.AF_UNIX:
                each = UnixListener(fileno=each.detach())
            each.setblocking(False)
            adopted.append(each)
    except OSError as problem:
        hello.close()
        for each in adopted:
            each.close()
        raise HandoverFailed(f"hello with what is no socket: {problem}") from None
    return adopted


def _refusal(problem: Exception) -> ConfigError:
    return ConfigError(
        key=VARIABLE,
        given=f"the end of a handover that has failed: {problem}",
        allowed="set by slotway itself only",
    )

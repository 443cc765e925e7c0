"""The older side of a handover: start a successor, and give it everything once it can serve.

Strategy: the successor is this program, started anew as this process was, so it may be
another version of it, and it reads its settings as any start does. Until it says that it
could serve, nothing changes here; if it never does, nothing ever does. Then it gets the
listening sockets, so that whoever connects meanwhile waits in the kernel and is refused by
nobody, and each client as soon as it is at rest: usually in the next milliseconds, in which
it waits a moment longer for a reply. One that waits in a blocking command goes on waiting
over there. A client with open ends (MULTI, WATCH) goes on here until they are tied; who
listens or tracks, and who is still busy when the time is over, is sent away as at any end
(``drain.py``).

Cost: two processes in memory for the length of a start; a client is 0.1 ms of both.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
import trio

from proxy.admin.port import AdminPort
from proxy.config import Listen, Settings
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.life.doors import Doors
from proxy.life.handover_wire import (
    PROTOCOL,
    HandoverFailed,
    Wire,
    expect_same_protocol,
)
from proxy.life.notify import notify
from proxy.life.predecessor import VARIABLE
from proxy.sessions.blocking import Blocking
from proxy.sessions.moving import Arrivals, Record, can_move, record_of
from proxy.sessions.pause import Pause
from proxy.unix_listener import UnixListener
from proxy.version import find_version

log = structlog.get_logger()

START_S = 60.0  # chosen: a cluster that is not found within this is not found
END_S = 2.0  # chosen: it has nothing to bring to an end
LOOK_S = 0.002
# What a service manager has told this process alone.
_OURS_ALONE = ("WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
PROCESS_OF_A_CONTAINER = 1


@dataclass(frozen=True, slots=True)
class Estate:
    """What there is to hand over, besides clients.

    Attributes:
        settings: Those in force.
        doors: Where clients are accepted; they stay open here.
        admin: The admin port, if there is one.
    """

    settings: Settings
    doors: Doors
    admin: AdminPort | None


class Succession:
    """Hands over what one proxy has.

    Args:
        engine: Has the clients.
        blocking: Has those that wait.
        arrivals: Takes a client back that could not be given.
        pause: Goes on over there.

    Attributes:
        is_over: Whether a successor serves.
    """

    def __init__(
        self, engine: Engine, blocking: Blocking, arrivals: Arrivals, pause: Pause
    ) -> None:
        self._engine = engine
        self._blocking = blocking
        self._arrivals = arrivals
        self._pause = pause
        self._is_under_way = False
        self.is_over = False

    async def run(self, estate: Estate) -> bool:
        """Start a successor, and hand over to it.

        Returns:
            Whether it serves now; else this process does, as before.
        """
        if self._is_under_way:
            log.warning("not handed over", why="a successor is starting already")
            return False
        if os.getpid() == PROCESS_OF_A_CONTAINER:
            log.warning("not handed over", why="the container would end with this process")
            return False
        self._is_under_way = True
        try:
            self.is_over = await self._hand_over(estate)
            return self.is_over
        finally:
            self._is_under_way = False

    async def _hand_over(self, estate: Estate) -> bool:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wire = Wire(ours)
        try:
            with theirs:
                process = await _start(theirs)
            log.info("a successor starts", process=process.pid)
            try:
                await self._wait_until_ready(wire, estate)
            except HandoverFailed as problem:
                code = await _end(process)
                log.warning("not handed over", why=str(problem), exit_code=code)
                return False
            notify(f"MAINPID={process.pid}")
            given = await self._step_back(wire, estate)
            if given is None:
                process.kill()  # the clients that it has are lost; it must not accept more
                await process.wait()
                notify(f"MAINPID={os.getpid()}")
                return False
            left = len(self._engine.clients)
            log.info("handed over", process=process.pid, clients=given, left=left)
            return True
        finally:
            wire.close()

    async def _wait_until_ready(self, wire: Wire, estate: Estate) -> None:
        admin_listeners = estate.admin.listeners if estate.admin else ()
        sockets = [*estate.doors.sockets, *admin_listeners]
        hello = {
            "protocol": PROTOCOL,
            "version": find_version() or "unknown",
            "listeners": len(estate.doors.sockets),
            "beside": estate.doors.beside,
            "made_here": _bits_of_ours(estate.doors.sockets),
        }
        await wire.say("hello", hello, [each.fileno() for each in sockets])
        with trio.move_on_after(START_S) as patience:
            expect_same_protocol(await wire.expect("ready"))
        if patience.cancelled_caught:
            raise HandoverFailed(f"it was not ready within {START_S:g} s")

    async def _step_back(self, wire: Wire, estate: Estate) -> int | None:
        """Let the successor serve; return how many clients it got, or None: it has failed."""
        settings, admin = estate.settings, estate.admin
        if admin is not None:
            admin.pause()
        for listener in estate.doors.sockets:
            self._engine.stop_listening(listener.fileno())
        try:
            await wire.say("go", self._last_words())
            await wire.expect("serving")
            given = await self._give_clients(wire, settings.listen, is_pinned=bool(settings.pin))
            await wire.say("end")
            for listener in estate.doors.sockets:
                if isinstance(listener, UnixListener):
                    listener.disown()
        except HandoverFailed as problem:
            log.warning("the successor has failed; serving on", problem=str(problem))
            for client in self._engine.clients.values():
                self._engine.release(client)
            estate.doors.let_in(self._engine)
            if admin is not None:
                admin.go_on()
            return None
        return given

    def _last_words(self) -> dict[str, object]:
        last = self._blocking.successions.last
        return {
            "next_client_id": self._engine.next_client_id,
            "taken_over_s": last and last[0],
            "gone": last and [last[1].host, last[1].port],
            "pause": self._pause.rest,
        }

    async def _give_clients(self, wire: Wire, listen: Listen, *, is_pinned: bool) -> int:
        """Give each client as soon as it is at rest; return how many were given."""
        given, problem = 0, None
        async with trio.open_nursery() as nursery:

            def end_wait(client: Client) -> None:
                nursery.start_soon(self._blocking.send_back, client)

            began = trio.current_time()
            while trio.current_time() <= began + listen.drain_s:
                is_late = trio.current_time() > began + listen.drain_linger_s
                resting = self._find_resting(None if is_pinned else end_wait, is_late=is_late)
                if resting is None:
                    break
                try:
                    for client in resting:
                        if self._engine.is_at_rest(client):  # it may have left meanwhile
                            await self._give(wire, client)
                            given += 1
                except HandoverFailed as found:
                    problem = found
                    break
                await trio.sleep(LOOK_S)
            nursery.cancel_scope.cancel()
        if problem is not None:
            raise problem
        return given

    def _find_resting(
        self, end_wait: Callable[[Client], None] | None, *, is_late: bool
    ) -> list[Client] | None:
        """Return who can be given now; None: nobody is worth waiting for any more.

        Args:
            end_wait: Begins to have a blocked client's wait end. None: what was sent is in the
                servers' names for keys, so it cannot be sent again as the client's own.
            is_late: Whether open ends had all their time.
        """
        resting, is_worth_it = [], False
        for client in self._engine.clients.values():
            if client.state.wait is not None and end_wait is not None:
                self._engine.hold(client)
                end_wait(client)
                is_worth_it |= not is_late
            elif not can_move(client):
                self._engine.release(client)
                is_worth_it |= not is_late and _has_open_ends(client)
            else:
                self._engine.hold(client)
                is_worth_it = True
                if self._engine.is_at_rest(client):
                    resting.append(client)
        is_worth_it |= self._engine.at_the_door > 0 and not is_late
        return resting if is_worth_it else None

    async def _give(self, wire: Wire, client: Client) -> None:
        record = record_of(client)
        packed = record.pack()
        fd, unread = self._engine.give_away(client)
        try:
            await wire.say("client", {"record": len(packed), "unread": len(unread)}, [fd])
            await wire.say_bytes(packed)
            await wire.say_bytes(unread)
        except BaseException:
            # The other process may have the socket too, but it will do nothing with it.
            if self._arrivals.take(Record.unpack(packed), fd, unread) is None:
                os.close(fd)
            raise
        os.close(fd)


def _has_open_ends(client: Client) -> bool:
    """Return whether a client is in the middle of something that it may bring to an end."""
    state = client.state
    return state.queue is not None or state.watch is not None or state.wait is not None


def _bits_of_ours(listeners: Sequence[socket.socket]) -> int:
    """Return a bit for each socket whose path was made here, and has to be removed some day."""
    return sum(
        1 << at
        for at, each in enumerate(listeners)
        if isinstance(each, UnixListener) and each.is_made_here
    )


async def _start(end: socket.socket) -> trio.Process:
    """Start this program anew, as this process was started, and pass it one socket."""
    environment = {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
    environment[VARIABLE] = str(end.fileno())
    return await trio.lowlevel.open_process(
        [sys.executable, *sys.orig_argv[1:]],
        stdin=subprocess.DEVNULL,
        pass_fds=[end.fileno()],
        env=environment,
    )


async def _end(process: trio.Process) -> int | None:
    """See that a successor ends which serves nobody; return its exit code."""
    with trio.move_on_after(END_S):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    return process.returncode

"""All clients of a soak in one loop: those that stay, and those that come and go.

Strategy: one epoll set and a generator for each client, in one thread; what takes the time is
the proxy. Time is counted in commands, so that a slow machine has the same soak as a fast
one, and a round ends when nobody is owed an answer any more: then the proxy has nothing to
do, and what it holds is what it keeps.

Cost: some 25 us for a piece of a script, whatever it holds, and 0.2 ms a visit.
"""

from __future__ import annotations

import heapq
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from proxy.cluster.topology import Address
from soaking.guest import Guest, Wish
from soaking.steps import (
    Ask,
    Dialogue,
    EndInput,
    Hear,
    HearSome,
    Say,
    Stay,
    Tell,
    TurnDeaf,
    Vanish,
)

ANSWER_DEADLINE_S = 60.0
TICK_S = 1.0
NEWCOMERS_AT_ONCE = 32
EVENTS_AT_ONCE = 256
POLL_S = 0.1
_LINGER_NOT = struct.pack("ii", 1, 0)


def repeat(asks: Sequence[Ask]) -> Dialogue:
    """Ask the same again and again."""
    while True:
        yield from asks


class Crowd:
    """The clients; a context manager that sends all of them home at its end.

    Attributes:
        commands: Sent so far, by all.
        visits: How many have come so far.
    """

    def __init__(
        self,
        address: Address,
        steady: Sequence[Dialogue],
        *,
        size: int,
        next_visit: Callable[[int], Dialogue],
    ) -> None:
        """Connect those that stay.

        Args:
            address: The proxy's.
            steady: The dialogues of those that stay; they never end.
            size: How many visitors are there at a time.
            next_visit: Returns the dialogue of the visitor with this number.
        """
        self.commands = 0
        self.visits = 0
        self._address = address
        self._size = size
        self._next_visit = next_visit
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, Guest] = {}
        self._visitors: set[Guest] = set()
        self._owed: set[Guest] = set()
        self._stays: list[tuple[int, int, Guest]] = []
        self._serial = 0
        self._is_resting = True
        self._steady = [self._let_in(dialogue) for dialogue in steady]
        self._teller = self._let_in(None)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._by_descriptor)

    def run(
        self,
        commands: int,
        *,
        on_tick: Callable[[], object],
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """Send so many commands, let visitors come and go, and end when all is answered.

        Args:
            commands: At least so many.
            on_tick: Called once a second.
            is_busy: Whether to go on although they are sent.

        Raises:
            WrongAnswer: An answer was wrong, or did not come.
            OSError: Nobody listens any more.
        """
        goal = self.commands + commands
        tick_s = time.monotonic() + TICK_S
        self._is_resting = False
        for guest in self._steady:
            self._go_on(guest)
        while self._owed or not self._is_resting:
            if not self._is_resting:
                self._is_resting = self.commands >= goal and not is_busy()
                self._end_stays()
                self._welcome()
            for descriptor, events in self._epoll.poll(POLL_S, EVENTS_AT_ONCE):
                if (guest := self._by_descriptor.get(descriptor)) is not None:
                    self._attend(guest, events)
            if (now := time.monotonic()) >= tick_s:
                tick_s = now + TICK_S
                self._look_for_overdue(now)
                on_tick()

    def send_home(self) -> None:
        """Close the connections of all visitors, in the middle of whatever they do."""
        for guest in list(self._visitors):
            self._leave(guest)
        self._stays.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for guest in list(self._by_descriptor.values()):
            self._leave(guest)
        self._epoll.close()

    def _let_in(self, dialogue: Dialogue | None) -> Guest:
        guest = Guest(self._address, dialogue)
        self._by_descriptor[guest.connection.fileno()] = guest
        self._watch(guest)
        return guest

    def _welcome(self) -> None:
        for _ in range(min(NEWCOMERS_AT_ONCE, self._size - len(self._visitors))):
            guest = self._let_in(self._next_visit(self.visits))
            self.visits += 1
            self._visitors.add(guest)
            self._go_on(guest)

    def _end_stays(self) -> None:
        while self._stays and self._stays[0][0] <= self.commands:
            guest = heapq.heappop(self._stays)[2]
            if not guest.is_gone:
                self._go_on(guest)

    def _attend(self, guest: Guest, events: int) -> None:
        if events & select.EPOLLOUT:
            guest.send()
            self._watch(guest)
        if events & ~select.EPOLLOUT and not guest.is_deaf:
            answered = guest.hear()
            if answered is not None:
                self.commands += answered
                self._owed.discard(guest)
                if guest.is_over:
                    self._leave(guest)
                    return
                if guest.is_deaf:
                    self._watch(guest)
                self._go_on(guest)

    def _go_on(self, guest: Guest) -> None:
        """Do steps until one takes time. Nobody begins anything new once the round is over."""
        while not self._is_resting and guest.dialogue is not None:
            step = next(guest.dialogue, None)
            if step is None or not self._do(guest, step):
                if step is None or isinstance(step, Vanish):
                    self._leave(guest)
                return

    def _do(self, guest: Guest, step: object) -> bool:
        """Do one step; return whether the next may follow at once."""
        match step:
            case Ask(request, reply, commands):
                guest.expect(reply, commands)
                self._send(guest, request)
            case Say(request, commands):
                self.commands += commands
                self._send(guest, request)
                return True
            case Tell(request, reply):
                self._teller.expect(reply, 1)
                self._owed.add(self._teller)
                self._send(self._teller, request)
                return True
            case Stay(commands):
                self._serial += 1
                heapq.heappush(self._stays, (self.commands + commands, self._serial, guest))
                return False
            case Hear(reply, is_last):
                guest.expect(reply, is_last=is_last)
            case HearSome():
                guest.wait_for(Wish.ANYTHING)
            case TurnDeaf():
                guest.is_deaf = True
                self._watch(guest)
                return True
            case EndInput():
                guest.end_input()
                return True
            case Vanish():
                guest.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                return False
        self._owed.add(guest)
        return False

    def _send(self, guest: Guest, request: bytes) -> None:
        guest.say(request)
        self._watch(guest)

    def _watch(self, guest: Guest) -> None:
        events = (0 if guest.is_deaf else select.EPOLLIN) | (
            select.EPOLLOUT if guest.wants_to_send else 0
        )
        if events == guest.events:
            return
        if guest.events is None:
            self._epoll.register(guest.connection, events)
        elif events:
            self._epoll.modify(guest.connection, events)
        else:
            self._epoll.unregister(guest.connection)  # or it would tell of its end again and again
        guest.events = events or None

    def _leave(self, guest: Guest) -> None:
        del self._by_descriptor[guest.connection.fileno()]
        self._visitors.discard(guest)
        self._owed.discard(guest)
        guest.connection.close()

    def _look_for_overdue(self, now_s: float) -> None:
        for guest in self._owed:
            if now_s - guest.since_s > ANSWER_DEADLINE_S:
                raise guest.overdue()

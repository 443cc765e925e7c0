"""Commands whose keys lie in several slots and that cannot be split: whether, and by whom.

Strategy: the setting says which are done at all; ``across_plan`` says in what manner.
Each runs in a task of its own, which a client that leaves does not stop half way. A client
with an ACL user is judged by the server first: it is sent the request as it is, and a
server that has nothing against it says CROSSSLOT.

Nothing here is atomic, and nothing is lost: see the manners' own files. Not atomic means:
keys are read at different moments, and others can see, and come in between, the steps.

Cost: what all of them copy at a time is bounded for the whole proxy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

import structlog
import trio

from proxy.control.lane_key import LaneKey, key_of
from proxy.dataplane.lane import Lane
from proxy.dataplane.tables import Command
from proxy.errors import BackendProtocolError
from proxy.resp import replies
from proxy.resp import replies_across as say
from proxy.resp.decode import error_code
from proxy.resp.replies_limits import too_wide
from proxy.sessions import across_copies, across_moves, across_parts
from proxy.sessions.across_plan import Manner, find_keys, manner_of
from proxy.sessions.across_work import Asker, Budget, Work

log = structlog.get_logger()

COPIES_AT_ONCE = 8  # times the limit of one command; chosen: memory holds them twice
KEY_LIMIT = 1024  # of one command; chosen: each is a request of its own

Setting = Literal["reject", "reads", "all"]

_MOVES = frozenset({Manner.MEMBER, Manner.ELEMENT, Manner.WHOLE_KEY})

DO: dict[Manner, Callable[[Work], Awaitable[bytes]]] = {
    Manner.COPIES: across_copies.run_on_copies,
    Manner.COPIES_WITH_TTL: across_copies.run_on_copies_with_ttl,
    Manner.FIRST_THAT_HAS: across_parts.pop_first,
    Manner.EACH_STREAM: across_parts.read_streams,
    Manner.MEMBER: across_moves.move_member,
    Manner.ELEMENT: across_moves.move_element,
    Manner.WHOLE_KEY: across_moves.move_key,
    Manner.ALL_OR_NONE: across_parts.set_all_or_none,
}


class Across:
    """Does what the setting commands.cross_slot allows.

    Args:
        setting: What is done across slots.
        nodes: Who is asked.
        find_lane: Returns the lane that all clients of a kind share.
        note_limit: Counts a limit that was hit, by its name.
        limit_bytes: What one command may copy.
        timeout_s: How long one command may take.
    """

    def __init__(
        self,
        *,
        setting: Setting,
        nodes: Asker,
        find_lane: Callable[[LaneKey], Lane],
        note_limit: Callable[[str], object],
        limit_bytes: int,
        timeout_s: float,
    ) -> None:
        self.setting = setting
        self.fan_out_limit = 0
        self._nodes = nodes
        self._find_lane = find_lane
        self._note_limit = note_limit
        self.limit_bytes = limit_bytes
        self.timeout_s = timeout_s
        self.budget = Budget(COPIES_AT_ONCE * limit_bytes)
        self._turns = _Turns()

    async def run(self) -> None:
        """Hold the tasks of all commands across slots, for ever."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await trio.sleep_forever()

    def refuse(self, command: Command, args: list[bytes]) -> bytes | None:
        """Return the error for a command that is not done across slots, or None."""
        spec = command.spec
        keys = find_keys(spec, args)
        if manner_of(spec, keys) is Manner.REFUSED:
            return replies.cross_slot(spec.name)
        needed: Setting = "all" if spec.is_write else "reads"
        if self.setting not in (needed, "all"):
            return say.cross_slot_by_setting(spec.name, needed=needed.encode())
        slots = len({key.slot for key in keys})
        if 0 < self.fan_out_limit < slots:
            self._note_limit("fan_out_limit")
            return too_wide(spec.name, slots=slots, limit=self.fan_out_limit)
        if len(keys) > KEY_LIMIT:
            return say.across_too_many_keys(spec.name, found=len(keys), limit=KEY_LIMIT)
        return None

    async def serve(self, lane: Lane, command: Command, args: list[bytes]) -> bytes:
        """Return the reply to a command that ``refuse`` has nothing against.

        Args:
            lane: The client's; it decides the protocol, the database and the rights.
        """
        key = key_of(lane)
        keys = find_keys(command.spec, args)
        if key.credentials is not None:
            verdict = await self._nodes.ask(lane, keys[0].slot, *args)
            if error_code(verdict) != b"CROSSSLOT":
                return verdict
        shared = self._find_lane(LaneKey(resp=key.resp, database=key.database))
        work = Work(
            spec=command.spec,
            args=args,
            keys=keys,
            lane=shared,
            own_lane=lane if key.credentials is None else shared,
            nodes=self._nodes,
            limit_bytes=self.limit_bytes,
            budget=self.budget,
            note_limit=self._note_limit,
        )
        job = _Job(work)
        self._nursery.start_soon(self._do, job)
        await job.is_done.wait()
        return job.reply

    async def _do(self, job: _Job) -> None:
        work = job.work
        tell = say.across_write_too_late if work.spec.is_write else say.across_read_too_late
        job.reply = tell(work.spec.name, self.timeout_s)
        try:
            with trio.move_on_after(self.timeout_s):
                async with self._turns.of(work):
                    job.reply = await DO[manner_of(work.spec, work.keys)](work)
        except BackendProtocolError as problem:
            log.warning("a server's answer cannot be read", problem=str(problem))
            job.reply = replies.internal_error()
        except Exception:  # a bug met by one client must not end all of them
            log.exception("bug in a command across slots", command=work.spec.name)
            job.reply = replies.internal_error()
        job.is_done.set()


class _Turns:
    """Has moves from the same key wait for each other: side by side they would only retry."""

    def __init__(self) -> None:
        self._locks: dict[bytes, trio.Lock] = {}

    @asynccontextmanager
    async def of(self, work: Work) -> AsyncIterator[None]:
        """Wait for the turn of a command; what moves nothing has none to wait for."""
        if manner_of(work.spec, work.keys) not in _MOVES:
            yield
            return
        source = work.keys[0].name
        lock = self._locks.setdefault(source, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._locks.pop(source, None)


class _Job:
    """One command, and what became of it."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.reply = b""
        self.is_done = trio.Event()

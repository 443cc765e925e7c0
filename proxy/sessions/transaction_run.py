"""Run the phases of a transaction, and put EXEC's array together.

Strategy: phase by phase, in it the fan-outs that come first, then all blocks at the
same time, then what the proxy answers itself. With WATCH the watched slot's block is
alone at first, and if it was not run nothing else is.

A block that fails has its error in the place of each of its commands (law 5). Only if
it is all that has been begun is its error EXEC's own reply, as a server's would be.

Cost: a task, and one request to a node for each block.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import trio

from proxy.control.hub_link import HubLink
from proxy.control.subscriptions import Book, Kind
from proxy.dataplane.client import Client
from proxy.resp import replies
from proxy.resp import replies_transactions as say
from proxy.resp.decode import is_error, is_null
from proxy.resp.encode import encode_command
from proxy.sessions.transaction_alone import run_alone
from proxy.sessions.transaction_plan import Answers, Block, Phase, Planner
from proxy.sessions.transaction_queue import Entry, ScriptNames
from proxy.sessions.watch import Watch

if TYPE_CHECKING:
    from proxy.sessions.roads import Front

# More commands at once would keep all other clients waiting: these take about 2 ms.
COMMANDS_A_TURN = 250  # chosen


def receivers_of(book: Book[Client, HubLink], entries: Sequence[Entry]) -> dict[int, int]:
    """Return, by its place, how many clients each PUBLISH reaches; of those that reach any."""
    kinds = {b"publish": Kind.CHANNEL, b"spublish": Kind.SHARD}
    found = {
        place: book.receivers(kinds[entry.spec.name], entry.args[1])
        for place, entry in enumerate(entries)
        if entry.spec.name in kinds
    }
    return {place: count for place, count in found.items() if count}


async def _frames_of(blocks: Sequence[Block]) -> list[bytes]:
    """Return what is to be sent for each block, and let others have their turns meanwhile."""
    frames = []
    commands = 0
    for block in blocks:
        pieces = []
        for args in block.request:
            commands += 1
            if commands % COMMANDS_A_TURN == 0:
                await trio.lowlevel.checkpoint()
            pieces.append(encode_command(*args))
        frames.append(b"".join(pieces))
    return frames


class TransactionRun:
    """One EXEC.

    Args:
        watch: The keys that WATCH named, if any.
    """

    def __init__(
        self, front: Front, client: Client, entries: Sequence[Entry], watch: Watch | None
    ) -> None:
        self._front = front
        self._client = client
        self._entries = entries
        self._watch = watch
        self._receivers = receivers_of(front.hub.book, entries)
        self._answers = Answers(entries, self._receivers)
        self._has_run = False

    async def run(self) -> bytes:
        """Return EXEC's reply; the watch is over then, however this ends."""
        try:
            return await self._run(await self._plan())
        finally:
            self._client.state.queue = None
            if self._watch is not None:
                self._watch.end()

    async def _plan(self) -> list[Phase]:
        scripts = ScriptNames(self._front.scripts)
        planner = Planner(None if self._watch is None else self._watch.slot)
        for place, entry in enumerate(self._entries):
            if place % COMMANDS_A_TURN == COMMANDS_A_TURN - 1:
                await trio.lowlevel.checkpoint()
            planner.add(place, scripts.name(entry))
        planner.close_phase()
        return planner.phases

    async def _run(self, phases: Sequence[Phase]) -> bytes:
        whole = phases[0].only_block if len(phases) == 1 and not self._receivers else None
        only = len(phases) == 1 and len(phases[0].blocks) == 1
        for phase in phases:
            for place in phase.before:
                await self._answer(place)
            blocks = list(phase.blocks.values())
            if self._watch is not None:
                outcome = await self._watch.execute(blocks[0])
                self._watch = None
                if whole is not None or is_null(outcome) or is_error(outcome):
                    return outcome
                self._take(blocks.pop(0), outcome)
            outcomes = await self._run_all(blocks)
            if whole is not None or (only and not self._has_run and is_error(outcomes[0])):
                return outcomes[0]
            for block, outcome in zip(blocks, outcomes, strict=True):
                self._take(block, outcome)
            for place in phase.after:
                await self._answer(place)
        return self._answers.merged()

    def _take(self, block: Block, outcome: bytes) -> None:
        self._has_run = True
        self._answers.put_block(block, outcome)

    async def _run_all(self, blocks: Sequence[Block]) -> list[bytes]:
        """Have blocks run; return EXEC's reply of each, in this order."""
        shared = [block for block in blocks if not block.changes_connection]
        outcomes = iter(await self._ask_all(shared))
        return [
            await run_alone(self._front, self._client, block)
            if block.changes_connection
            else next(outcomes)
            for block in blocks
        ]

    async def _ask_all(self, blocks: Sequence[Block]) -> list[bytes]:
        """Have blocks run at the same time; return EXEC's reply of each."""
        if not blocks:
            return []
        outcomes = [b""] * len(blocks)
        missing = len(blocks)
        done = trio.Event()

        def take(number: int, data: bytes) -> None:
            nonlocal missing
            outcomes[number] = blocks[number].outcome(data)
            missing -= 1
            if missing == 0:
                done.set()

        engine = self._front.engine
        frames = await _frames_of(blocks)
        askers = [
            engine.ask(
                self._client.lane,
                frames[number],
                partial(take, number),
                slot=block.slot,
                is_write=block.is_write,
                replies=block.replies,
                number=self._client.id,
            )
            for number, block in enumerate(blocks)
        ]
        try:
            await done.wait()
        finally:
            for asker in askers:
                engine.forget(asker)
        return outcomes

    # ---- what nodes do not run inside a block -------------------------------------------

    async def _answer(self, place: int) -> None:
        """Bring the answer of a command as if it had been sent outside the transaction."""
        self._has_run = True
        entry = self._entries[place]
        args = list(entry.args)
        command, _ = self._front.engine.command_table.key_places(*args)
        if command is None:
            frame = replies.unknown_command(args[0], args[1:])  # its module has been unloaded
        elif command.name == b"ssubscribe":
            frame = say.no_ssubscribe_in_transaction()
        else:
            frame = await self._front.answer(self._client, command, args)
        self._answers.put(place, frame)

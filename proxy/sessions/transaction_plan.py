"""From what was queued to what is sent, and from what comes back to EXEC's array.

Strategy: everything that nodes run goes into *blocks* ``MULTI ... EXEC``, one for
each slot (with "strict" there is only one). What the proxy answers itself has no
place in a block: fan-outs that stand before the first command with a key are run
before the blocks, everything else after them. A fan-out that writes (FLUSHALL,
FUNCTION LOAD) keeps its place: what follows it is a *phase* of its own, with
blocks of its own. A command without a key goes with the command before it.

With WATCH the block of the watched slot is the first thing that runs.

SELECT and HELLO are the proxy's to answer, but what follows them must run in another
database, or be answered in another version. So they stand in the blocks too, as
commands whose answers nobody wants, and such a block needs a connection of its own.

Pure; the answers are raw frames and stay so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.dataplane.frames import split_array, split_frames
from proxy.errors import BackendProtocolError
from proxy.resp import replies
from proxy.resp import replies_transactions as say
from proxy.resp.decode import integer_of, is_error
from proxy.resp.encode import array, encode_command, integer
from proxy.sessions.transaction_queue import Entry
from proxy.sessions.transaction_split import Part, merge_parts

NO_SLOT = -1
UNWANTED = -1
MULTI = (b"MULTI",)
EXEC = (b"EXEC",)
_OK = b"+OK\r\n"


@dataclass(slots=True)
class Block:
    """What one node runs as a whole."""

    slot: int
    """NO_SLOT: no command of it has a key, any primary will do."""
    is_write: bool = False
    """Whether it must not be run twice."""
    changes_connection: bool = False
    """Whether the connection is another one afterwards, and nobody else's to use."""
    parts: list[tuple[int, int]] = field(default_factory=list)
    """(place in the queue, number of the part) of each of its commands; UNWANTED: its answer."""
    commands: list[tuple[bytes, ...]] = field(default_factory=list)

    @property
    def replies(self) -> int:
        """How many replies come, with MULTI's and EXEC's."""
        return len(self.commands) + 2

    @property
    def request(self) -> list[tuple[bytes, ...]]:
        """The commands as they are sent."""
        return [MULTI, *self.commands, EXEC]

    @property
    def frame(self) -> bytes:
        """The whole block as it is sent."""
        return b"".join([encode_command(*args) for args in self.request])

    def add(self, place: int, number: int, part: Part, *, is_write: bool) -> None:
        """Put a command at the end."""
        self.parts.append((place, number))
        self.commands.append(part.args)
        self.is_write = self.is_write or is_write

    def add_change(self, place: int, args: tuple[bytes, ...]) -> None:
        """Put a SELECT or HELLO at the end."""
        self.parts.append((place, UNWANTED))
        self.commands.append(args)
        self.changes_connection = True

    def outcome(self, data: bytes) -> bytes:
        """Return EXEC's reply: an array, a null (it was watched), or why nothing ran.

        Args:
            data: All replies in a row, or one error frame in their stead.
        """
        prefix = _OK + say.QUEUED * len(self.commands)
        if data.startswith(prefix):
            return data[len(prefix) :]
        frames = split_frames(data)
        if frames[-1].startswith(b"-EXECABORT ") and len(frames) > 1:
            refused = next((frame for frame in frames[:-1] if is_error(frame)), None)
            if refused is not None:
                return say.exec_aborted_by(refused)
        return frames[-1]

    def elements(self, outcome: bytes) -> list[bytes]:
        """Return the answer of each command; if the block failed, why, for each of them."""
        if is_error(outcome):
            return [outcome] * len(self.commands)
        try:
            found = split_array(outcome)
        except BackendProtocolError:
            found = None
        if found is None or len(found) != len(self.commands):
            return [replies.replies_differ(b"exec")] * len(self.commands)
        return found


@dataclass(slots=True)
class Phase:
    """What may run together: fan-outs, then blocks, then what the proxy answers."""

    before: list[int] = field(default_factory=list)
    blocks: dict[int, Block] = field(default_factory=dict)
    """By slot; with WATCH the first is the watched slot's."""
    after: list[int] = field(default_factory=list)

    @property
    def only_block(self) -> Block | None:
        """The block that is all of it; its reply is EXEC's."""
        if len(self.blocks) != 1 or self.before or self.after:
            return None
        return next(iter(self.blocks.values()))


def plan(entries: Sequence[Entry], watched_slot: int | None = None) -> list[Phase]:
    """Return the phases of a transaction, at least one."""
    planner = Planner(watched_slot)
    for place, entry in enumerate(entries):
        planner.add(place, entry)
    planner.close_phase()
    return planner.phases


class Planner:
    """Finds each command's place, one after the other.

    Attributes:
        phases: Complete after ``close_phase``.
    """

    def __init__(self, watched_slot: int | None) -> None:
        self.phases: list[Phase] = []
        self._begin_phase()
        if watched_slot is not None:
            # Even with no command of that slot: its EXEC says whether the rest may run.
            self._phase.blocks[watched_slot] = Block(watched_slot)
            self._latest = watched_slot

    def _begin_phase(self) -> None:
        self._phase = Phase()
        self.phases.append(self._phase)
        self._latest = NO_SLOT
        self._keyless: list[tuple[int, Entry]] = []  # wait for the first command with a key
        self._changes: list[tuple[int, Entry]] = []  # of the connection, in this phase
        self._known: dict[int, int] = {}  # how many of those a slot's block has already
        self._is_cut = False

    def add(self, place: int, entry: Entry) -> None:
        """Find the place of the next command."""
        phase = self._phase
        if not entry.parts:
            is_first = not (phase.blocks or self._keyless)
            if entry.is_fan_out and is_first:
                phase.before.append(place)
            else:
                phase.after.append(place)
                self._is_cut = self._is_cut or entry.empties
            if entry.changes_connection:
                self._changes.append((place, entry))
            return
        if self._is_cut:
            self.close_phase()
            self._begin_phase()
        if entry.parts[0].slot == NO_SLOT and self._latest == NO_SLOT:
            self._keyless.append((place, entry))
            return
        for number, part in enumerate(entry.parts):
            if part.slot != NO_SLOT:
                self._latest = part.slot
            self._put(self._latest, place, number, entry)

    def _put(self, slot: int, place: int, number: int, entry: Entry) -> None:
        block = self._phase.blocks.get(slot)
        if block is None:
            block = self._phase.blocks[slot] = Block(slot)
            waiting, self._keyless = self._keyless, []
            for earlier, keyless in waiting:
                self._catch_up(block, earlier)
                block.add(earlier, 0, keyless.parts[0], is_write=keyless.spec.is_write)
        self._catch_up(block, place)
        block.add(place, number, entry.parts[number], is_write=entry.spec.is_write)

    def _catch_up(self, block: Block, place: int) -> None:
        """Have a block make the changes of the connection that come before this command."""
        known = self._known.setdefault(block.slot, 0)
        for earlier, entry in self._changes[known:]:
            if earlier < place:
                block.add_change(earlier, entry.args)
                self._known[block.slot] += 1

    def close_phase(self) -> None:
        """Note that nothing follows in this phase.

        Commands without a key get a block of their own, if no other came to take them.
        """
        waiting, self._keyless = self._keyless, []
        for place, entry in waiting:
            self._put(NO_SLOT, place, 0, entry)


class Answers:
    """The answers that have come so far, by place in the queue.

    Args:
        receivers: By the place of a PUBLISH, how many of the proxy's clients it reaches:
            for the servers they are one subscriber, on one of the nodes.
    """

    def __init__(
        self, entries: Sequence[Entry], receivers: Mapping[int, int] | None = None
    ) -> None:
        self._entries = entries
        self._receivers = receivers or {}
        self._parts: list[list[bytes]] = [[b""] * max(len(entry.parts), 1) for entry in entries]

    def put(self, place: int, frame: bytes) -> None:
        """Note the answer of a command that the proxy brought itself."""
        self._parts[place][0] = frame

    def put_block(self, block: Block, outcome: bytes) -> None:
        """Note the answers of a block."""
        for (place, number), frame in zip(block.parts, block.elements(outcome), strict=True):
            if number != UNWANTED:
                self._parts[place][number] = frame

    def merged(self) -> bytes:
        """Return EXEC's array."""
        return array(list(self._frames()))

    def _frames(self) -> Iterator[bytes]:
        for place, (entry, parts) in enumerate(zip(self._entries, self._parts, strict=True)):
            frame = merge_parts(entry.spec, entry.parts, parts) if entry.parts else parts[0]
            if place in self._receivers and frame.startswith(b":"):
                frame = integer(max(integer_of(frame), self._receivers[place]))
            yield frame

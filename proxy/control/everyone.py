"""Put one question to many nodes at once, and go on until each has answered.

Strategy: the nodes are asked concurrently. Who is to be asked follows from the
map, which may change meanwhile: as long as somebody in the map of the moment
has not answered, a refresh is wanted and the round is repeated for those only.
A shard whose primary is replaced is thus asked again under its new primary, and
nobody is asked twice who has answered.

Asked again is only what may be: reads, and what provably did not run (law 4). A
reply that will not come is an error in the node's place, never left out (law 5).

Cost: one task for each node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from proxy.cluster.redirects import parse_refusal
from proxy.cluster.topology import Node, Topology
from proxy.control.nodes import Nodes, Patience
from proxy.errors import BackendUnavailable
from proxy.resp import replies
from proxy.resp.decode import error_code

# Time is up for a call a moment after the request's: what it then says (sent or
# not) is worth more than having been cut off.
_GRACE_S = 0.1

# A replica that need not answer is not waited for longer than this.
_OPTIONAL_WAIT_S = 1.0  # chosen, not measured


@dataclass(frozen=True, slots=True)
class Answer:
    """What one node replied to the commands it was sent."""

    node: Node
    frames: list[bytes]
    is_reply: bool = True
    """False: no reply came, and the frames are our error."""

    @property
    def error(self) -> bytes | None:
        """The first error among the frames."""
        return next((frame for frame in self.frames if error_code(frame) is not None), None)

    @property
    def is_refused(self) -> bool:
        """Whether the node's state and not the question is the reason: it did not run."""
        error = self.error
        return error is not None and parse_refusal(error, self.node.address) is not None


def all_primaries(topology: Topology) -> list[Node]:
    """Return every node that may hold keys: new primaries too, which hold those being imported."""
    return [*topology.primaries, *(node for node in topology.empty_primaries if node.link_up)]


def serving_primaries(topology: Topology) -> list[Node]:
    """Return the primaries that own slots."""
    return list(topology.primaries)


def all_nodes(topology: Topology) -> list[Node]:
    """Return all primaries, and the replicas that are there."""
    replicas = [
        node for node in topology.nodes if not node.is_primary and not node.failed and node.link_up
    ]
    return [*all_primaries(topology), *replicas]


async def ask_everyone(
    commands: Sequence[tuple[bytes, ...]],
    who: Callable[[Topology], Sequence[Node]],
    *,
    nodes: Nodes,
    patience: Patience,
    resp: int = 2,
    is_write: bool = False,
    needs_replicas: bool = True,
    aside: bool = False,
) -> list[Answer]:
    """Return the answer of each node that ``who`` picks from the map, in that order.

    Args:
        commands: Sent to each node in order, on one connection.
        who: Picks the nodes from the map in use, each time anew.
        nodes: The cluster.
        patience: The time of the request that this is part of.
        resp: Protocol version of the replies.
        is_write: Not to be sent again once it may have run.
        needs_replicas: False: a replica that does not answer soon is left out.
        aside: Not behind the requests of clients.
    """
    return await _Round(
        commands,
        who,
        nodes,
        patience,
        resp=resp,
        is_write=is_write,
        needs_replicas=needs_replicas,
        aside=aside,
    ).run()


class _Round:
    """One question: what has been answered so far."""

    def __init__(
        self,
        commands: Sequence[tuple[bytes, ...]],
        who: Callable[[Topology], Sequence[Node]],
        nodes: Nodes,
        patience: Patience,
        *,
        resp: int,
        is_write: bool,
        needs_replicas: bool,
        aside: bool,
    ) -> None:
        self._aside = aside
        self._commands = list(commands)
        self._who = who
        self._nodes = nodes
        self._patience = patience
        self._resp = resp
        self._is_write = is_write
        self._needs_replicas = needs_replicas
        self._answers: dict[str, Answer] = {}  # by node id: these are final
        self._problems: dict[str, Answer] = {}  # by node id: final when the time is over
        self._left_out: set[str] = set()

    async def run(self) -> list[Answer]:
        while True:
            picked = [node for node in self._who(self._nodes.topology) if self._counts(node)]
            waiting = [node for node in picked if node.id not in self._answers]
            if picked and not waiting:
                return [self._answers[node.id] for node in picked]
            self._problems.clear()
            async with trio.open_nursery() as nursery:
                for node in waiting:
                    nursery.start_soon(self._ask, node)
            if self._problems or not picked:
                if self._patience.is_over:
                    final = self._answers | self._problems
                    return [final[node.id] for node in picked if self._counts(node)]
                await self._patience.wait()

    def _counts(self, node: Node) -> bool:
        return node.id not in self._left_out

    async def _ask(self, node: Node) -> None:
        """Ask one node and note what comes of it, in exactly one place."""
        is_optional = not node.is_primary and not self._needs_replicas
        deadline = self._patience.deadline + _GRACE_S
        if is_optional:
            deadline = min(deadline, trio.current_time() + _OPTIONAL_WAIT_S)
        # Cut off, it may have been sent.
        problem = BackendUnavailable(f"{node.address} did not answer in time", sent=True)
        answer: Answer | None = None
        with trio.move_on_at(deadline):
            try:
                frames = await self._nodes.call_many(
                    node, self._commands, resp=self._resp, aside=self._aside
                )
                answer = Answer(node, frames)
            except BackendUnavailable as reason:
                problem = reason
        if answer is not None and not answer.is_refused:
            self._answers[node.id] = answer
        elif is_optional:
            self._left_out.add(node.id)
        elif answer is not None:
            self._problems[node.id] = answer
        else:
            failure = self._patience.failure(problem, node, is_write=self._is_write)
            is_final = problem.sent and self._is_write
            final = self._answers if is_final else self._problems
            final[node.id] = Answer(node, [failure], is_reply=False)


def failure_of(command: bytes, answers: Sequence[Answer], patience: Patience) -> bytes | None:
    """Return the error for a question of which any part failed; None if none did.

    If every node replied with an error, nothing ran anywhere, and the client
    gets the first as it is: most likely the arguments are wrong.
    """
    if not answers:
        return replies.never_sent(None, patience.timeout_s)
    failed = [(answer, answer.error) for answer in answers if answer.error is not None]
    if not failed:
        return None
    answer, error = failed[0]
    if error is not None and len(failed) == len(answers) and all(a.is_reply for a in answers):
        return error
    # What did not come at all says more than what was answered.
    answer = next((answer for answer, _ in failed if not answer.is_reply), answer)
    return replies.node_failed(
        command, node=str(answer.node.address), first_error=answer.error or b""
    )

"""What ``slotway cluster health`` would say, for whoever looks at the admin port.

Strategy: the nodes are asked while somebody looks, over connections of their own, and judged by
the code of ``proxy.manage``, so that page and command line never differ. The port itself waits
for nobody: it shows the latest verdict and how old it is.

Cost: three commands to each node every ``PACE_S`` seconds, judged in a thread, 1 ms a node;
``proxy.manage`` is loaded when somebody looks for the first time (0.1 s, in that thread).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import hiredis
import structlog
import trio

from proxy.cluster.addresses import Address, AddressMap
from proxy.cluster.topology import Topology
from proxy.control.watch import Watcher
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.insight.interest import Interest
from proxy.resp.decode import Value

if TYPE_CHECKING:
    from proxy.manage.health import Health

log = structlog.get_logger()

PACE_S = 10.0
ASKED_AT_ONCE = 8

# As ``proxy.manage.report.QUESTIONS``, which is not loaded before somebody looks.
_QUESTIONS: list[tuple[bytes | str | int, ...]] = [
    ("CLUSTER", "NODES"),
    ("CLUSTER", "INFO"),
    ("INFO",),
]

_Answers = Mapping[Address, Sequence[Value] | str]


@dataclass(frozen=True, slots=True)
class CheckView:
    """The latest verdict."""

    at: float | None
    """When, unix time; None: the nodes are being asked for the first time."""
    every_s: float
    health: Health | None


class ClusterCheck:
    """Checks the cluster while somebody wants to know.

    Args:
        watcher: Has the map, and the rights and the patience with which nodes are asked.
        address_map: From what nodes announce to what is reached from here.
    """

    def __init__(self, watcher: Watcher, address_map: AddressMap) -> None:
        self._watcher = watcher
        self._address_map = address_map
        self._view = _NOT_YET
        self._interest = Interest()

    def view(self) -> CheckView:
        """Return the latest verdict, and have the cluster checked for a while."""
        self._interest.note()
        return self._view

    async def run(self) -> None:
        """Check while it is wanted, for ever."""
        while True:
            if self._interest.is_over:
                self._view = _NOT_YET
                await self._interest.wait()
            topology = self._watcher.topology
            answers = await self._ask_all(topology) if topology is not None else {}
            try:
                found = await trio.to_thread.run_sync(judge, answers, self._address_map)
            except Exception:  # a bug in a verdict must not end the proxy
                log.exception("the cluster's health could not be judged")
            else:
                self._view = CheckView(time.time(), PACE_S, found)
            await trio.sleep(PACE_S)

    async def _ask_all(self, topology: Topology) -> _Answers:
        answers: dict[Address, Sequence[Value] | str] = {}
        turns = trio.CapacityLimiter(ASKED_AT_ONCE)

        async def ask(address: Address) -> None:
            async with turns:
                answers[address] = await self._ask(address)

        async with trio.open_nursery() as nursery:
            for node in topology.nodes:
                nursery.start_soon(ask, node.address)
        return answers

    async def _ask(self, address: Address) -> Sequence[Value] | str:
        """Return what a node says, or why it says nothing."""
        try:
            return await self._watcher.ask(address, _QUESTIONS)
        except (BackendUnavailable, BackendProtocolError) as problem:
            return str(problem)


def judge(answers: _Answers, address_map: AddressMap) -> Health:
    """Return the verdict on what the nodes have answered, or why they have not."""
    from proxy.manage.errors import NodeRefused
    from proxy.manage.health import health, unreachable
    from proxy.manage.report import Report, parse_report
    from proxy.manage.view import View

    reports: list[Report] = []
    silent: dict[Address, str] = {}
    for address, found in answers.items():
        if isinstance(found, str):
            silent[address] = found
            continue
        replies = [
            NodeRefused(address, "", str(reply)) if isinstance(reply, hiredis.ReplyError) else reply
            for reply in found
        ]
        try:
            reports.append(parse_report(address, replies))
        except NodeRefused as problem:
            silent[address] = problem.words
        except BackendProtocolError as problem:
            silent[address] = str(problem)
    in_cluster = tuple(report for report in reports if not report.not_in_cluster_mode)
    if not in_cluster:
        return unreachable(next(iter(silent.values()), "no node is known yet"))
    return health(View(in_cluster, silent, address_map))


_NOT_YET = CheckView(None, PACE_S, None)

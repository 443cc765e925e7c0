"""One line for each change of a node's state, however often the proxy meets it.

Strategy: the pools dial a node that is away again and again, and so does whoever reads the
map. Both report here, and only what is new becomes a line: lost, another reason, back. A
break of connections is told once until there is a new one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.errors import BackendRefused, ProxyError

log = structlog.get_logger()

PROBLEMS_TOLD = 5  # of one absence; addresses and times in a reason could make it another one


@dataclass(slots=True)
class _Absence:
    since_s: float
    problems: set[str] = field(default_factory=set)
    refusal: bytes | None = None


class NodeLog:
    """Which nodes cannot be reached, and what of that has been logged."""

    def __init__(self) -> None:
        self._away: dict[Address, _Absence] = {}
        self._broken: set[Address] = set()

    @property
    def away(self) -> tuple[Address, ...]:
        """The nodes that could not be reached when they were last tried."""
        return tuple(self._away)

    def broken(self, address: Address) -> None:
        """Note that a connection to a node ended."""
        if address not in self._broken:
            self._broken.add(address)
            log.info("connection lost", node=str(address))

    def refusal_of(self, address: Address) -> bytes | None:
        """Return what a node said that does not let the proxy in; None: it does, or is silent."""
        absence = self._away.get(address)
        return None if absence is None else absence.refusal

    def unreachable(self, address: Address, problem: ProxyError) -> None:
        """Note that an attempt failed."""
        absence = self._away.get(address)
        if absence is None:
            absence = self._away[address] = _Absence(trio.current_time())
        absence.refusal = problem.words if isinstance(problem, BackendRefused) else None
        told = str(problem)
        if told in absence.problems or len(absence.problems) >= PROBLEMS_TOLD:
            return
        absence.problems.add(told)
        log.warning("node unreachable", node=str(address), problem=told)

    def reached(self, address: Address) -> None:
        """Note that a node answered."""
        self._broken.discard(address)
        absence = self._away.pop(address, None)
        if absence is not None:
            away_s = trio.current_time() - absence.since_s
            log.info("node reachable again", node=str(address), away_s=round(away_s, 1))

    def forget_others(self, known: Collection[Address]) -> None:
        """Forget the nodes that are not among these: they have left the cluster."""
        self._broken.intersection_update(known)
        for address in self._away.keys() - set(known):
            del self._away[address]
            log.info("unreachable node has left the cluster", node=str(address))

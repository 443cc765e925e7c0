"""When to hope for a node no more, and when to hope again: a circuit breaker for each node.

Strategy: law 6 has requests wait while a cluster heals, so a breaker opens late: only when
a request has been given up at its deadline in vain, and the node has been silent since at
least ``after_s`` seconds. By then every failover that was to be expected is over. From
then on requests for that node are answered at once, and it is asked for a sign of life all
the while (``pulse.py``): that is the half-open state, and costs no client anything. One sign
closes the breaker.

One dead primary can be the end of all service (``cluster-require-full-coverage``): then the
other nodes live and say CLUSTERDOWN. While the breaker of a primary in the map is open,
that is as hopeless as the primary itself. A cluster that is down though all its primaries
answer us (they cannot reach each other) is waited for: it decides within its node timeout, and
each request asks whether it has.

``Breaker`` is pure; ``Breakers`` carries out what it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Topology
from proxy.control.notices import NOBODY, Notices
from proxy.control.pulse import Pulse
from proxy.control.routes import Routes
from proxy.dataplane.engine import Engine
from proxy.resp import replies_nodes

log = structlog.get_logger()

# Said by a node that sees no majority, or a slot without a node where no slot may be without.
_WHOLE_CLUSTER_DOWN = b"-CLUSTERDOWN The cluster is down"


@dataclass(slots=True)
class Breaker:
    """One node's."""

    waited_since: float | None = None
    """When the first request came that was given up, of those since the node's last byte."""
    opened_at: float | None = None
    """None: it is closed."""

    def gave_up(self, now: float, *, waited_s: float, silent_s: float, after_s: float) -> bool:
        """Note that a request was given up; return whether the breaker opens.

        Args:
            waited_s: How long that request has waited.
            silent_s: How long ago the node's last byte came; infinite: none ever did.
            after_s: How long a node must have been waited for in vain.
        """
        heard_at = now - silent_s
        if self.waited_since is None or self.waited_since < heard_at:
            self.waited_since = max(now - waited_s, heard_at)
        if self.opened_at is not None or now - self.waited_since < after_s:
            return False
        self.opened_at = now
        return True

    def heard(self) -> bool:
        """Note a sign of life; return whether the breaker closes."""
        was_open = self.opened_at is not None
        self.waited_since = self.opened_at = None
        return was_open


class Breakers:
    """The breakers of all nodes.

    Attributes:
        after_s: How long a node must have been waited for in vain; 0: no breaker opens.
        opened: How often any has opened.
        on_change: Called when any has opened or closed.
        notices: Who keeps a record of what happens.
    """

    def __init__(self, *, engine: Engine, routes: Routes, pulse: Pulse) -> None:
        self.after_s = 20.0
        self.opened = 0
        self.notices: Notices = NOBODY
        self.on_change: Callable[[], None] = lambda: None
        self._engine = engine
        self._routes = routes
        self._pulse = pulse
        self._breakers: dict[Address, Breaker] = {}

    def is_down(self, address: Address) -> bool:
        """Return whether nothing is to be hoped of a node now: it misses its checks, or worse."""
        return self._pulse.is_down(address) or self.opened_s(address) is not None

    def opened_s(self, address: Address) -> float | None:
        """Return for how long a node's breaker has been open; None: it is closed."""
        found = self._breakers.get(address)
        if found is None or found.opened_at is None:
            return None
        return trio.current_time() - found.opened_at

    @property
    def open_count(self) -> int:
        """How many are open."""
        return sum(each.opened_at is not None for each in self._breakers.values())

    def gave_up(self, number: int, waited_s: float) -> None:
        """Note that a request to a node was given up at its deadline."""
        address = self._routes.address(number)
        if address is None or not self.after_s:
            return
        now = trio.current_time()
        silent_s = self._silent_s(number, address, now)
        breaker = self._breakers.setdefault(address, Breaker())
        if breaker.gave_up(now, waited_s=waited_s, silent_s=silent_s, after_s=self.after_s):
            self.opened += 1
            log.warning("breaker opened", node=str(address), waited_s=round(waited_s, 1))
            self._engine.give_up_node(number)
            self._pulse.probe(address, is_wanted=True)
            self.notices.breaker_opened(address)
            self.on_change()

    def silent_s(self, number: int) -> float | None:
        """Return how long ago a node was heard last; None: never."""
        address = self._routes.address(number)
        if address is None:
            return None
        silent_s = self._silent_s(number, address, trio.current_time())
        return silent_s if math.isfinite(silent_s) else None

    def blamed_for(self, line: bytes, topology: Topology | None) -> Address | None:
        """Return the node because of which another one refused; None: that may soon be over.

        It is a primary that nobody hopes for and nobody has replaced.
        """
        if not self._breakers or topology is None or not line.startswith(_WHOLE_CLUSTER_DOWN):
            return None
        addresses = (node.address for node in topology.primaries)
        return next((each for each in addresses if self.opened_s(each) is not None), None)

    def given_up(self, address: Address) -> bytes | None:
        """Return the error for whoever wants something of a node; None: its breaker is closed."""
        if self.opened_s(address) is None:
            return None
        silent_s = self.silent_s(self._routes.number(address))
        return replies_nodes.given_up(None, str(address), silent_s, self.after_s)

    def _silent_s(self, number: int, address: Address, now: float) -> float:
        silent_s = self._engine.unheard_s(number)
        vitals = self._pulse.vitals.get(address)
        if vitals is not None and vitals.checks and vitals.silent_since is None:
            return 0.0  # it has answered the last health check
        return silent_s

    def heard(self, address: Address) -> None:
        """Note that a node has answered a health check."""
        breaker = self._breakers.pop(address, None)
        if breaker is not None and breaker.heard():
            self._close(address)

    def wait_for(self, after_s: float) -> None:
        """Open breakers after so long from now on; 0: none, and close those that are open."""
        self.after_s = after_s
        for address in [*self._breakers] if not after_s else ():
            self.heard(address)

    def map_read(self, topology: Topology) -> None:
        """Forget the breakers of nodes that have left the cluster."""
        present = {node.address for node in topology.nodes}
        for address in self._breakers.keys() - present:
            if self._breakers.pop(address).heard():
                self._close(address)

    def _close(self, address: Address) -> None:
        log.info("breaker closed", node=str(address))
        if self._routes.knows(address):
            self._engine.hope_for_node(self._routes.number(address))
        self._pulse.probe(address, is_wanted=False)
        self.notices.breaker_closed(address)
        self.on_change()

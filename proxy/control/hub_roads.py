"""The hub's connections: one for each account and node, on lanes of their own.

Strategy: the owner of a slot is what the data plane's own map says, because that is
patched by every MOVED at once. An account's lane is opened with its first connection
and closed with its last, so that nothing is left of an account that nobody uses.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from proxy.cluster.addresses import Address
from proxy.commands.spec import Road
from proxy.control.connection import Credentials
from proxy.control.hub_link import HubLink, Listener
from proxy.control.lane_key import LaneKey
from proxy.control.pools import Pools
from proxy.control.routes import Routes
from proxy.dataplane.engine import Engine
from proxy.dataplane.lane import Lane

LINGER_S = 10.0  # chosen: those who listen for one answer each time come back sooner
HEARTBEAT_S = 2.0  # chosen: a node that has said nothing for longer is asked if it lives

Account = Credentials | None
"""Whose rights a connection has; None: the proxy's own."""


class HubRoads:
    """The nodes and the connections to them, as the hub needs them."""

    def __init__(self, *, engine: Engine, pools: Pools, routes: Routes) -> None:
        self._engine = engine
        self._pools = pools
        self._routes = routes
        self._lanes: dict[Account, Lane] = {}
        self._links: dict[tuple[Account, Address], HubLink] = {}

    def owner(self, slot: int) -> Address | None:
        """Return the primary of a slot; None while nobody owns it."""
        number = self._engine.slot_map.owner_of(slot)
        return None if number is None else self._routes.address(number)

    def name_of(self, slot: int) -> str:
        """Return the owner of a slot in words."""
        return str(self.owner(slot) or "a node that is gone")

    def primaries(self) -> set[Address]:
        """Return the nodes that own a slot."""
        found = map(self._routes.address, self._engine.slot_map.primaries)
        return {address for address in found if address is not None}

    def divert_publish(self, is_diverted: bool) -> None:
        """Have PUBLISH come to the hub, or stay on the hot road."""
        for name in (b"publish", b"spublish"):
            row = self._engine.command_table.get(name)
            if row is not None and row.spec.road is not Road.DENIED:
                row.divert(is_diverted)

    def links(self) -> Iterable[HubLink]:
        """Return every connection, made or about to be."""
        return self._links.values()

    def links_to(self, address: Address) -> Iterable[HubLink]:
        """Return the connections of all accounts to one node."""
        return [link for link in self._links.values() if link.address == address]

    def lane(self, account: Account) -> Lane:
        """Return the lane of an account's connections.

        Raises:
            LimitReached: It would be one lane too many.
        """
        lane = self._lanes.get(account)
        if lane is None:
            # RESP3: what a node says by itself and what it answers are clearly apart.
            lane = self._lanes[account] = self._pools.open_lane(LaneKey(3, account))
        return lane

    def link(self, account: Account, address: Address, hub: Listener) -> HubLink:
        """Return an account's connection to a node; it is dialled when it is used.

        Raises:
            LimitReached: As ``lane``.
        """
        pipeline = self.lane(account).pipeline_to(self._routes.number(address))
        found = self._links.get((account, address))
        # A node that had left the map has got a new pipeline.
        if found is None or found.pipeline is not pipeline:
            found = HubLink(
                engine=self._engine, pipeline=pipeline, address=address, account=account, hub=hub
            )
            self._links[account, address] = found
        return found

    def close(self, link: HubLink) -> None:
        """Close a connection that nothing needs, and its lane if that was the last."""
        account = link.account
        del self._links[account, link.address]
        if any(each.account == account for each in self._links.values()):
            self._engine.drop(link.pipeline)
        else:
            self._pools.close_lane(self._lanes.pop(account))

    def look_after(self, accounts: Collection[Account]) -> bool:
        """Ask who is silent whether it lives, and close what nothing needs.

        Args:
            accounts: Those that have any subscription.

        Returns:
            Whether a node does not answer, so that the map may be old.
        """
        primaries = self.primaries()
        is_doubtful = False
        for link in list(self._links.values()):
            silent_s = time.monotonic() - link.pipeline.heard_at
            in_charge = link.address in primaries
            if not link.names and not link.owes:
                if not in_charge or (silent_s > LINGER_S and link.account not in accounts):
                    self.close(link)
            elif silent_s > HEARTBEAT_S and not link.owes:
                link.ping()
            elif silent_s > HEARTBEAT_S:
                is_doubtful = True
                if not in_charge:
                    # Nobody waits for a hung node that is not in charge any more.
                    self._engine.drop(link.pipeline)
        return is_doubtful

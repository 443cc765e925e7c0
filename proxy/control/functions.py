"""See that every primary has the functions that the others have.

Strategy: FUNCTION LOAD reaches every primary of its moment; one that joins later has none.
So each primary that the map has not shown before is compared with the others, by name,
and gets the libraries it lacks. The same is done, at most once a second for each node,
when a client's FCALL is told that there is no such function; the request waits so long.

Only what is missing is brought, never replaced: which of two versions of a library is
the right one, nobody can tell.

Cost: one FUNCTION LIST for each primary when the map has a new one.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Node, Topology
from proxy.control.everyone import all_primaries
from proxy.control.nodes import Nodes
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.resp.decode import Value, decode

log = structlog.get_logger()

LOOK_AGAIN_S = 1.0  # chosen: an FCALL of what does not exist costs so little
WAIT_S = 0.05  # chosen: how often a request that waits for functions is tried
_ATTEMPTS = 5  # while some primary does not answer
_RETRY_S = 1.0


class FunctionCare:
    """Brings functions to primaries that lack them.

    Args:
        nodes: The cluster.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._known: set[str] = set()  # ids of primaries that have been looked at
        self._wanted: set[Address] = set()
        self._missed: set[Address] = set()  # wanted because an FCALL found nothing
        self._looked_at: dict[Address, float] = {}  # when such a look ended
        self._is_wanted = trio.Event()

    def note_map(self, topology: Topology) -> None:
        """Have primaries looked at that were not there before."""
        present = {node.id: node.address for node in all_primaries(topology)}
        self._known &= present.keys()
        for node_id in present.keys() - self._known:
            self._want(present[node_id])

    def missed_at(self, address: Address) -> float | None:
        """Note that a function is not there; return after how long to ask again, or None."""
        looked_at = self._looked_at.get(address, -LOOK_AGAIN_S)
        if address not in self._wanted and trio.current_time() < looked_at + LOOK_AGAIN_S:
            return None
        self._missed.add(address)
        self._want(address)
        return WAIT_S

    def _want(self, address: Address) -> None:
        self._wanted.add(address)
        self._is_wanted.set()

    async def run(self) -> None:
        """Look after the primaries, for ever."""
        attempts = 0
        while True:
            await self._is_wanted.wait()
            self._is_wanted = trio.Event()
            wanted = set(self._wanted)
            try:
                failed = await self._furnish(wanted)
            except BackendUnavailable:  # there is no map yet
                failed = wanted
            attempts = attempts + 1 if failed else 0
            if attempts > _ATTEMPTS:
                failed, attempts = set(), 0
            for address in wanted - failed:
                self._wanted.discard(address)
                if address in self._missed:
                    self._missed.discard(address)
                    self._looked_at[address] = trio.current_time()
            if failed:
                await trio.sleep(_RETRY_S)
                self._is_wanted.set()

    async def _furnish(self, wanted: set[Address]) -> set[Address]:
        """Give primaries the libraries that others have; return those that did not answer."""
        primaries = all_primaries(self._nodes.topology)
        present = {node.address for node in primaries}
        self._looked_at = {
            address: moment for address, moment in self._looked_at.items() if address in present
        }
        libraries: dict[str, dict[bytes, bytes]] = {}

        async def list_of(node: Node) -> None:
            try:
                reply = await self._nodes.call(node, b"FUNCTION", b"LIST", b"WITHCODE")
                libraries[node.id] = _libraries(decode(reply))
            except (BackendUnavailable, BackendProtocolError) as problem:
                log.warning("functions not listed", node=str(node.address), problem=str(problem))

        async with trio.open_nursery() as nursery:
            for node in primaries:
                nursery.start_soon(list_of, node)
        everything = {name: code for some in libraries.values() for name, code in some.items()}
        failed: set[Address] = set()
        for node in primaries:
            if node.address not in wanted:
                continue
            if node.id not in libraries:
                failed.add(node.address)
                continue
            for name in everything.keys() - libraries[node.id].keys():
                try:
                    await self._nodes.call(node, b"FUNCTION", b"LOAD", everything[name])
                except BackendUnavailable:
                    failed.add(node.address)
                else:
                    log.info("functions brought", node=str(node.address), library=name)
            self._known.add(node.id)
        return failed


def _libraries(reply: Value) -> dict[bytes, bytes]:
    """Return code by name from FUNCTION LIST WITHCODE; nothing of a server without functions."""
    found: dict[bytes, bytes] = {}
    for entry in reply if isinstance(reply, list) else ():
        fields = _fields(entry)
        name, code = fields.get(b"library_name"), fields.get(b"library_code")
        if isinstance(name, bytes) and isinstance(code, bytes):
            found[name] = code
    return found


def _fields(entry: Value) -> dict[bytes, Value]:
    """Return the fields of a library, which RESP2 sends as a flat list."""
    items: Sequence[Value] = entry if isinstance(entry, list) else ()
    return {
        name: value
        for name, value in zip(items[::2], items[1::2], strict=False)
        if isinstance(name, bytes)
    }

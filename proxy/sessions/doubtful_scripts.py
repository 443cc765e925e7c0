"""EVALSHA of a script that EVAL has brought to one node: its own node is given it first.

Strategy: the request leaves the hot road, so its order among the client's others holds
while the script is brought. Soon all primaries have it, and EVALSHA stays on the hot road.
A request sent before its script would be told NOSCRIPT; sent again after a later one has
been answered, it would have been overtaken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.cluster.slots import key_slot
from proxy.dataplane.client import Client
from proxy.dataplane.tables import Command
from proxy.resp.encode import encode_command

if TYPE_CHECKING:
    from proxy.sessions.roads import Front

_NO_SLOT = -1


def run_doubtful_script(
    front: Front, client: Client, command: Command, args: list[bytes]
) -> bytes | None:
    """EVALSHA and EVALSHA_RO: sha1 numkeys [key ...] [arg ...]."""
    _, places = front.engine.command_table.key_places(*args)
    slots = {key_slot(args[place]) for place in places}
    if len(slots) > 1:
        return front.serve_across(client, command, args)
    slot = slots.pop() if slots else _NO_SLOT
    front.start(client, _bring_and_run(front, client, command, args, slot))
    return None


async def _bring_and_run(
    front: Front, client: Client, command: Command, args: list[bytes], slot: int
) -> None:
    await front.bringer.bring_first(slot, args[1])
    front.engine.forward_punt(client, encode_command(*args), slot, command.spec.is_write)

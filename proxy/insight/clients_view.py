"""The view of the clients.

Cost: 8 us a client, most of it for the address (CPython 3.11, CI machine); so the list has
a limit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import islice

from proxy.dataplane.client import Client
from proxy.insight.views import ClientMode, ClientRow, ClientsView


def look_at_clients(clients: Mapping[int, Client], limit: int) -> ClientsView:
    """Return no more than ``limit`` of the clients, the longest connected first."""
    now_s = time.monotonic()
    return ClientsView(
        at=time.time(),
        total=len(clients),
        clients=tuple(_row(client, now_s) for client in islice(clients.values(), max(0, limit))),
    )


def _row(client: Client, now_s: float) -> ClientRow:
    state = client.state
    return ClientRow(
        id=client.id,
        address=client.address,
        name=state.name,
        library=b" ".join(word for word in (state.lib_name, state.lib_ver) if word),
        user=state.user,
        resp=client.resp,
        database=state.database,
        mode=mode_of(client),
        stopped_by=", ".join(client.stopped_by),
        in_flight=client.in_flight,
        input_bytes=client.query_buffer_bytes,
        output_bytes=client.output_bytes,
        commands=client.commands,
        last_command=client.last_command,
        bytes_in=client.bytes_in,
        bytes_out=client.bytes_out,
        age_s=now_s - client.created_s,
        idle_s=max(0.0, now_s - client.last_active_s),
    )


def mode_of(client: Client) -> ClientMode:
    """Return what sets a client apart; if several things do, what holds it most."""
    state = client.state
    if client.is_gated:
        return ClientMode.GATED
    if state.wait is not None and state.wait.is_blocked:
        return ClientMode.BLOCKED
    if state.listening is not None and state.listening.monitors:
        return ClientMode.MONITOR
    if state.listening is not None and state.listening.subscribes:
        return ClientMode.SUBSCRIBED
    return ClientMode.NORMAL if state.queue is None else ClientMode.TRANSACTION

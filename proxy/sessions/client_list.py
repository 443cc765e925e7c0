"""Describe client connections in the words of CLIENT LIST and CLIENT INFO.

Strategy: one list of fields for each engine, in its order, so that what parses
a server's answer parses this one. Fields that have no meaning here have the
value a server gives when there is nothing: no transaction, no output list.
``qbuf``, ``omem`` and their sum ``tot-mem`` are the proxy's real buffers;
``argv-mem``, ``rbs`` and the like, which are details of a server's memory, are 0.

Redis's fields are those of 7.2: 7.0 has no lib-name and lib-ver, which come
last.

Cost: 11 us a client, most of it for its two addresses (CPython 3.11, CI
machine); a list of 10,000 clients holds the loop for about 0.1 s.
"""

from __future__ import annotations

import time

from proxy.resp.encode import c_text
from proxy.sessions.context import ClientView
from proxy.sessions.tracking_options import redirection_of, tracking_flags

_REDIS_LINE = (
    b"id=%(id)d addr=%(addr)b laddr=%(laddr)b fd=%(fd)d name=%(name)b age=%(age)d idle=%(idle)d"
    b" flags=%(flags)b db=%(db)d sub=%(sub)d psub=%(psub)d ssub=%(ssub)d multi=%(multi)d"
    b" qbuf=%(qbuf)d qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=%(omem)d"
    b" tot-mem=%(memory)d events=%(events)b cmd=%(cmd)b user=%(user)b redir=%(redir)d resp=%(resp)d"
    b" lib-name=%(lib_name)b lib-ver=%(lib_ver)b\n"
)
_VALKEY_LINE = (
    b"id=%(id)d addr=%(addr)b laddr=%(laddr)b fd=%(fd)d name=%(name)b age=%(age)d idle=%(idle)d"
    b" flags=%(flags)b capa=%(capa)b db=%(db)d sub=%(sub)d psub=%(psub)d ssub=%(ssub)d"
    b" multi=%(multi)d watch=%(watch)d qbuf=%(qbuf)d qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0"
    b" rbp=0 obl=0 oll=0 omem=%(omem)d tot-mem=%(memory)d events=%(events)b cmd=%(cmd)b"
    b" user=%(user)b redir=%(redir)d resp=%(resp)d lib-name=%(lib_name)b lib-ver=%(lib_ver)b"
    b" tot-net-in=%(net_in)d tot-net-out=%(net_out)d tot-cmds=%(commands)d\n"
)


def describe_client(client: ClientView, *, valkey: bool, command: bytes = b"") -> bytes:
    """Return the line of one client, with its line feed.

    Args:
        client: Whom to describe.
        valkey: With Valkey's fields instead of Redis's.
        command: What it runs now; empty: what it ran last.
    """
    state = client.state
    line = _VALKEY_LINE if valkey else _REDIS_LINE
    channels, patterns, shards = (0, 0, 0) if state.listening is None else state.listening.counts
    return line % {
        b"id": client.id,
        b"addr": client.address.encode(),
        b"laddr": client.local_address.encode(),
        b"fd": client.fd_number,
        b"name": c_text(state.name),
        b"age": age_s(client),
        b"idle": idle_s(client),
        b"flags": flags_of(client),
        b"capa": state.capabilities,
        b"db": state.database,
        b"multi": -1 if state.queue is None else len(state.queue.entries),
        b"watch": 0 if state.watch is None else state.watch.key_count,
        b"redir": redirection_of(state.tracking),
        b"sub": channels,
        b"psub": patterns,
        b"ssub": shards,
        b"qbuf": client.query_buffer_bytes,
        b"omem": client.output_bytes,
        b"memory": client.query_buffer_bytes + client.output_bytes,
        b"events": b"rw" if client.output_bytes else b"r",
        b"cmd": command or client.last_command or b"NULL",
        b"user": c_text(state.user),
        b"resp": client.resp,
        b"lib_name": c_text(state.lib_name),
        b"lib_ver": c_text(state.lib_ver),
        b"net_in": client.bytes_in,
        b"net_out": client.bytes_out,
        b"commands": client.commands,
    }


def flags_of(client: ClientView) -> bytes:
    """Return the client's flags, a letter each, in the server's order; ``N`` if it has none."""
    listening = client.state.listening
    flags = b"" if listening is None else listening.flags
    flags += b"" if client.state.queue is None else b"x"
    flags += b"b" if client.state.wait is not None and client.state.wait.is_blocked else b""
    flags += tracking_flags(client.state.tracking)
    flags += b"U" if client.is_unix else b""
    flags += (b"e" if client.state.no_evict else b"") + (b"T" if client.state.no_touch else b"")
    return flags or b"N"


def is_subscriber(client: ClientView) -> bool:
    """Return whether the client listens to a channel: its type is then ``pubsub``."""
    return client.state.listening is not None and client.state.listening.subscribes


def age_s(client: ClientView) -> int:
    """Return how long the client has been connected, in whole seconds."""
    return int(time.monotonic() - client.created_s)


def idle_s(client: ClientView) -> int:
    """Return how long the client has sent nothing, in whole seconds."""
    return max(0, int(time.monotonic() - client.last_active_s))

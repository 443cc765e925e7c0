"""Turn the errors by which a server refuses a command into values.

Strategy: the first word of the error line is looked up in a table. All of
these say that the command did not run, which is what makes it safe to send
again (law 4); what to do about each is decided in control/.

Cost: 2 us for a redirect (CPython 3.11, CI machine), and only for refusals.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.cluster.addresses import Address, split_host_port
from proxy.cluster.slots import SLOT_COUNT


@dataclass(frozen=True, slots=True)
class Moved:
    """The slot belongs to another node from now on: patch the map, send there."""

    slot: int
    address: Address


@dataclass(frozen=True, slots=True)
class Ask:
    """The slot is migrating and the key has left: send there after ASKING, keep the map."""

    slot: int
    address: Address


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The slot is migrating and only some of the keys have left: send again a little later."""


@dataclass(frozen=True, slots=True)
class Loading:
    """The server has just started and reads its data from disk."""


@dataclass(frozen=True, slots=True)
class ClusterDown:
    """The server knows of no majority, or of no owner for the slot."""


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """A write reached a replica: this node was demoted since the map was read."""


@dataclass(frozen=True, slots=True)
class MasterDown:
    """A replica that lost its primary and was told not to serve old data."""


Refusal = Moved | Ask | TryAgain | Loading | ClusterDown | ReadOnly | MasterDown

_REDIRECTS: dict[bytes, type[Moved] | type[Ask]] = {b"MOVED": Moved, b"ASK": Ask}
_STATES: dict[bytes, Refusal] = {
    b"TRYAGAIN": TryAgain(),
    b"LOADING": Loading(),
    b"CLUSTERDOWN": ClusterDown(),
    b"READONLY": ReadOnly(),
    b"MASTERDOWN": MasterDown(),
}
# Servers from 7.0 end an error that a command inside a script met with
# " script: <sha>, on @user_script:1." The script had begun, and may have written.
_INSIDE_SCRIPT = b" script: "


def parse_refusal(line: bytes, asked: Address) -> Refusal | None:
    r"""Return what an error reply refuses, or None if it is any other error.

    Args:
        line: The whole frame: ``b"-MOVED 3999 127.0.0.1:6381\r\n"``.
        asked: The node it came from. A redirect without a host, or to the
            unknown host ``?``, means another port of the same host.

    Returns:
        None also for a redirect that cannot be read, and for an error met
        inside a script: the client should see both as they are.

    Any exception out of this function is a bug.

    Source: redis.io, Redis Cluster specification, "Redirection and resharding".
    """
    code, _, rest = line.rstrip(b"\r\n").removeprefix(b"-").partition(b" ")
    if _INSIDE_SCRIPT in rest:
        return None
    redirect = _REDIRECTS.get(code)
    if redirect is None:
        return _STATES.get(code)
    slot_word, _, endpoint = rest.partition(b" ")
    try:
        slot = int(slot_word)
        host, port = split_host_port(endpoint.decode("utf-8"))
    except ValueError:  # UnicodeDecodeError is one
        return None
    if not 0 <= slot < SLOT_COUNT:
        return None
    return redirect(slot, Address(asked.host if host in {"", "?"} else host, port))

"""What kind an error is, by the texts that the proxy documents; the servers' own by their codes.

Strategy: the kinds are made by the functions of ``proxy/resp/replies.py`` themselves, with numbers,
addresses and commands taken out, so that a text that is changed there changes here too. A text
that fits none of them is its code, with the beginning of what it says.
"""

from __future__ import annotations

import re

from proxy.resp import replies, replies_blocking

UNKNOWN = "IOERR outcome unknown"
READ_LOST = "IOERR read lost"
OVERTAKEN = "IOERR overtaken"
NEVER_SENT = "CLUSTERDOWN not sent"
PARTS_FAILED = "parts failed"
POP_IN_VAIN = "CLUSTERDOWN nothing taken"
WAIT_LOST = "IOERR replicas unknown"

NODE = "127.0.0.1:7000"
_SAMPLES = {
    UNKNOWN: (replies.lost_write(NODE), replies.no_reply_to_write(NODE, 20.0)),
    READ_LOST: (replies.lost_read(NODE), replies.no_reply_to_read(NODE, 20.0)),
    OVERTAKEN: (replies.overtaken(NODE),),
    POP_IN_VAIN: (replies_blocking.unreachable_at_timeout(b"blpop", 1),),
    WAIT_LOST: (
        replies_blocking.acknowledgement_lost(b"wait", NODE),
        replies_blocking.acknowledgement_doubtful(b"wait", NODE),
    ),
    NEVER_SENT: (
        replies.never_sent(1, 20.0),
        replies.never_sent(None, 20.0),
        replies.unreached_cluster(20.0),
    ),
}


def _without_names(text: str) -> str:
    return re.sub(r"a node that is gone|(\[[0-9a-f:]+\]|[\d.]+)(:\d+)?", "#", text)


_KINDS = {
    _without_names(frame[1:-2].decode()): kind
    for kind, frames in _SAMPLES.items()
    for frame in frames
}
_PARTS = re.compile(r"(\S+) \d+ of \d+ parts of '\w+' failed")


def kind_of_error(text: str) -> str:
    """Return what kind of error this is; a server's own is its code."""
    kind = _KINDS.get(_without_names(text))
    if kind is not None:
        return kind
    parts = _PARTS.match(text)
    if parts is not None:
        return f"{PARTS_FAILED}: {parts[1]}"
    return text.partition(" ")[0]


HARMLESS = frozenset({POP_IN_VAIN, WAIT_LOST})
"""Say only that nobody knows, of what cannot have done anything; any delay may bring them."""
LOST = HARMLESS | frozenset({UNKNOWN, OVERTAKEN, READ_LOST, f"{PARTS_FAILED}: IOERR"})
"""What a node that is lost with requests on their way may bring."""

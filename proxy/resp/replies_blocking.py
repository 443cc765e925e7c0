"""What the proxy itself says to clients that wait: the rest of ``replies``, for one topic.

Strategy and form are those of ``replies.py``; law 11 holds here too.
"""

from __future__ import annotations

from proxy.resp.encode import error

# Redis 7.0 and Valkey 9.1 say the same.
UNBLOCKED = error(b"UNBLOCKED client unblocked via CLIENT UNBLOCK")


def unreachable_at_timeout(command: bytes, slot: int) -> bytes:
    """The time of a blocking command is over, and one of its slots could not be reached.

    Nil would say that there was nothing, and nobody knows that. Nothing was taken:
    send the command again.
    """
    return error(
        b"CLUSTERDOWN no primary of slot %d could be reached when the timeout of '%b' ended, so "
        b"nobody knows whether there was anything; nothing was taken" % (slot, command)
    )


def acknowledgement_doubtful(command: bytes, node: str) -> bytes:
    """A replica took over after the client's last WAIT or WAITAOF, or after it connected.

    It may lack writes that its primary had acknowledged: read what must be there. The
    next WAIT speaks again of what was written after this one.
    """
    return error(
        b"IOERR a replica has taken the place of %b since this client connected or last sent '%b'; "
        b"whether it has the writes before is unknown" % (node.encode(), command)
    )


def acknowledgement_lost(command: bytes, node: str) -> bytes:
    """A primary was lost while WAIT or WAITAOF asked it what its replicas have.

    How many copies there are of the earlier writes is unknown, and if a replica took
    over, some of them may be gone: read what must be there.
    """
    return error(
        b"IOERR the connection to %b was lost while '%b' waited for its replicas; how many of them "
        b"have the earlier writes is unknown" % (node.encode(), command)
    )

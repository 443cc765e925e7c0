"""The texts of what is refused because a setting says so (law 11): memory, width, rates.

Strategy: as ``replies.py``. None of these requests was sent to a node, and each text says so:
sending it again later is safe.
"""

from __future__ import annotations

from proxy.resp.encode import c_text, error


def out_of_memory(limit_bytes: int) -> bytes:
    """The proxy holds more than ``limits.memory_limit_bytes`` of requests and replies.

    ``PROXY STATS`` says how much, ``PROXY CLIENTS`` who does not read what it asked for. It is
    over as soon as they have read, or are gone.
    """
    return error(
        b"OOM the proxy holds more than the setting limits.memory_limit_bytes (%d); "
        b"the command was not sent and did not run" % limit_bytes
    )


def too_wide(command: bytes, *, slots: int, limit: int) -> bytes:
    """The keys of one command lie in more slots than ``limits.fan_out_limit``: send fewer."""
    return error(
        b"ERR the keys of '%b' lie in %d slots, and the setting limits.fan_out_limit is %d; "
        b"it was not sent and did not run" % (command, slots, limit)
    )


def over_rate(user: bytes, key: bytes, limit: float) -> bytes:
    """The clients of a user, or one of them, send more a second than their ``[[rate]]`` allows.

    The code is ERR, which no client library takes for a reason to send the command again by
    itself, or to connect anew: both would make it worse. Wait, then send it again.
    """
    return error(
        b"ERR rate limit reached: the setting rate gives user '%b' %b = %g; "
        b"the command was not sent and did not run" % (c_text(user), key, limit)
    )

"""The texts of what is refused because a setting says so (law 11): memory, width, rates.

Strategy: as ``replies.py``. None of these requests was sent to a node, and each text says so:
sending it again later is safe.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def guard_denies(command: bytes, user: bytes) -> bytes:
    """A ``[[guard]]`` with the action "deny" names the command and the user."""
    return error(
        b"NOPERM '%b' is denied to user '%b' by the proxy's setting guard" % (command, c_text(user))
    )


def guard_wants_confirmation(command: bytes, code: bytes, lives_s: float) -> bytes:
    """A ``[[guard]]`` with the action "confirm" names the command: it did not run.

    If it is meant, send ``PROXY CONFIRM`` with the code of the text over the same connection,
    and within ten seconds the very same command again.
    """
    return error(
        b"NOPERM '%b' must be confirmed, by the proxy's setting guard; it did not run. If you mean "
        b"it, send PROXY CONFIRM %b within %g seconds, then the same command again"
        % (command, code, lives_s)
    )


def guard_wants_confirmation_before(command: bytes) -> bytes:
    """As above, inside MULTI or another session: confirm it before that begins."""
    return error(
        b"NOPERM '%b' must be confirmed, by the proxy's setting guard; confirm it before MULTI or "
        b"whatever else has begun on this connection" % command
    )


def nothing_to_confirm() -> bytes:
    """PROXY CONFIRM: no command of this connection waits for this code, or it waits no more."""
    return error(b"ERR no command of this connection waits for this confirmation")


def guard_in_words(action: str, users: Sequence[str]) -> str:
    """One rule of ``[[guard]]``, for PROXY EXPLAIN."""
    whose = "everyone" if "*" in users else ", ".join(users)
    return f"{action}: {whose}"

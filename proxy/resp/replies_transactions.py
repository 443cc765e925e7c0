"""What the proxy says about transactions: MULTI, EXEC, WATCH (law 11), as whole frames.

Strategy: as in ``resp/replies.py``: one function for each text, whose docstring
says when it is sent and what to do about it. Where a standalone server has a
text for the case it is that server's, byte for byte. Nothing of a transaction
leaves the proxy before EXEC, so whatever fails before has not run.

Cost: one format each.
"""

from __future__ import annotations

from proxy.resp.encode import error, simple

QUEUED = simple(b"QUEUED")


# ---- while commands are queued -----------------------------------------------------------


def nested_multi() -> bytes:
    """MULTI inside a transaction, as Redis says it: the transaction goes on."""
    return error(b"ERR MULTI calls can not be nested")


def watch_inside_multi() -> bytes:
    """WATCH inside a transaction, as Redis says it: WATCH before MULTI. The transaction goes on."""
    return error(b"ERR WATCH inside MULTI is not allowed")


def not_in_transaction(command: bytes, *, names_it: bool) -> bytes:
    """A command that no server takes inside MULTI: send it outside. EXEC will refuse.

    Args:
        command: Its name; Valkey's text has it, Redis's has not.
        names_it: Whether it is Valkey's text.
    """
    named = b"Command '%b'" % command if names_it else b"Command"
    return error(b"ERR %b not allowed inside a transaction" % named)


def cross_slot_in_transaction(command: bytes, *, slot: int, other: int) -> bytes:
    """A key of another slot than the transaction's other keys, watched ones included.

    Only one node can run a transaction as a whole. Give the keys a common hash
    tag, as in ``{user1}.cart`` and ``{user1}.orders``; or set
    ``commands.transactions`` to "split" if the application uses MULTI to send
    many commands at once and not because all of them must happen together.
    """
    return error(
        b"CROSSSLOT Keys in request don't hash to the same slot: the transaction's are in slot %d "
        b"and '%b' has one in slot %d. Give them a common hash tag, as in {user1}.a and {user1}.b, "
        b'or see the setting commands.transactions ("strict")' % (slot, command, other)
    )


def cross_slot_command_in_transaction(command: bytes) -> bytes:
    """One command's keys lie in several slots, inside a transaction.

    With ``commands.transactions`` = "split" MGET, MSET, DEL, UNLINK, EXISTS and
    TOUCH may have such keys; others need a common hash tag.
    """
    return error(
        b"CROSSSLOT Keys in request don't hash to the same slot: '%b' inside a transaction. "
        b"Give its keys a common hash tag, as in {user1}.a and {user1}.b, "
        b"or see the setting commands.transactions" % command
    )


def watch_over_slots(*, slot: int, other: int) -> bytes:
    """WATCH of keys in several slots: no node can see both change at the same moment.

    Give the keys a common hash tag. The keys watched before stay watched; UNWATCH
    or EXEC ends that.
    """
    return error(
        b"CROSSSLOT Keys in request don't hash to the same slot: WATCH holds for one slot, here "
        b"%d, and not for slot %d too. Give the keys a common hash tag, as in {user1}.a and "
        b"{user1}.b" % (slot, other)
    )


def transaction_too_big(limit_bytes: int) -> bytes:
    """The commands after MULTI need more than ``limits.transaction_limit_bytes``: EXEC in between.

    Counted are their bytes, and what it costs to keep them: 250 more for each
    command and 50 for each of its words. What was queued is dropped, and EXEC
    will refuse.
    """
    return error(
        b"ERR the transaction is longer than the setting limits.transaction_limit_bytes (%d) "
        b"and is discarded" % limit_bytes
    )


# ---- EXEC ----------------------------------------------------------------------------------


def exec_aborted() -> bytes:
    """EXEC after an error of a queued command: nothing ran. Correct that command."""
    return error(b"EXECABORT Transaction discarded because of previous errors.")


def exec_aborted_by(first_error: bytes) -> bytes:
    """As ``exec_aborted``, when the node refused a command that the proxy had queued.

    The client was told QUEUED, so the reason stands here: the node is out of
    memory, has too few replicas for a write, and the like. Nothing ran.

    Args:
        first_error: The node's frame.
    """
    return error(b"EXECABORT Transaction discarded because of: %b" % _line(first_error))


def no_ssubscribe_in_transaction() -> bytes:
    """SSUBSCRIBE inside a transaction: the server's answer, in EXEC's array."""
    return error(b"ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")


def _line(frame: bytes) -> bytes:
    """Return the text of an error frame, code first; of RESP3's blob error too."""
    if frame.startswith(b"!"):
        frame = frame.partition(b"\r\n")[2]
    return frame.rstrip(b"\r\n").removeprefix(b"-")

"""Every text the proxy says about commands whose keys lie in several slots (law 11).

Strategy: as ``replies.py``, whose rules hold here too: a Redis error code first, the
setting by its name, and what is known of the outcome.
"""

from __future__ import annotations

from proxy.resp.encode import error


def cross_slot_by_setting(command: bytes, *, needed: bytes) -> bytes:
    """The keys lie in several slots, and ``commands.cross_slot`` does not allow that here.

    Give keys that belong together a common hash tag; or set it to ``reads`` or ``all`` and
    read in docs/differences.md what is not atomic then.
    """
    return error(
        b"CROSSSLOT Keys in request don't hash to the same slot: '%b' runs across slots only "
        b'with the setting commands.cross_slot = "%b". Or give its keys a common hash tag, '
        b"as in {user1}.a and {user1}.b" % (command, needed)
    )


def across_too_big(command: bytes, *, found_bytes: int, limit_bytes: int) -> bytes:
    """The values that a command across slots needs are too long to be copied: nothing has run.

    Raise ``limits.cross_slot_limit_bytes``, or give the keys a common hash tag.
    """
    return error(
        b"CROSSSLOT '%b' would copy %d bytes from other slots, and the setting "
        b"limits.cross_slot_limit_bytes is %d; nothing has run"
        % (command, found_bytes, limit_bytes)
    )


def across_too_many_keys(command: bytes, *, found: int, limit: int) -> bytes:
    """A command across slots with too many keys: nothing has run. Give it fewer at a time."""
    return error(
        b"CROSSSLOT '%b' has %d keys in several slots, and no more than %d are brought "
        b"together; nothing has run" % (command, found, limit)
    )


def across_read_too_late(command: bytes, timeout_s: float) -> bytes:
    """A read across slots did not end in time; send it again, and look at the nodes."""
    return error(
        b"IOERR '%b' across slots did not end within the setting cluster.request_timeout_s (%g); "
        b"it was a read and can be sent again" % (command, timeout_s)
    )


def across_write_too_late(command: bytes, timeout_s: float) -> bytes:
    """A write across slots did not end in time: what it moves may be in both places, or in one.

    It is lost in neither: the destination is written before anything is removed.
    """
    return error(
        b"IOERR outcome unknown: '%b' across slots did not end within the setting "
        b"cluster.request_timeout_s (%g). What it moves is at its source, its destination, "
        b"or both" % (command, timeout_s)
    )


def across_left_at_source(command: bytes, first_error: bytes) -> bytes:
    """A move across slots has written its destination and could not clear its source.

    What was moved may be in both places. Its code is that of the error that came.
    """
    code, _, text = first_error.rstrip(b"\r\n").removeprefix(b"-").partition(b" ")
    return error(
        b"%b '%b' across slots wrote its destination, and its source may be left as it was: %b"
        % (code, command, text)
    )


def across_source_changes(command: bytes) -> bytes:
    """Others write to the key that is moved across slots, each time before it is removed.

    The destination has what the source held at some moment; the source is left as it is.
    """
    return error(
        b"TRYAGAIN '%b' across slots wrote its destination and left its source, "
        b"which others are changing" % command
    )


def across_in_part(command: bytes, *, written: int, parts: int) -> bytes:
    """MSETNX or MSETEX wrote some of its slots when a key came or went, or a node failed.

    What it wrote is still there: read the keys before you repeat the command.
    """
    return error(
        b"IOERR '%b' across slots was stopped after %d of its %d slots, and what it wrote there "
        b"could not be taken back" % (command, written, parts)
    )


def across_left_at_target(command: bytes, first_error: bytes) -> bytes:
    """A move across slots came too late: somebody else took what it moves.

    The copy that it had written could not be taken back. Its code is that of the error that came.
    """
    code, _, text = first_error.rstrip(b"\r\n").removeprefix(b"-").partition(b" ")
    return error(
        b"%b '%b' across slots was overtaken, and what it wrote to its destination may "
        b"still be there: %b" % (code, command, text)
    )


def across_never_first(command: bytes) -> bytes:
    """Others took the element each time before it could be moved: nothing was moved. Try again."""
    return error(
        b"TRYAGAIN '%b' across slots moved nothing: others took each element first" % command
    )

"""Every text the proxy itself can say to a client (law 11), as whole frames.

Strategy: one function for each text; its docstring says when it is sent and
what to do about it, and the page of errors is made from these docstrings.
Where a standalone server has a text for the case, it is that server's text,
byte for byte, because clients look at it (Redis 7.0, unless noted). The
proxy's own texts begin with a Redis error code too, and name the slot, the node
or the setting. Settings are named ``table.key``, as in proxy.toml.

Cost: one format each; none of them is on the hot road.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.resp.encode import c_text, error, simple
from proxy.resp.time_limit import told

OK = simple(b"OK")
PONG = simple(b"PONG")
RESET = simple(b"RESET")

# Redis cuts what it quotes of an unknown command after so many bytes.
QUOTED_BYTES = 128

# ---- the command ----------------------------------------------------------------------


def wrong_arity(command: bytes) -> bytes:
    """Too few or too many arguments: correct the call. A subcommand is named ``config|get``."""
    text = b"wrong number of arguments for '%b' command" % command
    if command == b"exec":
        # Whatever is wrong with EXEC ends the transaction, and servers say so.
        return error(b"EXECABORT Transaction discarded because of: %b" % text)
    return error(b"ERR %b" % text)


def unknown_command(name: bytes, args: Sequence[bytes]) -> bytes:
    """No server of the cluster knows the command: it is misspelt, or a module is missing."""
    quoted = b""
    for arg in args:
        if len(quoted) >= QUOTED_BYTES:
            break
        quoted += b"'%b' " % c_text(arg)[: QUOTED_BYTES - len(quoted)]
    return error(
        b"ERR unknown command '%b', with args beginning with: %b"
        % (c_text(name)[:QUOTED_BYTES], quoted)
    )


def unknown_subcommand(container: bytes, subcommand: bytes) -> bytes:
    """The command has no such subcommand: send ``<command> HELP`` for the list."""
    quoted = c_text(subcommand)[:QUOTED_BYTES]
    return error(b"ERR unknown subcommand '%b'. Try %b HELP." % (quoted, container.upper()))


def cross_slot(command: bytes) -> bytes:
    """The keys lie in several slots and the command cannot be split without breaking its promise.

    Give keys that belong together the same hash tag: only what stands in
    braces decides the slot, so ``{user1}.cart`` and ``{user1}.orders`` share one.
    """
    return error(
        b"CROSSSLOT Keys in request don't hash to the same slot: '%b' cannot be split. "
        b"Give its keys a common hash tag, as in {user1}.a and {user1}.b" % command
    )


def keys_unknown(command: bytes) -> bytes:
    """Neither the command table nor ``COMMAND GETKEYS`` finds the keys: check the arguments."""
    return error(b"ERR cannot tell which arguments of '%b' are keys, so no slot is known" % command)


def needs_session(command: bytes) -> bytes:
    """A module's command that blocks or subscribes: ask the cluster directly."""
    return error(
        b"ERR '%b' of a module needs a server connection of its own, which the proxy has only for"
        b" the servers' own commands" % command
    )


def unsupported(command: bytes) -> bytes:
    """The command means one node, not a cluster: send it to that node directly."""
    return error(b"ERR '%b' is not available through the proxy" % command)


def denied(command: bytes) -> bytes:
    """The command is in ``commands.deny``: take it off that list if clients should have it."""
    return error(b"NOPERM '%b' is denied by the proxy's setting commands.deny" % command)


def cluster_disabled() -> bytes:
    """A CLUSTER command: answered as a standalone server does, see ``clients.expose_cluster``."""
    return error(b"ERR This instance has cluster support disabled")


def syntax_error() -> bytes:
    """The options of a command that the proxy answers itself do not fit together."""
    return error(b"ERR syntax error")


def not_an_integer() -> bytes:
    """An argument of a command that the proxy answers itself should be a number."""
    return error(b"ERR value is not an integer or out of range")


def database_out_of_range() -> bytes:
    """SELECT of a database other than 0: a cluster has only that one."""
    return error(b"ERR DB index is out of range")


def invalid_cursor() -> bytes:
    """SCAN with a cursor that the proxy has not given: begin again with 0."""
    return error(b"ERR invalid cursor")


# ---- who the client is ----------------------------------------------------------------


def auth_required() -> bytes:
    """``clients.password`` is set and the client has not authenticated: give it the password."""
    return error(b"NOAUTH Authentication required.")


def hello_needs_auth() -> bytes:
    """HELLO without AUTH from a client that has not authenticated: add ``AUTH user password``."""
    return error(
        b"NOAUTH HELLO must be called with the client already authenticated, otherwise the "
        b"HELLO AUTH <user> <pass> option can be used to authenticate the client and select "
        b"the RESP protocol version at the same time"
    )


def wrong_password() -> bytes:
    """AUTH or HELLO AUTH does not match ``clients.username`` and ``clients.password``."""
    return error(b"WRONGPASS invalid username-password pair or user is disabled.")


def no_password_set() -> bytes:
    """AUTH with a password where none is needed: drop it, or set ``clients.password``."""
    return error(
        b"ERR AUTH <password> called without any password configured for the default user. "
        b"Are you sure your configuration is correct?"
    )


def unsupported_protocol() -> bytes:
    """HELLO with a version other than 2 and 3."""
    return error(b"NOPROTO unsupported protocol version")


def protocol_not_an_integer() -> bytes:
    """HELLO with a version that is no number."""
    return error(b"ERR Protocol version is not an integer or out of range")


def hello_syntax(option: bytes) -> bytes:
    """HELLO with an option other than AUTH and SETNAME, or one without its arguments."""
    return error(b"ERR Syntax error in HELLO option '%b'" % c_text(option)[:QUOTED_BYTES])


# ---- limits ---------------------------------------------------------------------------


def max_clients() -> bytes:
    """``listen.max_clients`` are connected: raise it, or find the clients that never close."""
    return error(b"ERR max number of clients reached")


def reply_too_big(node: str, limit_bytes: int) -> bytes:
    """A reply longer than ``limits.reply_limit_bytes``: ask for less at a time, as SCAN does."""
    return error(
        b"ERR the reply of %b is longer than the setting limits.reply_limit_bytes (%d) "
        b"and was dropped; the command ran" % (node.encode(), limit_bytes)
    )


# ---- the cluster does not answer --------------------------------------------------------


def never_sent(slot: int | None, timeout_s: float) -> bytes:
    """No node could be reached in time for the slot: the command did not run.

    Sending it again is safe. The slot's primary is down and no replica took
    its place within ``cluster.request_timeout_s``.
    """
    whose = b"no primary" if slot is None else b"no primary of slot %d" % slot
    return error(
        b"CLUSTERDOWN %b could be reached within the setting %b; "
        b"the command was not sent and did not run" % (whose, told(timeout_s))
    )


def no_reply_to_read(node: str, timeout_s: float) -> bytes:
    """A read was sent and not answered in time; send it again, and look at the node."""
    return error(
        b"IOERR no reply from %b within the setting %b; "
        b"it was a read and can be sent again" % (node.encode(), told(timeout_s))
    )


def no_reply_to_write(node: str, timeout_s: float) -> bytes:
    """A write was sent and the node did not answer within ``cluster.request_timeout_s``.

    It may or may not have run, so the proxy does not send it again: read the
    key to find out, or repeat a write that is the same when done twice.
    """
    return error(
        b"IOERR outcome unknown: the command may or may not have run. No reply from %b within "
        b"the setting %b" % (node.encode(), told(timeout_s))
    )


def lost_read(node: str) -> bytes:
    """A read was sent and the connection was lost, several times: see the node's log.

    Or once, if a later write of the same client to the same key may have run
    meanwhile: sent again, the read could see that write.
    """
    return error(
        b"IOERR the connection to %b was lost before its reply came; "
        b"it was a read and can be sent again" % node.encode()
    )


def lost_write(node: str) -> bytes:
    """As ``no_reply_to_write``, but at once: the connection to the node was lost."""
    return error(
        b"IOERR outcome unknown: the command may or may not have run. The connection to %b "
        b"was lost before its reply came" % node.encode()
    )


def overtaken(node: str) -> bytes:
    """A lost command is not sent again: a later one of the client on its key may have run."""
    return error(
        b"IOERR the connection to %b was lost and a later command on the same key may have run; "
        b"this one took no effect" % node.encode()
    )


def overtaken_in_a_move() -> bytes:
    """The slot moved, and only a later command of the client on the key went along: send it again.

    Nodes that do not agree about a slot can do this, or a number of keys that only a server
    reads as one.
    """
    return error(
        b"TRYAGAIN the slot moved and a later command on the same key may have run; "
        b"this one took no effect"
    )


def cut_off(node: str) -> bytes:
    """The node closes its connection whenever it is sent this command: see its log and limits."""
    return error(
        b"IOERR %b closed the connection while it was sent this command, several times; "
        b"it did not run" % node.encode()
    )


def unreached_cluster(timeout_s: float) -> bytes:
    """No node of ``cluster.seeds`` has told its map in time: ``slotway check`` says why."""
    return error(
        b"CLUSTERDOWN no node of the setting cluster.seeds has answered within "
        b"%b; the command was not sent and did not run" % told(timeout_s)
    )


# ---- commands that went to several nodes --------------------------------------------------


def parts_failed(
    command: bytes, *, failed: int, parts: int, first_error: bytes, is_write: bool
) -> bytes:
    """Some of the parts that a command was split into failed. Its code is the first failed part's.

    What the others read was dropped; what the others wrote stays written: read
    the keys again before you repeat the command.
    """
    code, _, text = _text(first_error).partition(b" ")
    fate = b"the other %d took effect" if is_write else b"what the other %d read was dropped"
    others = b"" if failed == parts else b" and " + fate % (parts - failed)
    return error(
        b"%b %d of %d parts of '%b' failed%b: %b" % (code, failed, parts, command, others, text)
    )


def node_failed(command: bytes, *, node: str, first_error: bytes) -> bytes:
    """A command that every shard must answer failed on one of them. Its code is that node's.

    The other shards may have run it. SCRIPT LOAD, FLUSHALL and the like can be
    sent again; what was only read was dropped.
    """
    code, _, text = _text(first_error).partition(b" ")
    return error(
        b"%b '%b' goes to every shard and failed on %b: %b" % (code, command, node.encode(), text)
    )


def replies_differ(command: bytes) -> bytes:
    """The servers answered the parts in types that cannot be merged: compare their versions."""
    return error(b"ERR the servers' replies to '%b' cannot be merged; its parts ran" % command)


def limit_reached(setting: bytes, limit: int) -> bytes:
    """A client needs one more of something than the setting allows at a time."""
    return error(b"ERR limit reached: %b = %d" % (setting, limit))


def internal_error() -> bytes:
    """The proxy has met a bug of its own: please report it with the traceback in its log."""
    return error(b"ERR internal error of the proxy; its log has the traceback")


def _text(frame: bytes) -> bytes:
    """Return the text of an error frame, code first; of RESP3's blob error too."""
    if frame.startswith(b"!"):
        frame = frame.partition(b"\r\n")[2]
    return frame.rstrip(b"\r\n").removeprefix(b"-")

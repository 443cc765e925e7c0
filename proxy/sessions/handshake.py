"""Who a client is and how it is spoken to: HELLO, AUTH, SELECT, RESET, QUIT.

Strategy: HELLO reads all its options before any of them takes effect, as
Valkey and newer Redis do. (Redis 7.0 applies them one by one, so that there a
name set by a HELLO that fails afterwards stays; we do not copy that.)

Servers that have one database in cluster mode (all but Valkey since 9.0, if it is
configured so) make the proxy a server with one. SELECT 1 then gets the text of a
standalone server that is configured with ``databases 1``, and not "SELECT is
not allowed in cluster mode": clients must not learn of a cluster, and those
that look at the text know this one.

With ``clients.acl = "pass"`` the servers are asked about every login before it
comes here (``local_desk.py``); ``login_words`` says what they are asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.resp import replies
from proxy.resp import server_texts as say
from proxy.resp.encode import array, bulk, c_text, integer, map_frame
from proxy.sessions.arguments import is_printable_name, parse_integer
from proxy.sessions.context import (
    REPLY_OFF,
    REPLY_ON,
    ClientView,
    LocalContext,
    speaks_valkey,
)
from proxy.sessions.state import DEFAULT_USER


@dataclass(slots=True)
class _HelloOptions:
    """What a HELLO asks for; None: not mentioned."""

    version: int | None = None
    login: tuple[bytes, bytes] | None = None
    name: bytes | None = None


def hello(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """HELLO [version [AUTH user password] [SETNAME name]]."""
    options = _parse_hello(ctx, args)
    if isinstance(options, bytes):
        return options
    if options.login is not None and not _log_in(ctx, client, *options.login):
        return replies.wrong_password()
    if not client.state.authenticated:
        return say.HELLO_NEEDS_AUTH_VALKEY if speaks_valkey(ctx) else replies.hello_needs_auth()
    if options.name is not None:
        client.state.name = options.name
    if options.version is not None:
        ctx.use_resp(client, options.version)
    return map_frame(
        [
            (bulk(b"server"), bulk(ctx.server_name)),
            (bulk(b"version"), bulk(ctx.server_version)),
            (bulk(b"proto"), integer(client.resp)),
            (bulk(b"id"), integer(client.id)),
            (bulk(b"mode"), bulk(b"standalone")),
            (bulk(b"role"), bulk(b"master")),
            (bulk(b"modules"), array([])),
        ],
        client.resp,
    )


def _parse_hello(ctx: LocalContext, args: list[bytes]) -> _HelloOptions | bytes:
    """Return the options of a HELLO, or the error frame for the first that is wrong."""
    options = _HelloOptions()
    if len(args) == 1:
        return options
    options.version = parse_integer(args[1])
    if options.version is None:
        return replies.protocol_not_an_integer()
    if options.version not in (2, 3):
        return replies.unsupported_protocol()
    words = iter(range(2, len(args)))
    for index in words:
        following = len(args) - 1 - index
        match args[index].upper():
            case b"AUTH" if following >= 2:
                options.login = (args[index + 1], args[index + 2])
                next(words)
                next(words)
            case b"SETNAME" if following >= 1:
                options.name = args[index + 1]
                if not is_name_allowed(ctx, options.name):
                    return say.invalid_client_name()
                next(words)
            case _:
                return replies.hello_syntax(args[index])
    return options


def is_name_allowed(ctx: LocalContext, name: bytes) -> bool:
    """Return whether the server would take this as a connection's name."""
    # Valkey 9.1 looks no further than the first zero byte.
    return is_printable_name(c_text(name) if speaks_valkey(ctx) else name)


def login_words(ctx: LocalContext, args: list[bytes]) -> tuple[bytes, ...] | None:
    """Return the arguments of AUTH that a request stands for; None if it is no login."""
    match args[0].lower():
        case b"auth" if len(args) in (2, 3):
            return tuple(args[1:])
        case b"hello":
            options = _parse_hello(ctx, args)
            return None if isinstance(options, bytes) else options.login
        case _:
            return None


def auth(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """AUTH [user] password."""
    if len(args) > 3:
        return replies.syntax_error()
    if len(args) == 2 and not ctx.password_required:
        return replies.no_password_set()
    user = args[1] if len(args) == 3 else DEFAULT_USER
    return replies.OK if _log_in(ctx, client, user, args[-1]) else replies.wrong_password()


def _log_in(ctx: LocalContext, client: ClientView, user: bytes, password: bytes) -> bool:
    """Make the client ``user`` if the password is right; else it stays who it was."""
    if not ctx.check_password(user, password):
        return False
    client.state.user = user
    client.state.authenticated = True
    ctx.use_readers(client)
    return True


def select(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """SELECT index."""
    index = parse_integer(args[1])
    if index is None:
        return replies.not_an_integer()
    if not -(2**31) <= index < 2**31:
        return say.NOT_AN_INT32
    if not 0 <= index < ctx.databases:
        return replies.database_out_of_range()
    if index != client.state.database:
        ctx.use_database(client, index)
    return replies.OK


def new_database(ctx: LocalContext, client: ClientView, args: list[bytes]) -> int | None:
    """Return the database that SELECT wants; None if it is no such request, or nothing changes."""
    index = parse_integer(args[1]) if args[0].lower() == b"select" and len(args) == 2 else None
    if index is None or not 0 <= index < ctx.databases or index == client.state.database:
        return None
    return index


def reset(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """RESET: RESP2, database 0, no tracking, no name, the default user, replies on."""
    client.state.reset(authenticated=not ctx.password_required)
    ctx.start_over(client)
    if client.reply_mode == REPLY_OFF:
        client.reply_mode = REPLY_ON
    return replies.RESET


def quit_connection(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """QUIT: whatever was sent after it is not looked at."""
    client.close_after_reply()
    return replies.OK

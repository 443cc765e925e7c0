"""CLIENT: what a client may ask about itself and about the others.

Strategy: a table from subcommand to function. A client is a connection to the
proxy, so everything here is answered from the proxy's own connections, never
by a node; a pause holds back the proxy's clients and nobody else's. TRACKING is the one
that waits for nodes. HELP is in ``forward.py``: the servers know best.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.resp import replies
from proxy.resp import server_texts as say
from proxy.resp.encode import bulk, c_text, integer, null, verbatim
from proxy.sessions.arguments import is_printable_name, parse_integer
from proxy.sessions.client_filters import ClientFilter, parse_filters, parse_redis_list
from proxy.sessions.client_list import describe_client
from proxy.sessions.context import (
    REPLY_OFF,
    REPLY_ON,
    REPLY_SKIP_NEXT,
    ClientView,
    LocalContext,
    SyncHandler,
    speaks_valkey,
)
from proxy.sessions.handshake import is_name_allowed
from proxy.sessions.subcommands import Subcommand, find_subcommand
from proxy.sessions.tracking_options import (
    describe_tracking,
    parse_caching,
    parse_tracking,
    redirection_of,
)

_NOTHING = b""  # no frame: nothing is sent


def client_command(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """CLIENT subcommand [argument ...]."""
    found = find_subcommand(ctx, b"client", _SUBCOMMANDS, args)
    return found if isinstance(found, bytes) else found.answer(ctx, client, args)


async def track(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """CLIENT TRACKING ON or OFF, with its options."""
    if len(args) < 3:
        return replies.wrong_arity(b"client|tracking")
    tracking = parse_tracking(
        args, client.state.tracking, lambda number: ctx.find_client(number) is not None
    )
    return tracking if isinstance(tracking, bytes) else await ctx.track(client, tracking)


async def unblock(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """CLIENT UNBLOCK id [TIMEOUT | ERROR]: end the wait of a client, or find that it has none."""
    if len(args) < 3:
        return replies.wrong_arity(b"client|unblock")
    if len(args) > 4 and not speaks_valkey(ctx):
        return say.wrong_subcommand_use(args[1])
    if len(args) == 4 and args[3].upper() not in (b"TIMEOUT", b"ERROR"):
        return say.BAD_UNBLOCK_REASON
    number = parse_integer(args[2])
    if number is None:
        return replies.not_an_integer()
    with_error = len(args) == 4 and args[3].upper() == b"ERROR"
    return integer(int(await ctx.unblock(number, with_error=with_error)))


# ---- who am I ----------------------------------------------------------------


def _id(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    return integer(client.id)


def _getname(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    return bulk(client.state.name) if client.state.name else null(client.resp)


def _setname(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    if not is_name_allowed(ctx, args[2]):
        return say.invalid_client_name()
    client.state.name = args[2]
    return replies.OK


def _setinfo(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    attribute, value = args[2].lower(), args[3]
    if attribute not in (b"lib-name", b"lib-ver"):
        return say.unknown_option(args[2])
    # Servers since 7.2 look no further than the first zero byte.
    if not is_printable_name(c_text(value)):
        return say.invalid_client_name(attribute)
    if attribute == b"lib-name":
        client.state.lib_name = value
    else:
        client.state.lib_ver = value
    return replies.OK


def _capa(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    # Unknown capabilities are ignored, so that newer clients may name theirs.
    if b"REDIRECT" in (word.upper() for word in args[2:]):
        client.state.capabilities = b"r"
    return replies.OK


def _info(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    line = describe_client(client, valkey=speaks_valkey(ctx), command=b"client|info")
    return verbatim(line, client.resp)


# ---- who else is there -------------------------------------------------------


def _list(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    valkey = speaks_valkey(ctx)
    chosen: ClientFilter | list[int] | bytes
    if not valkey:
        chosen = parse_redis_list(ctx, args[2:])
    elif len(args) == 3:
        # A single word is always wrong, even ID, which elsewhere may stand alone.
        chosen = replies.syntax_error()
    else:
        chosen = parse_filters(ctx, args[2:], skip_me=False)
    if isinstance(chosen, bytes):
        return chosen
    found = _by_ids(ctx, chosen) if isinstance(chosen, list) else _meant(ctx, client, chosen)
    lines = (
        describe_client(each, valkey=valkey, command=b"client|list" if each is client else b"")
        for each in found
    )
    return verbatim(b"".join(lines), client.resp)


def _by_ids(ctx: LocalContext, ids: Iterable[int]) -> list[ClientView]:
    return [found for found in map(ctx.find_client, ids) if found is not None]


def _meant(ctx: LocalContext, me: ClientView, chosen: ClientFilter) -> list[ClientView]:
    """Return the clients of a filter, the longest connected first."""
    meant = [each for each in ctx.clients() if chosen.is_meant(each, me)]
    return sorted(meant, key=lambda each: each.id)


def _kill(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    if len(args) == 3:
        # The old form: an address, which may be the client's own.
        address = c_text(args[2])
        for each in ctx.clients():
            if each.address.encode() == address:
                _close(each, client)
                return replies.OK
        return say.no_such_client()
    chosen = parse_filters(ctx, args[2:], skip_me=True)
    if isinstance(chosen, bytes):
        return chosen
    meant = _meant(ctx, client, chosen)
    for each in meant:
        _close(each, client)
    return integer(len(meant))


def _close(victim: ClientView, me: ClientView) -> None:
    """Close a client; whoever kills itself is told so first."""
    if victim is me:
        victim.close_after_reply()
    else:
        victim.close()


# ---- how I want to be treated ------------------------------------------------


def _reply(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    match args[2].upper():
        case b"ON":
            client.reply_mode = REPLY_ON
            return replies.OK
        case b"OFF":
            client.reply_mode = REPLY_OFF
            return _NOTHING
        case b"SKIP":
            if client.reply_mode != REPLY_OFF:
                client.reply_mode = REPLY_SKIP_NEXT
            return _NOTHING
        case _:
            return replies.syntax_error()


def _switch(argument: bytes) -> bool | None:
    """Return the value of an ON or OFF; None: it is neither."""
    return {b"ON": True, b"OFF": False}.get(argument.upper())


def _no_evict(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    value = _switch(args[2])
    if value is None:
        return replies.syntax_error()
    client.state.no_evict = value
    return replies.OK


def _no_touch(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    value = _switch(args[2])
    if value is None:
        return replies.syntax_error()
    client.state.no_touch = value
    return replies.OK


def _import_source(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    return say.NOT_IN_IMPORT_MODE


# ---- tracking, pausing, blocking ---------------------------------------------


def _trackinginfo(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    return describe_tracking(client.state.tracking, client.resp)


def _getredir(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    return integer(redirection_of(client.state.tracking))


def _caching(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    tracking = parse_caching(args, client.state.tracking)
    if isinstance(tracking, bytes):
        return tracking
    client.state.tracking = tracking
    ctx.track_next(client)
    return replies.OK


def _pause(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    valkey = speaks_valkey(ctx)
    if len(args) > 4 and not valkey:
        return say.wrong_subcommand_use(args[1])
    # Valkey reads the mode only if it is the last argument.
    if len(args) == 4 and args[3].upper() not in (b"WRITE", b"ALL"):
        return say.BAD_PAUSE_MODE
    milliseconds = parse_integer(args[2])
    if milliseconds is None:
        return say.PAUSE_NOT_AN_INTEGER
    if milliseconds < 0:
        return say.PAUSE_NEGATIVE
    ctx.pause.begin(milliseconds / 1000, only_writes=args[-1].upper() == b"WRITE")
    return replies.OK


def _unpause(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    ctx.pause.end()
    return replies.OK


_SUBCOMMANDS: dict[bytes, Subcommand[SyncHandler]] = {
    b"caching": Subcommand(3, _caching),
    b"capa": Subcommand(-3, _capa, valkey_only=True),
    b"getname": Subcommand(2, _getname),
    b"getredir": Subcommand(2, _getredir),
    b"id": Subcommand(2, _id),
    b"import-source": Subcommand(3, _import_source, valkey_only=True),
    b"info": Subcommand(2, _info),
    b"kill": Subcommand(-3, _kill),
    b"list": Subcommand(-2, _list),
    b"no-evict": Subcommand(3, _no_evict),
    b"no-touch": Subcommand(3, _no_touch),
    b"pause": Subcommand(-3, _pause),
    b"reply": Subcommand(3, _reply),
    b"setinfo": Subcommand(4, _setinfo),
    b"setname": Subcommand(3, _setname),
    b"trackinginfo": Subcommand(2, _trackinginfo),
    b"unpause": Subcommand(2, _unpause),
}

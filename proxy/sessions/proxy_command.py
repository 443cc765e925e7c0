"""PROXY: what the proxy tells of itself, so that redis-cli suffices to look at it.

Strategy: a table from subcommand to function. What is shown are the same values as at the
admin port; here they become maps and arrays, which RESP2 has as flat arrays of names and
values, as of CONFIG GET. Keys and arguments go out as the bytes they are.

Who may: HELP and EXPLAIN show nothing of anybody, CONFIRM concerns the client's own command, and
everyone who is let in may have them.
The rest is for the users of ``clients.admins``, or for all if there are none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.commands.glob import compile_glob
from proxy.errors import ConfigError
from proxy.insight.insight import Insight
from proxy.resp import replies
from proxy.resp import replies_proxy as say
from proxy.resp.encode import bulk, integer, map_frame, verbatim
from proxy.sessions.arguments import parse_integer
from proxy.sessions.context import ClientView, LocalContext, SyncHandler
from proxy.sessions.proxy_command_frames import frame_of, frame_of_fields
from proxy.sessions.proxy_command_info import info_text
from proxy.sessions.subcommands import Subcommand, find_subcommand

_SLOW_SHOWN = 10  # SLOWLOG GET without a count, as of the servers
_LISTED = 1000  # clients without a count


@dataclass(frozen=True, slots=True)
class ProxyRoom:
    """What PROXY needs of the proxy."""

    insight: Insight
    change: Callable[[str, str], None]
    """Gives a setting (``table.key``) another value.

    Raises:
        ConfigError: It cannot have it; nothing has changed.
    """


def proxy_command(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """PROXY subcommand [argument ...]."""
    found = find_subcommand(ctx, b"proxy", _SUBCOMMANDS, args)
    if isinstance(found, bytes):
        return found
    admins, user = ctx.admins, client.state.user
    if admins and user not in admins and args[1].lower() not in _FOR_ALL:
        return say.only_admins(user)
    return found.answer(ctx, client, args)


def _help(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    return say.help_text()


def _confirm(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    return ctx.confirm(client, args[2])


def _explain(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    return frame_of(ctx.proxy.insight.explain(args[2:]), client.resp)


def _info(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    return verbatim(info_text(ctx.proxy.insight, args[2:]), client.resp)


def _topology(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    return frame_of(ctx.proxy.insight.topology(), client.resp)


def _stats(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    # The history is for drawing; a reply of a thousand lines is for nobody.
    return frame_of_fields(ctx.proxy.insight.stats(), client.resp, leave_out="history")


def _clients(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    count = _count(args, 2, _LISTED)
    if count is None:
        return say.bad_count()
    return frame_of(ctx.proxy.insight.clients(count), client.resp)


def _hotkeys(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    count = _count(args, 2, _LISTED)
    if count is None:
        return say.bad_count()
    return frame_of(ctx.proxy.insight.hotkeys(count), client.resp)


def _bigkeys(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    count = _count(args, 2, _LISTED)
    if count is None:
        return say.bad_count()
    return frame_of(ctx.proxy.insight.bigkeys(count), client.resp)


def _events(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    number = _count(args, 2, 0)
    if number is None:
        return say.bad_count()
    return frame_of(ctx.proxy.insight.events(number), client.resp)


def _slowlog(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    insight = ctx.proxy.insight
    match args[2].lower():
        case b"get" if len(args) <= 4:
            count = _count(args, 3, _SLOW_SHOWN)
            if count is None:
                return say.bad_count()
            return frame_of(insight.slowlog(count), client.resp)
        case b"len" if len(args) == 3:
            return integer(len(insight.slowlog().entries))
        case b"reset" if len(args) == 3:
            insight.reset_slowlog()
            return replies.OK
        case _:
            return replies.unknown_subcommand(b"proxy", args[2])


def _config(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    match args[2].lower():
        case b"get":
            return _config_get(ctx, client, args[3:])
        case b"set" if len(args) == 5:
            return _config_set(ctx, args[3], args[4])
        case b"set":
            return replies.wrong_arity(b"proxy|config")
        case _:
            return replies.unknown_subcommand(b"proxy", args[2])


def _config_get(ctx: LocalContext, client: ClientView, patterns: list[bytes]) -> bytes:
    """Answer as CONFIG GET does: names and values."""
    matchers = [compile_glob(pattern.lower()) for pattern in patterns]
    rows = ctx.proxy.insight.config().settings
    return map_frame(
        [
            (bulk(row.key.encode()), bulk(row.value.encode()))
            for row in rows
            if any(matches(row.key.encode()) for matches in matchers)
        ],
        client.resp,
    )


def _config_set(ctx: LocalContext, key: bytes, value: bytes) -> bytes:
    try:
        ctx.proxy.change(key.decode("utf-8").lower(), value.decode("utf-8"))
    except UnicodeDecodeError:
        return replies.syntax_error()
    except ConfigError as problem:
        return say.setting_refused(str(problem))
    return replies.OK


def _count(args: list[bytes], place: int, default: int) -> int | None:
    """Return a count among the arguments; None: it is no count, or there is more behind it."""
    if len(args) <= place:
        return default
    number = parse_integer(args[place]) if len(args) == place + 1 else None
    return number if number is not None and number >= 0 else None


_FOR_ALL = frozenset({b"confirm", b"explain", b"help"})

_SUBCOMMANDS: dict[bytes, Subcommand[SyncHandler]] = {
    b"bigkeys": Subcommand(-2, _bigkeys),
    b"clients": Subcommand(-2, _clients),
    b"config": Subcommand(-4, _config),
    b"events": Subcommand(-2, _events),
    b"confirm": Subcommand(3, _confirm),
    b"explain": Subcommand(-3, _explain),
    b"help": Subcommand(2, _help),
    b"hotkeys": Subcommand(-2, _hotkeys),
    b"info": Subcommand(-2, _info),
    b"slowlog": Subcommand(-3, _slowlog),
    b"stats": Subcommand(2, _stats),
    b"topology": Subcommand(2, _topology),
}

"""Which clients CLIENT LIST and CLIENT KILL mean: their filters, read into a predicate.

Strategy: a filter is a name, a value, and a function from the value to a
predicate over clients; all given filters must hold. Valkey has one grammar for
both commands, with a negative form (``NOT-ADDR``) of most filters. Redis has
fewer filters, and for CLIENT LIST one at a time; ``parse_redis_list`` and
``REDIS_KILL_FILTERS`` are what is left of the grammar then.

Where a filter is given twice the last one counts, except ids, which add up
with Valkey: so the two engines do it.

Cost: one pass over the clients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.resp import replies
from proxy.resp import server_texts as say
from proxy.sessions.arguments import parse_integer
from proxy.sessions.client_list import age_s, flags_of, idle_s, is_subscriber
from proxy.sessions.context import ClientView, LocalContext, speaks_valkey

Predicate = Callable[[ClientView], bool]

# A client of the proxy is a normal one or a subscriber; the others are words that a server knows.
_REDIS_TYPES = frozenset({b"normal", b"slave", b"replica", b"pubsub", b"master"})
_VALKEY_TYPES = _REDIS_TYPES | {b"primary"}
# Letters that CLIENT LIST can show, in Valkey 9.1; found by trying all.
_KNOWN_FLAGS = frozenset(b"bcdeirtuxABEIMNOPRSTU")
_KNOWN_CAPABILITIES = frozenset(b"r")

REDIS_KILL_FILTERS = frozenset({b"ID", b"TYPE", b"ADDR", b"LADDR", b"USER", b"SKIPME", b"MAXAGE"})


@dataclass(slots=True)
class ClientFilter:
    """The clients that are meant: all predicates hold."""

    skip_me: bool
    """The client that asks is not meant."""
    predicates: dict[bytes, Predicate] = field(default_factory=dict)
    """By filter name, upper case, so that a repeated filter replaces the earlier one."""
    ids: dict[bytes, set[int]] = field(default_factory=dict)
    """The ids given for ID and NOT-ID so far."""

    def is_meant(self, client: ClientView, me: ClientView) -> bool:
        """Return whether ``client`` is meant when ``me`` asks."""
        if self.skip_me and client is me:
            return False
        return all(holds(client) for holds in self.predicates.values())


def parse_filters(ctx: LocalContext, words: list[bytes], *, skip_me: bool) -> ClientFilter | bytes:
    """Read filters: names and values, as they follow CLIENT LIST or CLIENT KILL.

    Args:
        ctx: Says which engine's filters count, and which users exist.
        words: The arguments after the subcommand.
        skip_me: What holds without SKIPME.

    Returns:
        The filter, or the server's error frame for the first wrong word.
    """
    chosen = ClientFilter(skip_me)
    valkey = speaks_valkey(ctx)
    index = 0
    while index < len(words):
        name = words[index].upper()
        index += 1
        if not valkey and name not in REDIS_KILL_FILTERS:
            return replies.syntax_error()
        if valkey and name in (b"ID", b"NOT-ID"):
            # Any number of ids, none included.
            ids = chosen.ids.setdefault(name, set())
            while index < len(words) and (number := parse_integer(words[index])) is not None:
                if number < 1:
                    return say.ID_NOT_POSITIVE
                ids.add(number)
                index += 1
            chosen.predicates[name] = _id_filter(ids, wanted=name == b"ID")
            continue
        if index == len(words):
            return replies.syntax_error()
        value = words[index]
        index += 1
        if name == b"SKIPME":
            if value.upper() not in (b"YES", b"NO"):
                return replies.syntax_error()
            chosen.skip_me = value.upper() == b"YES"
            continue
        predicate = _parse_filter(ctx, name, value)
        if isinstance(predicate, bytes):
            return predicate
        chosen.predicates[name] = predicate
    return chosen


def parse_redis_list(ctx: LocalContext, words: list[bytes]) -> ClientFilter | list[int] | bytes:
    """Read what Redis 7.0 takes after CLIENT LIST: nothing, one TYPE, or ids.

    Returns:
        A filter; or ids, to be listed in this order and as often as given; or
        the server's error frame.
    """
    if not words:
        return ClientFilter(skip_me=False)
    kind = words[0].upper()
    if kind == b"TYPE" and len(words) == 2:
        return parse_filters(ctx, words, skip_me=False)
    if kind == b"ID" and len(words) > 1:
        ids = [parse_integer(word) for word in words[1:]]
        known = [number for number in ids if number is not None]
        return known if len(known) == len(ids) else say.INVALID_CLIENT_ID
    return replies.syntax_error()


def _id_filter(ids: set[int], *, wanted: bool) -> Predicate:
    return lambda client: (client.id in ids) == wanted


def _parse_filter(ctx: LocalContext, name: bytes, value: bytes) -> Predicate | bytes:
    """Return the predicate of one filter with a value, or the error frame."""
    if name in _FILTERS_WITHOUT_NEGATIVE:
        return _FILTERS_WITHOUT_NEGATIVE[name](ctx, name, value)
    is_negative = name.startswith(b"NOT-")
    parse = _FILTERS.get(name.removeprefix(b"NOT-"))
    if parse is None:
        return replies.syntax_error()
    predicate = parse(ctx, name, value)
    if isinstance(predicate, bytes) or not is_negative:
        return predicate
    holds = predicate
    return lambda client: not holds(client)


def _redis_id(ctx: LocalContext, name: bytes, value: bytes) -> Predicate | bytes:
    number = parse_integer(value)
    if number is None or number < 1:
        return say.ID_NOT_POSITIVE
    return lambda client: client.id == number


def _type(ctx: LocalContext, name: bytes, value: bytes) -> Predicate | bytes:
    kind = value.lower()
    if kind not in (_VALKEY_TYPES if speaks_valkey(ctx) else _REDIS_TYPES):
        return say.unknown_client_type(value)
    return lambda client: kind == (b"pubsub" if is_subscriber(client) else b"normal")


def _user(ctx: LocalContext, name: bytes, value: bytes) -> Predicate | bytes:
    if not ctx.has_user(value):
        return say.no_such_user(value)
    return lambda client: client.state.user == value


def _flags(ctx: LocalContext, name: bytes, value: bytes) -> Predicate | bytes:
    if not _KNOWN_FLAGS.issuperset(value):
        return say.filter_unknown_letters(b"flags", _label(name), value)
    return lambda client: set(value) <= set(flags_of(client))


def _capabilities(ctx: LocalContext, name: bytes, value: bytes) -> Predicate | bytes:
    if not _KNOWN_CAPABILITIES.issuperset(value):
        return say.filter_unknown_letters(b"capa", _label(name), value)
    return lambda client: set(value) <= set(client.state.capabilities)


def _label(name: bytes) -> bytes:
    return name if name.startswith(b"NOT-") else b"provided"


def _db(ctx: LocalContext, name: bytes, value: bytes) -> Predicate | bytes:
    number = parse_integer(value)
    if number is None or not -(2**31) <= number < 2**31:
        return say.filter_not_an_integer(name)
    if not 0 <= number < ctx.databases:
        return say.filter_db_out_of_range(name, ctx.databases - 1)
    return lambda client: client.state.database == number


def _seconds(measure: Callable[[ClientView], int]) -> _FilterParser:
    """Return the parser of a filter that wants at least so many seconds."""

    def parse(ctx: LocalContext, name: bytes, value: bytes) -> Predicate | bytes:
        seconds = parse_integer(value)
        if seconds is None:
            return say.filter_not_an_integer(name.lower())
        if seconds < 1:
            return say.filter_not_positive(name.lower())
        return lambda client: measure(client) >= seconds

    return parse


def _equals(read: Callable[[ClientView], bytes]) -> _FilterParser:
    """Return the parser of a filter that compares one field, byte by byte.

    An empty field is one the client has not set, and equals nothing.
    """
    return lambda ctx, name, value: lambda client: read(client) == value != b""


def _ip_of(client: ClientView) -> bytes:
    return client.address.rpartition(":")[0].strip("[]").encode()


_FilterParser = Callable[[LocalContext, bytes, bytes], Predicate | bytes]

_FILTERS_WITHOUT_NEGATIVE: dict[bytes, _FilterParser] = {
    b"MAXAGE": _seconds(age_s),
    b"IDLE": _seconds(idle_s),
}
_FILTERS: dict[bytes, _FilterParser] = {
    b"ID": _redis_id,
    b"TYPE": _type,
    b"USER": _user,
    b"ADDR": _equals(lambda client: client.address.encode()),
    b"LADDR": _equals(lambda client: client.local_address.encode()),
    b"NAME": _equals(lambda client: client.state.name),
    b"LIB-NAME": _equals(lambda client: client.state.lib_name),
    b"LIB-VER": _equals(lambda client: client.state.lib_ver),
    b"IP": _equals(_ip_of),
    b"FLAGS": _flags,
    b"CAPA": _capabilities,
    b"DB": _db,
}

"""CLIENT TRACKING as its words say it: options read and judged, and shown again.

Strategy: pure. The options of a client are one immutable value; every check is
made in the order in which servers make them, so that of two faults the client
hears the same one. What the options bring about is in ``tracking.py``.

Source: compared with Redis 7.0 and Valkey 9.1 in tests/live/test_tracking.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from proxy.resp import replies
from proxy.resp import server_texts as say
from proxy.resp.encode import array, bulk, integer, map_frame
from proxy.sessions.arguments import parse_integer


@dataclass(frozen=True, slots=True)
class Tracking:
    """What a client wants to be told of."""

    redirect: int = 0
    """The number of the client that is told instead; 0: itself."""
    bcast: bool = False
    """All keys with one of ``prefixes``; else those that it has read."""
    prefixes: tuple[bytes, ...] = ()
    """Sorted; one that is empty stands for all keys."""
    optin: bool = False
    optout: bool = False
    noloop: bool = False
    """Not of what it has changed itself."""
    caching: bool = False
    """CLIENT CACHING was said for the next command: YES with ``optin``, NO with ``optout``."""
    broken: bool = False
    """The client that is told instead has gone."""

    @property
    def words(self) -> tuple[bytes, ...]:
        """The options for a server, without REDIRECT.

        An empty prefix stands alone: beside others servers take it only in a command of its own.
        """
        flags = ((b"BCAST", self.bcast), (b"OPTIN", self.optin), (b"OPTOUT", self.optout))
        found = [word for word, is_on in (*flags, (b"NOLOOP", self.noloop)) if is_on]
        for prefix in self.prefixes if b"" not in self.prefixes else ():
            found += [b"PREFIX", prefix]
        return tuple(found)


def parse_tracking(
    args: list[bytes], current: Tracking | None, client_exists: Callable[[int], bool]
) -> Tracking | bytes | None:
    """Return what CLIENT TRACKING asks for.

    Args:
        args: The whole command.
        current: What holds so far; None: tracking is off.
        client_exists: Whether there is a client of this number.

    Returns:
        The options; None for OFF; or the error frame.
    """
    wanted = Tracking()
    prefixes: list[bytes] = []
    words = iter(args[3:])
    for word in words:
        match word.upper():
            case b"REDIRECT":
                number = _parse_redirect(next(words, None), wanted.redirect, client_exists)
                if isinstance(number, bytes):
                    return number
                wanted = replace(wanted, redirect=number)
            case b"BCAST":
                wanted = replace(wanted, bcast=True)
            case b"OPTIN":
                wanted = replace(wanted, optin=True)
            case b"OPTOUT":
                wanted = replace(wanted, optout=True)
            case b"NOLOOP":
                wanted = replace(wanted, noloop=True)
            case b"PREFIX":
                prefix = next(words, None)
                if prefix is None:
                    return replies.syntax_error()
                prefixes.append(prefix)
            case _:
                return replies.syntax_error()
    match args[2].upper():
        case b"ON":
            return _judge(wanted, prefixes, current)
        case b"OFF":
            return None
        case _:
            return replies.syntax_error()


def _parse_redirect(
    value: bytes | None, before: int, client_exists: Callable[[int], bool]
) -> int | bytes:
    if value is None:
        return replies.syntax_error()
    if before:
        return say.REDIRECT_TWICE
    number = parse_integer(value)
    if number is None:
        return replies.not_an_integer()
    return number if client_exists(number) else say.NO_CLIENT_TO_REDIRECT_TO


def _judge(wanted: Tracking, prefixes: list[bytes], current: Tracking | None) -> Tracking | bytes:
    """Return the options with their prefixes, or the error for what does not fit together."""
    if prefixes and not wanted.bcast:
        return say.PREFIX_WITHOUT_BCAST
    if current is not None and current.bcast != wanted.bcast:
        return say.BCAST_SWITCHED
    if wanted.bcast and (wanted.optin or wanted.optout):
        return say.OPT_WITH_BCAST
    if wanted.optin and wanted.optout:
        return say.OPTIN_AND_OPTOUT
    if current is not None and (
        (wanted.optin and current.optout) or (wanted.optout and current.optin)
    ):
        return say.OPT_SWITCHED
    caching = current is not None and current.caching
    if not wanted.bcast:
        return replace(wanted, caching=caching)
    existing = () if current is None else current.prefixes
    overlap = _find_overlap(prefixes, existing)
    if overlap is not None:
        return overlap
    return replace(wanted, prefixes=tuple(sorted({*existing, *(prefixes or [b""])})))


def _find_overlap(prefixes: list[bytes], existing: tuple[bytes, ...]) -> bytes | None:
    for index, prefix in enumerate(prefixes):
        for other in existing:
            if _overlap(prefix, other):
                return say.prefix_overlaps(prefix, other, is_new=False)
        for other in prefixes[index + 1 :]:
            if _overlap(prefix, other):
                return say.prefix_overlaps(prefix, other, is_new=True)
    return None


def _overlap(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def parse_caching(args: list[bytes], current: Tracking | None) -> Tracking | bytes:
    """Return the options after CLIENT CACHING YES or NO, or the error frame."""
    if current is None:
        return say.NOT_TRACKING
    match args[2].upper():
        case b"YES":
            return (
                replace(current, caching=True) if current.optin else say.CACHING_YES_WITHOUT_OPTIN
            )
        case b"NO":
            if current.optout:
                return replace(current, caching=True)
            return say.CACHING_NO_WITHOUT_OPTOUT
        case _:
            return replies.syntax_error()


def describe_tracking(tracking: Tracking | None, resp: int) -> bytes:
    """Return the answer to CLIENT TRACKINGINFO."""
    if tracking is None:
        flags = [b"off"]
    else:
        shown = (
            (b"bcast", tracking.bcast),
            (b"optin", tracking.optin),
            (b"caching-yes", tracking.optin and tracking.caching),
            (b"optout", tracking.optout),
            (b"caching-no", tracking.optout and tracking.caching),
            (b"noloop", tracking.noloop),
            (b"broken_redirect", tracking.broken),
        )
        flags = [b"on", *(word for word, is_on in shown if is_on)]
    body = array([bulk(flag) for flag in flags])
    return map_frame(
        [
            (bulk(b"flags"), body if resp == 2 else b"~" + body[1:]),
            (bulk(b"redirect"), integer(redirection_of(tracking))),
            (
                bulk(b"prefixes"),
                array([bulk(prefix) for prefix in tracking.prefixes] if tracking else []),
            ),
        ],
        resp,
    )


def redirection_of(tracking: Tracking | None) -> int:
    """Return what CLIENT GETREDIR and CLIENT LIST say: -1 without tracking, 0 to itself."""
    return -1 if tracking is None else tracking.redirect


def tracking_flags(tracking: Tracking | None) -> bytes:
    """Return the letters of CLIENT LIST's flags."""
    if tracking is None:
        return b""
    return b"t" + (b"R" if tracking.broken else b"") + (b"B" if tracking.bcast else b"")

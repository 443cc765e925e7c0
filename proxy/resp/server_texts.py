"""Errors of a server for options of CLIENT, HELLO and SELECT, where ``resp/replies.py`` has none.

Strategy: word for word what Redis 7.0 and Valkey 9.1 say, found by asking them
and compared with them in tests/live/test_local_answers.py. They are what the
documentation of those servers explains; the texts that need an explanation of
ours are in ``resp/replies.py``, together with all that other rooms use too.

Arguments are quoted as C quotes them: up to a zero byte.
"""

from __future__ import annotations

from proxy.resp.encode import c_text, error

NOT_AN_INT32 = error(b"ERR value is out of range, value must between -2147483648 and 2147483647")
EXEC_WITHOUT_MULTI = error(b"ERR EXEC without MULTI")
DISCARD_WITHOUT_MULTI = error(b"ERR DISCARD without MULTI")

ID_NOT_POSITIVE = error(b"ERR client-id should be greater than 0")
INVALID_CLIENT_ID = error(b"ERR Invalid client ID")
NOT_TRACKING = error(
    b"ERR CLIENT CACHING can be called only when the client is in tracking mode"
    b" with OPTIN or OPTOUT mode enabled"
)
CACHING_YES_WITHOUT_OPTIN = error(
    b"ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
)
CACHING_NO_WITHOUT_OPTOUT = error(
    b"ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
)
BCAST_SWITCHED = error(
    b"ERR You can't switch BCAST mode on/off before disabling tracking for this client,"
    b" and then re-enabling it with a different mode."
)
OPT_SWITCHED = error(
    b"ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client,"
    b" and then re-enabling it with a different mode."
)
NOT_IN_IMPORT_MODE = error(b"ERR Server is not in import mode")
BAD_UNBLOCK_REASON = error(b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
BAD_PAUSE_MODE = error(b"ERR CLIENT PAUSE mode must be WRITE or ALL")
PAUSE_NOT_AN_INTEGER = error(b"ERR timeout is not an integer or out of range")
PAUSE_NEGATIVE = error(b"ERR timeout is negative")
NO_CLIENT_TO_REDIRECT_TO = error(b"ERR The client ID you want redirect to does not exist")
REDIRECT_TWICE = error(b"ERR A client can only redirect to a single other client")
PREFIX_WITHOUT_BCAST = error(b"ERR PREFIX option requires BCAST mode to be enabled")
OPT_WITH_BCAST = error(b"ERR OPTIN and OPTOUT are not compatible with BCAST")
OPTIN_AND_OPTOUT = error(b"ERR You can't specify both OPTIN mode and OPTOUT mode")

# ``replies.hello_needs_auth`` in Valkey's words.
HELLO_NEEDS_AUTH_VALKEY = error(
    b"NOAUTH HELLO must be called with the client already authenticated, otherwise the "
    b"HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select "
    b"the RESP protocol version at the same time"
)


def wrong_subcommand_use(subcommand: bytes) -> bytes:
    """Return Redis's error for too many arguments of CLIENT PAUSE and UNBLOCK."""
    return error(
        b"ERR unknown subcommand or wrong number of arguments for '%b'. Try CLIENT HELP."
        % c_text(subcommand, 128)
    )


def unknown_client_type(name: bytes) -> bytes:
    """Return the error for a TYPE that no client can have."""
    return error(b"ERR Unknown client type '%b'" % c_text(name))


def prefix_overlaps(prefix: bytes, other: bytes, *, is_new: bool) -> bytes:
    """Return the error for a PREFIX of CLIENT TRACKING that begins another, or with another.

    Args:
        prefix: The one that is wanted.
        other: The one that it overlaps with.
        is_new: The other is wanted too; else it is tracked already.
    """
    whose = b"another provided" if is_new else b"an existing"
    return error(
        b"ERR Prefix '%b' overlaps with %b prefix '%b'. Prefixes for a single client must not"
        b" overlap." % (c_text(prefix), whose, c_text(other))
    )


def no_such_user(name: bytes) -> bytes:
    """Return the error for a USER that does not exist."""
    return error(b"ERR No such user '%b'" % c_text(name))


def filter_not_an_integer(label: bytes) -> bytes:
    """Return the error for a filter's value. ``label`` is the filter, as the server spells it."""
    return error(b"ERR %b is not an integer or out of range" % label)


def filter_not_positive(label: bytes) -> bytes:
    """Return the error for MAXAGE and IDLE below 1."""
    return error(b"ERR %b should be greater than 0" % label)


def filter_db_out_of_range(label: bytes, last_db: int) -> bytes:
    """Return the error for a DB or NOT-DB that does not exist."""
    return error(b"ERR %b number should be between 0 and %d" % (label, last_db))


def filter_unknown_letters(what: bytes, label: bytes, given: bytes) -> bytes:
    """Return the error for letters that no client can have.

    Args:
        what: ``flags`` or ``capa``.
        label: ``provided``, or the name of the negative filter.
        given: All letters of the argument.
    """
    return error(b"ERR Unknown %b found in the %b filter: %b" % (what, label, c_text(given)))


def no_such_client() -> bytes:
    """CLIENT KILL of an address that nobody is connected from: look at CLIENT LIST."""
    return error(b"ERR No such client")


def invalid_client_name(what: bytes = b"Client names") -> bytes:
    """CLIENT SETNAME, or SETINFO of ``what``, with a blank or a control character."""
    return error(b"ERR %b cannot contain spaces, newlines or special characters." % what)


def unknown_option(option: bytes) -> bytes:
    """CLIENT SETINFO with an attribute other than LIB-NAME and LIB-VER."""
    return error(b"ERR Unrecognized option '%b'" % c_text(option, 128))

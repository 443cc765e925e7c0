"""What the proxy says about users, databases and client-side caching, beside ``replies.py``.

Strategy: as there, one function a text, which begins with a code that clients of
Redis know; the docstring says what to do about it.
"""

from __future__ import annotations

from proxy.resp.encode import c_text, error


def user_refused(node: str, words: bytes) -> bytes:
    """A node does not let the client's user in any more, or not into its database.

    The user was deleted or has another password, on this node or on all, or may not
    do what the client's connections begin with (SELECT, CLIENT TRACKING). The client
    is disconnected; ``ACL LIST`` at that node shows what differs.
    """
    code, _, text = words.partition(b" ")
    return error(b"%b %b does not let this client's user in: %b" % (code, node.encode(), text))


def permission_unknown(command: bytes, user: bytes, problem: bytes) -> bytes:
    """With ``clients.acl = "pass"``, what the proxy does itself is allowed by the servers.

    They are asked with ACL DRYRUN (Redis 7.0), which ``cluster.username`` must be
    allowed to run.
    """
    return error(
        b"NOPERM the servers do not tell the proxy's user (ACL DRYRUN) whether '%b' may run '%b': "
        b"%b" % (c_text(user), command, problem)
    )


def login_unchecked(timeout_s: float) -> bytes:
    """AUTH could not be passed on: no node answered; the client is who it was before."""
    return error(
        b"CLUSTERDOWN no node could be asked about this user within the setting "
        b"cluster.request_timeout_s (%g); try AUTH again" % timeout_s
    )

"""What the proxy says when a node is given up, or no replica may answer a read.

Strategy: as ``replies.py``; one function for each text.
"""

from __future__ import annotations

from proxy.resp.encode import error
from proxy.resp.time_limit import told


def given_up(slot: int | None, node: str, silent_s: float | None, after_s: float) -> bytes:
    """The node has not answered for ``cluster.breaker_after_s``, and nobody took its place.

    Requests were waiting for it in vain all that time, so further ones are answered at
    once: the command was not sent, and sending it again is safe. The node is asked for a
    sign of life all the while; with the first one its requests are sent again. Look at the
    node, and at the replicas that should have taken over.
    """
    whose = "" if slot is None else f", which has slot {slot},"
    return error(
        b"CLUSTERDOWN %b; the command was not sent and did not run"
        % _hopeless(node + whose, silent_s, after_s)
    )


def cluster_given_up(node: str, silent_s: float | None, after_s: float) -> bytes:
    """The servers say that the whole cluster is down, and another node's breaker is open.

    With ``cluster-require-full-coverage`` (the default) a cluster serves no slot while one
    has no node; nor does a node that sees no majority. Once requests have waited in vain for the
    node named here, further ones do not wait for its return either. The command was refused and
    did not run.
    """
    return error(
        b"CLUSTERDOWN the cluster is down, %b; the command did not run"
        % _hopeless(node, silent_s, after_s)
    )


def no_reader(slot: int, timeout_s: float) -> bytes:
    """``reads`` wants replicas only for this user, and none of the slot's was of use in time.

    They are down, still loading, cut off from their primary, or further behind it than
    ``reads.max_lag_s``. ``prefer_replica`` would have asked the primary.
    """
    return error(
        b"CLUSTERDOWN no replica of slot %d may answer reads (the settings reads.policy and "
        b"reads.users), none came within the setting %b; the command was not sent and did not run"
        % (slot, told(timeout_s))
    )


def not_let_in(slot: int | None, node: str, words: bytes, timeout_s: float) -> bytes:
    """A node refused the proxy's own user or password, as long as the request could wait.

    Its password was changed, on this node or on all, or the user was. Put the new one into
    ``cluster.password`` (or its file) and reload the settings; nobody has to be sent away for it.
    """
    whose = "" if slot is None else f", which has slot {slot},"
    return error(
        b"CLUSTERDOWN %b%b did not let the proxy in within the setting %b (the settings "
        b"cluster.username and cluster.password), it said: %b; the command was not sent and did "
        b"not run" % (node.encode(), whose.encode(), told(timeout_s), words)
    )


def _hopeless(node: str, silent_s: float | None, after_s: float) -> bytes:
    since = "ever" if silent_s is None else f"for {silent_s:.0f} s"
    return (
        f"{node} has not answered {since} and nobody took its place: its breaker is open "
        f"(the setting cluster.breaker_after_s is {after_s:g})"
    ).encode()

"""The reply to a client when a node did not answer a command that concerns many nodes.

Strategy: one function from what went wrong to one of the texts in ``resp.replies``.

Cost: none while nothing fails.
"""

from __future__ import annotations

from proxy.cluster.topology import Node
from proxy.control.nodes import Nodes
from proxy.errors import BackendUnavailable
from proxy.resp import replies


def no_answer(
    problem: BackendUnavailable, node: Node, nodes: Nodes, *, is_write: bool
) -> bytes:
    """Return the error for a part that got no reply, once no time is left to try again.

    A write that was sent is never tried again, so its error comes at once: the
    connection was lost, rather than the time.
    """
    if not problem.sent:
        return replies.never_sent(None, nodes.timeout_s)
    if is_write:
        return replies.lost_write(str(node.address))
    return replies.no_reply_to_read(str(node.address), nodes.timeout_s)

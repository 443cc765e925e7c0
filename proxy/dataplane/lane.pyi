"""A lane's pipelines: per node, what is to be sent and what waits for its reply."""

from collections.abc import Callable, Iterator

from proxy.dataplane.cipher import Cipher
from proxy.dataplane.readers import ReadTable

class Pipeline:
    """One queue to one node, and the number of its socket while it has one."""

    on_push: Callable[[bytes], object] | None
    """Takes push frames, inside a tick; None: they are counted and dropped."""
    on_lost: Callable[[], object] | None
    """Called, inside a tick, when its connection is gone and its requests are seen to."""
    is_stream: bool
    """What comes while it owes no reply goes to ``on_push``: pub/sub in RESP2, MONITOR."""

    def __init__(self, lane: Lane, node: int) -> None: ...
    @property
    def node(self) -> int:
        """Index of the node it leads to."""

    @property
    def fd(self) -> int:
        """Its socket; -1 while there is no connection."""

    @property
    def cipher(self) -> Cipher | None:
        """The TLS of its connection; None: it has none."""

    @property
    def lane(self) -> Lane:
        """The lane it belongs to."""

    @property
    def sent_count(self) -> int:
        """Requests wholly written that wait for their replies."""

    @property
    def unsent_count(self) -> int:
        """Requests that are not wholly written."""

    @property
    def unsent_bytes(self) -> int:
        """Bytes of those requests."""

    @property
    def heard_at(self) -> float:
        """When its last byte came, or when it began to owe one; monotonic seconds."""

    @property
    def requests(self) -> int:
        """Requests written so far."""

    @property
    def bytes_in(self) -> int:
        """Bytes received so far."""

    @property
    def bytes_out(self) -> int:
        """Bytes written so far."""

    @property
    def late_replies(self) -> int:
        """Replies that came after their request was given up."""

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection just now."""

class Lane:
    """How one kind of client reaches the cluster: the same protocol, user and database.

    Args:
        resp: Protocol version, 2 or 3.
        width: Connections to each node. A client always uses the same one of
            them, so its own requests to a node stay in order.
        key: What else its connections are; only the control plane looks at it.
    """

    on_pipeline: Callable[[Pipeline], object] | None
    """Called with each pipeline when it is made, before anything is queued on it."""

    def __init__(self, resp: int, width: int = 1, key: object = None) -> None: ...
    @property
    def key(self) -> object:
        """What its connections are: protocol, user, database."""

    @property
    def resp(self) -> int:
        """Protocol version on its connections."""

    @property
    def width(self) -> int:
        """Connections to each node."""

    @property
    def requests(self) -> int:
        """Requests written to nodes so far."""

    @property
    def connections(self) -> int:
        """Connections to nodes just now."""

    @property
    def read_table(self) -> ReadTable | None:
        """Who answers its clients' reads; None: the primaries."""

    @property
    def in_flight(self) -> int:
        """Pieces that wait to be written or for their reply just now."""

    def pipeline_to(self, node: int) -> Pipeline:
        """Return the (first) pipeline to a node; it is made if there is none yet."""

    def pipelines_to(self, node: int) -> list[Pipeline]:
        """Return the pipelines that lead to one node."""

    def forget(self, node: int) -> None:
        """Drop the pipelines of a node that is gone; their queues must be empty."""

    def __iter__(self) -> Iterator[Pipeline]: ...

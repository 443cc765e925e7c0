"""The sockets of the data plane: one epoll set, read and written in ticks."""

from collections.abc import Callable, Mapping

from proxy.dataplane.client import Client
from proxy.dataplane.hooks import Hooks
from proxy.dataplane.lane import Lane, Pipeline
from proxy.dataplane.request import Request
from proxy.dataplane.router import Router
from proxy.dataplane.tables import CommandTable, SlotMap
from proxy.errors import BackendUnavailable

class Engine(Router):
    """The data plane.

    Args:
        control: Answers the questions of ``hooks.Hooks``.

    Attributes:
        max_clients: Clients at a time; one more is answered with an error and closed.
        client_output_soft_bytes: A client is not read while more than this waits for it.
        client_output_limit_bytes: A client is closed when more than this waits for it.
        reply_limit_bytes: A longer reply of a node is replaced by an error.
        silence_s: A node that owes replies for longer without a byte is reported.
        idle_timeout_s: A client that sends nothing for longer is closed; 0: never.
    """

    max_clients: int
    client_output_soft_bytes: int
    client_output_limit_bytes: int
    reply_limit_bytes: int
    silence_s: float
    idle_timeout_s: float

    def __init__(self, control: Hooks) -> None: ...
    @property
    def ticks(self) -> int:
        """Ticks so far."""

    @property
    def accepted(self) -> int:
        """Clients accepted so far."""

    @property
    def refused_clients(self) -> int:
        """Clients turned away over ``max_clients``."""

    @property
    def pushes_dropped(self) -> int:
        """Push frames of nodes that nobody had asked for."""

    @property
    def clients(self) -> Mapping[int, Client]:
        """All clients, by id."""

    @property
    def command_table(self) -> CommandTable:
        """The command table in use."""

    @property
    def slot_map(self) -> SlotMap:
        """The slot map in use."""

    @property
    def is_busy(self) -> bool:
        """Whether a sweep is needed even if no socket becomes ready."""

    @property
    def sweep_after_s(self) -> float:
        """How long the engine may be left alone while it is busy."""

    def fileno(self) -> int:
        """Return the epoll descriptor: readable when a tick has something to do."""

    def set_request_limits(
        self,
        *,
        argument_limit: int = ...,
        argument_limit_bytes: int = ...,
        inline_limit_bytes: int = ...,
        request_limit_bytes: int = ...,
    ) -> None:
        """Set the limits of requests; see ``RequestScanner``. Before the first client."""

    def install_commands(self, table: CommandTable) -> None:
        """Replace the command table."""

    def install_slots(self, slots: SlotMap) -> None:
        """Replace the slot map; what waits for a node without connection is routed anew."""

    def add_lane(self, lane: Lane) -> None:
        """Take a lane's pipelines into sweeps and map changes."""

    def use_lane(self, client: Client, lane: Lane) -> None:
        """Send the client's further requests on another lane; it has none in flight."""

    def listen(self, fd: int) -> None:
        """Accept clients from a listening, non-blocking socket."""

    def stop_listening(self, fd: int) -> None:
        """Accept no more clients from this socket; the caller closes it."""

    def drain(self) -> None:
        """Take no more requests; each client is closed when it has what it asked for."""

    def attach(self, pipeline: Pipeline, fd: int) -> None:
        """Give a pipeline its connection: connected, authenticated, non-blocking.

        The engine owns ``fd`` from here on, and closes it.
        """

    def drop(self, pipeline: Pipeline) -> None:
        """Close a pipeline's connection; what was on it is sent again or answered."""

    def submit(
        self,
        pipeline: Pipeline,
        frame: bytes,
        on_done: Callable[[bytes | BackendUnavailable], object],
    ) -> Request:
        """Send a request of the proxy's own.

        Args:
            on_done: Called once, inside a tick, with the reply frame as bytes or
                with ``BackendUnavailable``.

        Returns:
            A token for ``abandon``.
        """

    def abandon(self, request: Request) -> None:
        """Forget a request of the proxy's own; its reply will be dropped."""

    def resume(self, client: Client) -> None:
        """Let a client go on whose state a hook has changed."""

    def close_client(self, client: Client, reason: str = "") -> None:
        """Close a client's connection now; replies it has not read are lost."""

    def tick(self, timeout_ms: int) -> bool:
        """Handle everything that is ready; wait up to ``timeout_ms`` for something.

        Returns:
            Whether there was anything to do.
        """

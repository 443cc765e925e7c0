"""What clients send: read and route."""

from collections.abc import Callable

from proxy.dataplane.client import Client
from proxy.dataplane.client_output import ClientOutput
from proxy.dataplane.lane import Lane

class ClientSide(ClientOutput):
    """The part of an engine that reads requests."""

    tap: Callable[[Client, list[bytes]], object] | None
    """Called with each request when it was sent on its way or answered."""

    def set_request_limits(
        self,
        *,
        argument_limit: int = ...,
        argument_limit_bytes: int = ...,
        inline_limit_bytes: int = ...,
        request_limit_bytes: int = ...,
    ) -> None:
        """Set the limits of requests; see ``RequestScanner``. Before the first client."""

    def use_lane(self, client: Client, lane: Lane) -> None:
        """Send the client's further requests on another lane; it has none in flight."""

    def resume(self, client: Client) -> None:
        """Let a client go on whose state a hook has changed."""

"""The table ``[limits]``: how much of anything the proxy keeps."""

from __future__ import annotations

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)

from proxy.config.values import MIB, Table


class Limits(Table):
    """How much of anything the proxy keeps."""

    request_limit_bytes: PositiveInt = 1024 * MIB
    """One whole request; Redis's client-query-buffer-limit."""
    argument_limit: PositiveInt = 1024 * 1024
    """Arguments of one request; a split command needs memory for each."""
    argument_limit_bytes: PositiveInt = 512 * MIB
    """One argument; Redis's proto-max-bulk-len."""
    inline_limit_bytes: PositiveInt = 64 * 1024
    """One inline command; Redis's own limit."""
    reply_limit_bytes: PositiveInt = 1024 * MIB
    """One reply of a server; twice the longest value."""
    client_output_soft_bytes: PositiveInt = 16 * MIB
    """Replies a client has not read yet, above which no more of its requests are read."""
    client_output_limit_bytes: int = Field(default=1088 * MIB, gt=0, validate_default=True)
    """Replies a client has not read yet, above which it is disconnected; holds any one reply."""
    client_output_soft_s: NonNegativeFloat = 0.0
    """Disconnect a client that is above client_output_soft_bytes for so long; 0 never. As Redis."""
    memory_limit_bytes: NonNegativeInt = 0
    """Requests and replies kept for all clients, above which new requests are refused; 0 never."""
    client_in_flight_limit: PositiveInt = 1024
    """Requests of a client without a reply yet, above which no more of them are read."""
    node_queue_soft_bytes: PositiveInt = 64 * MIB
    """Requests waiting for one node, above which clients that need it are not read."""
    node_in_flight_limit: NonNegativeInt = 0
    """Requests written to one connection and not answered, above which more wait; 0 any number."""
    fan_out_limit: NonNegativeInt = 0
    """Slots that the keys of one command may lie in, each a request to a node; 0 any number."""
    lane_limit: PositiveInt = 1000
    """Lanes: kinds of clients (user, database, protocol) and clients that track, at a time."""
    private_connection_limit: PositiveInt = 10_000
    """Connections to nodes at a time that one client has to itself: WATCH, a blocked pop."""
    transaction_limit_bytes: PositiveInt = 256 * MIB
    """Commands that a client has queued since MULTI, and what it costs to keep them."""
    cross_slot_limit_bytes: PositiveInt = 16 * MIB
    """What one command across slots may copy; all at a time eight times as much."""
    script_memory_bytes: PositiveInt = 16 * MIB
    """Scripts remembered for nodes that lack them; the longest unused are forgotten."""
    client_subscription_limit: PositiveInt = 100_000
    """Channels and patterns that one client may subscribe to."""
    pubsub_output_limit_bytes: PositiveInt = 32 * MIB
    """Messages a subscriber or monitor has not read yet, above which it is disconnected."""
    pubsub_output_soft_bytes: PositiveInt = 8 * MIB
    """The same, if it is above this for longer than pubsub_output_soft_s. Both as Redis."""
    pubsub_output_soft_s: PositiveFloat = 60.0
    """How long a subscriber or monitor may be above pubsub_output_soft_bytes."""

    @field_validator("client_output_limit_bytes")
    @classmethod
    def _holds_a_reply(cls, limit: int, info: ValidationInfo) -> int:
        _at_least(limit, "reply_limit_bytes", info)
        return _at_least(limit, "client_output_soft_bytes", info)


def _at_least(limit: int, other: str, info: ValidationInfo) -> int:
    if other in info.data and limit < info.data[other]:
        raise ValueError(f"at least {other}, which is {info.data[other]}")
    return limit

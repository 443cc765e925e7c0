"""What makes a client who it is, as a record that another process can take up.

Strategy: only a client without open ends moves: one that is in no transaction, waits for
nothing, listens to nothing and tracks nothing. What is left is what CLIENT INFO shows of it,
and that is a few words. Everybody else is told to go, as at any end of a process, or comes
to rest first.

Cost: about half a kilobyte a client, for as long as it is on its way.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from proxy.control.connection import Credentials
from proxy.control.lane_key import LaneKey, key_of
from proxy.control.pools import Pools
from proxy.control.rates import RateBook
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.errors import LimitReached
from proxy.sessions.accounts import Accounts

# One character a byte, so that names and passwords are whatever bytes they are.
_TEXT = "latin-1"


# Another process says these: what the data plane would not take, no record has.
_Number = Annotated[int, Field(ge=0, lt=1 << 63)]
_Seconds = Annotated[float, Field(allow_inf_nan=False)]
_Bytes = Annotated[str, Field(pattern=r"\A[\x00-\xff]*\z")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One client at rest; texts stand for bytes, a character each."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    id: _Number
    resp: Annotated[int, Field(ge=2, le=3)]
    credentials: tuple[_Bytes, ...] | None
    """Whose rights its lane has; None: the proxy's own."""
    database: _Number
    user: _Bytes
    authenticated: bool
    gated: bool
    name: _Bytes
    lib_name: _Bytes
    lib_ver: _Bytes
    capabilities: _Bytes
    no_evict: bool
    no_touch: bool
    waited_s: _Seconds
    reply_mode: Annotated[int, Field(ge=0, le=2)]
    last_command: _Bytes
    is_unix: bool
    told: tuple[str, str] | None
    """Both its addresses, if somebody has passed it on."""
    created_s: _Seconds
    last_active_s: _Seconds
    commands: _Number
    bytes_in: _Number
    bytes_out: _Number

    def pack(self) -> bytes:
        """Return it as bytes."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Record:
        """Return what ``pack`` has packed.

        Raises:
            ValueError: It is no such thing.
        """
        try:
            return _READER.validate_json(packed, strict=True)
        except ValidationError as problem:
            found = problem.errors(include_url=False, include_input=False)[0]
            raise ValueError(f"{'.'.join(map(str, found['loc']))}: {found['msg']}") from None


_READER = TypeAdapter(Record)


def can_move(client: Client) -> bool:
    """Return whether the client has no open ends, now."""
    state = client.state
    return (
        client.cipher is None  # its keys stay with the process that has agreed on them
        and not client.is_extra
        and (not client.is_off_road or client.is_gated)
        and state.queue is None
        and state.watch is None
        and state.wait is None
        and state.tracking is None
        and state.listening is None
        and not key_of(client.lane).setup
    )


def record_of(client: Client) -> Record:
    """Return the record of a client that can move."""
    state, key = client.state, key_of(client.lane)
    words = None if key.credentials is None else key.credentials.words
    return Record(
        id=client.id,
        resp=key.resp,
        credentials=None if words is None else tuple(word.decode(_TEXT) for word in words),
        database=key.database,
        user=state.user.decode(_TEXT),
        authenticated=state.authenticated,
        gated=client.is_gated,
        name=state.name.decode(_TEXT),
        lib_name=state.lib_name.decode(_TEXT),
        lib_ver=state.lib_ver.decode(_TEXT),
        capabilities=state.capabilities.decode(_TEXT),
        no_evict=state.no_evict,
        no_touch=state.no_touch,
        waited_s=state.waited_s,
        reply_mode=client.reply_mode,
        last_command=client.last_command.decode(_TEXT),
        is_unix=client.is_unix,
        told=_told(client),
        created_s=client.created_s,
        last_active_s=client.last_active_s,
        commands=client.commands,
        bytes_in=client.bytes_in,
        bytes_out=client.bytes_out,
    )


def _told(client: Client) -> tuple[str, str] | None:
    if client.told_address is None or client.told_local_address is None:
        return None
    return client.told_address, client.told_local_address


class Arrivals:
    """Makes clients of records.

    Args:
        engine: Whose clients they become.
        pools: Has their lanes.
        accounts: Who may be a client here.
        rates: What each may send.
    """

    def __init__(self, engine: Engine, pools: Pools, accounts: Accounts, rates: RateBook) -> None:
        self._engine = engine
        self._pools = pools
        self._accounts = accounts
        self._rates = rates

    def take(self, record: Record, fd: int, unread: bytes) -> Client | None:
        """Take a client in, and go on with what it has sent.

        Args:
            fd: Its socket; ours from now on, if it is taken.

        Returns:
            The client; None: there is no place for one like it, for other settings hold here.
        """
        user = record.user.encode(_TEXT)
        is_passed = record.credentials is not None
        if is_passed != self._accounts.is_passed or not self._accounts.has_user(user):
            return None
        if record.id in self._engine.clients:
            return None
        try:
            lane = self._pools.lane(self._key_of(record))
        except LimitReached:
            return None
        client = self._engine.take_in(
            fd,
            number=record.id,
            lane=lane,
            unread=unread,
            reply_mode=record.reply_mode,
            last_command=record.last_command.encode(_TEXT),
            is_unix=record.is_unix,
            told=record.told,
            created_s=record.created_s,
            last_active_s=record.last_active_s,
            commands=record.commands,
            bytes_in=record.bytes_in,
            bytes_out=record.bytes_out,
        )
        # Nobody who comes later may get its number.
        self._engine.next_client_id = max(self._engine.next_client_id, record.id + 1)
        state = client.state
        state.authenticated = record.authenticated
        state.user = user
        state.name = record.name.encode(_TEXT)
        state.lib_name = record.lib_name.encode(_TEXT)
        state.lib_ver = record.lib_ver.encode(_TEXT)
        state.capabilities = record.capabilities.encode(_TEXT)
        state.database = record.database
        state.no_evict = record.no_evict
        state.no_touch = record.no_touch
        state.waited_s = record.waited_s
        client.is_gated = record.gated
        self._rates.settle(client)
        self._engine.release(client)
        return client

    def _key_of(self, record: Record) -> LaneKey:
        words = record.credentials
        credentials = None
        if words is not None:
            credentials = Credentials(tuple(word.encode(_TEXT) for word in words))
        reads = self._pools.reads.of(record.user.encode(_TEXT))
        return LaneKey(record.resp, credentials, record.database, reads=reads)

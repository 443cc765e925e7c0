"""The settings: every key, its default and its limits.

Strategy: one frozen pydantic model for each table of proxy.toml; ``sources.py``
fills them. Only app, cli and check see these models; the rooms below receive
plain values.

Cost: read once, at start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from proxy.cluster.addresses import Address, AddressMap
from proxy.commands.pins import Pin as KeyPin
from proxy.commands.pins import PinError, PinTable
from proxy.errors import ConfigError

MIB = 1024 * 1024
# In commands.deny, this word stands for the commands that are denied by default.
DEFAULT_DENIALS = "default"


def _split_list(value: object) -> object:
    """Let ``a,b`` stand for a list: environment variables and flags have no lists."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def _split_pairs(value: object) -> object:
    """Let ``a=b,c=d`` stand for a table."""
    if isinstance(value, str):
        pairs = (word.partition("=") for word in value.split(",") if word.strip())
        return {key.strip(): reachable.strip() for key, _, reachable in pairs}
    return value


def _split_pins(value: object) -> object:
    """Let ``prefix=tag,prefix=tag`` stand for a list of pins; ``=tag`` pins everything."""
    if isinstance(value, str):
        pairs = (word.strip().rpartition("=") for word in value.split(",") if word.strip())
        return tuple({"prefix": prefix, "tag": tag} for prefix, _, tag in pairs)
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(_split_list)]
Pairs = Annotated[dict[str, str], BeforeValidator(_split_pairs)]
Secrets = Annotated[dict[str, SecretStr], BeforeValidator(_split_pairs)]


class _Table(BaseModel):
    """What all tables share: no key too many, no change after start."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class _Account(_Table):
    """A table with a password, which stands in the file or in a file of its own."""

    password: SecretStr = SecretStr("")
    """Password that must be given; empty for none."""
    password_file: Path | None = None
    """File that holds the password instead; empty for none."""

    @field_validator("password_file", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("password_file")
    @classmethod
    def _is_readable(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is not None:
            password = info.data.get("password")
            if password is not None and password.get_secret_value():
                raise ValueError("nothing, because password is set too")
            _read_secret(path)
        return path

    def read_password(self) -> str:
        """Return the password; empty if there is none.

        A file is read anew each time, so that a rotated secret is used from
        the next connection on; one line end after the password is not part of it.

        Raises:
            ConfigError: The file has gone since the settings were loaded.
        """
        if self.password_file is None:
            return self.password.get_secret_value()
        try:
            return _read_secret(self.password_file)
        except ValueError as problem:
            key = f"{type(self).__name__.lower()}.password_file"
            raise ConfigError(
                key=key, given=repr(str(self.password_file)), allowed=str(problem)
            ) from None


def _read_secret(path: Path) -> str:
    """Return the text of a file, without its last line end.

    Raises:
        ValueError: It cannot be read, or is not UTF-8.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not UTF-8"
        raise ValueError(f"a file that can be read ({reason})") from None
    return text.removesuffix("\n").removesuffix("\r")


class Listen(_Table):
    """Where clients connect."""

    address: str = "127.0.0.1"
    """IP address or host name to listen on; 0.0.0.0 or :: for every interface."""
    port: int = Field(default=6379, ge=0, le=65535)
    """Port to listen on; 0 lets the kernel choose a free one, which the log names."""
    backlog: PositiveInt = 1024
    """How many connections the kernel may hold until they are accepted."""
    max_clients: PositiveInt = 10_000
    """How many clients may be connected; the next one gets an error. Redis's own default."""
    tcp_keepalive_s: int = Field(default=300, ge=0, le=32767)
    """Ask an idle client's kernel after this many seconds if it lives; 0 never. As Redis."""


class Cluster(_Account):
    """The cluster behind the proxy, and how patient to be with it."""

    seeds: Words = Field(default=("127.0.0.1:7000",), min_length=1)
    """Nodes to ask for the map first, as host:port; names are resolved anew each time."""
    username: str = ""
    """ACL user for the servers; empty means their default user."""
    address_map: Pairs = Field(default_factory=dict)
    """Announced address to reachable one, for NAT: "10.0.0.5:7000" = "127.0.0.1:17000"."""
    refresh_interval_s: PositiveFloat = 30.0
    """Read the map again this often, even if nothing has gone wrong."""
    refresh_min_interval_s: PositiveFloat = 0.1
    """Never read the map more often than this, whatever goes wrong."""
    connect_timeout_s: PositiveFloat = 1.0
    """Give up connecting to a node after this many seconds, and try again."""
    # A failover takes cluster-node-timeout (15 s unless changed) until the primary is
    # declared dead, and 1 to 3 s for the vote; clients' own timeouts are seldom above 30 s.
    request_timeout_s: PositiveFloat = 20.0
    """Answer a request with an error after this many seconds; outlasts a default failover."""
    # One connection is one stream in order; a Redis server runs commands on one thread.
    connections_per_node: int = Field(default=1, ge=1, le=64)
    """Shared connections to each node and lane; more only helps servers with I/O threads."""
    silence_timeout_s: PositiveFloat = 1.0
    """Disconnect a node that owes replies, owns no slot any more and was silent for so long."""

    @field_validator("seeds")
    @classmethod
    def _seeds_are_addresses(cls, seeds: tuple[str, ...]) -> tuple[str, ...]:
        for seed in seeds:
            try:
                Address.parse(seed)
            except ValueError as problem:
                raise ValueError(f"host:port, like 127.0.0.1:7000 ({problem})") from None
        return seeds

    @field_validator("address_map")
    @classmethod
    def _address_map_is_readable(cls, entries: dict[str, str]) -> dict[str, str]:
        try:
            AddressMap.parse(entries)
        except ValueError as problem:
            raise ValueError(f"host:port to host:port, or host to host ({problem})") from None
        return entries

    def seed_addresses(self) -> tuple[Address, ...]:
        """Return the seeds as values."""
        return tuple(Address.parse(seed) for seed in self.seeds)

    def addresses_from_here(self) -> AddressMap:
        """Return the address map as a value."""
        return AddressMap.parse(self.address_map)


class Clients(_Account):
    """Who may connect, and what they see."""

    username: str = Field(default="default", min_length=1)
    """User name that clients give with AUTH; "default" may be left out by them."""
    users: Secrets = Field(default_factory=dict)
    """More users: name to password, or "sha256:" and its digest, or "file:" and a path."""
    acl: Literal["users", "pass"] = "users"
    """Who knows the users: these settings; or the servers, whose ACLs then hold for each client."""
    expose_cluster: bool = False
    """Let the cluster answer CLUSTER commands that only read; else: support disabled."""
    idle_timeout_s: NonNegativeFloat = 0.0
    """Disconnect a client that has sent nothing for so long; 0 never. As Redis."""

    @field_validator("users")
    @classmethod
    def _users_can_log_in(
        cls, users: dict[str, SecretStr], info: ValidationInfo
    ) -> dict[str, SecretStr]:
        for name, word in users.items():
            try:
                _digest_of(word.get_secret_value())
            except ValueError as problem:
                raise ValueError(f"for {name}: {problem}") from None
        if users and info.data.get("username") in users and _has_password(info.data):
            raise ValueError("not the name of username again, which has a password already")
        return users

    @field_validator("acl")
    @classmethod
    def _only_one_knows_users(cls, acl: str, info: ValidationInfo) -> str:
        if acl == "pass" and (info.data.get("users") or _has_password(info.data)):
            raise ValueError("users, because password or users are set here")
        return acl

    def user_digests(self) -> dict[bytes, bytes]:
        """Return the SHA-256 digest of each user's password; nobody if none is needed.

        Raises:
            ConfigError: A file with a password has gone since the settings were loaded.
        """
        password = self.read_password()
        digests = {self.username.encode(): sha256(password.encode()).digest()} if password else {}
        for name, word in self.users.items():
            try:
                digests[name.encode()] = _digest_of(word.get_secret_value())
            except ValueError as problem:
                raise ConfigError(
                    key="clients.users", given=f"a secret for {name}", allowed=str(problem)
                ) from None
        return digests


def _has_password(clients: Mapping[str, object]) -> bool:
    password = clients.get("password")
    has_word = isinstance(password, SecretStr) and bool(password.get_secret_value())
    return has_word or clients.get("password_file") is not None


def _digest_of(word: str) -> bytes:
    """Return the SHA-256 digest of a user's password, as ``clients.users`` gives it.

    Raises:
        ValueError: It is empty, is no digest, or its file cannot be read.
    """
    kind, _, rest = word.partition(":")
    if kind == "sha256":
        if not re.fullmatch("[0-9a-fA-F]{64}", rest):
            raise ValueError("sha256: and 64 hexadecimal digits")
        return bytes.fromhex(rest)
    password = _read_secret(Path(rest)) if kind == "file" else word
    if not password:
        raise ValueError("a password that is not empty")
    return sha256(password.encode()).digest()


class Commands(_Table):
    """What clients may do."""

    deny: Words = (DEFAULT_DENIALS,)
    """Commands to refuse, "config|set" for one subcommand; "default" is the built-in set."""
    unknown: Literal["ask", "refuse"] = "ask"
    """A command that the table lacks: ask a server for its keys, or refuse it."""
    transactions: Literal["strict", "split"] = "strict"
    """Keys of MULTI..EXEC: in one slot as a whole, or in any slots and as a whole in each."""
    cross_slot: Literal["reject", "reads", "all"] = "reads"
    """Commands whose keys lie in several slots and cannot be split; none of it is atomic."""

    @field_validator("deny")
    @classmethod
    def _lower_case(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.lower() for name in names)

    def denied(self, by_default: Iterable[bytes]) -> frozenset[bytes]:
        """Return the names to deny, lower case, with the built-in set put in for "default"."""
        named = frozenset(name.encode() for name in self.deny if name != DEFAULT_DENIALS)
        return named | frozenset(by_default) if DEFAULT_DENIALS in self.deny else named


class Limits(_Table):
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
    client_in_flight_limit: PositiveInt = 1024
    """Requests of a client without a reply yet, above which no more of them are read."""
    node_queue_soft_bytes: PositiveInt = 64 * MIB
    """Requests waiting for one node, above which clients that need it are not read."""
    lane_limit: PositiveInt = 1000
    """Kinds of clients (user, database, protocol) and clients that track, at a time; see README."""
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


class Log(_Table):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important messages to write."""
    format: Literal["console", "json"] = "console"
    """Lines for people, or one JSON object each."""


class Pin(_Table):
    """Keys with a prefix, which live in one slot together."""

    prefix: str
    """What the keys begin with; empty for every key that no longer prefix fits."""
    tag: str
    """Hash tag under which they are stored; several prefixes may share one."""


class Settings(_Table):
    """Everything that can be set."""

    listen: Listen = Listen()
    cluster: Cluster = Cluster()
    clients: Clients = Clients()
    commands: Commands = Commands()
    limits: Limits = Limits()
    log: Log = Log()
    pin: Annotated[tuple[Pin, ...], BeforeValidator(_split_pins)] = ()

    @field_validator("pin")
    @classmethod
    def _pins_are_possible(cls, pins: tuple[Pin, ...]) -> tuple[Pin, ...]:
        try:
            _pin_table(pins)
        except PinError as problem:
            raise ValueError(problem.allowed) from None
        return pins

    def pin_table(self) -> PinTable:
        """Return the pins as a value."""
        return _pin_table(self.pin)


def _pin_table(pins: Iterable[Pin]) -> PinTable:
    return PinTable(KeyPin(pin.prefix.encode(), pin.tag.encode()) for pin in pins)

"""The settings: every key, its default, its limits, and where its value comes from.

Strategy: one frozen pydantic model for each table of proxy.toml. A value comes
from a flag, else from the environment (``SLOTWAY_<TABLE>__<KEY>``), else from the
file, else it is the default. A key that does not exist is refused wherever it
stands, so that a misspelling never goes unnoticed. Only app, cli and check see
these models; the rooms below receive plain values.

Cost: read once, at start.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
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
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from proxy.cluster.addresses import Address, AddressMap
from proxy.errors import ConfigError

ENV_PREFIX = "SLOTWAY_"
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


Words = Annotated[tuple[str, ...], BeforeValidator(_split_list)]
Pairs = Annotated[dict[str, str], BeforeValidator(_split_pairs)]


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
    expose_cluster: bool = False
    """Let the cluster answer CLUSTER commands that only read; else: support disabled."""
    idle_timeout_s: NonNegativeFloat = 0.0
    """Disconnect a client that has sent nothing for so long; 0 never. As Redis."""


class Commands(_Table):
    """What clients may do."""

    deny: Words = (DEFAULT_DENIALS,)
    """Commands to refuse, "config|set" for one subcommand; "default" is the built-in set."""
    unknown: Literal["ask", "refuse"] = "ask"
    """A command that the table lacks: ask a server for its keys, or refuse it."""

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


class Settings(_Table):
    """Everything that can be set."""

    listen: Listen = Listen()
    cluster: Cluster = Cluster()
    clients: Clients = Clients()
    commands: Commands = Commands()
    limits: Limits = Limits()
    log: Log = Log()


class _Environment(EnvSettingsSource):
    """The environment, where the tables split their lists themselves; none of it is JSON."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: object) -> object:
        """Return the text as it is."""
        return value


def load_settings(
    path: Path | None = None, flags: Mapping[str, Mapping[str, object]] | None = None
) -> Settings:
    """Read the settings from flags, environment and file, in this order of precedence.

    Args:
        path: The TOML file; None if there is none.
        flags: What the command line gave, by table and key; nothing for
            flags that were not given.

    Raises:
        ConfigError: Something is wrong; it names what, and what is allowed.
    """
    from_flags = {table: dict(values) for table, values in (flags or {}).items()}
    from_file = {} if path is None else _read_toml(path)

    class Loader(Settings, BaseSettings):
        model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__")

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: object, **__: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (
                InitSettingsSource(settings_cls, from_flags),
                _Environment(settings_cls),
                InitSettingsSource(settings_cls, from_file),
            )

    _refuse_unknown_variables()
    try:
        loaded = Loader.model_validate({})
    except ValidationError as problem:
        raise _explain(problem, from_flags, from_file) from None
    return Settings.model_validate({name: getattr(loaded, name) for name in Settings.model_fields})


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as problem:
        given = problem.strerror or "an error"
    except ValueError as problem:  # not TOML, or not UTF-8
        given = str(problem)
    raise ConfigError(key=str(path), given=given, allowed="a TOML file")


def known_keys() -> list[str]:
    """Return every ``table.key``, in the order of the models."""
    defaults = Settings()
    return [
        f"{table}.{key}"
        for table in Settings.model_fields
        for key in type(getattr(defaults, table)).model_fields
    ]


def _refuse_unknown_variables() -> None:
    """Refuse a variable that is meant for us and names no key.

    Only with two underscores is it meant for us: Kubernetes itself sets
    SLOTWAY_PORT and the like for a service of the name slotway.
    """
    known = [ENV_PREFIX + key.replace(".", "__").upper() for key in known_keys()]
    for name in os.environ:
        if name.upper().startswith(ENV_PREFIX) and "__" in name and name.upper() not in known:
            nearest = _nearest(name.upper(), known)
            raise ConfigError(key=name, given="a variable that names no key", allowed=nearest)


def _explain(
    problem: ValidationError, from_flags: Mapping[str, object], from_file: Mapping[str, object]
) -> ConfigError:
    """Return pydantic's first finding in words, and where the value came from."""
    found = problem.errors(include_url=False)[0]
    place = [str(word) for word in found["loc"]]
    key = ".".join(place[:2])
    if found["type"] == "extra_forbidden":
        # The value is not shown: it may be a password under a misspelt key.
        known = known_keys() if len(place) > 1 else list(Settings.model_fields)
        return ConfigError(key=key, given="a key that does not exist", allowed=_nearest(key, known))
    variable = ENV_PREFIX + "__".join(place[:2]).upper()
    if _has(from_flags, place):
        origin = "on the command line"
    elif variable in {name.upper() for name in os.environ}:
        origin = f"in {variable}"
    else:
        origin = "in the file" if _has(from_file, place) else "by default"
    value = "a secret" if key.endswith(".password") else repr(found["input"])
    allowed = found["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if found["type"] == "model_type":
        allowed = "a table of keys"
    return ConfigError(key=key, given=f"{value} {origin}", allowed=allowed)


def _has(source: Mapping[str, object], place: list[str]) -> bool:
    """Return whether a source has a value for this table and key."""
    table = source.get(place[0])
    return place[1] in table if isinstance(table, Mapping) and place[1:] else table is not None


def _nearest(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"{close[0]} is the nearest" if close else ", ".join(known)

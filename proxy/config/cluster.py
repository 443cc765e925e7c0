"""The table ``[cluster]``: the servers behind the proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)

from proxy.cluster.addresses import Address, AddressMap
from proxy.config.tls import File, Version, password_reader
from proxy.config.values import Account, Pairs, Words
from proxy.tls.context import Files, Verify, context_of_nodes
from proxy.tls.sides import NodeContext


class Cluster(Account):
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
    health_interval_s: NonNegativeFloat = 1.0
    """Ask every node for a sign of life this often, over a connection of its own; 0 never."""
    health_failures: PositiveInt = 3
    """A node that missed so many in a row counts as down; the first has the map read again."""
    breaker_after_s: NonNegativeFloat = 20.0
    """Answer at once for a node that was waited for in vain and is silent for so long; 0 never."""
    tls: bool = False
    """Speak TLS to the nodes; seeds are then their TLS ports."""
    tls_ca_file: File = None
    """PEM file with the CAs that nodes' certificates may be from; empty for the system's."""
    tls_cert_file: File = None
    """PEM file with the certificate shown to nodes; empty if they want none."""
    tls_key_file: File = None
    """PEM file with its private key; empty if that is in tls_cert_file."""
    tls_key_password_file: File = None
    """File with the password of that key; empty if it has none."""
    tls_verify: Verify = "full"
    """Of a node's certificate: full: its CA and its name; chain: its CA only; none: nothing."""
    tls_server_name: str = ""
    """Name that nodes' certificates have to be for; empty for the host that is connected to."""
    tls_min_version: Version = "1.2"
    """The oldest version of TLS that nodes may speak."""
    tls_ciphers: str = ""
    """Ciphers for TLS 1.2 as OpenSSL lists them; empty for its own choice, which TLS 1.3 has."""

    @field_validator("seeds")
    @classmethod
    def _seeds_are_addresses(cls, seeds: tuple[str, ...]) -> tuple[str, ...]:
        for seed in seeds:
            try:
                if "/" in seed:
                    raise ValueError(f"{seed!r} is not host:port")
                Address.parse(seed)
            except ValueError as problem:
                raise ValueError(f"host:port, like 127.0.0.1:7000 ({problem})") from None
        return seeds

    @field_validator("username")
    @classmethod
    def _has_a_password(cls, name: str, info: ValidationInfo) -> str:
        found = info.data
        if name and found.get("password_file", name) is None:
            password = found.get("password")
            if password is not None and not password.get_secret_value():
                raise ValueError("a user with a password, in password or password_file")
        return name

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

    @classmethod
    def of_flags(
        cls,
        tls: bool,
        cacert: Path | None,
        cert: Path | None,
        key: Path | None,
        sni: str,
        insecure: bool,
    ) -> Self:
        """Return the table that has what redis-cli's flags say about TLS."""
        return cls(
            tls=tls,
            tls_ca_file=cacert,
            tls_cert_file=cert,
            tls_key_file=key,
            tls_server_name=sni,
            tls_verify="none" if insecure else "full",
        )

    def node_tls(self) -> NodeContext | None:
        """Return how connections to nodes are made with TLS; None: without.

        Raises:
            ConfigError: A file cannot be used; it names the key.
        """
        if not self.tls:
            return None
        files = Files(
            keys="cluster.tls_",
            cert_file=self.tls_cert_file,
            key_file=self.tls_key_file,
            read_password=password_reader(
                "cluster.tls_key_password_file", self.tls_key_password_file
            ),
            ca_file=self.tls_ca_file,
            min_version=self.tls_min_version,
            ciphers=self.tls_ciphers,
        )
        return NodeContext(context_of_nodes(files, self.tls_verify), self.tls_server_name)

    def addresses_from_here(self) -> AddressMap:
        """Return the address map as a value."""
        return AddressMap.parse(self.address_map)

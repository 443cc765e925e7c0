"""The table ``[listen]``: where clients connect, and who is let in."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)

from proxy.config.values import Table, Words

UNIX = "unix"


class Listen(Table):
    """Where clients connect."""

    address: str = "127.0.0.1"
    """IP address or host name to listen on; 0.0.0.0 or :: for every interface, empty for none."""
    port: int = Field(default=6379, ge=0, le=65535)
    """Port to listen on; 0 lets the kernel choose a free one, which the log names."""
    unix_socket: str = Field(default="", validate_default=True)
    """Path of a Unix socket to listen on as well, like /run/slotway.sock; empty for none."""
    unix_socket_mode: str = "700"
    """Who may connect there, as chmod has it: whoever may write."""
    unix_socket_group: str = ""
    """The group it belongs to, by name or number; empty for the process's own."""
    backlog: PositiveInt = 1024
    """How many connections the kernel may hold until they are accepted."""
    max_clients: PositiveInt = 10_000
    """How many clients may be connected; the next one gets an error. Redis's own default."""
    # As PostgreSQL keeps for its superusers.
    reserved_clients: NonNegativeInt = 3
    """Places beyond max_clients for users in clients.admins, who log in with the first command."""
    connections_per_s: NonNegativeInt = 0
    """How many connections are let in a second; the next one gets an error. 0: any number."""
    connections_per_s_per_address: NonNegativeInt = 0
    """The same for one IP address, an IPv6 network of 64 bits counting as one. 0: any number."""
    protected_mode: bool = True
    """Without a password, let in nobody from another machine, as Redis's protected mode."""
    proxy_protocol: Literal["off", "required"] = "off"
    """Whether connections begin with a PROXY protocol header (v1 or v2), as HAProxy sends it."""
    proxy_protocol_from: Words = Field(default=(), validate_default=True)
    """Who may send it: addresses and networks, like 10.0.0.0/8, and "unix"; nobody by default."""
    # The specification's 3 s, which outlast a lost packet, and some more.
    proxy_protocol_timeout_s: PositiveFloat = 5.0
    """Disconnect whoever has not sent the whole header after so long."""
    tcp_keepalive_s: int = Field(default=300, ge=0, le=32767)
    """Ask an idle client's kernel after this many seconds if it lives; 0 never. As Redis."""
    reuse_port: bool = False
    """Share the port with other processes that say so too; the kernel spreads connections."""
    drain_delay_s: NonNegativeFloat = 0.0
    """Before stopping, serve on for so long while /readyz says no; for Kubernetes' endpoints."""
    # Half of what Kubernetes grants (30 s), less the time that the address may still be in use.
    drain_s: NonNegativeFloat = 10.0
    """When stopping, let requests in flight finish for so long; then end all the same."""
    drain_linger_s: NonNegativeFloat = 1.0
    """How long of it clients in MULTI or a blocking command have to come to an end of that."""

    @field_validator("unix_socket")
    @classmethod
    def _is_somewhere(cls, path: str, info: ValidationInfo) -> str:
        if path and not path.startswith("/"):
            raise ValueError("a path that begins with /")
        if not path and info.data.get("address") == "":
            raise ValueError("a path, because listen.address is empty")
        return path

    @field_validator("unix_socket_mode")
    @classmethod
    def _is_a_mode(cls, mode: str) -> str:
        if not re.fullmatch("0?[0-7]{3}", mode, re.ASCII):
            raise ValueError("three digits from 0 to 7, like 770")
        return mode

    @field_validator("proxy_protocol_from")
    @classmethod
    def _says_who(cls, who: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for word in who:
            if word != UNIX:
                try:
                    ip_network(word)
                except ValueError:
                    raise ValueError(
                        f'addresses, networks like 10.0.0.0/8, and "unix"; not {word!r}'
                    ) from None
        if info.data.get("proxy_protocol") == "required" and not who:
            raise ValueError('whoever sends the header, or listen.proxy_protocol = "off"')
        return who

    def passers_on(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return the networks of whoever may send a PROXY protocol header."""
        return tuple(ip_network(word) for word in self.proxy_protocol_from if word != UNIX)

    @property
    def unix_passes_on(self) -> bool:
        """Whether who comes by a Unix socket sends a PROXY protocol header."""
        return UNIX in self.proxy_protocol_from

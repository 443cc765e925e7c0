"""``slotway check``: say in plain words what would go wrong.

Strategy: do what serving does, one step after the other, and explain the first
thing that fails in the user's terms: which setting, which node, what to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import hiredis
import trio

from proxy.cluster.addresses import Address
from proxy.cluster.slots import SLOT_COUNT
from proxy.cluster.topology import Topology
from proxy.config import Settings
from proxy.control.connection import Credentials, NodeConnection, ask_node
from proxy.control.entrance import is_loopback
from proxy.control.watch import read_view
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.life.certificates import WARN_DAYS, Contexts
from proxy.tls.sides import NodeTls

# A node's words, and what they mean for the settings.
_ADVICE = (
    (
        "cluster support disabled",
        "it is not in cluster mode (cluster-enabled yes)",
    ),
    ("NOAUTH", "it wants a password: set cluster.password or cluster.password_file"),
    ("WRONGPASS", "user or password are wrong: see cluster.username and cluster.password"),
    ("invalid password", "the password is wrong: see cluster.password"),
    ("without any password configured", "it wants no password: leave cluster.password empty"),
    (
        "NOPERM",
        "the ACL user may not read the map: allow cluster|nodes, |slots and |info",
    ),
    ("refused", "nothing listens there: check host and port, and that the server runs"),
    ("Connection reset", "it breaks the connection: a TLS port, or another service?"),
    (
        "closed the connection",
        "it closed the connection: a TLS port, or over its maxclients?",
    ),
    ("not a reply", "it does not speak the Redis protocol: a TLS port, or another service?"),
    ("no TLS handshake", "it does not speak TLS there: cluster.tls, or the port, does not fit"),
    ("no connection", "it cannot be reached in time: a firewall, or a wrong address?"),
    ("did not answer", "it accepts connections and does not answer: a TLS port, or hung?"),
    ("Name or service not known", "the name does not resolve here"),
)


async def check_cluster(settings: Settings, say: Callable[[str], None]) -> int:
    """Tell what would go wrong.

    Args:
        say: Called with each finding, one line.

    Returns:
        How many problems there are.

    Raises:
        ConfigError: A file that the settings name cannot be used.
    """
    contexts = Contexts.of(settings)
    credentials = Credentials.of(settings.cluster.username, settings.cluster.read_password())
    timeout_s = settings.cluster.connect_timeout_s
    tls = NodeTls(contexts.nodes)
    check_door(settings, say)
    problems = _check_certificates(contexts, say)
    topology: Topology | None = None
    for seed in settings.cluster.seed_addresses():
        try:
            view = await read_view(
                seed, credentials, tls, settings.cluster.addresses_from_here(), timeout_s=timeout_s
            )
        except (BackendUnavailable, BackendProtocolError) as problem:
            say(f"problem: seed {seed}: {explain(problem)}")
            problems += 1
            continue
        say(f"ok: seed {seed} answers, {len(view.nodes)} nodes known")
        topology = topology or view
    if topology is None:
        say("problem: no seed has told the map; nothing can be served")
        return problems + 1
    problems += _check_slots(topology, say)
    problems += await _check_nodes(topology, credentials, tls, timeout_s, say)
    if settings.clients.acl == "pass":
        problems += await _check_users(topology, credentials, tls, timeout_s, say)
    say("everything is in order" if not problems else f"{problems} problem(s)")
    return problems


def check_door(settings: Settings, say: Callable[[str], None]) -> None:
    """Tell who will not come in, or should not."""
    listen, clients = settings.listen, settings.clients
    asks_nothing = clients.acl != "pass" and not clients.user_digests()
    if settings.tls.mode == "only" and settings.tls.client_certificates == "required":
        asks_nothing = False
    if listen.address and not _is_loopback(listen.address) and asks_nothing:
        if listen.protected_mode:
            say("note: there is no password, so listen.protected_mode refuses other machines")
        else:
            say(f"note: there is no password: whoever reaches {listen.address} may do anything")
    folder = Path(listen.unix_socket).parent
    if listen.unix_socket and not os.access(folder, os.W_OK):
        say(f"note: listen.unix_socket: {folder} is no directory that this user may write to")


def _is_loopback(address: str) -> bool:
    try:
        return is_loopback(address)
    except ValueError:
        return address == "localhost"


def _check_certificates(contexts: Contexts, say: Callable[[str], None]) -> int:
    problems = 0
    now = datetime.now(UTC)
    for each in contexts.expiries:
        until = f"{each.not_after:%Y-%m-%d %H:%M} UTC"
        if each.not_after <= now:
            say(f"problem: {each.key}: the certificate in {each.file} expired on {until}")
            problems += 1
        elif (each.not_after - now).days < WARN_DAYS:
            say(f"note: {each.key}: the certificate in {each.file} expires on {until}")
        else:
            say(f"ok: {each.key}: the certificate of {each.title} is good until {until}")
    return problems


def _check_slots(topology: Topology, say: Callable[[str], None]) -> int:
    problems = 0
    if not topology.is_serving:
        say("problem: cluster_state is fail: the cluster itself refuses requests")
        problems += 1
    missing = SLOT_COUNT - topology.covered_slots
    if missing:
        say(f"problem: {missing} of {SLOT_COUNT} slots have no owner; requests for them will wait")
        problems += 1
    else:
        say(f"ok: all {SLOT_COUNT} slots have an owner, {len(topology.primaries)} primaries")
    for primary in topology.primaries:
        if not topology.replicas_of(primary.id):
            say(f"note: primary {primary.address} has no replica; its slots do not survive it")
    return problems


async def _check_nodes(
    topology: Topology,
    credentials: Credentials,
    tls: NodeTls,
    timeout_s: float,
    say: Callable[[str], None],
) -> int:
    """Ask every node of the map, at the address that it announces."""
    found: dict[Address, str] = {}

    async def ask(address: Address) -> None:
        try:
            async with await NodeConnection.open(
                address, credentials, tls, connect_timeout_s=timeout_s
            ) as connection:
                with trio.fail_after(timeout_s):
                    reply = await connection.ask("PING")
                if isinstance(reply, hiredis.ReplyError):
                    found[address] = explain(BackendUnavailable(str(reply), sent=True))
        except (BackendUnavailable, BackendProtocolError) as problem:
            found[address] = explain(problem)
        except trio.TooSlowError:
            found[address] = explain(
                BackendUnavailable(f"{address} did not answer within {timeout_s:g} s", sent=True)
            )

    async with trio.open_nursery() as nursery:
        for node in topology.nodes:
            nursery.start_soon(ask, node.address)
    for node in topology.nodes:
        role = "primary" if node.is_primary else "replica"
        if node.address in found:
            say(f"problem: {role} {node.address}: {found[node.address]}")
            say("  if that address is not meant for here, see cluster.address_map")
        else:
            say(f"ok: {role} {node.address} answers")
    return len(found)


async def _check_users(
    topology: Topology,
    credentials: Credentials,
    tls: NodeTls,
    timeout_s: float,
    say: Callable[[str], None],
) -> int:
    """Compare the users of all nodes, and see that the proxy may ask what they may do."""
    users: dict[Address, set[bytes]] = {}
    for node in topology.nodes:
        try:
            found, may = await ask_node(
                node.address,
                credentials,
                tls,
                [("ACL", "USERS"), ("ACL", "DRYRUN", "default", "PING")],
                timeout_s=timeout_s,
            )
        except (BackendUnavailable, BackendProtocolError):
            continue  # it has been told already
        for answer in (found, may):
            if isinstance(answer, hiredis.ReplyError):
                say(f'problem: clients.acl is "pass", and at {node.address}: {answer}')
                return 1
        if isinstance(found, list):
            users[node.address] = {user for user in found if isinstance(user, bytes)}
    everybody = set().union(*users.values())
    problems = 0
    for address, known in users.items():
        for user in sorted(everybody - known):
            say(f"problem: {address} does not know the user {user.decode(errors='replace')}")
            problems += 1
    if not problems:
        say(f"ok: all nodes know the same {len(everybody)} users")
    return problems


def explain(problem: Exception) -> str:
    """Return what a failure means for the settings, and its own words."""
    text = str(problem)
    for words, advice in _ADVICE:
        if words in text:
            return f"{advice} ({text})"
    return text

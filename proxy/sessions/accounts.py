"""Who may come in, and with whose rights: users of the config, or users of the servers.

Strategy: two classes with one face. ``PasswordBook`` (``passwords.py``) knows the
users itself, and all of them act with the proxy's own rights. ``PassedUsers``
knows nobody: logins are passed to the servers (``control/doorman.py``), and a
client then has connections of its own user, so that every right is the servers'
to give and to take. Until it logs in, a client is what a connection is that does
not: the default user, or nobody.

A user that the servers no longer let in loses its clients, as it would at a
single server. When a user's connections break, that is asked at once, so that
ACL DELUSER has its effect; other clients' commands are never sent in its name.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from hashlib import sha256
from typing import Protocol

import structlog
import trio

from proxy.control.connection import Credentials
from proxy.control.doorman import OK, Doorman
from proxy.control.lane_key import key_of
from proxy.control.pools import Pools
from proxy.dataplane.engine import Engine
from proxy.dataplane.lane import Lane
from proxy.errors import BackendRefused, BackendUnavailable
from proxy.resp import replies_lanes
from proxy.sessions.state import DEFAULT_USER

log = structlog.get_logger()

# One question for each lane that has lost a connection; more have to wait for the next loss.
DOUBTS_WAITING = 10_000
# A user whose connections keep breaking is not asked about more often.
DOUBT_INTERVAL_S = 0.5  # chosen: long against a login, short against a person's patience


class Accounts(Protocol):
    """What the sessions room asks about users."""

    @property
    def is_passed(self) -> bool:
        """Whether the servers decide."""

    @property
    def is_required(self) -> bool:
        """Whether a client that comes now has to log in before it may run commands."""

    def has_user(self, user: bytes) -> bool:
        """Return whether there is a user of this name."""

    def check(self, user: bytes, password: bytes) -> bool:
        """Return whether ``user`` may come in with ``password``."""


class PassedUsers:
    """The users of the servers.

    Args:
        doorman: Asks them.
        pools: Has a connection without login for whoever has just come, from now on.
    """

    is_passed = True

    def __init__(self, doorman: Doorman, pools: Pools) -> None:
        pools.newcomer = Credentials()
        pools.on_doubt = self._doubt
        self._pools = pools
        self.doorman = doorman
        self._verified: bytes | None = None
        self._doubts_send, self._doubts_receive = trio.open_memory_channel[Lane](DOUBTS_WAITING)
        self._doubted: dict[Lane, bool] = {}  # True: again, since it was asked about

    @property
    def is_required(self) -> bool:
        """Whether the servers' default user has a password."""
        return not self.doorman.look()

    def has_user(self, user: bytes) -> bool:
        """Return True: the servers' users are not known here."""
        return True

    def check(self, user: bytes, password: bytes) -> bool:
        """Return whether a server has just let this pair in."""
        return self._verified is not None and hmac.compare_digest(
            _digest(user, password), self._verified
        )

    async def log_in(self, words: tuple[bytes, ...]) -> Credentials | bytes:
        """Try a login.

        Args:
            words: The arguments of AUTH.

        Returns:
            Whose connections to use from now on; or the servers' error frame.
        """
        try:
            answer = await self.doorman.check(words)
        except BackendUnavailable:
            return replies_lanes.login_unchecked(self.doorman.timeout_s)
        if answer != OK:
            return answer
        login = (words[0], words[1]) if len(words) == 2 else (DEFAULT_USER, words[0])
        # Nothing is awaited until the caller has used it.
        self._verified = _digest(*login)
        return Credentials(login)

    # ---- users that the servers know no more -----------------------------------------

    async def open(self) -> None:
        """Learn whether clients need a password. Before the first client."""
        while True:
            with suppress(BackendUnavailable):
                await self.doorman.probe()
                return

    async def run(self) -> None:
        """Look after users whose connections have broken, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.doorman.run)
            async for lane in self._doubts_receive:
                nursery.start_soon(self._ask_again, lane)

    def _doubt(self, lane: Lane) -> None:
        if lane in self._doubted:
            self._doubted[lane] = True
        elif len(self._doubted) < DOUBTS_WAITING:
            self._doubted[lane] = True
            self._doubts_send.send_nowait(lane)

    async def _ask_again(self, lane: Lane) -> None:
        credentials = key_of(lane).credentials
        assert credentials is not None
        try:
            while self._doubted[lane]:
                self._doubted[lane] = False
                answer = await self.doorman.check(credentials.words)
                if answer.startswith(b"-WRONGPASS"):
                    self._pools.refuse_user(credentials, answer[1:-2])
                await trio.sleep(DOUBT_INTERVAL_S)
        except BackendUnavailable:
            return  # the next connection will tell
        finally:
            del self._doubted[lane]


def _digest(user: bytes, password: bytes) -> bytes:
    """Return what stands for a login: as long as any other, and no password."""
    return sha256(b"%d:%b%b" % (len(user), user, password)).digest()


def dismiss_clients(engine: Engine, lane: Lane, problem: BackendRefused) -> None:
    """Send away the clients of a lane that the servers will not have any more.

    What they still wait for is answered first, by the nodes or with the refusal; not what
    a blocked client waits for.
    """
    dismissed = [client for client in engine.clients.values() if client.lane is lane]
    if dismissed:
        log.warning("clients of a user refused", clients=len(dismissed), problem=str(problem))
    for client in dismissed:
        if client.output_bytes or (client.in_flight and not client.leaves_at_end):
            client.close_after_reply()
        else:
            engine.close_client(client, "its user was refused by the servers")


def gate_clients(engine: Engine, lane: Lane) -> None:
    """Have the clients of a lane log in: the default user needs a password by now."""
    for client in list(engine.clients.values()):
        if client.lane is lane:
            client.state.authenticated = False
            client.is_gated = True

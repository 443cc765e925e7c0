"""Several clients in one dialogue, held with a standalone server and with the proxy.

Strategy: a dialogue is a list of lines, each said by one of the clients. On the
standalone server's side what comes unasked (pushes, pub/sub messages) is there at
once; on the proxy's, each client waits until as much has come. What is compared: the
replies byte for byte, and what came unasked to each client, in any order (shards do not wait
for each other). Numbers of clients are written ``$name``, for they differ.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from differential.wire import RawConnection

from proxy.cluster.topology import Address
from proxy.resp.encode import encode_command

FLUSHES = (
    b">2\r\n$10\r\ninvalidate\r\n_\r\n",
    b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n",
)
UNASKED = (b">", b"*3\r\n$7\r\nmessage\r\n")
# A reply in RESP3, though it looks like a push.
CONFIRMATIONS = tuple(
    b">3\r\n$%d\r\n%b\r\n" % (len(word), word) for word in (b"subscribe", b"unsubscribe")
)
QUIET_S = 0.05  # chosen: over loopback an invalidation takes a hundredth of that

Line = tuple[str, str]
"""Who says what."""


class Party:
    """One client: what it was told without asking."""

    def __init__(self, address: Address, number: bytes | None = None) -> None:
        """Connect.

        Args:
            number: Of the client; None: ask for it.
        """
        self.connection = RawConnection(address)
        self.unasked: list[bytes] = []
        self.has_left = False
        self.number = self.say("CLIENT ID")[1:-2] if number is None else number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def say(self, line: str, numbers: dict[bytes, bytes] | None = None) -> bytes:
        """Say something and return the reply; what comes before it is kept."""
        words = line.encode().split(b" ")
        said = [(numbers or {}).get(word, word) for word in words]
        self.connection.send(encode_command(*said))
        while True:
            frame = self.connection.receive()
            if not self._note(frame):
                self.has_left = line == "QUIT"
                return frame

    def hear(self, count: int) -> None:
        """Wait until so much has come unasked."""
        while len(self.unasked) < count:
            assert self._note(self.connection.receive())

    def hear_all(self, quiet_s: float = QUIET_S) -> None:
        """Take what comes unasked until nothing has come for so long."""
        while not self.has_left and (
            self.connection.has_frame or _is_readable(self.connection, quiet_s)
        ):
            assert self._note(self.connection.receive())

    def _note(self, frame: bytes) -> bool:
        is_unasked = frame.startswith(UNASKED) and not frame.startswith(CONFIRMATIONS)
        if is_unasked and not (frame in FLUSHES and self.unasked[-1:] == [frame]):
            # Each shard flushes; several in a row are as good as one.
            self.unasked += _by_key(frame)
        return is_unasked


def _by_key(frame: bytes) -> list[bytes]:
    """Return an invalidation of several keys as one of each: shards do not wait for each other."""
    head, _, keys = frame.rpartition(b"*")
    words = keys.split(b"\r\n")[2::2]
    if frame in FLUSHES or b"invalidate\r\n" not in head:
        return [frame]
    return [b"%b*1\r\n$%d\r\n%b\r\n" % (head, len(word), word) for word in words]


def _is_readable(connection: RawConnection, within_s: float) -> bool:
    return bool(select.select([connection.fileno()], [], [], within_s)[0])


def compare(
    server: Address, proxy: Address, dialogue: Sequence[Line], *, number: bytes | None = None
) -> None:
    """Hold a dialogue with both and assert that both answer, and tell, the same.

    Args:
        number: Empty for clients that may not ask for theirs.
    """
    names = sorted({name for name, _ in dialogue})
    with ExitStack() as stack:
        ours, theirs = (
            {name: stack.enter_context(Party(address, number)) for name in names}
            for address in (proxy, server)
        )
        after = stack.enter_context(RawConnection(server))
        for name, line in dialogue:
            expected = theirs[name].say(line, _numbers(theirs))
            # A server writes all that one of its turns has brought before it takes this.
            after.say(encode_command("PING"))
            for party in theirs.values():
                party.hear_all(0)
            got = ours[name].say(line, _numbers(ours))
            # HELLO names the connection's number and the server's modules; CLIENT LIST, addresses.
            if got != expected and not line.startswith(("HELLO 3", "HELLO 2", "CLIENT LIST")):
                assert _name_numbers(got, ours) == _name_numbers(expected, theirs), (
                    f"{name}: {line}"
                )
            for each in names:
                ours[each].hear(len(theirs[each].unasked))
                if sorted(ours[each].unasked) != sorted(theirs[each].unasked):
                    assert _named(ours, each) == _named(theirs, each), (
                        f"{each} was told otherwise after {name}: {line}"
                    )
        for each in names:
            heard = len(ours[each].unasked)
            ours[each].hear_all()
            assert len(ours[each].unasked) == heard, f"{each}: {ours[each].unasked[heard:]}"


def _numbers(parties: dict[str, Party]) -> dict[bytes, bytes]:
    return {b"$" + name.encode(): party.number for name, party in parties.items()}


def _named(parties: dict[str, Party], name: str) -> list[bytes]:
    """Return what a client was told, with names for numbers, in an order of its own."""
    return sorted(_name_numbers(frame, parties) for frame in parties[name].unasked)


def _name_numbers(frame: bytes, parties: dict[str, Party]) -> bytes:
    """Return the frame with the numbers of clients replaced by their names."""
    for name, party in parties.items():
        if party.number:
            frame = frame.replace(b":%b\r\n" % party.number, b":$%b\r\n" % name.encode())
    return frame


class Cache:
    """What a client has read, and was not told to forget."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.values: dict[bytes, bytes] = {}

    def read(self, keys: list[bytes]) -> None:
        """Read all keys at once; take in what comes, in the order in which it comes."""
        self.party.connection.send(b"".join(encode_command("GET", key) for key in keys))
        missing = list(keys)
        while missing:
            frame = self.party.connection.receive()
            if frame.startswith(b">"):
                self.forget(frame)
            else:
                self.values[missing.pop(0)] = frame

    def forget(self, frame: bytes) -> None:
        """Forget what an invalidation names."""
        if frame in FLUSHES:
            self.values.clear()
        for key in [key for key in self.values if b"\r\n%b\r\n" % key in frame]:
            del self.values[key]

    def hear_all(self) -> None:
        """Forget everything that was called off by now."""
        self.party.hear_all(quiet_s=0.5)
        for frame in self.party.unasked:
            self.forget(frame)
        self.party.unasked.clear()

"""The visitors of a soak: what each kind does between coming and going.

Strategy: a table of manners, some good and some bad. What can be known of the replies
is checked to the byte; who does not listen is there for what the proxy keeps of them.
A visitor may be sent home whenever it stays.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.resp.encode import array, bulk, encode_command, error, integer, simple
from soaking.repertoire import BIG_KEY, CALM_TAG
from soaking.steps import (
    Ask,
    Dialogue,
    EndInput,
    Hear,
    HearSome,
    Say,
    Stay,
    Tell,
    TurnDeaf,
    Vanish,
)

BIG_READS = 3


@dataclass(frozen=True, slots=True)
class Host:
    """What all visitors know.

    Attributes:
        common: Scripts that many may run at once, each in one piece.
        stay_commands: How long a visit is on average: commands of all clients together.
        source: Makes the choices.
    """

    common: Sequence[Ask]
    stay_commands: int
    source: random.Random

    def script(self) -> Ask:
        """Return one of the common scripts."""
        return self.source.choice(self.common)

    def stay(self) -> Stay:
        """Return half a visit."""
        return Stay(int(self.source.expovariate(2 / self.stay_commands)))


def listens(host: Host, _name: str) -> Dialogue:
    """Ask, stay connected, ask again."""
    yield host.script()
    yield host.stay()
    yield host.script()
    yield host.stay()


def does_not_read(host: Host, _name: str) -> Dialogue:
    """Ask, and leave without a look at the answer."""
    script = host.script()
    yield TurnDeaf()
    yield Say(script.request, script.commands)
    yield host.stay()


def asks_every_node(host: Host, _name: str) -> Dialogue:
    """Ask all nodes at once, and vanish."""
    yield TurnDeaf()
    commands = [("DBSIZE",), ("SCAN", 0), ("KEYS", "none:*"), ("INFO",), ("CLUSTER", "NODES")]
    yield Say(b"".join(encode_command(*command) for command in commands), len(commands))
    yield host.stay()
    yield Vanish()


def leaves_within_a_request(host: Host, _name: str) -> Dialogue:
    """Say the half of something."""
    request = host.script().request
    yield TurnDeaf()
    yield Say(request[: host.source.randrange(1, len(request))], 0)
    yield host.stay()
    yield host.stay()


def leaves_within_a_reply(host: Host, _name: str) -> Dialogue:
    """Read the beginning of something big."""
    yield Say(encode_command("GET", BIG_KEY) * BIG_READS, BIG_READS)
    yield HearSome()


def closes_one_half(host: Host, _name: str) -> Dialogue:
    """Ask, say that there is no more to come, and hear all answers and the end."""
    yield host.stay()
    script = host.script()
    yield Say(script.request, script.commands)
    yield EndInput()
    yield Hear(script.reply, is_last=True)


def waits_in_vain(host: Host, name: str) -> Dialogue:
    """Be blocked until it is time to go."""
    yield Say(encode_command("BLPOP", f"{name}:q", 0), 1)
    yield host.stay()
    yield host.stay()


def waits_at_two_shards(host: Host, name: str) -> Dialogue:
    """Be blocked at keys in two slots."""
    yield Say(encode_command("BLPOP", f"{name}:q", f"{name}:r", 0), 1)
    yield host.stay()
    yield host.stay()


def is_served(host: Host, name: str) -> Dialogue:
    """Be blocked until somebody else brings something."""
    queue = f"{name}:q"
    yield Say(encode_command("BLPOP", queue, 0), 1)
    yield host.stay()
    yield Tell(encode_command("RPUSH", queue, "job"), integer(1))
    yield Hear(array([bulk(queue.encode()), bulk(b"job")]))
    yield host.stay()


def subscribes(host: Host, name: str) -> Dialogue:
    """Listen to a channel, hear a message, and leave without a word."""
    channel = f"{CALM_TAG}{name}:c"
    confirmed = array([bulk(b"subscribe"), bulk(channel.encode()), integer(1)])
    yield Ask(encode_command("SUBSCRIBE", channel), confirmed, 1)
    yield host.stay()
    yield Tell(encode_command("PUBLISH", channel, "news"), integer(1))
    yield Hear(array([bulk(b"message"), bulk(channel.encode()), bulk(b"news")]))
    yield host.stay()


def is_in_multi(host: Host, name: str) -> Dialogue:
    """Queue something, and leave."""
    commands = encode_command("MULTI") + encode_command("SET", name, "never")
    yield Ask(commands, simple(b"OK") + simple(b"QUEUED"), 2)
    yield host.stay()
    yield host.stay()


def watches(host: Host, name: str) -> Dialogue:
    """Watch a key, and leave."""
    yield Ask(encode_command("WATCH", name), simple(b"OK"), 1)
    yield host.stay()


def tracks(host: Host, _name: str) -> Dialogue:
    """Have keys tracked that everybody writes, and do not read what comes of it."""
    yield TurnDeaf()
    words = [("HELLO", 3), ("CLIENT", "TRACKING", "ON"), ("CLIENT", "SETNAME", "tracker")]
    script = host.script()
    yield Say(b"".join(encode_command(*w) for w in words) + script.request, 3 + script.commands)
    yield host.stay()


def speaks_nonsense(_host: Host, _name: str) -> Dialogue:
    """Be told so, and sent away."""
    yield Say(b"*1\r\n!3\r\n", 0)
    yield Hear(error(b"ERR Protocol error: expected '$', got '!'"), is_last=True)


Manner = Callable[[Host, str], Dialogue]

MANNERS: dict[Manner, int] = {
    listens: 30,
    does_not_read: 12,
    asks_every_node: 1,
    leaves_within_a_request: 10,
    leaves_within_a_reply: 1,
    closes_one_half: 10,
    waits_in_vain: 5,
    waits_at_two_shards: 3,
    is_served: 5,
    subscribes: 8,
    is_in_multi: 8,
    watches: 3,
    tracks: 1,
    speaks_nonsense: 3,
}
"""Who comes, and how often."""


def next_visit(host: Host, number: int) -> Dialogue:
    """Return the dialogue of one visitor; its number makes its names its own."""
    (manner,) = host.source.choices(list(MANNERS), list(MANNERS.values()))
    return manner(host, f"soak:visit:{number}")

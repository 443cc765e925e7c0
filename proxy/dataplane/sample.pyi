"""One request, looked at closely: what it was, where it went, what happened on its way."""

from proxy.dataplane.client import Client

ARGUMENT_LIMIT: int
"""Arguments kept of a request: 32, as Redis's slow log."""
ARGUMENT_LIMIT_BYTES: int
"""Bytes kept of an argument: 128, as Redis's slow log."""
PART_LIMIT: int
"""Parts kept of a split request: 64."""
KEY_LIMIT: int
"""Keys kept of a request: 16."""
KEY_LIMIT_BYTES: int
"""Bytes kept of a key: 1024."""
EVENTS: tuple[str, ...]
"""The closed set of ``Event.kind``.

``"sent"``: written whole to ``node``. ``"answered"``: its reply is there.
``"moved"``, ``"ask"``, ``"tryagain"``, ``"clusterdown"``, ``"loading"``, ``"readonly"``,
``"masterdown"``, ``"noscript"``: ``node`` would not run it.
``"uncovered"``: the map had no node for its slot. ``"lost"``: the connection to ``node`` ended.
``"resent"``: put into the queue of ``node`` again. ``"expired"``: its deadline passed.
``"left"``: its client went away before the reply; ``node`` and ``slot`` are -1.
"""

class Event:
    """Something that happened to a request, or to one part of a split one."""

    @property
    def after_s(self) -> float:
        """Seconds after ``Sample.began_s``."""

    @property
    def kind(self) -> str:
        """One of ``EVENTS``."""

    @property
    def node(self) -> int:
        """The node's number as of ``Pipeline.node``; -1: none."""

    @property
    def slot(self) -> int:
        """The part's slot; -1: it has no key."""

class Part:
    """What went to one node: a whole request, or a part of a split one."""

    @property
    def slot(self) -> int:
        """Its slot; -1: it has no key."""

    @property
    def node(self) -> int:
        """The node it was last sent to; -1: none."""

    @property
    def sent_s(self) -> float | None:
        """Monotonic seconds when it was last written to the node; None: never."""

    @property
    def answered_s(self) -> float | None:
        """Monotonic seconds when its reply was there; None: it had none."""

class Sample:
    """One request of a client; made when it was answered, and never changed after.

    Times are of the tick in which something happened; see ``meter.Meter``. A request that was
    not looked at from its beginning, but proved slow, has no ``events``.
    """

    @property
    def is_sampled(self) -> bool:
        """Whether it was chosen by ``Engine.sample_every``, and has events."""

    @property
    def is_answered(self) -> bool:
        """False: its client went away first. Then ``duration_s`` is until that."""

    @property
    def client_id(self) -> int:
        """``Client.id``."""

    @property
    def client(self) -> Client:
        """The client; it may be closed by now."""

    @property
    def command(self) -> bytes:
        """Lower case, ``b"config|set"`` for a subcommand; the first word if no row has it."""

    @property
    def family(self) -> str:
        """One of ``meter.FAMILIES``."""

    @property
    def is_write(self) -> bool:
        """Whether it may write."""

    @property
    def road(self) -> str:
        """``"forward"``, ``"split"``, ``"pinned"`` or ``"punt"``.

        Pinned: forwarded or split, with pinned keys looked for. Punt: answered by the proxy, or
        sent on by it.
        """

    @property
    def argument_count(self) -> int:
        """Arguments of the request, its name among them."""

    @property
    def arguments(self) -> tuple[bytes, ...]:
        """The arguments, cut short as Redis's slow log has them, what is secret hidden.

        At most ``ARGUMENT_LIMIT``, the last then ``b"... (N more arguments)"``; of each at most
        ``ARGUMENT_LIMIT_BYTES``, then ``b"... (N more bytes)"``. Passwords are
        ``b"(redacted)"``. Pinned keys have their stored names.
        """

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The first ``KEY_LIMIT`` keys, cut to ``KEY_LIMIT_BYTES``; pinned: their stored names."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of the request."""

    @property
    def reply_bytes(self) -> int:
        """Bytes of the reply."""

    @property
    def error(self) -> bytes:
        """First word of an error reply, ``b"WRONGTYPE"``; empty if there was no error."""

    @property
    def began_s(self) -> float:
        """Monotonic seconds when it was routed."""

    @property
    def began_unix_s(self) -> float:
        """The same as seconds since 1970; computed from the clocks when it is asked for."""

    @property
    def duration_s(self) -> float:
        """Seconds until its reply was in the client's order."""

    @property
    def part_count(self) -> int:
        """How many parts went to nodes."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The first ``PART_LIMIT`` of them; none of a request that the proxy answered itself."""

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened, in order; empty unless ``is_sampled``."""

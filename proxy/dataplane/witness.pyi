"""What is seen of each request: it is counted, and now and then looked at closely."""

from collections.abc import Callable

from proxy.dataplane.meter import Meter
from proxy.dataplane.sample import Sample

class Witness:
    """The lowest part of an engine: what is counted and looked at."""

    on_sample: Callable[[Sample], object] | None
    """Called with each sample once its request is answered, or its client gone; None: not at all.

    These three are called inside a tick, whose every request waits for them: they must be
    quick, never wait, and use no engine method that sends. What they raise is written to
    standard error as unraisable, and goes no further.
    """
    on_slow: Callable[[Sample], object] | None
    """Called with each request whose latency was ``slow_s`` or more.

    Not with what blocks (BLPOP, XREAD BLOCK, WAIT), as in Redis's slow log.
    """
    on_big: Callable[[bytes, bytes, int, bool], object] | None
    """Called with (first key, command, bytes, is it the reply) of what is big.

    The key is empty where there is none, and cut to ``sample.KEY_LIMIT_BYTES``.
    """
    sample_every: int
    """One request of clients in so many, on average, is sampled; 0: none.

    The distances are random, so that a client's own rhythm is not taken for its traffic;
    1 means every one. AUTH and HELLO never are.
    """
    slow_s: float
    """Latency, in seconds, from which a request is slow; 0 or infinite: none is."""
    big_reply_bytes: int
    """Bytes from which a reply, or a whole request, is big; 0: none is."""

    @property
    def meter(self) -> Meter:
        """Everything counted."""

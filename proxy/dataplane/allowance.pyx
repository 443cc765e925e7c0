# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""How many commands and bytes a second somebody may send: two token buckets.

Strategy: a bucket fills by time and is full at most; a command takes one token, and as many as
it has bytes from the other. Bytes may be owed: what is longer than the bucket is deep passes,
and the next waits until that is paid. So any request passes sooner or later, and over time no
more than the rate does. Nobody has a timer: who looks says what time it is.

Cost: two multiplications a request of somebody who has an allowance.
"""

from collections import deque


cdef inline void _fill(CBucket* bucket, double seconds) noexcept:
    bucket.level = min(bucket.size, bucket.level + bucket.rate * seconds)


cdef class Allowance:
    """What the clients of one user, or one client, may send.

    Args:
        commands_per_s: 0: any number.
        bytes_per_s: 0: any number.
        burst_s: So many seconds' worth may be saved up, but one command at least.
        refuses: Whether who has used it up is refused; else it waits.
        rule: Where it comes from, for who set it.
    """

    def __cinit__(self, double commands_per_s, double bytes_per_s, double burst_s=1.0, *,
                  bint refuses=False, rule=None):
        self.commands.rate = commands_per_s
        self.commands.size = self.commands.level = max(1.0, commands_per_s * burst_s)
        self.bytes.rate = bytes_per_s
        self.bytes.size = self.bytes.level = max(1.0, bytes_per_s * burst_s)
        self.refuses = refuses
        self.rule = rule
        self.waiting = deque()

    cdef void fill(self, double now) noexcept:
        cdef double seconds = now - self.looked_at
        if seconds > 0:
            _fill(&self.commands, seconds)
            _fill(&self.bytes, seconds)
            self.looked_at = now

    cdef Spent spend(self, double now, Py_ssize_t size) noexcept:
        """Take what a request of ``size`` bytes costs, or say what there is not enough of."""
        self.fill(now)
        if self.commands.rate > 0 and self.commands.level < 1:
            return COMMANDS
        if self.bytes.rate > 0 and self.bytes.level <= 0:
            return BYTES
        if self.commands.rate > 0:
            self.commands.level -= 1
        if self.bytes.rate > 0:
            self.bytes.level -= size
        return NOTHING

    cdef bint is_open(self, double now) noexcept:
        """Whether another request may pass."""
        self.fill(now)
        return (self.commands.rate == 0 or self.commands.level >= 1) and \
            (self.bytes.rate == 0 or self.bytes.level > 0)

    def take(self, double now, Py_ssize_t size):
        """Take what a request costs, at ``now`` seconds.

        Returns:
            None if it may pass, else what is used up: "commands" or "bytes".
        """
        return (None, "commands", "bytes")[<int>self.spend(now, size)]

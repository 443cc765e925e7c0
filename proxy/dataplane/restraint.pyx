# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What a request is held to before it goes anywhere: guards, memory, its user's rate, its width.

Strategy: a refusal is a reply like any other, in its place in the client's order; the request
has gone nowhere. What the client waits for instead is a bit of ``Client.stall``, as everything
a client waits for. A client that a session has to itself is never refused here, because the
session must know of it (a transaction with a hole would be worse than none): it waits for its
allowance, and asks for memory itself.

Cost: nothing a request while nothing is set. Memory is looked at once for all that was read at
a time; an allowance is asked only by clients that have one.
"""

cimport cython

from proxy.commands.families import FAMILIES
from proxy.dataplane.allowance cimport BYTES, COMMANDS, NOTHING, Spent
from proxy.dataplane.client cimport STALL_RATE
from proxy.dataplane.histogram cimport add_time
from proxy.dataplane.hooks import Guard
from proxy.dataplane.meter cimport (
    FAN_OUT_LIMIT, MEMORY_LIMIT_BYTES, RATE_BYTES_PER_S, RATE_COMMANDS_PER_S)
from proxy.dataplane.request cimport Request
from proxy.dataplane.tables cimport DENIED, LOCAL, LOOK_GUARD, CommandTable

cdef int GUARD_DENY = Guard.DENY
cdef int GUARD_CONFIRM = Guard.CONFIRM
cdef int OTHER = FAMILIES.index("other")
cdef Py_ssize_t LARGEST = <Py_ssize_t>(~(<size_t>0) >> 1)
cdef Py_ssize_t REQUEST_BYTES = Request.__basicsize__


cdef bint needs_memory(Command command) except -1:
    """Whether a command may make the proxy keep something.

    Not what it answers at once, nor what makes it keep less.
    """
    return command is not None and command.road != LOCAL and command.road != DENIED and \
        not command.name.endswith(b"unsubscribe")


def guard_commands(CommandTable table, is_named):
    """Have the hot road ask about every request for a command that is named, and for no other.

    Args:
        is_named: Says so of a name, lower case, ``b"config|get"`` for a subcommand.
    """
    cdef Command row
    for row in table:
        row.looks = row.looks & ~LOOK_GUARD | (LOOK_GUARD if is_named(row.name) else 0)


cdef class Restraint(OwnRequests):
    """The part of an engine that refuses and slows."""

    def __cinit__(self, *args, **kwargs):
        self.memory_limit = LARGEST
        self.thirsty = []

    # ---- guards ---------------------------------------------------------------

    cdef bint may_not(self, Client client, Command command, const char* frame,
                      RequestScanner scanner) except -1:
        """Whether the settings say no to a request, so that the control plane must answer it."""
        cdef int verdict = self.control.guard(client, command)
        if verdict == GUARD_CONFIRM:
            return not self.control.is_confirmed(client, scanner.copy_args(frame))
        return verdict == GUARD_DENY

    # ---- memory ---------------------------------------------------------------

    @property
    def memory_limit_bytes(self):
        """Above this, requests are refused that need memory; 0: never."""
        return 0 if self.memory_limit == LARGEST else self.memory_limit

    @memory_limit_bytes.setter
    def memory_limit_bytes(self, Py_ssize_t limit):
        self.memory_limit = limit if limit > 0 else LARGEST
        self.look_at_memory()

    @property
    def memory_bytes(self):
        """What is held of clients' bytes and nodes' replies, and the requests in flight."""
        return memory.held_bytes + self.in_flight * REQUEST_BYTES

    def lacks_memory_for(self, Command command):
        """Return whether a command is refused because more is held than ``memory_limit_bytes``."""
        return self.lacks_memory() and needs_memory(command)

    cdef bint lacks_memory(self) noexcept:
        return memory.held_bytes + self.in_flight * REQUEST_BYTES > self.memory_limit

    @cython.final
    cdef void look_at_memory(self) noexcept:
        if memory.held_bytes + self.in_flight * REQUEST_BYTES > self.memory_limit:
            self.stops |= STOP_MEMORY
        else:
            self.stops &= ~STOP_MEMORY

    cdef bint refuse_for_memory(self, Client client, Command command) except -1:
        self.meter.by_limit[MEMORY_LIMIT_BYTES] += 1
        return self.turn_away(client, command, self.control.out_of_memory())

    # ---- width ----------------------------------------------------------------

    cdef bint refuse_for_width(self, Client client, Command command,
                               Py_ssize_t slots) except -1:
        self.meter.by_limit[FAN_OUT_LIMIT] += 1
        return self.turn_away(client, command, self.control.too_wide(command, slots))

    # ---- rates ----------------------------------------------------------------

    def use_allowance(self, Client client, Allowance allowance):
        """Hold a client's further requests to an allowance; None: to none."""
        client.allowance = allowance
        client.charged_bytes = client.bytes_out
        client.is_careful = client.gated or allowance is not None
        if client.stall & STALL_RATE:
            client.stall &= ~STALL_RATE
            if client.stall == 0:
                self.mark_resuming(client)
            self.wake()

    cdef Verdict admit(self, Client client, Py_ssize_t length) except *:
        """Charge a request of ``length`` bytes, and what the client was sent since the last one."""
        cdef Allowance allowance = client.allowance
        cdef Spent spent
        cdef bytes reply
        if client.is_admitted:  # it had to wait for something else, and is shown again
            client.is_admitted = False
            return ADMITTED
        if allowance.waiting and not allowance.refuses and not self.is_quenching:
            spent = COMMANDS  # whoever waits already is first
        else:
            spent = allowance.spend(
                self.now, length + <Py_ssize_t>client.bytes_out - client.charged_bytes)
        if spent == NOTHING:
            client.charged_bytes = client.bytes_out
            return ADMITTED
        self.meter.by_limit[RATE_BYTES_PER_S if spent == BYTES else RATE_COMMANDS_PER_S] += 1
        if allowance.refuses and not client.is_off_road:
            reply = self.control.over_rate(client, spent == BYTES)
            # Free of charge: else who does not stop asking would never have anything again.
            client.charged_bytes += len(reply)
            self.turn_away(client, None, reply)
            return REFUSED
        client.stall |= STALL_RATE
        allowance.waiting.append(client)
        if not allowance.is_awaited:
            allowance.is_awaited = True
            self.thirsty.append(allowance)
        return STOPPED

    # ---- saying no ------------------------------------------------------------

    cdef bint turn_away(self, Client client, Command command, bytes reply) except -1:
        """Answer a request that goes nowhere; return True."""
        cdef Request request = Request.__new__(Request)
        cdef int family = OTHER
        self.requests += 1
        self.turned_away = self.requests
        client.commands += 1
        if command is not None:
            client.last_row = command
            command.calls += 1
            family = command.family
        client.enqueue(request)
        client.obey_reply_mode(request)
        client.complete(request, reply, len(reply))
        self.mark_dirty(client)
        add_time(&self.by_family[family].latency, 0)
        self.meter.add_error(reply, len(reply), family)
        return True

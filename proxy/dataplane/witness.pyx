# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What is seen of each request: it is counted, and now and then looked at closely.

Strategy: the lowest part of an engine, so that each part above can tell it what happens. A
countdown chooses the requests to be sampled; only these are in ``watched``, with a list of
what happens to them, and everybody else is asked for nothing but a flag. Whether a
request was slow, or big, is seen when it is answered.

Cost: of a request that is not chosen, the countdown, the flag, and two comparisons.
"""

from cpython.exc cimport PyErr_SetObject, PyErr_WriteUnraisable
from libc.math cimport INFINITY

from proxy.commands.families import FAMILIES
from proxy.dataplane.gather cimport Gather
from proxy.dataplane.meter cimport code_length
from proxy.dataplane.request cimport NOBODY
from proxy.dataplane.sample cimport (
    EVENT_ANSWERED, EVENT_LEFT, EVENT_SENT, Event, Sample, event_of, first_key, name_of, sample_of)

cdef enum:
    EVENT_LIMIT = 256       # of one request; its parts are as many as it has slots

cdef Py_ssize_t LARGEST = <Py_ssize_t>(~(<size_t>0) >> 1)
cdef int BLOCKING = FAMILIES.index("blocking")


cdef class Witness:
    """The lowest part of an engine: what is counted and looked at."""

    def __cinit__(self, *args, **kwargs):
        self.meter = Meter()
        self.by_family = self.meter.by_family
        self.watched = {}
        self.dice = 0x9E3779B97F4A7C15ULL
        self.slow_from_s = INFINITY
        self.big_from = LARGEST

    @property
    def sample_every(self):
        """One request of clients in so many, on average, is sampled; 0: none.

        The distances are random, so that a client's own rhythm is not taken for its traffic;
        1 means every one. AUTH and HELLO never are.
        """
        return self.every

    @sample_every.setter
    def sample_every(self, int64_t every):
        self.every = every
        # From 0 the countdown goes below, and comes to 0 in 292,000 years.
        self.until_sample = 0 if every == 0 else self._throw()

    @property
    def slow_s(self):
        """Latency, in seconds, from which a request is slow; 0 or infinite: none is."""
        return self.slow_from_s

    @slow_s.setter
    def slow_s(self, double seconds):
        self.slow_from_s = seconds if seconds > 0 else INFINITY

    @property
    def big_reply_bytes(self):
        """Bytes from which a reply, or a whole request, is big; 0: none is."""
        return 0 if self.big_from == LARGEST else self.big_from

    @big_reply_bytes.setter
    def big_reply_bytes(self, Py_ssize_t size):
        self.big_from = size if size > 0 else LARGEST

    cdef void look_at_clock(self) noexcept:
        """Set ``now``, unless a tick has."""

    cdef int64_t _throw(self) noexcept:
        """Return a random distance, ``every`` on average."""
        # xorshift64: Marsaglia, "Xorshift RNGs". Good enough to be out of step.
        self.dice ^= self.dice << 13
        self.dice ^= self.dice >> 7
        self.dice ^= self.dice << 17
        return 1 + <int64_t>(self.dice % <uint64_t>(2 * self.every - 1))

    cdef int choose(self, Request request, bint is_secret) except -1:
        """Look closely at a request from now on: the countdown is over."""
        if is_secret:
            self.until_sample = 1  # the next one will do
            return 0
        self.until_sample = self._throw()
        if self.on_sample is None:
            return 0
        self.meter.samples += 1
        request.is_sampled = True
        self.watched[request] = []
        return 0

    cdef int note(self, Request request, int kind, int node) except -1:
        """Note what happens to a sampled request, or to a part of one."""
        cdef Request whole = request if request.parent is None else request.parent
        cdef list events = self.watched.get(whole)
        if events is not None and len(events) < EVENT_LIMIT:
            events.append(event_of(self.now - whole.began, kind, node, request.slot))
        return 0

    cdef int note_reply(self, Request request, int kind) except -1:
        """Note that a node has replied, and when it was asked."""
        cdef Request whole = request if request.parent is None else request.parent
        cdef list events = self.watched.get(whole)
        cdef Event sent, event
        if events is None or len(events) >= EVENT_LIMIT:
            return 0
        sent = event_of(request.sent_at - whole.began, EVENT_SENT, request.node, request.slot)
        for event in events:
            if event.kind is sent.kind and event.after_s == sent.after_s and \
                    event.slot == sent.slot:
                break  # a refusal that is passed on: two replies of one sending
        else:
            events.append(sent)
        events.append(event_of(self.now - whole.began, kind, request.node, request.slot))
        return 0

    cdef int look_closer(self, Request request, Client client, const char* data,
                         Py_ssize_t length) except -1:
        """See to an answered request that is an error, or sampled, slow, or big."""
        cdef Py_ssize_t start, size
        cdef bint is_error = data[0] == b"-" or data[0] == b"!"
        cdef bint is_slow
        cdef Sample sample
        if request.family == NOBODY:
            return 0
        if is_error:
            self.meter.add_error(data, length, request.family)
        is_slow = self.now - request.began >= self.slow_from_s and request.family != BLOCKING \
            and self.on_slow is not None
        if request.was_sent:
            request.answered_at = self.now
        if request.is_sampled or is_slow:
            sample = sample_of(request, client, self.now)
            sample.is_answered = True
            sample.reply_bytes = length
            if is_error:
                size = code_length(data, length, &start)
                sample.error = data[start:start + size]
            if request.is_sampled:
                if request.was_sent:
                    self.note_reply(request, EVENT_ANSWERED)
                self._hand_out(request, sample)
            if is_slow:
                self._call(self.on_slow, (sample,))
        if self.on_big is not None:
            if length >= self.big_from:
                self._call(self.on_big, (first_key(request), name_of(request), length, True))
            if request.frame_length >= self.big_from:
                self._call(self.on_big, (
                    first_key(request), name_of(request), request.frame_length, False))
        return 0

    cdef int let_go(self, Client client) except -1:
        """Hand out what was chosen of a client that is gone before its replies."""
        cdef Request request
        cdef Sample sample
        self.look_at_clock()
        for request in [each for each in self.watched if (<Request>each).client is client]:
            sample = sample_of(request, client, self.now)
            self.note(request, EVENT_LEFT, -1)
            self._hand_out(request, sample)
        return 0

    cdef int _hand_out(self, Request request, Sample sample) except -1:
        cdef list events = self.watched.pop(request)
        # Of the parts of a split request one may be heard of before another's sending is.
        events.sort(key=_time_of)
        sample.is_sampled = True
        sample.events = tuple(events)
        request.is_sampled = False
        if self.on_sample is not None:
            self._call(self.on_sample, (sample,))
        return 0

    cdef int _call(self, object observer, tuple args) except -1:
        """Tell somebody who looks on, or who has asked; their faults must not stop the traffic.

        A broken server's answer, which nobody thought of, ends here and not the process.
        """
        try:
            observer(*args)
        except Exception as error:
            PyErr_SetObject(type(error), error)
            PyErr_WriteUnraisable(observer)
        return 0


def _time_of(Event event):
    return event.after_s

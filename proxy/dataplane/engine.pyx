# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The data plane's heartbeat: one tick takes everything that is ready, then writes.

Strategy: a tick reads all ready sockets, routes what came, and only then writes:
once for each connection that has something to say, however many requests or
replies were gathered for it. One trio task drives all of it (``drive.py``), so
what trio costs is paid per tick and not per request. Time is looked after in
sweeps, ten a second.

The engine is one object in seventeen files, each adding one idea to the one below: witness,
ledger, recovery, breaker, own_requests, restraint, router, hedge, sockets, node_side,
handshakes, farewell, doorway, client_output, client_side, handover, and this one. As separate
objects they would call each other for every request.
"""

import weakref

from proxy.dataplane.client cimport GONE, OWN, STALL_OUTPUT, STALL_PAUSE, Client
from proxy.dataplane.doorway cimport Newcomer
from proxy.dataplane.farewell cimport Leaver
from proxy.dataplane.histogram cimport add_time
from proxy.dataplane.kernel cimport (
    EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, epoll_event, epoll_wait, eventfd_read, monotonic)
from proxy.dataplane.lane cimport Lane, Pipeline
from proxy.dataplane.meter cimport IDLE_TIMEOUT_S
from proxy.dataplane.pins cimport Pins
from proxy.dataplane.restraint cimport STOP_ALL, STOP_WRITES
from proxy.dataplane.tables cimport CommandTable, SlotMap

cdef enum:
    MAX_EVENTS = 512

cdef double SWEEP_S = 0.1       # how late a deadline may be noticed
cdef double SLEEPER_S = 0.01    # how late a held piece may be sent again


cdef class Engine(Handover):
    """The data plane.

    Args:
        control: Answers the questions of ``hooks.Hooks``.
    """

    def __cinit__(self, control):
        self.control = control
        self.lanes = []
        self.meter.engine = weakref.ref(self)
        self.meter.clients = self.by_id
        self.meter.all_lanes = self.lanes
        self.request_timeout_s = 20.0
        self.in_flight_limit = 1024
        self.node_queue_soft_bytes = 64 << 20
        self.loss_limit = 3
        self.max_clients = 10_000
        self.client_output_soft_bytes = 16 << 20
        self.client_output_limit_bytes = 256 << 20
        self.reply_limit_bytes = 1 << 30
        self.node_in_flight_limit = 0
        self.silence_s = 1.0

    # ---- what the control plane sets ------------------------------------------

    def fileno(self):
        """Return the epoll descriptor: readable when a tick has something to do."""
        return self.epoll

    def pause(self, bint only_writes):
        """Let no client's next request pass, or none that writes, until ``unpause``."""
        self.stops &= ~(STOP_WRITES | STOP_ALL)
        self.stops |= STOP_WRITES if only_writes else STOP_ALL

    def unpause(self):
        """Let all clients go on."""
        cdef Client client
        self.stops &= ~(STOP_WRITES | STOP_ALL)
        stopped = self.paused_clients
        self.paused_clients = []
        for client in stopped:
            client.stall &= ~STALL_PAUSE
            if client.stall == 0:
                self.mark_resuming(client)
        self.wake()

    def install_commands(self, CommandTable table):
        """Replace the command table."""
        self.table = table

    def install_pins(self, Pins pins, shower):
        """Take the pins; every command table from now on has been told of them."""
        self.pins = pins
        self.shower = shower

    def install_slots(self, SlotMap slots):
        """Replace the slot map; what waits for a node without connection is routed anew."""
        cdef Lane lane
        cdef Pipeline pipeline
        self.slots = slots
        for lane in self.lanes:
            for pipeline in lane:
                if pipeline.fd < 0 and pipeline.unsent_head is not None:
                    pipeline.is_wanted = False
                    self.take_back(pipeline)
        self.wake()

    def add_lane(self, Lane lane):
        """Take a lane's pipelines into sweeps and map changes."""
        self.lanes.append(lane)

    def remove_lane(self, Lane lane):
        """Close a lane's connections and look after it no more; no client uses it."""
        cdef Pipeline pipeline
        self.lanes.remove(lane)
        for pipeline in lane:
            self.take_back(pipeline)
            self.drop(pipeline)

    @property
    def command_table(self):
        """The command table in use."""
        return self.table

    @property
    def slot_map(self):
        """The slot map in use."""
        return self.slots

    @property
    def is_busy(self):
        """Whether a sweep is needed even if no socket becomes ready."""
        return self.in_flight > 0 or bool(self.sleepers) or bool(self.paused_listeners) \
            or bool(self.leavers) or bool(self.newcomers) or bool(self.extras) \
            or bool(self.handshaking) \
            or self.has_slow_readers or self.has_full_queues or bool(self.thirsty) \
            or (self.idle_timeout_s > 0 and bool(self.by_id)) \
            or (self.login_timeout_s > 0 and bool(self.strangers))

    @property
    def sweep_after_s(self):
        """How long the engine may be left alone while it is busy."""
        if self.hedge_after_s > 0:
            return min(self.hedge_after_s / 2, SLEEPER_S)
        return SLEEPER_S if self.sleepers or self.thirsty else SWEEP_S

    def close(self):
        """Close every connection, of clients and to nodes; nothing may be asked of it after."""
        cdef Client client
        for client in list(self.by_id.values()):
            self._close_client(client, "")
        for owner in list(self.owners):
            if isinstance(owner, Pipeline):
                self.drop(owner)
            elif isinstance(owner, Leaver):
                self._let_leave(owner)
            elif isinstance(owner, Newcomer):
                self._doom((<Newcomer>owner).fd)
        self._close_doomed()

    # ---- the tick -------------------------------------------------------------

    def tick(self, int timeout_ms):
        """Handle everything that is ready; wait up to ``timeout_ms`` for something.

        Returns:
            Whether there was anything to do.
        """
        cdef epoll_event events[MAX_EVENTS]
        cdef int count, i
        if self._has_work():
            timeout_ms = 0
        if timeout_ms > 0:
            with nogil:
                count = epoll_wait(self.epoll, events, MAX_EVENTS, timeout_ms)
        else:
            count = epoll_wait(self.epoll, events, MAX_EVENTS, 0)
        self.in_tick = True
        self.now = monotonic()
        self.ticks += 1
        for i in range(count):
            self._dispatch(events[i].data.fd, events[i].events)
        if self.hedge_after_s > 0 and self.now >= self.next_hedges:
            self.hedge_late()
        if self.now >= self.next_sweep or (
                (self.sleepers or self.thirsty) and self.now >= self.next_waking):
            self._sweep()
        self._flush()
        self.in_tick = False
        self.tick_ended = self.now
        if count:
            self.tick_ended = monotonic()
            add_time(&self.meter.ticks, self.tick_ended - self.now)
        return count > 0 or self._has_work()

    def begin_turn(self, bint was_waiting):
        """Say that whoever drives the engine has it again, after trio's other tasks.

        Args:
            was_waiting: There was traffic meanwhile, so the time is noted.
        """
        cdef double now = monotonic()
        if was_waiting:
            add_time(&self.meter.turns, now - self.tick_ended)
        self.turn_began = now

    @property
    def turn_s(self):
        """Seconds from the beginning of the turn to the end of the last tick."""
        return self.tick_ended - self.turn_began

    cdef bint _has_work(self) noexcept:
        return bool(self.resuming) or bool(self.settled) or bool(self.dirty_pipelines) \
            or bool(self.dirty_clients)

    cdef int _dispatch(self, int fd, uint32_t events) except -1:
        cdef unsigned long rings
        owner = self.owners[fd]
        if isinstance(owner, Client):
            if events & EPOLLOUT and (<Client>owner).fd >= 0:
                self._write_client(<Client>owner)
            if events & EPOLLRDHUP and (<Client>owner).leaves_at_end:
                self._close_client(<Client>owner, "")
            if events & (EPOLLIN | EPOLLHUP | EPOLLERR) and (<Client>owner).fd >= 0:
                if events & (EPOLLHUP | EPOLLERR) and not (<Client>owner).reads:
                    self._close_client(<Client>owner, "")
                else:
                    self._read_client(<Client>owner)
        elif isinstance(owner, Pipeline):
            if events & (EPOLLIN | EPOLLHUP | EPOLLERR) and (<Pipeline>owner).fd == fd:
                self._read_pipeline(<Pipeline>owner)
            if events & EPOLLOUT and (<Pipeline>owner).fd == fd:
                self._write_pipeline(<Pipeline>owner)
        elif isinstance(owner, Leaver):
            self._hear_out(<Leaver>owner)
        elif isinstance(owner, Newcomer):
            self._read_header(<Newcomer>owner)
        elif owner is not None:
            self._accept(fd)
        elif fd == self.bell:
            self.is_rung = False
            eventfd_read(self.bell, &rings)
        return 0

    cdef int _flush(self) except -1:
        """Work off what this tick has gathered."""
        cdef Client client
        cdef Pipeline pipeline
        if self.settled:
            settled = self.settled
            self.settled = []
            for client in settled:
                self.send_held(client)
        if self.resuming:
            resuming = self.resuming
            self.resuming = []
            for client in resuming:
                client.is_resuming = False
                if client.fd >= 0:
                    self._resume(client)
        if self.dirty_pipelines:
            dirty = self.dirty_pipelines
            self.dirty_pipelines = []
            for pipeline in dirty:
                pipeline.is_dirty = False
                if pipeline.fd >= 0 and not pipeline.wants_write:
                    self._write_pipeline(pipeline)
        if self.dirty_clients:
            dirty = self.dirty_clients
            self.dirty_clients = []
            for client in dirty:
                client.is_dirty = False
                if client.fd == OWN:
                    self.deliver(client)
                    continue
                # With EPOLLOUT armed the kernel has no room, but the limits still hold.
                if client.fd >= 0 and (
                        not client.wants_write or
                        client.output.end - client.output.start + client.kept_bytes >
                        min(client.output_allowance, self.client_output_limit_bytes)):
                    self._write_client(client)
        if self.doomed:
            self._close_doomed()
        return 0

    cdef int _sweep(self) except -1:
        """Look after time: held pieces, deadlines, silent nodes, clients that do not read."""
        cdef Client client
        cdef Lane lane
        cdef Pipeline pipeline
        self.next_waking = self.now + SLEEPER_S
        if self.sleepers:
            self.settled += self.sleepers
            self.sleepers = []
        if self.thirsty:
            self.quench()
        if self.now < self.next_sweep:
            return 0
        self.next_sweep = self.now + SWEEP_S
        for fd in self.paused_listeners:
            self._watch(fd, True, False)
        self.paused_listeners = []
        if self.leavers:
            self._look_after_leavers()
        if self.newcomers:
            self._look_after_newcomers()
        if self.extras:
            self._look_after_extras()
        if self.strangers and self.login_timeout_s > 0:
            self._look_after_strangers()
        for client in self.late_handshakes():
            self._close_client(client, "")
        self.has_slow_readers = False
        for client in list(self.own):
            if client.head is not None and client.head.deadline <= self.now:
                self.expire(client)
        for client in list(self.by_id.values()):
            if client.head is not None and client.head.deadline <= self.now:
                self.expire(client)
            if client.stall & STALL_OUTPUT or client.over_since:
                self.look_at_reader(client)
            if self.idle_timeout_s > 0 and client.in_flight == 0 and \
                    not client.may_idle and \
                    self.now - client.last_active_s > self.idle_timeout_s:
                self.meter.by_limit[IDLE_TIMEOUT_S] += 1
                self._close_client(client, "idle for longer than clients.idle_timeout_s")
        self.has_full_queues = False
        for lane in self.lanes:
            for pipeline in lane:
                if pipeline.unsent_head is not None:
                    self._drop_given_up(pipeline)
                if pipeline.waiting_clients:
                    self.has_full_queues = True
                if pipeline.fd >= 0 and pipeline.sent_head is not None and \
                        self.now - pipeline.heard_at > self.silence_s:
                    self.control.silent(pipeline, self.now - pipeline.heard_at)
                if pipeline.fd >= 0 and pipeline.input.end > pipeline.input.start and \
                        self.now - pipeline.frame_began > self.request_timeout_s:
                    self._let_go_of_frame(pipeline)
        return 0

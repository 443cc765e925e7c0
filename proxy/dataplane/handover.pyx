# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Clients that leave for another process, or come from one, while connected.

Strategy: a client is handed over when it has everything that it asked for, so no request
is ever half with one process and half with the other. It gets there by being held: not
routed any further, as if it had too much in flight. What it sends meanwhile waits in the
kernel; what had been read and not routed goes along.

Cost: nothing on the hot road, which looks at ``stall`` anyway.
"""

from libc.errno cimport errno

from proxy.dataplane.client cimport STALL_HANDOVER, STALL_PAUSE, STALL_PUNT, Client
from proxy.dataplane.kernel cimport EPOLL_CTL_DEL, epoll_ctl, epoll_event
from proxy.dataplane.lane cimport Lane


cdef class Handover(ClientSide):
    """The part of an engine that gives its clients away and takes those of another."""

    @property
    def at_the_door(self):
        """Connections that have not yet said whom they are from."""
        return len(self.newcomers)

    @property
    def next_client_id(self):
        """An id that no client has had, nor will have who is at the door."""
        return self.next_id + len(self.newcomers)

    @next_client_id.setter
    def next_client_id(self, number):
        self.next_id = number

    def hold(self, Client client):
        """Route no more of the client's requests; those on their way are answered."""
        client.stall |= STALL_HANDOVER

    def release(self, Client client):
        """Route the requests again of a client that was held."""
        if client.fd >= 0 and client.stall & STALL_HANDOVER:
            client.stall &= ~STALL_HANDOVER
            if client.stall == 0:
                self.mark_resuming(client)
                self.wake()

    def is_at_rest(self, Client client):
        """Return whether a held client has everything that it asked for.

        What CLIENT PAUSE holds back has not been routed, so it goes along with what is unread.
        """
        return client.fd >= 0 and client.stall & ~STALL_PAUSE == STALL_HANDOVER \
            and client.head is None \
            and client.held is None and client.output.end == client.output.start \
            and not client.is_closing and not client.leaves_at_end

    def take_request_back(self, Client client, bytes frame):
        """Have the request that ``punt`` left open come again, as ``frame``.

        Nothing of it may have taken effect. It is then the first that is unread; without
        effect if the client is gone.
        """
        if client.punted is None:
            return
        if self.watched:
            self.let_go(client)
        rest = client.input.data[client.input.start:client.input.end]
        client.input.clear()
        client.input.append(frame, len(frame))
        client.input.append(rest, len(rest))
        self.in_flight -= client.in_flight
        self.meter.left_pieces += client.in_flight
        client.orphan()
        client.stall &= ~STALL_PUNT
        if client.stall == 0:
            self.mark_resuming(client)
        self.wake()

    def give_away(self, Client client):
        """Let go of a client at rest, and return its socket and what of its bytes is not routed.

        The socket stays connected; it is the caller's from now on.
        """
        cdef epoll_event event
        cdef int fd = client.fd
        unread = client.input.data[client.input.start:client.input.end]
        if epoll_ctl(self.epoll, EPOLL_CTL_DEL, fd, &event) != 0:
            raise OSError(errno, "epoll_ctl")
        self.owners[fd] = None
        self._forget(client, "")
        return fd, unread

    def take_in(self, int fd, *, number, Lane lane, bytes unread, int reply_mode,
                bytes last_command, bint is_unix, told, double created_s, double last_active_s,
                commands, bytes_in, bytes_out):
        """Make a client of a socket that another process has given away; it is held.

        Args:
            fd: The socket; the engine's from now on.
            number: Its id.
            unread: What the other process had read of it and not routed.
            told: Both its addresses, if somebody has passed it on.

        The rest is as it was with the other process.
        """
        cdef Client client = Client(number, fd, lane, self.now, self)
        client.stall = STALL_HANDOVER
        client.output_allowance = self.client_output_soft_bytes
        client.reply_mode = reply_mode
        client.is_unix = is_unix
        if told is not None:
            client.told_address, client.told_local_address = told
        client.last_row = self.table.get(last_command)
        client.created_s = created_s
        client.last_active_s = last_active_s
        client.commands = commands
        client.bytes_in = bytes_in
        client.bytes_out = bytes_out
        client.input.append(unread, len(unread))
        self.by_id[client.id] = client
        self._own(fd, client)
        self._add(fd)
        self.control.accepted(client)
        return client

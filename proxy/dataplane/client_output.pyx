# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What clients get: written once a tick, kept while they do not read, up to a limit.

Strategy: one write for all that a client got in a tick. EPOLLOUT is armed only while the
kernel would not take more. With TLS, what waits is plain as long as it can be, and counts
as what it is; the few sealed bytes that the kernel has not taken count, too.
"""

from libc.errno cimport EAGAIN, EINTR, errno

from proxy.dataplane.buffer cimport Buffer
from proxy.dataplane.client cimport STALL_OUTPUT
from proxy.dataplane.gather cimport Gather
from proxy.dataplane.kernel cimport MSG_DONTWAIT, MSG_NOSIGNAL, send
from proxy.dataplane.meter cimport (
    CLIENT_OUTPUT_LIMIT_BYTES, CLIENT_OUTPUT_SOFT_BYTES, CLIENT_OUTPUT_SOFT_S)
from proxy.dataplane.request cimport ANSWERED, Request


cdef class ClientOutput(Doorway):
    """The part of an engine that writes replies."""

    def push(self, Client client, bytes frame):
        """Write a frame that answers no request, behind all replies that have come so far.

        One that waits for an earlier reply is not overtaken, nor is a split command of which
        a part has come: a client that keeps what it read must hear later that it has changed.
        """
        cdef Request request, behind = None
        cdef Request news
        if client.fd < 0 or client.is_closing:
            return
        if self.shower is not None:
            frame = self.shower.show_push(frame)
        request = client.head
        while request is not None:
            if request.state == ANSWERED or (
                    isinstance(request, Gather) and
                    (<Gather>request).open_parts < <Py_ssize_t>len((<Gather>request).parts)):
                behind = request
            request = request.next_in_client
        if behind is None:
            client.output.append(frame, len(frame))
        else:
            news = Request.__new__(Request)
            news.state = ANSWERED
            news.keep_reply(frame, len(frame))
            client.insert(news, behind)
        self.mark_dirty(client)
        self.wake()

    cdef int _write_client(self, Client client) except -1:
        cdef Buffer output = client.output
        cdef Py_ssize_t waiting
        cdef ssize_t written
        cdef bint waits = False  # for the kernel
        if client.cipher is not None and not client.cipher.flush(client.fd) and errno != EAGAIN:
            return self._close_client(client, "")
        while output.end > output.start:
            if client.cipher is None:
                written = send(client.fd, output.data + output.start, output.end - output.start,
                               MSG_NOSIGNAL | MSG_DONTWAIT)
            else:
                written = client.cipher.send(client.fd, output.data + output.start,
                                      output.end - output.start)
            if written < 0:
                if errno != EAGAIN and errno != EINTR:
                    return self._close_client(client, "")
                break
            client.bytes_out += written
            self.meter.client_bytes_out += written
            output.take(written)
        # What waits for an earlier reply will be output as soon as that has come.
        waiting = output.end - output.start + client.kept_bytes
        if client.cipher is None:
            waits = output.end > output.start
        else:
            waiting += client.cipher.sealed.end - client.cipher.sealed.start
            # Before the handshake is done, nothing but its own bytes can be written.
            waits = client.cipher.waits() or (client.cipher.is_open and output.end > output.start)
        if waiting > self.client_output_limit_bytes:
            self.meter.by_limit[CLIENT_OUTPUT_LIMIT_BYTES] += 1
            return self._close_client(client, "output over limits.client_output_limit_bytes")
        if waiting > client.output_allowance:
            self.meter.by_limit[CLIENT_OUTPUT_SOFT_BYTES] += not client.stall & STALL_OUTPUT
            client.stall |= STALL_OUTPUT
            self.has_slow_readers = True
            if client.over_since == 0 and not client.may_idle:
                client.over_since = self.now
        if waits:
            if not client.wants_write:
                client.wants_write = True
                self._watch_client(client)
        elif client.wants_write:
            client.output_allowance = self.client_output_soft_bytes
            client.over_since = 0
            client.wants_write = False
            self._watch_client(client)
        if client.stall & STALL_OUTPUT and waiting <= self.client_output_soft_bytes // 2:
            client.stall &= ~STALL_OUTPUT
            client.output_allowance = self.client_output_soft_bytes
            if client.stall == 0:
                self.mark_resuming(client)
        return self._close_if_done(client)

    cdef int look_at_reader(self, Client client) except -1:
        """See to a client that does not read: let it send on, or send it away."""
        cdef Py_ssize_t waiting = client.output.end - client.output.start + client.kept_bytes
        if waiting <= self.client_output_soft_bytes:
            client.over_since = 0
        elif client.over_since and self.client_output_soft_s > 0:
            if self.now - client.over_since > self.client_output_soft_s:
                self.meter.by_limit[CLIENT_OUTPUT_SOFT_S] += 1
                return self._close_client(client, "output over limits.client_output_soft_bytes "
                                          "for limits.client_output_soft_s")
            self.has_slow_readers = True
        if client.stall & STALL_OUTPUT:
            # Redis keeps what a client does not read. One that sends its whole pipeline
            # before it reads would wait for us as we wait for it: let it send on.
            # Not if it waits for a node: nothing is gained by taking more from it then.
            if client.bytes_out == client.output_moved and \
                    client.output.end > client.output.start:
                client.output_allowance += self.client_output_soft_bytes
                client.stall &= ~STALL_OUTPUT
                self.mark_resuming(client)
            else:
                self.has_slow_readers = True
            client.output_moved = client.bytes_out
        return 0

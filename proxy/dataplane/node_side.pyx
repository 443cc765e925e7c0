# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The sockets that lead to nodes: requests out, replies in.

Strategy: one write for everything a tick has gathered for a node, straight from
the requests: small ones are copied side by side, long ones written from where
they are. So there is no buffer in which a request could be and not be sent, and
what was never written is known exactly.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from proxy.dataplane.buffer cimport Buffer
from proxy.dataplane.cipher cimport Cipher
from proxy.dataplane.frames cimport BROKEN, WHOLE, ReplyScanner, Scan
from proxy.dataplane.histogram cimport add_time
from proxy.dataplane.kernel cimport MSG_DONTWAIT, MSG_NOSIGNAL, iovec, msghdr, recv, send, sendmsg
from proxy.dataplane.meter cimport NODE_IN_FLIGHT_LIMIT, REPLY_LIMIT_BYTES
from proxy.dataplane.recovery cimport is_refusal, lacks_script
from proxy.dataplane.request cimport ANSWERED, Block, Request
from proxy.dataplane.sockets cimport CUT_BYTES, INBOX_BYTES, OUTBOX_BYTES, READ_AHEAD_BYTES

cdef enum:
    COPIED_BYTES = 4096         # longer requests are written from where they are
    MAX_PIECES = 256            # of one write

cdef bytes ASKING_FRAME = b"*1\r\n$6\r\nASKING\r\n"
cdef const char* ASKING = ASKING_FRAME
cdef Py_ssize_t LARGEST = <Py_ssize_t>(~(<size_t>0) >> 1)
cdef Py_ssize_t ASKING_BYTES = len(ASKING_FRAME)


cdef class NodeSide(Sockets):
    """The part of an engine that writes requests and reads replies."""

    @property
    def node_in_flight_limit(self):
        """Clients' requests on one connection at a time, written and not answered; 0: any number."""
        return 0 if self.most_in_flight == LARGEST else self.most_in_flight

    @node_in_flight_limit.setter
    def node_in_flight_limit(self, Py_ssize_t limit):
        self.most_in_flight = limit if limit > 0 else LARGEST

    def attach(self, Pipeline pipeline, int fd, Cipher cipher=None):
        """Give a pipeline its connection: connected, authenticated, non-blocking.

        The engine owns ``fd`` from here on, and closes it.

        Args:
            cipher: Its TLS, with the handshake done; None: it has none.
        """
        pipeline.fd = fd
        pipeline.takes = pipeline.node not in self.hopeless
        pipeline.cipher = cipher
        pipeline.heard_at = self.now
        self._own(fd, pipeline)
        self._add(fd)
        if pipeline.unsent_head is not None and not pipeline.is_dirty:
            pipeline.is_dirty = True
            self.dirty_pipelines.append(pipeline)
        self.wake()

    def drop(self, Pipeline pipeline):
        """Close a pipeline's connection; what was on it is sent again or answered."""
        if pipeline.fd >= 0:
            self._close_pipeline(pipeline, True)
            self.wake()

    cdef int _read_pipeline(self, Pipeline pipeline) except -1:
        cdef ssize_t received
        cdef Py_ssize_t room, taken
        cdef Buffer input = pipeline.input
        self.heard = self.meter.node(pipeline.node)
        if pipeline.cipher is not None:
            received = self._receive_replies(pipeline)
        elif input.end == input.start:
            received = recv(pipeline.fd, self.inbox, INBOX_BYTES, MSG_DONTWAIT)
            if received > 0:
                taken = self._take_replies(pipeline, self.inbox, received)
                if pipeline.fd >= 0 and taken < received:
                    input.append(self.inbox + taken, received - taken)
                    pipeline.frame_began = self.now
        else:
            room = pipeline.scanner.position - (input.end - input.start)
            room = min(max(room, CUT_BYTES), READ_AHEAD_BYTES)
            input.reserve(room)
            received = recv(pipeline.fd, input.data + input.end, room, MSG_DONTWAIT)
            if received > 0:
                input.end += received
                taken = self._take_replies(pipeline, input.data + input.start,
                                           input.end - input.start)
                if pipeline.fd >= 0:
                    input.take(taken)
                    if taken:
                        pipeline.frame_began = self.now
        if pipeline.unsent_head is not None and not pipeline.wants_write and pipeline.fd >= 0 \
                and not pipeline.is_dirty:
            pipeline.is_dirty = True  # there was no room among those in flight
            self.dirty_pipelines.append(pipeline)
        if received > 0:
            pipeline.heard_at = self.now
            pipeline.bytes_in += received
            self.heard.bytes_in += received
            self.heard.heard_at = self.now
        elif received == 0 or (errno != EAGAIN and errno != EINTR):
            return self._close_pipeline(pipeline)
        return 0

    cdef ssize_t _receive_replies(self, Pipeline pipeline) except -2:
        """Read and hand out replies that come over TLS; return how many bytes they were."""
        cdef Cipher cipher = pipeline.cipher
        cdef Buffer input = pipeline.input
        cdef Py_ssize_t taken
        cdef ssize_t received = cipher.receive(pipeline.fd, self.inbox, INBOX_BYTES)
        if cipher.waits() and not pipeline.is_dirty:
            pipeline.is_dirty = True
            self.dirty_pipelines.append(pipeline)
        if received <= 0:
            return received
        if input.end == input.start:
            taken = self._take_replies(pipeline, self.inbox, received)
            if pipeline.fd >= 0 and taken < received:
                input.append(self.inbox + taken, received - taken)
        else:
            input.append(self.inbox, received)
            taken = self._take_replies(pipeline, input.data + input.start, input.end - input.start)
            if pipeline.fd >= 0:
                input.take(taken)
        if pipeline.fd >= 0 and (cipher.has_ended or cipher.failure is not None):
            self._close_pipeline(pipeline)
        return received

    cdef Py_ssize_t _take_replies(self, Pipeline pipeline, const char* data,
                                  Py_ssize_t length) except -1:
        """Hand out the whole replies in ``data``; return how many bytes are used up."""
        cdef ReplyScanner scanner = pipeline.scanner
        cdef Py_ssize_t at = 0
        cdef Scan found
        cdef bytes error
        while at < length:
            found = scanner.scan(data + at, length - at)
            if found == WHOLE:
                if pipeline.discarding or (
                        scanner.position > self.reply_limit_bytes and data[at] != b">"):
                    pipeline.discarding = False
                    self.meter.by_limit[REPLY_LIMIT_BYTES] += 1
                    error = self.control.reply_too_big(pipeline.node)
                    self._take_reply(pipeline, error, len(error))
                else:
                    self._take_reply(pipeline, data + at, scanner.position)
                if pipeline.fd < 0:
                    return length
                at += scanner.position
                scanner.reset()
            elif found == BROKEN:
                self._close_pipeline(pipeline)
                return length
            else:
                if max(scanner.position, length - at) > self.reply_limit_bytes:
                    if data[at] == b">" and not pipeline.discarding:
                        # Nobody waits for it, so no error can take its place.
                        self._close_pipeline(pipeline)
                        return length
                    pipeline.discarding = True
                if pipeline.discarding:
                    taken = min(scanner.position, length - at)
                    if length - at - taken > self.reply_limit_bytes:
                        # A line without end: what comes after it will never be found.
                        self._close_pipeline(pipeline)
                        return length
                    scanner.position -= taken
                    scanner.line_end = max(scanner.line_end - taken, 0)
                    at += taken
                return at
        return at

    cdef int _take_push(self, Pipeline pipeline, const char* data, Py_ssize_t length) except -1:
        """Hand on what no request asked for."""
        if pipeline.on_push is None:
            self.pushes_dropped += 1
        else:
            self.wants_yield = True
            self._call(pipeline.on_push, (data[:length],))
        return 0

    cdef int _take_leading(self, Request request, const char* data, Py_ssize_t length) except -1:
        """Take a reply before the one that counts: to ASKING, or inside a block."""
        request.extra -= 1
        if request.extra >= request.leading:
            return 0  # ASKING's own
        return (<Block>request).note(data, length, data[0] == b"-" and is_refusal(data, length))

    cdef int _take_last(self, Block block, const char* data, Py_ssize_t length) except -1:
        """Take the last reply of a block: all of it has run, or nothing."""
        cdef bytes frames
        block.note(data, length, data[0] == b"-" and is_refusal(data, length))
        if block.refusal is not None and block.state != ANSWERED and block.client is not None:
            frames = block.refusal
            block.begin_again()
            return self.refused(block, frames, len(frames))
        if block.replies is None:
            return self.answer(block, data, length)
        frames = bytes(block.replies)
        return self.answer(block, frames, len(frames))

    cdef int _take_reply(self, Pipeline pipeline, const char* data, Py_ssize_t length) except -1:
        cdef Request request
        if data[0] == b">":
            return self._take_push(pipeline, data, length)
        request = pipeline.sent_head
        if request is None:
            if pipeline.written and pipeline.unsent_head.extra:
                # The beginning of a long one is answered while the rest is still being written.
                return self._take_leading(pipeline.unsent_head, data, length)
            if pipeline.is_stream:
                return self._take_push(pipeline, data, length)
            return self._close_pipeline(pipeline)
        if request.extra:
            return self._take_leading(request, data, length)
        pipeline.pop_sent()
        if request.began:
            add_time(&self.heard.backend, self.now - request.sent_at)
            add_time(&self.heard.latency, self.now - request.began)
        if request.leading:
            return self._take_last(<Block>request, data, length)
        if data[0] == b"-":
            self.heard.errors += 1
            if is_refusal(data, length) or lacks_script(request, data, length):
                self.heard.refusals += 1
                return self.refused(request, data, length)
        if request.state == ANSWERED:
            pipeline.late_replies += 1
            self.meter.late_replies += 1
            if pipeline.late_since == 0:
                pipeline.late_since = self.now
            elif self.now - pipeline.late_since > self.request_timeout_s:
                # It owes a reply that will never come, and each one is taken for the next.
                return self._close_pipeline(pipeline)
            return 0
        pipeline.late_since = 0
        return self.answer(request, data, length)

    cdef int _write_pipeline(self, Pipeline pipeline) except -1:
        """Write as much as the kernel takes of what waits: many requests, one call."""
        cdef iovec pieces[MAX_PIECES]
        cdef msghdr message
        cdef int count
        cdef Py_ssize_t used, skip, total, whole
        cdef ssize_t written
        cdef Request request, before
        cdef bint all_written, is_full = False
        cdef Py_ssize_t room
        cdef CNode* node = self.meter.node(pipeline.node)
        cdef uint64_t requests = pipeline.requests
        if pipeline.cipher is not None and not pipeline.cipher.flush(pipeline.fd) and \
                errno != EAGAIN:
            return self._close_pipeline(pipeline)
        while pipeline.unsent_head is not None:
            count = 0
            used = total = 0
            skip = pipeline.written
            room = self.most_in_flight - pipeline.sent_count
            before = None
            request = pipeline.unsent_head
            while request is not None and count < MAX_PIECES - 2 and total < OUTBOX_BYTES * 4:
                if skip == 0 and (request.state == ANSWERED or request.deadline <= self.now):
                    following = request.next_in_pipeline
                    pipeline.drop_after(before)
                    request = following
                    continue
                if room <= 0 and skip == 0 and request.began:
                    is_full = True
                    self.meter.by_limit[NODE_IN_FLIGHT_LIMIT] += 1
                    break
                room -= 1
                if request.asking and skip < ASKING_BYTES:
                    pieces[count].iov_base = <void*>(ASKING + skip)
                    pieces[count].iov_len = ASKING_BYTES - skip
                    total += ASKING_BYTES - skip
                    count += 1
                    skip = 0
                elif request.asking:
                    skip -= ASKING_BYTES
                whole = request.frame_length - skip
                if whole <= COPIED_BYTES:
                    if used + whole > OUTBOX_BYTES:
                        break
                    memcpy(self.outbox + used, request.frame + skip, whole)
                    if count and pieces[count - 1].iov_base + pieces[count - 1].iov_len == \
                            self.outbox + used:
                        pieces[count - 1].iov_len += whole
                    else:
                        pieces[count].iov_base = self.outbox + used
                        pieces[count].iov_len = whole
                        count += 1
                    used += whole
                else:
                    pieces[count].iov_base = request.frame + skip
                    pieces[count].iov_len = whole
                    count += 1
                total += whole
                skip = 0
                before = request
                request = request.next_in_pipeline
            if count == 0:
                break
            if pipeline.cipher is not None:
                written = pipeline.cipher.send_pieces(pipeline.fd, pieces, count)
            elif count == 1:
                written = send(pipeline.fd, pieces[0].iov_base, pieces[0].iov_len,
                               MSG_NOSIGNAL | MSG_DONTWAIT)
            else:
                memset(&message, 0, sizeof(message))
                message.msg_iov = pieces
                message.msg_iovlen = count
                written = sendmsg(pipeline.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT)
            if written < 0:
                if errno != EAGAIN and errno != EINTR:
                    return self._close_pipeline(pipeline)
                break
            pipeline.bytes_out += written
            node.bytes_out += written
            all_written = written == total
            if pipeline.sent_head is None:
                pipeline.heard_at = self.now
            while written > 0:
                request = pipeline.unsent_head
                whole = request.frame_length - pipeline.written
                if request.asking:
                    whole += ASKING_BYTES
                if written < whole:
                    pipeline.written += written
                    request.was_sent = True  # the rest will follow, deadline or not
                    break
                written -= whole
                pipeline.written = 0
                pipeline.mark_sent(self.now)
            if not all_written:
                is_full = False
                if pipeline.cipher is None or pipeline.cipher.waits():
                    break
            elif is_full:
                break
        node.requests += pipeline.requests - requests
        pipeline.lane.requests += pipeline.requests - requests
        if (pipeline.unsent_head is not None and not is_full) or \
                (pipeline.cipher is not None and pipeline.cipher.waits()):
            if not pipeline.wants_write:
                pipeline.wants_write = True
                self._watch(pipeline.fd, True, True)
        elif pipeline.wants_write:
            pipeline.wants_write = False
            self._watch(pipeline.fd, True, False)
        if pipeline.waiting_clients and pipeline.unsent_bytes <= self.node_queue_soft_bytes // 2:
            self.free_node(pipeline)
        return 0

    cdef int _let_go_of_frame(self, Pipeline pipeline) except -1:
        """Close a connection whose reply does not end, once nobody waits for that reply.

        It may have announced what it does not send: then it swallows the replies behind it.
        """
        cdef Request request = pipeline.sent_head
        if request is None or request.state == ANSWERED:
            return self._close_pipeline(pipeline)
        return 0

    cdef int _drop_given_up(self, Pipeline pipeline) except -1:
        """Make room in the queue of a node that takes nothing."""
        pipeline.drop_given_up(self.now)
        if pipeline.fd < 0 and pipeline.unsent_head is None:
            pipeline.is_wanted = False
        if pipeline.waiting_clients and pipeline.unsent_bytes <= self.node_queue_soft_bytes // 2:
            self.free_node(pipeline)
        return 0

    cdef int _close_pipeline(self, Pipeline pipeline, bint on_purpose=False) except -1:
        if pipeline.cipher is not None:
            pipeline.cipher.part(pipeline.fd)
            pipeline.cipher = None
        self._doom(pipeline.fd)
        pipeline.wants_write = False
        return self.lost(pipeline, on_purpose)

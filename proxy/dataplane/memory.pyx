# cython: language_level=3
"""How much memory the data plane holds: one number, kept where memory is taken and given back.

Strategy: buffers of clients and nodes, bytes of requests and of replies that wait are counted
as they are allocated and freed, so the number is exact at any moment and nobody has to look
for it. It is one for the process, as memory is. What the process takes beside it (Python, the
tables, the objects themselves) does not grow with what clients send.

Cost: an addition for each allocation, of which a small request that is answered at once has none.
"""


cdef class Holding:
    """What others keep of a client's bytes; given back with the object."""

    def __dealloc__(self):
        global held_bytes
        held_bytes -= self.size

    @property
    def bytes(self):
        """How much it is."""
        return self.size

    @bytes.setter
    def bytes(self, Py_ssize_t size):
        global held_bytes
        held_bytes += size - self.size
        self.size = size


def memory_held():
    """Return the bytes that are held just now."""
    return held_bytes

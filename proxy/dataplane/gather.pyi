"""Split a command whose keys lie in several slots, and merge the replies."""

from proxy.dataplane.request import Request

class Gather(Request):
    """A split request: waits in the client's queue for the replies of its parts."""

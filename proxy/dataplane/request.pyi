"""One request on its way: its bytes, its places in two queues, its reply."""

class Request:
    """A token for Python: ``Engine.submit`` returns one, ``Engine.abandon`` takes it."""

"""How much memory the data plane holds: one number, kept where memory is taken and given back."""

class Holding:
    """What others keep of a client's bytes; given back with the object."""

    bytes: int
    """How much it is."""

def memory_held() -> int:
    """Return the bytes that are held just now."""

"""Bytes on their way in or out of one socket; filled and emptied by compiled code only."""

class Buffer:
    """One growing piece of memory, given back as soon as it is empty."""

    def __len__(self) -> int: ...

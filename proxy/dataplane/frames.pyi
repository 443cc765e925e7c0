"""Find where RESP requests and replies end, in a stream that is cut anywhere."""

from typing import Final

FAULTS: Final[dict[int, str]]
"""Names of the faults, as ``Hooks.protocol_error`` and the streams' errors give them."""

class RequestScanner:
    """Cuts one client's stream into requests and notes where the arguments lie.

    Args:
        argument_limit: Arguments of one request.
        argument_limit_bytes: Bytes of one argument.
        inline_limit_bytes: Bytes of one inline command, with its line end.
        request_limit_bytes: Bytes of a whole request.
    """

    argument_limit: int
    argument_limit_bytes: int
    inline_limit_bytes: int
    request_limit_bytes: int

    def __init__(
        self,
        *,
        argument_limit: int = ...,
        argument_limit_bytes: int = ...,
        inline_limit_bytes: int = ...,
        request_limit_bytes: int = ...,
    ) -> None: ...

class ReplyScanner:
    """Finds where a server's replies end: every type of RESP2 and RESP3."""

class RequestStream:
    """Feed bytes of a client, get the requests that became whole, as lists of arguments.

    The same scanner as the data plane's, with a Python face: for sessions,
    tools and tests. An inline command comes out as one argument, its line.

    Args: as of ``RequestScanner``.
    """

    def __init__(
        self,
        *,
        argument_limit: int = ...,
        argument_limit_bytes: int = ...,
        inline_limit_bytes: int = ...,
        request_limit_bytes: int = ...,
    ) -> None: ...
    def feed(self, data: bytes) -> list[list[bytes]]:
        """Return the requests completed by ``data``.

        Raises:
            ClientProtocolError: The bytes are not RESP; the message names the fault.
        """

class ReplyStream:
    """Feed bytes of a server, get the replies that became whole, as the bytes they came in."""

    def __init__(self) -> None: ...
    def feed(self, data: bytes) -> list[bytes]:
        """Return the reply frames completed by ``data``.

        Raises:
            BackendProtocolError: The bytes are not RESP.
        """

def split_frames(data: bytes) -> list[bytes]:
    """Return the reply frames that lie one behind the other in ``data``.

    Raises:
        BackendProtocolError: They are not whole, or not RESP.
    """

def split_array(frame: bytes) -> list[bytes] | None:
    """Return the frames of an aggregate's elements, of a map's keys and values in turn.

    Returns:
        None for a null.

    Raises:
        BackendProtocolError: It is another type.
    """

"""RESP by lot: right, nearly right, and wrong in the ways that have broken proxies."""

from __future__ import annotations

from lots import Lots

from proxy.resp.encode import encode_command

NAMES = [
    b"GET", b"set", b"MGET", b"MSET", b"DEL", b"MSETEX", b"EVAL", b"XREAD", b"BLPOP", b"PING",
    b"CONFIG", b"nosuch", b"config|get", b"", b"AUTH", b"ZUNION",
]  # fmt: skip
WORDS = [
    b"", b"1", b"2", b"0", b"-1", b"3", b"01", b"1.5", b" 1", b"9223372036854775807",
    b"99999999999999999999", b"STREAMS", b"BLOCK", b"KEYS", b"get", b"NX", b"EX", b"\x00", b"\r\n",
    b"+OK\r\n", b"-MOVED 1 127.0.0.1:1\r\n", b"{a}x", b"{", b"}", b"{}",
]  # fmt: skip
NUMBERS = [
    b"0", b"1", b"2", b"3", b"-1", b"-0", b"00", b"+1", b" 1", b"1 ", b"", b"x", b"4", b"1e3",
    b"1024", b"65536", b"2147483647", b"2147483648", b"4294967296", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551616", b"1099511627777", b"-9223372036854775808",
    b"9" * 18, b"9" * 40, b"?",
]  # fmt: skip
REFUSALS = [
    b"MOVED 0 127.0.0.1:1", b"MOVED 99999 x:1", b"MOVED", b"MOVED 1", b"MOVED a b", b"MOVED 1 :0",
    b"ASK 0 127.0.0.1:1", b"ASK  ", b"ASK 16383 [::1]:65536", b"TRYAGAIN x", b"CLUSTERDOWN x",
    b"LOADING x", b"READONLY x", b"MASTERDOWN x", b"MOVED 1 " + b"9" * 40, b"NOAUTH x", b"ERR \x00",
    b"NOSCRIPT No matching script.", b"ERR Function not found", b"", b" ", b"OOM x",
]  # fmt: skip
LINE_ENDS = [b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"", b"\n\r", b"\r\r\n"]


def key(lots: Lots, owner: bytes) -> bytes:
    """Return one of a few keys that carry their owner's name, in several slots."""
    return b"{%d}%b" % (lots.below(6), owner)


def request(lots: Lots, owner: bytes) -> list[bytes]:
    """Return the arguments of a request: a name, then keys of the owner and other words."""
    args = [lots.choice(NAMES)]
    for _ in range(lots.below(7)):
        args.append(lots.choice(WORDS) if lots.rarely() else key(lots, owner))
    if lots.rarely():
        args.append(owner * (1 << lots.below(12)))
    if len(args) > 1 and args[0] in (b"EVAL", b"MSETEX", b"ZUNION"):
        args[min(len(args) - 1, 1 + (args[0] == b"EVAL"))] = lots.choice(NUMBERS[:12])
    return args


def hostile_request(lots: Lots, owner: bytes) -> bytes:
    """Return bytes of a client: mostly a request, sometimes changed, sometimes a line."""
    kind = lots.below(16)
    if kind == 15:
        return lots.take(lots.below(64))
    if kind == 14:
        words = b" ".join(request(lots, owner)[:4])
        return words + lots.choice(LINE_ENDS)
    if kind == 13:
        return b"*" + lots.choice(NUMBERS) + lots.choice(LINE_ENDS)
    frame = encode_command(*request(lots, owner))
    return changed(lots, frame) if kind > 9 else frame


def changed(lots: Lots, frame: bytes) -> bytes:
    """Return a frame with one thing wrong."""
    at = lots.below(len(frame) + 1)
    match lots.below(7):
        case 0:
            return frame[:at]
        case 1:
            return frame[:at] + bytes([lots.byte()]) + frame[at + 1 :]
        case 2:
            return frame[:at] + bytes([lots.byte()]) + frame[at:]
        case 3:
            return frame[:at] + frame[at + 1 :]
        case 4:
            return frame[:at] + frame[: lots.below(len(frame) + 1)] + frame[at:]
        case 5:
            line = frame.find(b"\r\n", at)
            begin = max(frame.rfind(b"$", 0, line), frame.rfind(b"*", 0, line))
            return frame[: begin + 1] + lots.choice(NUMBERS) + frame[max(line, 0) :]
        case _:
            line = max(frame.find(b"\r\n", at), 0)
            return frame[:line] + lots.choice(LINE_ENDS) + frame[line + 2 :]


def reply(lots: Lots, depth: int = 3) -> bytes:
    """Return a whole reply of RESP2 or RESP3, also of types that no server sends."""
    match lots.below(15 if depth else 11):
        case 0:
            return b"+" + lots.choice([b"OK", b"", b"QUEUED", b"x\ry", b"$5"]) + b"\r\n"
        case 1:
            return b":" + lots.choice(NUMBERS[:3]) + b"\r\n"
        case 2:
            data = lots.take(lots.below(20))
            return b"$%d\r\n%b\r\n" % (len(data), data)
        case 3:
            return b"$-1\r\n"
        case 4:
            return b"-" + lots.choice(REFUSALS) + b"\r\n"
        case 5:
            return lots.choice([b"_\r\n", b"#t\r\n", b"#x\r\n", b"*-1\r\n", b"%-1\r\n", b">0\r\n"])
        case 6:
            return b"," + lots.choice([b"1.5", b"inf", b"nan", b"x"]) + b"\r\n"
        case 7:
            return b"(" + lots.choice(NUMBERS) + b"\r\n"
        case 8:
            text = lots.choice(REFUSALS)
            return b"!%d\r\n%b\r\n" % (len(text), text)
        case 9:
            return b"=7\r\ntxt:abc\r\n"
        case 10:
            return lots.choice([b"$?\r\n;1\r\na\r\n;0\r\n", b"*?\r\n.\r\n", b"~0\r\n", b"*0\r\n"])
        case _:
            sign = lots.choice([b"*", b"~", b"%", b">", b"|"])
            count = lots.below(4)
            values = 2 * count if sign in b"%|" else count
            body = b"".join(reply(lots, depth - 1) for _ in range(values))
            return b"%b%d\r\n%b%b" % (sign, count, body, b":1\r\n" if sign == b"|" else b"")


def hostile_reply(lots: Lots) -> bytes:
    """Return bytes of a server that is broken, or wants to break something."""
    kind = lots.below(16)
    if kind == 15:
        return lots.take(lots.below(64))
    if kind == 14:
        return lots.choice([b"*", b"$", b"%", b">", b"|"]) + lots.choice(NUMBERS) + b"\r\n"
    if kind == 13:
        return b"*1\r\n" * lots.below(300)
    if kind == 12:
        return b">3\r\n+invalidate\r\n*1\r\n+k\r\n:1\r\n"
    frame = reply(lots)
    return changed(lots, frame) if kind > 9 else frame

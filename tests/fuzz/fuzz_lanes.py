"""Target: clients that change lanes before nodes that push: RESP3, replicas, blocks, subscribers.

The clients are honest and change what they are by lot: HELLO 3 and 2, READONLY and READWRITE,
listening to what nodes push, blocks of several commands of which all or nothing runs. Primaries
and replicas say anything at any moment, with pushes between, before and inside; who answers
reads changes, too.

Judged: nothing raises; each client gets whole frames; those that are no pushes are as many as its
requests, so nobody is left waiting once nodes are honest, and only who listens gets pushes.
"""

from __future__ import annotations

from fuzz_board import NODES, OWNERS, ROWS, Board, Caller, Control, Node, send
from hostile_wire import NUMBERS, hostile_reply, key
from lots import Lots
from switchboard import RECEIVE_BYTES, spec_of

from proxy.cluster.slots import key_slot
from proxy.commands.spec import Road
from proxy.dataplane.client import Client
from proxy.dataplane.frames import ReplyStream
from proxy.dataplane.hooks import Punt
from proxy.dataplane.lane import Lane, Pipeline
from proxy.dataplane.readers import ReadTable
from proxy.dataplane.tables import Command, CommandTable
from proxy.resp.encode import bulk, encode_command, map_frame

STATES = [b"hello", b"readonly", b"readwrite", b"subscribe", b"exec", b"wait"]
BLOCK = encode_command(b"MULTI") + encode_command(b"GET", b"{1}x") + encode_command(b"EXEC")
PUSHED = [
    b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n",
    b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
    b">2\r\n$10\r\ninvalidate\r\n_\r\n",
    b">0\r\n",
    b">1\r\n%1\r\n+a\r\n~1\r\n#t\r\n",
    b">?\r\n:1\r\n.\r\n",
    b">-1\r\n",
    b">2\r\n$1\r\na\r\n",
    b">1\r\n>1\r\n+x\r\n",
]
TYPED = [
    b"%1\r\n+a\r\n:1\r\n",
    b"~1\r\n+a\r\n",
    b"_\r\n",
    b"#f\r\n",
    b",1.5\r\n",
    b"(12345678901234567890\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!3\r\nERR\r\n",
    b"|1\r\n+a\r\n:1\r\n$1\r\nb\r\n",
    b"|1\r\n+a\r\n:1\r\n-ERR x\r\n",
    b"|1\r\n+a\r\n:1\r\n-MOVED 1 127.0.0.1:1\r\n",
    b"|1\r\n+a\r\n:1\r\n>1\r\n+x\r\n",
    b"|0\r\n|0\r\n:1\r\n",
]


class Lanes(Control):
    """Moves clients from lane to lane, and hands on what nodes push."""

    def __init__(self, lane: Lane, lots: Lots) -> None:
        super().__init__(lane, lots)
        self.board: LaneBoard
        self.lanes = {(2, False): lane}
        self.kinds: dict[int, tuple[int, bool]] = {}
        self.listening: dict[int, Client] = {}

    def accepted(self, client: Client) -> None:
        super().accepted(client)
        self.kinds[client.id] = (2, False)

    def closed(self, client: Client, reason: str) -> None:
        super().closed(client, reason)
        self.listening.pop(client.id, None)

    def punt(
        self, client: Client, reason: Punt, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        resp, reads = self.kinds[client.id]
        match args[0]:
            case b"hello":
                resp = 5 - resp
            case b"readonly" | b"readwrite":
                reads = args[0] == b"readonly"
            case b"subscribe":
                self.listening[client.id] = client
                client.may_idle = True
                return b"+OK\r\n"
            case b"exec":
                self.later.append((client, BLOCK))
                return None
            case _:
                return super().punt(client, reason, command, args)
        self.kinds[client.id] = (resp, reads)
        self.board.engine.use_lane(client, self.lanes[resp, reads])
        return map_frame([(bulk(b"proto"), bulk(b"%d" % resp))], resp)

    def hand_on(self, frame: bytes) -> None:
        """Tell who listens, inside a tick, as the hub does."""
        for client in list(self.listening.values()):
            self.board.engine.push(client, frame)

    def reader_refused(self, node: int, line: bytes, attempts: int) -> float:
        return 0.0

    def look(self, pipeline: Pipeline) -> None:
        """Listen to a new pipeline."""
        pipeline.on_push = self.hand_on


class LaneBoard(Board):
    """A board with four lanes, and a replica for each primary."""

    control: Lanes

    def __init__(self, lots: Lots) -> None:
        super().__init__(lots, make_control=Lanes)
        self.control.board = self
        specs = [spec_of(name, arity=-1, road=Road.LOCAL) for name in STATES]
        self.engine.install_commands(CommandTable((*ROWS, *specs)))
        for resp in (2, 3):
            for reads in (False, True):
                self._add(resp, reads)
        self.read_by_lot()

    def _add(self, resp: int, reads: bool) -> None:
        lane = self.control.lanes.get((resp, reads))
        if lane is None:
            lane = self.control.lanes[resp, reads] = Lane(resp, 1 + (resp == 3))
            self.engine.add_lane(lane)
        lane.on_pipeline = self.control.look
        for number in range(2 * NODES if reads else NODES):
            for pipeline in lane.pipelines_to(number) or [lane.pipeline_to(number)]:
                if not pipeline.is_connected:
                    self.connect(pipeline)

    def answer_later(self) -> None:
        if self.control.later and self.control.later[0][1] is BLOCK:
            client, _ = self.control.later.pop(0)
            self.engine.forward_punt(client, BLOCK, key_slot(b"{1}x"), True, 3)
        else:
            super().answer_later()

    def read_by_lot(self) -> None:
        """Change who answers reads."""
        lots = self.lots
        readers = {
            primary: (lots.flag(), [primary + NODES, primary][: lots.below(3)])
            for primary in range(lots.below(NODES + 1))
        }
        table = ReadTable(readers, [lots.below(16384) for _ in range(lots.below(2))])
        for resp in (2, 3):
            self.engine.install_readers(
                self.control.lanes[resp, True], None if lots.rarely() else table
            )


def change_lanes(data: bytes) -> None:
    """Play one case."""
    lots = Lots(data)
    board = LaneBoard(lots)
    counts = dict.fromkeys(OWNERS, 0)
    try:
        while lots:
            match lots.below(9):
                case 0 | 1 | 2:
                    caller = lots.choice(board.callers)
                    caller.unsent += encode_command(*_request(lots, caller.owner))
                    counts[caller.owner] += 1
                    caller.send(RECEIVE_BYTES)
                case 3 | 4:
                    node = lots.choice(board.nodes)
                    for piece in lots.cut(_said(lots, node)):
                        send(node.socket, piece)
                case 5:
                    lots.choice(board.nodes).pay(lots.choice([1, 7, 100, 5000]))
                case 6:
                    board.answer_later()
                    board.reconnect()
                    if lots.flag():
                        board.read_by_lot()
                case 7:
                    node = lots.choice(board.nodes)
                    node.socket.close()
                    board.nodes.remove(node)
                    board.tick(board.nodes)
                    board.control.wanted.add(node.pipeline)
                    board.reconnect()
                case _:
                    board.tick(board.nodes)
        _make_honest(board)
        board.finish()
        for caller in board.callers:
            _judge(caller, counts[caller.owner])
    finally:
        board.close()
    assert board.engine.in_flight == 0


def _request(lots: Lots, owner: bytes) -> list[bytes]:
    if lots.below(3) == 0:
        return [lots.choice(STATES)]
    name = lots.choice([b"GET", b"GET", b"MGET", b"DEL", b"SET", b"MSET"])
    args = [key(lots, owner) for _ in range(1 + lots.below(3))]
    return [name, *(args[:1] if name == b"GET" else args)]


def _said(lots: Lots, node: Node) -> bytes:
    match lots.below(8):
        case 0 | 1 | 2:
            return lots.choice(PUSHED) * (1 + lots.below(3))
        case 3 | 4:
            return lots.choice(TYPED)
        case 5:
            due = bytes(node.due)
            node.due.clear()
            return lots.choice(PUSHED) + due + lots.choice(PUSHED)
        case 6:
            return b">" + lots.choice(NUMBERS) + b"\r\n"
        case _:
            return hostile_reply(lots)


def _make_honest(board: LaneBoard) -> None:
    for node in board.nodes:
        node.socket.close()
        board.control.wanted.add(node.pipeline)
    board.nodes = []


def _judge(caller: Caller, count: int) -> None:
    got = ReplyStream().feed(bytes(caller.received))
    assert len(b"".join(got)) == len(caller.received), "a reply is cut"
    pushes = [frame for frame in got if frame[:1] == b">"]
    assert len(got) - len(pushes) == count, (got, count)
    assert not pushes or b"subscribe" in caller.sent

"""Commands with keys in several slots: the same bytes as of one server, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from differential.effort import EFFORT
from differential.grammar import Words, compile_line
from differential.requests import Request, spoiled
from differential.sides import Pair
from differential.vocabulary import KINDS, TAGS, WORDS, keys_of
from differential.wire import RawConnection
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer, wait_for
from proxy.resp import replies
from proxy.resp import replies_across as say
from proxy.resp.encode import encode_command

pytestmark = [pytest.mark.live, pytest.mark.takes(60)]

READS = """
    SUNION set+
    SINTER set+
    SDIFF set+
    SINTERCARD 2 set set [LIMIT small]
    ZUNION 2 zset zset [WEIGHTS score score] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]
    ZINTER 2 zset set [WITHSCORES]
    ZDIFF 2 zset zset [WITHSCORES]
    ZINTERCARD 2 zset zset [LIMIT small]
    PFCOUNT hll+
    LCS short short [LEN|IDX] [MINMATCHLEN small] [WITHMATCHLEN]
    XREAD [COUNT small] STREAMS stream stream id id
"""
STORES = """
    SUNIONSTORE set set+
    SINTERSTORE set set+
    SDIFFSTORE set set+
    ZUNIONSTORE zset 2 zset set [AGGREGATE (SUM|MIN|MAX)]
    ZINTERSTORE zset 1 zset
    ZDIFFSTORE zset 2 zset zset
    ZRANGESTORE zset zset index index
    PFMERGE hll hll+
    BITOP (AND|OR|XOR) bits bits+
    BITOP NOT bits bits
    GEOSEARCHSTORE geo geo FROMMEMBER member BYRADIUS radius unit [STOREDIST]
    GEORADIUS geo longitude latitude radius unit STORE geo
    GEORADIUSBYMEMBER geo member radius unit STORE geo
    SORT list ALPHA STORE list
    SORT set ALPHA DESC STORE list
    COPY key key [REPLACE]
"""
MOVES = """
    SMOVE set set member
    LMOVE list list (LEFT|RIGHT) (LEFT|RIGHT)
    RPOPLPUSH list list
    RENAME key key
    RENAMENX key key
    MSETNX (string value)+
    MSETEX 2 string value string value (NX|XX) [EX seconds]
    LMPOP 3 list list list (LEFT|RIGHT) [COUNT small]
    ZMPOP 2 zset zset (MIN|MAX) [COUNT small]
    XREADGROUP GROUP group consumer [COUNT small] [NOACK] STREAMS stream stream (>|0|id) (>|0|id)
"""
CHANGES = """
    SADD set member+
    SREM set member+
    RPUSH list value+
    ZADD zset (score member)+
    SET string shortvalue
    SET bits value
    PFADD hll member+
    GEOADD geo (longitude latitude member)+
    XADD stream id (field value)+
    DEL key key
    PEXPIRE key milliseconds
"""
LOOKS = (
    *((kind, (b"TYPE",)) for kind in KINDS),
    *((kind, (b"PTTL",)) for kind in KINDS),
    *((kind, (b"GET",)) for kind in ("string", "number", "bits", "hll")),
    ("set", (b"SMEMBERS",)),
    ("list", (b"LRANGE", b"0", b"-1")),
    ("zset", (b"ZRANGE", b"0", b"-1", b"WITHSCORES")),
    ("geo", (b"ZRANGE", b"0", b"-1", b"WITHSCORES")),
    ("stream", (b"XRANGE", b"-", b"+")),
)
"""What is looked at when a dialogue is over; key goes behind the first word."""


def _lines(text: str) -> SearchStrategy[Words]:
    by_tag = [keys_of(tag) for tag in TAGS]
    mixed = {kind: st.one_of([keys[kind] for keys in by_tag]) for kind in by_tag[0]}
    terminals = {**WORDS, **mixed}
    return st.one_of([compile_line(line, terminals) for line in text.strip().splitlines()])


DIALOGUES = st.lists(
    spoiled(st.one_of(_lines(READS), _lines(STORES), _lines(MOVES), _lines(CHANGES))).map(Request),
    min_size=10,
    max_size=40,
)
FINAL_LOOK = [
    Request((words[0], tag + kind.encode() + number, *words[1:]))
    for kind, words in LOOKS
    for tag in TAGS
    for number in (b"1", b"2")
]


class PairAcross(Pair):
    """Sides of which the cluster refuses nothing for its keys' slots."""

    def _refused_by_a_cluster(self, requests: object) -> dict[Request, bytes]:
        return {}


@pytest.fixture(scope="module")
def proxy_across(cluster: EmbeddedCluster) -> Iterator[ProxyProcess]:
    """A proxy that does everything across slots."""
    settings = {"commands.cross_slot": "all", "limits.cross_slot_limit_bytes": "2000000"}
    with ProxyProcess(cluster.addresses, settings=settings) as running:
        yield running
        assert running.tracebacks() == ""


@pytest.fixture(scope="module")
def pair_across(engine: str, proxy_across: ProxyProcess) -> Iterator[PairAcross]:
    with StandaloneServer(engine, settings={"databases": "1"}) as server:
        yield PairAcross(engine, server.address, proxy_across.address)


@pytest.mark.parametrize("resp", [2, 3])
@EFFORT
@given(requests=DIALOGUES)
def test_a_command_across_slots_is_answered_as_by_a_standalone_server(
    pair_across: PairAcross, resp: int, requests: list[Request]
) -> None:
    pair_across.compare_afresh([*requests, *FINAL_LOOK], with_data=True, resp=resp)


@pytest.mark.parametrize("line", ["ZMPOP 2 {a}zset1 {b}zset1", "LMPOP 2 {a}list1 {b}list1"])
def test_a_pop_that_does_not_say_where_is_a_syntax_error(
    pair_across: PairAcross, line: str
) -> None:
    # Found by chance: its parts would have too few words.
    request = Request(tuple(line.encode().split()))

    pair_across.compare_afresh([request], with_data=True, resp=2)


@EFFORT
@given(requests=DIALOGUES)
def test_pipelined_commands_across_slots_keep_their_order(
    pair_across: PairAcross, requests: list[Request]
) -> None:
    pair_across.compare_afresh([*requests, *FINAL_LOOK], with_data=True, resp=2, cuts=())


@pytest.mark.parametrize("resp", [2, 3])
def test_no_temporary_key_is_ever_seen(pair_across: PairAcross, resp: int) -> None:
    pair_across.start_afresh(with_data=True)
    with RawConnection(pair_across.proxy) as client:
        before = client.say(encode_command("DBSIZE"))
        for words in (
            ("SUNION", "{a}set1", "{b}set1", "{c}set2"),
            ("SUNION", "{a}set1", "{b}string1"),
            ("SUNIONSTORE", "{a}set1", "{b}set1", "{c}string1"),
            ("LMOVE", "{a}list1", "{b}list1", "UP", "DOWN"),
            ("XREADGROUP", "GROUP", "no", "c", "STREAMS", "{a}stream1", "{b}stream1", ">", ">"),
        ):
            client.say(encode_command(*words))

        assert client.say(encode_command("DBSIZE")) == before
        assert client.say(encode_command("KEYS", "*slotway*")) == b"*0\r\n"


# ---- the setting, and its limits -------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "line", "refusal"),
    [
        ("reject", "SUNION {a}1 {b}1", say.cross_slot_by_setting(b"sunion", needed=b"reads")),
        ("reject", "RENAME {a}1 {b}1", say.cross_slot_by_setting(b"rename", needed=b"all")),
        ("reads", "RENAME {a}1 {b}1", say.cross_slot_by_setting(b"rename", needed=b"all")),
        ("reads", "PFMERGE {a}1 {b}1", say.cross_slot_by_setting(b"pfmerge", needed=b"all")),
        ("all", "EVAL x 2 {a}1 {b}1", replies.cross_slot(b"eval")),
        ("all", "EVALSHA_RO x 2 {a}1 {b}1", replies.cross_slot(b"evalsha_ro")),
    ],
)
def test_what_the_setting_does_not_allow_is_refused_and_names_it(
    cluster: EmbeddedCluster, setting: str, line: str, refusal: bytes
) -> None:
    settings = {"commands.cross_slot": setting}
    with (
        ProxyProcess(cluster.addresses, settings=settings) as proxy,
        RawConnection(proxy.address) as client,
    ):
        assert client.say(encode_command(*line.split())) == refusal


def test_reads_across_slots_are_allowed_by_default(proxy_process: ProxyProcess) -> None:
    with RawConnection(proxy_process.address) as client:
        client.say(encode_command("SADD", "{a}s", "1", "2"))
        client.say(encode_command("SADD", "{b}s", "2", "3"))

        assert client.say(encode_command("SINTER", "{a}s", "{b}s")) == b"*1\r\n$1\r\n2\r\n"
        # A write that stores nothing is a write.
        refused = client.say(encode_command("SMOVE", "{a}s", "{b}s", "9"))
        assert refused == say.cross_slot_by_setting(b"smove", needed=b"all")


def test_only_what_has_to_be_copied_counts(proxy_across: ProxyProcess) -> None:
    with RawConnection(proxy_across.address) as client:
        client.say(encode_command("SADD", "{a}small", "1"))
        for number in range(30):
            members = (f"{number}:{i}:somewhat-longer" for i in range(2000))
            client.say(encode_command("SADD", "{b}large", *members))

        # The large one stays where it is.
        assert client.say(encode_command("SINTER", "{a}small", "{b}large")) == b"*0\r\n"
        refusal = client.say(encode_command("SUNIONSTORE", "{a}small", "{b}large"))
        assert refusal.startswith(b"-CROSSSLOT 'sunionstore' would copy ")
        assert b"limits.cross_slot_limit_bytes is 2000000; nothing has run" in refusal
        renamed = client.say(encode_command("RENAME", "{b}large", "{a}other"))
        assert renamed.startswith(b"-CROSSSLOT 'rename' would copy ")
        assert client.say(encode_command("EXISTS", "{b}large", "{a}other")) == b":1\r\n"


def test_too_many_keys_are_refused(proxy_across: ProxyProcess) -> None:
    with RawConnection(proxy_across.address) as client:
        keys = [f"k{number}" for number in range(1025)]

        assert client.say(encode_command("SUNION", *keys[1:])) == b"*0\r\n"
        refusal = say.across_too_many_keys(b"sunion", found=1025, limit=1024)
        assert client.say(encode_command("SUNION", *keys)) == refusal


# ---- several clients at once -----------------------------------------------------------


def connect(proxy: ProxyProcess) -> redis.Redis:
    return redis.Redis(host=proxy.address.host, port=proxy.address.port)


def test_elements_that_many_move_at_once_arrive_once_each(proxy_across: ProxyProcess) -> None:
    movers, elements = 6, [b"%d" % number for number in range(120)]
    with connect(proxy_across) as client:
        client.rpush("{a}queue", *elements)

        def move(number: int) -> list[bytes]:
            moved = []
            with connect(proxy_across) as mine:
                while element := mine.lmove("{a}queue", f"{{b}}taken:{number}", "LEFT", "RIGHT"):
                    moved.append(element)
            return moved

        with ThreadPoolExecutor(movers) as pool:
            moved = list(pool.map(move, range(movers)))

        lists = [client.lrange(f"{{b}}taken:{number}", 0, -1) for number in range(movers)]
        assert lists == moved
        assert sorted(element for taken in lists for element in taken) == sorted(elements)
        assert client.llen("{a}queue") == 0


def test_members_that_two_move_at_once_are_moved_by_one(proxy_across: ProxyProcess) -> None:
    members = [str(number) for number in range(100)]
    with connect(proxy_across) as client:
        client.sadd("{a}from", *members)

        def move(_: int) -> int:
            with connect(proxy_across) as mine:
                return sum(mine.smove("{a}from", "{c}to", member) for member in members)

        with ThreadPoolExecutor(2) as pool:
            moved = sum(pool.map(move, range(2)))

        # A member whose removal came too late is still in the set: the other one has moved it.
        assert moved == len(members)
        assert client.scard("{a}from") == 0


def test_a_key_keeps_the_time_it_has_left(proxy_across: ProxyProcess) -> None:
    with connect(proxy_across) as client:
        client.set("{a}1", "v", px=500_000)
        client.rename("{a}1", "{b}1")
        client.copy("{b}1", "{c}1")

        assert 490_000 < client.pttl("{b}1") <= 500_000
        assert 490_000 < client.pttl("{c}1") <= 500_000
        client.set("{a}2", "v")
        client.copy("{a}2", "{c}1", replace=True)
        assert client.pttl("{c}1") == -1


# ---- who may do it ---------------------------------------------------------------------


def test_the_servers_judge_a_user_by_the_keys_of_all_slots(
    private_cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> None:
    rules = ("~{a}*", "~{b}*", "+@all", "-lmove", "-dump", "-eval")
    for node in private_cluster.nodes:
        node.call("ACL", "SETUSER", "app", "on", ">pw", *rules)
    settings = {"clients.acl": "pass", "commands.cross_slot": "all"}
    proxy = make_proxy(private_cluster.addresses, settings=settings)

    with RawConnection(proxy.address) as client:
        assert client.say(encode_command("AUTH", "app", "pw")) == b"+OK\r\n"
        client.say(encode_command("SADD", "{a}s", "1"))
        client.say(encode_command("SADD", "{b}s", "2"))
        # What the proxy does for it, it need not be allowed to do.
        assert client.say(encode_command("SUNIONSTORE", "{a}d", "{a}s", "{b}s")) == b":2\r\n"
        assert client.say(encode_command("SMOVE", "{a}s", "{b}s", "1")) == b":1\r\n"
        for words in (
            ("SUNION", "{a}s", "{c}s"),
            ("RENAME", "{a}s", "{c}s"),
            ("LMOVE", "{a}l", "{b}l", "LEFT", "LEFT"),
        ):
            assert client.say(encode_command(*words)).startswith(b"-NOPERM "), words
    assert private_cluster.primary_for(b"{c}s").call("EXISTS", "{c}s") == 0


def test_a_client_that_leaves_in_the_middle_leaves_nothing_half_done(
    proxy_across: ProxyProcess,
) -> None:
    elements = [b"%d" % number for number in range(50)]
    with connect(proxy_across) as client:
        client.rpush("{a}leaving", *elements)
        for _ in elements:
            with RawConnection(proxy_across.address) as leaving:
                leaving.send(encode_command("LMOVE", "{a}leaving", "{b}left", "LEFT", "RIGHT"))

        wait_for(lambda: client.llen("{a}leaving") == 0, 10.0, "all elements are moved")

        assert client.lrange("{b}left", 0, -1) == elements


def test_a_client_that_tracks_hears_of_keys_it_read_across_slots(
    proxy_across: ProxyProcess,
) -> None:
    with RawConnection(proxy_across.address) as client, connect(proxy_across) as other:
        other.sadd("{a}tracked", 1)
        other.sadd("{b}tracked", 2)
        client.say(encode_command("HELLO", "3"))
        assert client.say(encode_command("CLIENT", "TRACKING", "ON")) == b"+OK\r\n"
        assert client.say(encode_command("SINTER", "{a}tracked", "{b}tracked")) == b"~0\r\n"

        for key in (b"{a}tracked", b"{b}tracked"):
            other.sadd(key, 3)

            # A flush says that connections are new, and comes first if at all.
            flush, named = (
                b">2\r\n$10\r\ninvalidate\r\n_\r\n",
                b"*1\r\n$%d\r\n%b\r\n" % (len(key), key),
            )
            heard = client.receive()
            while heard == flush:
                heard = client.receive()
            assert heard.endswith(named)


def test_nobody_hears_of_temporary_keys(
    private_cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> None:
    proxy = make_proxy(private_cluster.addresses, settings={"commands.cross_slot": "all"})
    with connect(proxy) as client:
        client.config_set("notify-keyspace-events", "KEA")
        client.sadd("{a}1", 1)
        client.sadd("{b}1", 2)
        with client.pubsub() as listener:
            listener.psubscribe("__key*__:*")
            listener.get_message(timeout=5)

            client.sunion("{a}1", "{b}1")
            client.sunionstore("{a}2", "{a}1", "{b}1")

            heard = [listener.get_message(timeout=5) for _ in range(2)]
            assert {message["channel"] for message in heard} == {
                b"__keyevent@0__:sunionstore",
                b"__keyspace@0__:{a}2",
            }
            assert listener.get_message(timeout=0.2) is None

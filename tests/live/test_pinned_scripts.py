"""Scripts over pinned keys: what they see, touch and return is as on a standalone server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest
from differential.documented import described_commands
from differential.wire import RawConnection, parse_whole
from hiredis import Reader

from proxy.cluster.topology import Address
from proxy.commands.pins import Pin, PinTable
from proxy.commands.table import compile_table
from proxy.dataplane.tables import Command, CommandTable
from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer
from proxy.resp.encode import encode_command
from proxy.sessions.pins_replies import NAMING
from proxy.sessions.pins_scripts import ScriptWrapper

pytestmark = pytest.mark.live

PINS = {"a prefix": "bull:=bull", "everything": "=all"}
BUILDS_NAMES = (
    "local id = redis.call('INCR', KEYS[1] .. 'id')"
    " redis.call('HSET', ARGV[1] .. id, 'name', ARGV[2], 'key', KEYS[1])"
    " redis.call('RPUSH', ARGV[1] .. 'wait', ARGV[1] .. id)"
    " return {id, KEYS[1], redis.call('LRANGE', ARGV[1] .. 'wait', 0, -1)}"
)
SHA = hashlib.sha1(BUILDS_NAMES.encode()).hexdigest()
MANY_SHAPES = """#!lua flags=allow-cross-slot-keys
local p = KEYS[1]
redis.call('mset', p .. '1', 'x', p .. '2', 'y')
redis.call('BITOP', 'OR', p .. '3', p .. '1', p .. '2')
redis.call('ZADD', p .. 'z1', 1, 'a') redis.call('ZADD', p .. 'z2', 2, 'b')
redis.call('ZUNIONSTORE', p .. 'z3', 2, p .. 'z1', p .. 'z2', 'WEIGHTS', 1, 10)
redis.call('RPUSH', p .. 'l', 'c', 'a', 'b')
redis.call('SORT', p .. 'l', 'ALPHA', 'STORE', p .. 'sorted')
redis.call('XADD', p .. 's', '1-1', 'f', 'v')
redis.call('XGROUP', 'CREATE', p .. 's', 'g', '0')
redis.call('RENAME', p .. '2', p .. '4')
return {
  redis.call('MGET', p .. '1', p .. '2', p .. '3', p .. '4'),
  redis.call('ZRANGE', p .. 'z3', 0, -1, 'WITHSCORES'),
  redis.call('LRANGE', p .. 'sorted', 0, -1),
  redis.call('LMPOP', 2, p .. 'none', p .. 'l', 'LEFT'),
  redis.call('ZMPOP', 1, p .. 'z3', 'MIN'),
  redis.call('XREAD', 'STREAMS', p .. 's', '0'),
  redis.call('XREADGROUP', 'GROUP', 'g', 'me', 'STREAMS', p .. 's', '>'),
  redis.call('OBJECT', 'ENCODING', p .. 'l'),
  redis.call('EXISTS', p .. '1', p .. '2', p .. '3'),
  redis.call('RANDOMKEY') ~= nil,
  redis.call('SCAN', '0', 'MATCH', p .. '3', 'COUNT', 10000)[2],
  redis.call('KEYS', p .. 'z?') ~= nil,
  redis.call('DBSIZE'),
  redis.call('TYPE', p .. 's'),
  redis.sha1hex('x'), redis.REPL_ALL, #KEYS, #ARGV }
"""

REQUESTS: list[tuple[str | int, ...]] = [
    ("EVAL", BUILDS_NAMES, 1, "bull:q:", "bull:q:", "first"),
    ("EVALSHA", SHA, 1, "bull:q:", "bull:q:", "second"),
    ("EVALSHA", SHA.upper(), 1, "bull:q:", "bull:q:", "third"),
    ("HGETALL", "bull:q:1"),
    ("LRANGE", "bull:q:wait", 0, -1),
    ("SCRIPT", "EXISTS", SHA, "0" * 40),
    ("EVALSHA", "0" * 40, 1, "bull:q:"),
    ("EVAL", MANY_SHAPES, 1, "bull:m:"),
    ("EVAL", "return KEYS", 2, "bull:a", "bull:b"),
    ("EVAL_RO", "return redis.call('GET', KEYS[1] .. '1')", 1, "bull:m:"),
    ("EVAL_RO", "return redis.call('SET', KEYS[1], '1')", 1, "bull:a"),
    ("EVAL", "return redis.call('INCR', KEYS[1] .. 'l')", 1, "bull:m:"),
    ("EVAL", "return redis.pcall('INCR', KEYS[1] .. 'l')['err']", 1, "bull:m:"),
    ("EVAL", "return redis.call('INCRBY', KEYS[1], 7)", 1, "bull:number"),
    ("EVAL", "return redis.call('GET')", 1, "bull:a"),
    ("EVAL", "return redis.call()", 1, "bull:a"),
    ("EVAL", "return redis.call('NONSENSE', KEYS[1])", 1, "bull:a"),
    ("EVAL", "return {err='MY own words about ' .. KEYS[1]}", 1, "bull:a"),
    ("EVAL", "return redis.error_reply('ERR ' .. KEYS[1])", 1, "bull:a"),
    ("EVAL", "return not lua", 1, "bull:a"),
    ("EVAL", "return redis.status_reply(KEYS[1])", 1, "bull:a"),
    ("EVAL", "redis.setresp(3) return redis.call('HGETALL', KEYS[1] .. '1')", 1, "bull:q:"),
    ("EVAL", "redis.setresp(3) return redis.call('ZSCORE', KEYS[1] .. 'z2', 'b')", 1, "bull:m:"),
    ("EVAL", "return cjson.encode({KEYS[1], ARGV[1]})", 1, "bull:a", "bull:b"),
    ("EVAL", "return 1", "x"),
    ("EVAL", "return #KEYS", 3, "bull:a"),
    ("SCRIPT", "LOAD", "return redis.call('ECHO', KEYS[1])"),
    ("EVALSHA", hashlib.sha1(b"return redis.call('ECHO', KEYS[1])").hexdigest(), 1, "bull:a"),
    ("MULTI",),
    ("EVALSHA", SHA, 1, "bull:q:", "bull:q:", "fourth"),
    ("EVAL", "return KEYS[1]", 1, "bull:a"),
    ("EXEC",),
    ("SCRIPT", "FLUSH"),
    ("EVALSHA", SHA, 1, "bull:q:", "bull:q:", "fifth"),
]


@pytest.fixture(params=PINS.values(), ids=PINS.keys())
def proxy(request: pytest.FixtureRequest, cluster: EmbeddedCluster) -> Iterator[ProxyProcess]:
    with ProxyProcess(cluster.addresses, settings={"pin": request.param}) as running:
        yield running
        assert not running.tracebacks()


@pytest.mark.parametrize("resp", [2, 3])
def test_a_script_is_answered_as_by_a_standalone_server(
    standalone: StandaloneServer, proxy: ProxyProcess, resp: int
) -> None:
    answers: list[list[bytes]] = []
    for address in (standalone.address, proxy.address):
        with RawConnection(address) as client:
            client.say(encode_command("SCRIPT", "FLUSH"))
            client.say(encode_command("HELLO", resp))
            answers.append([client.say(encode_command(*words)) for words in REQUESTS])

    for words, wanted, got in zip(REQUESTS, *answers, strict=True):
        assert got == wanted, words


@pytest.mark.parametrize("proxy", ["=all"], indirect=True)
def test_a_script_that_declares_no_key_reaches_all_when_everything_is_pinned(
    proxy: ProxyProcess,
) -> None:
    with RawConnection(proxy.address) as client:
        client.say(encode_command("MSET", "a", 1, "b", 2))

        found = client.say(
            encode_command("EVAL", "return {redis.call('GET', 'a'), redis.call('GET', 'b')}", 0)
        )

    assert found == b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n"


def test_a_script_over_other_keys_is_left_alone(
    cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> None:
    address: Address = make_proxy(cluster.addresses, settings={"pin": "bull:=bull"}).address
    script = "return redis.call('INCR', KEYS[1])"
    sha = hashlib.sha1(script.encode()).hexdigest()
    with RawConnection(address) as client:
        assert client.say(encode_command("EVAL", script, 1, "other")) == b":1\r\n"
        assert client.say(encode_command("EVALSHA", sha, 1, "another")) == b":1\r\n"
        assert client.say(encode_command("EVALSHA", sha, 1, "bull:one")) == b":1\r\n"

    known = [node.call("SCRIPT", "EXISTS", sha)[0] for node in cluster.nodes]
    assert 1 in known


@pytest.mark.parametrize("with_options", [False, True])
def test_a_script_finds_the_keys_of_every_command_where_the_hot_road_does(
    standalone: StandaloneServer, with_options: bool
) -> None:
    pins = PinTable([Pin(b"{a}", b"tag")])
    with RawConnection(standalone.address) as server:
        described = parse_whole(server.say(encode_command("COMMAND", "DOCS")))
        replied = Reader()
        replied.feed(server.say(encode_command("COMMAND")))
        table = CommandTable(compile_table(replied.gets(), ()))
        wrapper = ScriptWrapper(pins, lambda: table, lambda: False)
        # What the wrapper takes for redis.call says what it was asked for.
        prelude = wrapper.wrap(b"").body
        script = b"local redis={call=function(...) return {...} end} %b" % prelude
        differences, looked_at = [], 0
        for command in described_commands(described):
            args = command.call(with_options=with_options)
            row, places = table.key_places(*args)
            if row is None or not is_for_scripts(row):
                continue
            if b"pubsub" in row.spec.flags:
                places = []
            wanted = [pins.store(arg) if place in places else arg for place, arg in enumerate(args)]

            got = server.say(
                encode_command("EVAL", script + b"return redis.call(unpack(ARGV))", 0, *args)
            )

            looked_at += bool(places)
            if [item.text for item in parse_whole(got).items or ()] != wanted:
                differences.append((args, got))

    assert not differences
    assert looked_at > 100


def is_for_scripts(row: Command) -> bool:
    """Return whether scripts may call it, and its reply as played here names nothing."""
    return b"noscript" not in row.spec.flags and row.name not in {*NAMING, b"keys", b"scan"}

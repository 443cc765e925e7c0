"""Ordinary clients that know nothing of clusters: redis-py, redis-cli, redis-benchmark."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from proxy.embedded import ProxyProcess
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

TOOL_DEADLINE_S = 60.0


def run(tool: str, proxy: ProxyProcess, *arguments: str, given: bytes = b"") -> str:
    """Run one of Redis's own programs against the proxy and return what it printed.

    The test is skipped on a machine that has not got it.
    """
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"there is no {tool} on PATH; on Debian: apt install redis-tools")
    done = subprocess.run(
        [program, "-p", str(proxy.port), *arguments],
        input=given,
        capture_output=True,
        timeout=TOOL_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done
    return (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py(proxy_process: ProxyProcess, protocol: int) -> None:
    with redis.Redis(
        port=proxy_process.port, protocol=protocol, client_name="someone", decode_responses=True
    ) as client:
        assert client.ping()
        assert client.client_getname() == "someone"
        assert client.set("text", "ä", ex=100)
        assert client.get("text") == "ä"
        assert 0 < client.ttl("text") <= 100
        assert client.hset("hash", mapping={"a": 1, "b": 2}) == 2
        assert client.hgetall("hash") == {"a": "1", "b": "2"}
        assert client.rpush("list", 1, 2, 3) == 3
        assert client.lrange("list", 0, -1) == ["1", "2", "3"]
        assert client.sadd("set", "x", "y") == 2
        assert client.smembers("set") == {"x", "y"}
        assert client.zadd("sorted", {"one": 1, "two": 2}) == 2
        assert client.zrange("sorted", 0, -1, withscores=True)[0][0] == "one"
        assert client.xadd("stream", {"field": "value"})
        assert client.xlen("stream") == 1
        assert client.mget("text", "nothing") == ["ä", None]
        assert client.delete("text", "hash", "nothing") == 2
        assert client.exists("list", "set", "text") == 2
        assert client.dbsize() == 4
        assert sorted(client.scan_iter()) == ["list", "set", "sorted", "stream"]
        assert client.register_script("return {KEYS[1], ARGV[1]}")(["key"], ["1"]) == ["key", "1"]
        server = client.info("server")
        assert server.get("server_mode", server.get("redis_mode")) == "standalone"
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            client.incr("list")
        assert client.flushall()
        assert client.keys() == []


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_pipeline_of_redis_py(proxy_process: ProxyProcess, protocol: int) -> None:
    with redis.Redis(port=proxy_process.port, protocol=protocol) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(5000):
            pipeline.set(f"key:{number}", number)
            pipeline.get(f"key:{number}")

        answers = pipeline.execute()

    assert answers[0::2] == [True] * 5000
    assert answers[1::2] == [b"%d" % number for number in range(5000)]


def test_a_pool_of_redis_py_shared_by_threads(proxy_process: ProxyProcess) -> None:
    with (
        redis.Redis(port=proxy_process.port) as client,
        ThreadPoolExecutor(20) as threads,
    ):
        answers = list(threads.map(lambda _: client.incr("shared"), range(2000)))

    assert sorted(answers) == list(range(1, 2001))


def test_redis_cli_reads_commands(proxy_process: ProxyProcess) -> None:
    said = b"set greeting 'hello world'\nget greeting\nincr n\nmget greeting n\nlpush n 1\n"

    for version in ("-2", "-3"):
        printed = run("redis-cli", proxy_process, version, given=said)
        lines = printed.splitlines()
        assert lines[:2] == ["OK", "hello world"]
        assert lines[3:5] == ["hello world", lines[2]]
        assert lines[5].startswith("WRONGTYPE")


def test_redis_cli_loads_a_file_through_the_pipe(proxy_process: ProxyProcess) -> None:
    commands = b"".join(encode_command("SET", f"k:{n}", "v" * (n % 100)) for n in range(20_000))

    printed = run("redis-cli", proxy_process, "--pipe", given=commands)
    found = run("redis-cli", proxy_process, "--scan", "--pattern", "k:1*")

    assert "errors: 0, replies: 20000" in printed
    assert sorted(found.split()) == sorted(f"k:{n}" for n in range(20_000) if f"{n}"[0] == "1")


def test_redis_benchmark(proxy_process: ProxyProcess) -> None:
    tests = "ping,set,get,incr,lpush,lrange_100,mset"
    arguments = ["-q", "-n", "20000", "-c", "20", "-r", "1000"]

    for depth in ("1", "16"):
        printed = run("redis-benchmark", proxy_process, *arguments, "-t", tests, "-P", depth)
        assert "rror" not in printed
        assert "MSET" in printed

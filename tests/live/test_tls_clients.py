"""Clients that speak TLS to a proxy whose nodes do not."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from admin_client import DEADLINE_S, administered
from papers import Papers, for_redis_py, locked, to_clients

from proxy.embedded import EmbeddedCluster, ProxyProcess, TlsFiles, lease_ports, wait_for

pytestmark = [pytest.mark.live, pytest.mark.takes(40)]

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def files(papers: Papers) -> TlsFiles:
    return papers.issue("proxy")


@pytest.fixture(scope="module")
def proxy(cluster: EmbeddedCluster, papers: Papers, files: TlsFiles) -> Iterator[ProxyProcess]:
    """A proxy whose only port speaks TLS."""
    with ProxyProcess(
        cluster.addresses, settings=to_clients(files), tls=papers.trusting()
    ) as proxy:
        yield proxy
        assert proxy.tracebacks() == ""


@pytest.fixture
def client(proxy: ProxyProcess, files: TlsFiles, cluster: EmbeddedCluster) -> Iterator[redis.Redis]:
    with redis.Redis(port=proxy.port, **for_redis_py(files)) as client:
        yield client


def serial_of(port: int, context: ssl.SSLContext, name: str = "localhost") -> str:
    """Return the serial number of the certificate that a port shows."""
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        return str(secured.getpeercert()["serialNumber"])


def log_of(proxy: ProxyProcess, words: str) -> str:
    wait_for(lambda: words in proxy.log.read_text(), DEADLINE_S, f"{words!r} in the log")
    return proxy.log.read_text()


def reason_for(port: int, context: ssl.SSLContext) -> str:
    """Return why a client is not let in."""
    with (
        pytest.raises(ssl.SSLError) as problem,
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        secured.recv(1)  # in TLS 1.3 a refused certificate is told only now
    return str(problem.value.reason)


def test_pipelines_keep_their_order(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as pipe:
        for number in range(5000):
            pipe.set(f"k{number}", number)
            pipe.get(f"k{number}")
        replies = pipe.execute()

    assert replies[1::2] == [b"%d" % number for number in range(5000)]


def test_values_of_all_sizes_go_through_unchanged(client: redis.Redis) -> None:
    for size in (0, 1, 16_383, 16_384, 16_385, MIB, 20 * MIB):
        value = bytes(range(256)) * (size // 256 + 1)
        client.set("k", value[:size])

        assert client.get("k") == value[:size]


def test_transactions_blocking_and_subscriptions(client: redis.Redis) -> None:
    with client.pipeline() as pipe:
        pipe.watch("{t}a")
        pipe.multi()
        pipe.set("{t}a", 1)
        pipe.incr("{t}a")
        ended = pipe.execute()
    with client.pubsub() as listener:
        listener.subscribe("news")
        assert listener.get_message(timeout=DEADLINE_S)["type"] == "subscribe"
        client.publish("news", "hello")
        heard = listener.get_message(timeout=DEADLINE_S)
    client.rpush("queue", "x")

    assert ended == [True, 2]
    assert heard["data"] == b"hello"
    assert client.blpop("queue", 1) == (b"queue", b"x")
    assert client.blpop("queue", 0.05) is None


def test_redis_cli_is_served(proxy: ProxyProcess, files: TlsFiles) -> None:
    if shutil.which("redis-cli") is None:
        pytest.skip("there is no redis-cli on PATH; on Debian: apt install redis-tools")
    words = ["redis-cli", "-h", "127.0.0.1", "-p", str(proxy.port), "--tls", "--cacert", files.ca]

    done = subprocess.run([*words, "ping"], capture_output=True, text=True, check=True)

    assert done.stdout == "PONG\n"


def test_who_speaks_without_tls_is_told(proxy: ProxyProcess) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), DEADLINE_S) as plain:
        plain.sendall(b"PING\r\n")
        told = plain.recv(1000)

    assert told == b"-ERR Protocol error: this port speaks TLS only (the setting tls.mode)\r\n"
    assert "it spoke without TLS" in log_of(proxy, "it spoke without TLS")


def test_who_does_not_trust_the_certificate_goes_and_is_counted(
    proxy: ProxyProcess, tmp_path: Path
) -> None:
    stranger = Papers(tmp_path)

    assert reason_for(proxy.port, stranger.trusting()) == "CERTIFICATE_VERIFY_FAILED"
    log_of(proxy, "it does not accept the certificate that it was shown (tls.cert_file)")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_are_refused(proxy: ProxyProcess, papers: Papers) -> None:
    context = papers.trusting()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")

    assert "PROTOCOL_VERSION" in reason_for(proxy.port, context)
    log_of(proxy, "no common version of TLS (tls.min_version)")


def test_clients_have_to_show_a_certificate(
    cluster: EmbeddedCluster,
    make_proxy: Callable[..., ProxyProcess],
    papers: Papers,
    files: TlsFiles,
    tmp_path: Path,
) -> None:
    stranger = Papers(tmp_path).issue("stranger")
    proxy = make_proxy(
        cluster.addresses,
        settings=to_clients(files, client_certificates="required", ca_file=str(papers.ca_file)),
        tls=papers.trusting(files),
    )

    without = reason_for(proxy.port, papers.trusting())
    of_another = reason_for(proxy.port, papers.trusting(stranger))

    assert without == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert of_another == "TLSV1_ALERT_UNKNOWN_CA"
    with redis.Redis(port=proxy.port, **for_redis_py(files, shows=True)) as client:
        assert client.ping()
    log_of(proxy, "it showed no certificate (tls.client_certificates)")
    log_of(proxy, "its certificate is not accepted (tls.ca_file)")


def test_both_ports_are_open_and_each_name_has_its_certificate(
    cluster: EmbeddedCluster,
    make_proxy: Callable[..., ProxyProcess],
    papers: Papers,
    files: TlsFiles,
) -> None:
    other = papers.issue("other", "other.test", "*.wild.test")
    together = papers.directory / "together.pem"
    together.write_bytes(other.cert.read_bytes() + other.key.read_bytes())
    with lease_ports(1) as lease:
        port = lease.ports[0]
        settings = to_clients(files, more_certificates=str(together))
        settings |= {"tls.mode": "beside", "tls.port": str(port)}
        proxy = make_proxy(cluster.addresses, settings=settings)
        context = papers.trusting()
        first = serial_of(port, context)
        second = serial_of(port, context, "other.test")
        third = serial_of(port, context, "a.wild.test")
        with (
            redis.Redis(port=proxy.port) as plain,
            redis.Redis(port=port, **for_redis_py(files)) as s,
        ):
            plain.set("k", "v")

            assert s.get("k") == b"v"

    assert first != second == third


def test_new_certificates_are_for_new_connections_and_a_broken_pair_for_none(
    cluster: EmbeddedCluster,
    make_proxy: Callable[..., ProxyProcess],
    papers: Papers,
) -> None:
    files = papers.issue("rotated")
    settings = to_clients(files) | {"reload.watch_s": "0"}
    proxy = make_proxy(cluster.addresses, settings=settings, tls=papers.trusting())
    before = serial_of(proxy.port, papers.trusting())
    with redis.Redis(port=proxy.port, **for_redis_py(files)) as client:
        client.ping()
        new = papers.issue("new")
        files.cert.write_bytes(new.cert.read_bytes())
        proxy_said = proxy.log_size()
        _hang_up(proxy)
        wait_for(
            lambda: b"settings not reloaded" in proxy.log.read_bytes()[proxy_said:],
            DEADLINE_S,
            "a refusal",
        )
        unchanged = serial_of(proxy.port, papers.trusting())
        files.key.write_bytes(new.key.read_bytes())
        _hang_up(proxy)
        wait_for(
            lambda: serial_of(proxy.port, papers.trusting()) != before,
            DEADLINE_S,
            "the new certificate",
        )

        assert client.ping(), "the old connection lives on"
    assert unchanged == before
    log = proxy.log.read_text()
    assert "tls.key_file" in log
    assert "the key of the certificate" in log


def test_a_file_that_changes_is_used_without_a_signal(
    cluster: EmbeddedCluster,
    make_proxy: Callable[..., ProxyProcess],
    papers: Papers,
    tmp_path: Path,
) -> None:
    """As Kubernetes changes a mounted secret: one link, and both files are others."""
    for name in ("one", "two"):
        made = papers.issue(name)
        (tmp_path / name).mkdir()
        shutil.copy(made.cert, tmp_path / name / "tls.crt")
        shutil.copy(made.key, tmp_path / name / "tls.key")
    mount = tmp_path / "..data"
    mount.symlink_to("one")
    files = TlsFiles(mount / "tls.crt", mount / "tls.key", papers.ca_file)
    settings = to_clients(files) | {"reload.watch_s": "0.05"}
    proxy = make_proxy(cluster.addresses, settings=settings, tls=papers.trusting())
    before = serial_of(proxy.port, papers.trusting())

    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(mount)

    wait_for(lambda: serial_of(proxy.port, papers.trusting()) != before, DEADLINE_S, "the new one")


def test_a_handshake_comes_behind_a_proxy_protocol_header(
    cluster: EmbeddedCluster,
    make_proxy: Callable[..., ProxyProcess],
    papers: Papers,
    files: TlsFiles,
) -> None:
    with lease_ports(1) as lease:
        port = lease.ports[0]
        settings = to_clients(files) | {"tls.mode": "beside", "tls.port": str(port)}
        settings |= {"listen.proxy_protocol": "required", "listen.proxy_protocol_from": "127.0.0.1"}
        make_proxy(cluster.addresses, settings=settings)
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain:
            plain.sendall(b"PROXY TCP4 127.0.0.7 127.0.0.8 4711 6379\r\n")
            with papers.trusting().wrap_socket(plain, server_hostname="localhost") as secured:
                secured.sendall(b"CLIENT INFO\r\n")
                told = secured.recv(4096)

    assert b"addr=127.0.0.7:4711" in told


def test_a_key_with_a_password(
    cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess], papers: Papers
) -> None:
    files = locked(papers.issue("locked"), "open sesame")
    word = papers.directory / "word"
    word.write_text("open sesame\n")
    settings = to_clients(files, key_password_file=str(word))

    proxy = make_proxy(cluster.addresses, settings=settings, tls=papers.trusting())

    assert serial_of(proxy.port, papers.trusting())
    assert "sesame" not in proxy.log.read_text()


def test_the_admin_port_speaks_https_and_tells_of_tls(
    cluster: EmbeddedCluster, papers: Papers
) -> None:
    files = papers.issue("soon", not_after=datetime.now(UTC) + timedelta(days=20))
    settings = {"admin.tls_cert_file": str(files.cert), "admin.tls_key_file": str(files.key)}
    settings |= {"tls.mode": "beside", "tls.port": "0"}
    settings |= {"tls.cert_file": str(files.cert), "tls.key_file": str(files.key)}
    with administered(cluster.addresses, settings) as admin:
        admin.tls = papers.trusting()
        metrics = admin.ask("/metrics").body.decode()
        expiry = 'slotway_tls_certificate_expiry_timestamp_seconds{file="%s",setting="%s"}'
        health = subprocess.run(
            [
                *(sys.executable, "-m", "proxy", "health"),
                *("--set", f"admin.port={admin.port}"),
                *("--set", f"admin.tls_cert_file={files.cert}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

        assert admin.is_ready()
        assert expiry % (files.cert, "tls.cert_file") in metrics
        assert 'slotway_tls_handshake_failures_total{cause="foreign",side="clients"} 0.0' in metrics
        assert (health.returncode, health.stdout) == (0, "ready\n"), health
        log_of(admin.proxy, "certificate expires soon")


def _hang_up(proxy: ProxyProcess) -> None:
    os.kill(proxy.pid, signal.SIGHUP)

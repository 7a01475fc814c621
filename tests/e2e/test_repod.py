# SPDX-License-Identifier: Apache-2.0
"""What clients see of repod: files, ranges, conditions, refusals, limits, and a stop that cuts nothing."""
import base64
import contextlib
import hashlib
import os
import random
import re
import signal
import socket
import subprocess
import threading

import pytest

from repod_helpers import TIMEOUT, Answer, Repod, is_at_end, program, request, wait_until
from repod_tls import Authority, TlsRepod

BIG = 64 * 1024 * 1024
HEX = "0123456789abcdef" * 8
BLOB = f"/blobs/sha512/01/{HEX}"
TEXT = b"[debian-12]\nname=Debian\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A repository in miniature: current -> gen/1, links to its files, a blob, and things nobody may get."""
    base = tmp_path_factory.mktemp("repod")
    (base / "secret").write_text("secret")
    root = base / "root"
    (root / "gen/1").mkdir(parents=True)
    (root / "gen/1/index.asc").write_bytes(TEXT)
    (root / "current").symlink_to("gen/1")
    (root / "index.asc").symlink_to("current/index.asc")
    (root / "blobs/sha512/01").mkdir(parents=True)
    (root / f"blobs/sha512/01/{HEX}").write_bytes(b"0123456789")
    (root / "empty").write_bytes(b"")
    (root / "out").symlink_to("../secret")
    (root / "out-dir").symlink_to("..")
    (root / "absolute").symlink_to("/etc/passwd")
    (root / "loop").symlink_to("loop")
    (root / "nowhere").symlink_to("missing")
    (root / ".hidden").write_text("hidden")
    (root / ".dir").mkdir()
    (root / ".dir/file").write_text("hidden")
    os.mkfifo(root / "pipe")
    with open(root / "big", "wb") as file:
        rng = random.Random(1)
        for _ in range(BIG // 2**20):
            file.write(rng.randbytes(2**20))
    return root


@pytest.fixture(scope="module", params=["plain", "tls"])
def server(request, folder, tmp_path_factory):
    """Everything below means the same over TLS."""
    work = tmp_path_factory.mktemp("server")
    options = ("--access-log", work / "log")
    if request.param == "tls":
        authority = Authority(work / "ca")
        authority.issue("server")
        running = TlsRepod(folder, work, authority, *options)
    else:
        running = Repod(folder, work, *options)
    with running:
        running.log = work / "log"
        yield running
        assert running.stop() == 0
        assert len(running.stderr().splitlines()) == 1, running.stderr()


def big_digest(folder):
    return hashlib.sha512((folder / "big").read_bytes()).hexdigest()


def test_get_sends_the_file_and_its_fields(server):
    answer = server.ask(request("/index.asc"))
    assert (answer.status, answer.body) == (200, TEXT)
    assert answer.fields["content-type"] == "text/plain; charset=utf-8"
    assert answer.fields["cache-control"] == "no-cache"
    assert answer.fields["accept-ranges"] == "bytes"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.fields["date"])
    assert "connection" not in answer.fields


def test_head_announces_what_get_sends(server):
    head = server.ask(request(BLOB, "HEAD"))
    get = server.ask(request(BLOB))
    head.fields.pop("date"), get.fields.pop("date")
    assert (head.status, head.fields, head.body) == (get.status, get.fields, b"")
    assert get.fields["etag"] == f'"sha512-{HEX}"'
    assert get.fields["cache-control"] == "public, max-age=31536000, immutable"
    digest = base64.b64encode(bytes.fromhex(HEX)).decode()
    assert get.fields["repr-digest"] == f"sha-512=:{digest}:"


@pytest.mark.parametrize("value, status, body, content_range", [
    ("bytes=2-5", 206, b"2345", "bytes 2-5/10"),
    ("bytes=-3", 206, b"789", "bytes 7-9/10"),
    ("bytes=8-", 206, b"89", "bytes 8-9/10"),
    ("bytes=0-0,2-2", 200, b"0123456789", None),
    ("bytes=10-", 416, b"416 Range Not Satisfiable\n", "bytes */10"),
])
def test_ranges(server, value, status, body, content_range):
    answer = server.ask(request(BLOB, "GET", f"Range: {value}"))
    assert (answer.status, answer.body, answer.fields.get("content-range")) == (status, body, content_range)


def test_conditions_save_the_body(server):
    tag = server.ask(request("/index.asc")).fields["etag"]
    assert server.ask(request("/index.asc", "GET", f"If-None-Match: {tag}")).status == 304
    assert server.ask(request("/index.asc", "GET", 'If-None-Match: "x"')).status == 200
    assert server.ask(request(BLOB, "GET", "Range: bytes=1-1", f'If-Range: "sha512-{HEX}"')).status == 206
    assert server.ask(request(BLOB, "GET", "Range: bytes=1-1", 'If-Range: "x"')).status == 200


def test_an_empty_file_is_an_empty_answer(server):
    with server.connect() as client, client.makefile("rb") as stream:
        client.sendall(request("/empty") + request("/index.asc"))
        assert Answer(stream).length == 0
        assert Answer(stream).body == TEXT


@pytest.mark.parametrize("path", [
    "/missing", "/gen", "/gen/1", "/gen/1/", "/index.asc/", "/index.asc/x", "//index.asc", "/gen//1/index.asc",
    "/.hidden", "/%2ehidden", "/.dir/file", "/gen/../index.asc", "/../secret", "/%2e%2e/secret", "/..%5csecret",
    "/out", "/out-dir/secret", "/absolute", "/loop", "/nowhere", "/pipe", "/" + "a" * 300,
])
def test_what_is_not_served_is_not_found(server, path):
    answer = server.ask(request(path))
    assert (answer.status, answer.body) == (404, b"404 Not Found\n")


GOOD = "GET /index.asc HTTP/1.1\r\nHost: h\r\n"


@pytest.mark.parametrize("text, status", [
    (GOOD + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    (GOOD + "Content-Length : 5\r\n\r\nhello", 400),
    (GOOD + "Content-Length: +5\r\n\r\nhello", 400),
    (GOOD + "Content-Length: 5\r\n\r\nhello", 413),
    (GOOD + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    (GOOD + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 413),
    (GOOD + "Transfer-Encoding: gzip\r\n\r\n", 501),
    (GOOD + "X: a\r\n b\r\n\r\n", 400),
    (GOOD + "X: a\0b\r\n\r\n", 400),
    (GOOD + "Host: h\r\n\r\n", 400),
    ("GET /index.asc HTTP/1.1\r\n\r\n", 400),
    ("GET /index.asc HTTP/1.1\nHost: h\n\n", 400),
    ("GET http://other/index.asc HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /gen%2f1 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /index.asc\r\n\r\n", 400),
    ("GET /index.asc HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    ("PUT /index.asc HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + "x" * 100000, 405),
    ("DELETE /index.asc HTTP/1.1\r\nHost: h\r\n\r\n", 405),
    ("GET /" + "a" * 5000 + " HTTP/1.1\r\nHost: h\r\n\r\n", 414),
    (GOOD + "X: y\r\n" * 64 + "\r\n", 431),
    (GOOD + "X: " + "y" * 20000 + "\r\n\r\n", 431),
    ("\x16\x03\x01", 400),
])
def test_bad_requests_are_refused_and_the_connection_is_closed(server, text, status):
    with server.connect() as client, client.makefile("rb") as stream:
        client.sendall(text.encode("latin-1"))
        answer = Answer(stream)
        assert answer.status == status
        assert answer.fields["connection"] == "close"
        assert answer.fields.get("allow") == ("GET, HEAD" if status == 405 else None)
        assert stream.read() == b""  # an orderly end, not a reset that could eat the answer


def test_a_proxy_may_use_the_absolute_form(server):
    assert server.ask(b"GET http://h:1/index.asc HTTP/1.1\r\nHost: h:1\r\n\r\n").body == TEXT


def test_a_connection_is_kept_until_the_client_asks_to_close(server):
    with server.connect() as client, client.makefile("rb") as stream:
        for _ in range(3):
            client.sendall(request("/index.asc"))
            assert Answer(stream).body == TEXT
        client.sendall(request("/missing"))
        assert Answer(stream).status == 404
        client.sendall(request("/index.asc", "GET", "Connection: close"))
        assert Answer(stream).fields["connection"] == "close"
        assert stream.read() == b""


def test_http_1_0_closes(server):
    with server.connect() as client, client.makefile("rb") as stream:
        client.sendall(b"GET /index.asc HTTP/1.0\r\n\r\n")
        assert Answer(stream).body == TEXT
        assert stream.read() == b""


def test_pipelined_requests_are_answered_in_order(server):
    one = request(BLOB, "GET", "Range: bytes=3-3") + request("/missing") + request(BLOB, "HEAD")
    with server.connect() as client, client.makefile("rb") as stream:
        client.sendall(one * 100)
        for _ in range(100):
            assert Answer(stream).body == b"3"
            assert Answer(stream).status == 404
            assert Answer(stream, method=b"HEAD").length == 10


def test_a_request_may_come_byte_by_byte(server):
    with server.connect() as client, client.makefile("rb") as stream:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request("/index.asc"):
            client.sendall(bytes([byte]))
        assert Answer(stream).body == TEXT


def test_a_large_file_arrives_whole_and_in_parts(server, folder):
    assert hashlib.sha512(server.ask(request("/big")).body).hexdigest() == big_digest(folder)
    parts = hashlib.sha512()
    for first in range(0, BIG, 10_000_000):
        parts.update(server.ask(request("/big", "GET", f"Range: bytes={first}-{first + 9_999_999}")).body)
    assert parts.hexdigest() == big_digest(folder)


def test_slow_readers_do_not_hold_up_others(server):
    slow = [server.connect(receive_buffer=4096) for _ in range(20)]
    for client in slow:
        client.sendall(request("/big"))
        assert client.recv(1) == b"H"
    for _ in range(20):
        assert server.ask(request("/index.asc")).body == TEXT
    for client in slow:
        client.close()


def test_a_file_that_shrinks_ends_the_connection_early(server, folder):
    with open(folder / "shrinks", "wb") as file:
        file.truncate(BIG)
    with server.connect(receive_buffer=4096) as client:
        client.sendall(request("/shrinks"))
        assert client.recv(1) == b"H"
        os.truncate(folder / "shrinks", 1000)
        n = 1
        while data := client.recv(2**20):
            n += len(data)
        assert n < BIG


def test_a_replaced_file_is_never_mixed(server, folder, tmp_path):
    """One answer is of one file: what its head says is what its body is, while a publisher switches."""
    stop = threading.Event()

    def switch():
        number = 0
        while not stop.is_set():
            number += 1
            (folder / "new").write_bytes(b"%d\n" % number * (1 + number % 50))
            os.rename(folder / "new", folder / "switched")

    (folder / "switched").write_bytes(b"0\n")
    publisher = threading.Thread(target=switch)
    publisher.start()
    try:
        tags = {}
        with server.connect() as client, client.makefile("rb") as stream:
            for _ in range(500):
                client.sendall(request("/switched"))
                answer = Answer(stream)
                assert answer.status == 200
                assert len(set(answer.body.split())) == 1
                assert tags.setdefault(answer.fields["etag"], answer.body) == answer.body
    finally:
        stop.set()
        publisher.join()


def test_a_new_version_shows_in_the_very_next_answer(tmp_path):
    """Files stay open between requests, but what a name leads to is looked at again; also while others keep the loops busy."""
    repo, conf = tmp_path / "repo", tmp_path / "conf"
    for number in range(2):
        (repo / f"gen/{number}").mkdir(parents=True)
        (repo / f"gen/{number}/index").write_text(f"version {number}")
    (repo / "current").symlink_to("gen/0")
    (repo / "index").symlink_to("current/index")
    conf.write_text(f"[server]\nclient-requests=0\n[repository all]\ndir={repo}\n")
    stop, failures = threading.Event(), []

    def keep_busy(server):
        with server.connect() as client, client.makefile("rb") as stream:
            while not stop.is_set():
                client.sendall(request("/index") * 4)
                failures.extend(body for body in (Answer(stream).body for _ in range(4)) if body not in (b"version 0", b"version 1"))

    with Repod(None, tmp_path, "--config", conf) as server, contextlib.ExitStack() as stack:
        others = [threading.Thread(target=keep_busy, args=(server,)) for _ in range(4)]
        for thread in others:
            thread.start()
        try:
            clients = [stack.enter_context(server.connect()) for _ in range(6)]
            streams = [stack.enter_context(client.makefile("rb")) for client in clients]
            for number in range(200):
                (repo / "next").symlink_to(f"gen/{number % 2}")
                os.rename(repo / "next", repo / "current")
                for client in clients:
                    client.sendall(request("/index"))
                assert {Answer(stream).body for stream in streams} == {b"version %d" % (number % 2)}
        finally:
            stop.set()
            for thread in others:
                thread.join()
    assert not failures


def test_the_access_log_has_a_line_for_each_request(server):
    server.ask(request("/missing%20one?q=%22"))
    pattern = (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 127\.0\.0\.1:\d+ "
               r"GET /missing%20one\?q=%22 404 0 \d+\n")
    wait_until(lambda: re.search(pattern, server.log.read_text()))
    server.ask(b"GET /a\x01b HTTP/1.1\r\nHost: h\r\n\r\n")
    wait_until(lambda: re.search(r":\d+ - - 400 0 \d+\n", server.log.read_text()))


def test_many_clients_at_once(server, folder):
    failures = []

    def client(number):
        try:
            first = number * 1_000_003
            expected = (folder / "big").read_bytes()[first:first + 500_000]
            with server.connect() as connection, connection.makefile("rb") as stream:
                for _ in range(10):
                    connection.sendall(request("/big", "GET", f"Range: bytes={first}-{first + 499_999}"))
                    assert Answer(stream).body == expected
                    connection.sendall(request("/index.asc"))
                    assert Answer(stream).body == TEXT
        except Exception as error:  # noqa: BLE001 - told to the main thread
            failures.append(error)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def read_rest(client):
    n = 0
    while data := client.recv(2**20):
        n += len(data)
    return n


def test_a_stop_finishes_downloads_and_refuses_new_clients(folder, tmp_path):
    with Repod(folder, tmp_path) as server:
        idle, busy, asking = server.connect(), server.connect(receive_buffer=4096), server.connect()
        idle_stream = idle.makefile("rb")
        idle.sendall(request("/index.asc"))
        assert Answer(idle_stream).body == TEXT
        busy.sendall(request("/big"))
        assert busy.recv(1) == b"H"
        asking.sendall(request("/index.asc")[:-2])
        asking_stream = asking.makefile("rb")

        def is_refused():
            try:
                server.connect().close()
                return False
            except OSError:
                return True

        server.process.send_signal(signal.SIGTERM)
        wait_until(is_refused)  # every worker has seen the signal
        assert is_at_end(idle)
        asking.sendall(b"\r\n")
        answer = Answer(asking_stream)
        assert (answer.body, answer.fields["connection"]) == (TEXT, "close")
        assert server.process.poll() is None  # the download still runs
        assert 1 + read_rest(busy) > BIG
        for client in (idle, busy, asking):
            client.close()
        assert server.wait() == 0


def test_a_second_signal_stops_at_once(folder, tmp_path):
    with Repod(folder, tmp_path) as server, server.connect(receive_buffer=4096) as busy:
        busy.sendall(request("/big"))
        assert busy.recv(1) == b"H"
        # Two different signals: the kernel would merge two equal ones that come together.
        server.process.send_signal(signal.SIGINT)
        assert server.stop(signal.SIGTERM) == 1
        assert "stopped before 1 response" in server.stderr()


def test_a_full_server_answers_503_and_recovers(folder, tmp_path):
    with Repod(folder, tmp_path, "--max-connections", "3") as server:
        clients = [server.connect() for _ in range(3)]
        for client in clients:
            client.sendall(request("/index.asc"))
            assert Answer(client.makefile("rb")).status == 200
        with server.connect() as extra, extra.makefile("rb") as stream:
            answer = Answer(stream)  # without waiting for a request
            assert (answer.status, answer.fields["connection"]) == (503, "close")
            assert stream.read() == b""
        clients.pop().close()

        def is_served():
            with server.connect() as client, client.makefile("rb") as stream:
                try:
                    client.sendall(request("/index.asc"))
                    return Answer(stream).status == 200
                except ConnectionError:
                    return False

        wait_until(is_served)
        for client in clients:
            client.close()
        assert server.stop() == 0


def test_running_out_of_descriptors_does_not_spin(folder, tmp_path):
    """With 40 descriptors some of 60 clients have to wait; the others are served, and the CPU stays idle."""
    shell = f'ulimit -n 40; exec "$0" "$@"'
    command = ["sh", "-c", shell, program(), "--listen", "127.0.0.1:0", "--port-file", tmp_path / "port", folder]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "serving" in process.stderr.readline()
            address = ("127.0.0.1", int((tmp_path / "port").read_text()))
            clients = [socket.create_connection(address, TIMEOUT) for _ in range(60)]

            def ticks():
                fields = open(f"/proc/{process.pid}/stat").read().rsplit(") ", 1)[1].split()
                return int(fields[11]) + int(fields[12])

            before = ticks()
            clients[0].settimeout(1)
            with pytest.raises(TimeoutError):
                clients[0].recv(1)  # a second of silence, in which a spinning server would burn 100 ticks a thread
            assert ticks() - before < 30
            for client in clients[1:]:
                client.close()
            clients[0].settimeout(TIMEOUT)
            stream = clients[0].makefile("rb")

            def is_served():  # 503 until the server has seen that the others are gone
                clients[0].sendall(request("/index.asc"))
                return Answer(stream).status == 200

            wait_until(is_served)
            clients[0].close()
            process.terminate()
            assert process.wait(TIMEOUT) == 0
        finally:
            process.kill()


def test_several_addresses_and_ipv6(folder, tmp_path):
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    with Repod(folder, tmp_path, listen=("127.0.0.1:0", "[::1]:0")) as server:
        assert len(server.ports) == 2
        assert server.stderr() == (f"repod: serving {folder} on http://127.0.0.1:{server.ports[0]} "
                                   f"http://[::1]:{server.ports[1]}\n")
        with socket.create_connection(("::1", server.ports[1]), TIMEOUT) as client:
            client.sendall(request("/index.asc"))
            assert Answer(client.makefile("rb")).body == TEXT
        assert server.stop() == 0
        assert not server.port_file.exists()


def test_a_port_that_another_server_has_is_refused(server, folder, tmp_path):
    with pytest.raises(RuntimeError, match="cannot listen: Address already in use"):
        Repod(folder, tmp_path, listen=(f"127.0.0.1:{server.ports[0]}",))


@pytest.mark.parametrize("arguments, status, message", [
    ([], 2, "folder"),
    (["a", "b"], 2, "folder"),
    (["--bogus", "."], 2, "bogus"),
    (["--threads", "-1", "."], 2, "positive"),
    (["--listen", "localhost:80", "."], 2, "numeric"),
    (["--listen", "127.0.0.1:0", "missing"], 1, "missing: No such file"),
    (["--listen", "127.0.0.1:0", "--access-log", "missing/log", "."], 1, "missing/log"),
    (["--listen", "127.0.0.1:0", "--port-file", "missing/port", "."], 1, "missing/port"),
])
def test_exit_status_tells_what_is_wrong(tmp_path, arguments, status, message):
    result = subprocess.run([program(), *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT)
    assert result.returncode == status
    assert result.stderr.startswith("repod: ") and message in result.stderr


def test_help_and_version(tmp_path):
    for option, text in (("--help", "--port-file"), ("--version", "repod ")):
        result = subprocess.run([program(), option], capture_output=True, text=True, timeout=TIMEOUT)
        assert result.returncode == 0 and text in result.stdout


def test_one_daemon_serves_several_repositories(tmp_path):
    """By path and by host name; the longest path wins, and each is a world of its own."""
    conf = tmp_path / "repod.conf"
    text = "[server]\naccess-log=-\n"
    for name, keys in (("all", ""), ("sub", "path=/images/"), ("host", "host=Example.org\npath=/images/")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        text += f"[repository {name}]\ndir={tmp_path / name}\n{keys}\n"
    conf.write_text(text)
    with Repod(None, tmp_path, "--config", conf) as server:
        def body(path, host="h"):
            return server.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).body

        assert body("/file") == b"all"
        assert body("/images/file") == b"sub"
        assert body("/images/file", "example.ORG:80") == b"host"
        assert body("/file", "example.org") == b"all"
        assert body("/images/../file") == b"404 Not Found\n"
        assert body("/images") == b""  # it leads to /images/

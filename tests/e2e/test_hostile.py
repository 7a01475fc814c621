# SPDX-License-Identifier: Apache-2.0
"""Hostile and broken clients. Each test prints its figure (pytest -s), and asks for a small file all the while: whoever is
honest has to be served."""
import contextlib
import errno
import itertools
import os
import resource
import select
import socket
import subprocess
import threading
import time

import pytest

from repod_helpers import TIMEOUT, Answer, Repod, limit_files, program, request, wait_until
from repod_tls import Authority, TlsRepod

BIG = 2**26
SECRET = b"the secret outside"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("hostile")
    (base / "secret").write_bytes(SECRET)
    root = base / "root"
    (root / "dir/deep").mkdir(parents=True)
    (root / "file").write_bytes(b"content")
    with open(root / "big", "wb") as file:
        file.truncate(BIG)
    (root / ".hidden").write_bytes(SECRET)
    for name, target in (("relative", "../secret"), ("absolute", base / "secret"), ("parent", ".."), ("slash", "/"),
                         ("proc", "/proc/self/root"), ("cwd", "/proc/self/cwd"), ("chain", "relative")):
        (root / name).symlink_to(target)
        (root / "dir" / name).symlink_to(target)
    return root


@contextlib.contextmanager
def serving(folder, work, *keys, **more):
    conf = work / "repod.conf"
    conf.write_text("\n".join(["[server]", "client-requests=0", *keys, "[repository all]", f"dir={folder}", ""]))
    with Repod(None, work, "--config", conf, **more) as server:
        yield server
        assert server.process.poll() is None, server.stderr()


def is_sanitized():
    return b"__asan_init" in program().read_bytes() or b"__tsan_init" in program().read_bytes()


def memory_kib(server):
    return int(next(line for line in open(f"/proc/{server.process.pid}/status") if line.startswith("VmRSS")).split()[1])


def cpu_seconds(server):
    fields = open(f"/proc/{server.process.pid}/stat").read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Honest:
    """A client that asks for a small file again and again, on new connections, and notes the longest wait."""

    def __init__(self, server, address="127.0.0.1"):
        self.server, self.address = server, address
        self.longest, self.count, self.failures = 0.0, 0, []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.stop.is_set() or self.count == 0:
                began = time.monotonic()
                with socket.create_connection(("127.0.0.1", self.server.ports[0]), TIMEOUT, (self.address, 0)) as client:
                    client.sendall(request("/file", "GET", "Connection: close"))
                    assert Answer(client.makefile("rb")).body == b"content"
                self.longest = max(self.longest, time.monotonic() - began)
                self.count += 1
        except Exception as error:  # noqa: BLE001 - told to the main thread
            self.failures.append(error)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.stop.set()
        self.thread.join()
        assert not self.failures, self.failures

    def __str__(self):
        return f"{self.count} honest requests meanwhile, the slowest {self.longest * 1000:.0f} ms"


def trickle(clients, bytes_each, pace=0.05):
    """Send a byte of @bytes_each to every client at this pace until the server has closed all. Returns the seconds of each."""
    began, ended, position = time.monotonic(), {}, 0
    open_clients = {client.fileno(): client for client in clients}
    while open_clients:
        assert time.monotonic() - began < TIMEOUT
        readable, _, _ = select.select(open_clients, [], [], pace)
        for number in readable:
            client = open_clients[number]
            with contextlib.suppress(ConnectionError):
                if client.recv(65536):
                    continue
            ended[number] = time.monotonic() - began
            del open_clients[number]
        if not readable and bytes_each:
            for client in open_clients.values():
                with contextlib.suppress(ConnectionError):
                    client.send(bytes_each[position % len(bytes_each):][:1])
            position += 1
    return list(ended.values())


def test_slow_heads_end_at_the_limit_though_bytes_keep_coming(folder, tmp_path):
    with serving(folder, tmp_path, "head-timeout=1s") as server, Honest(server) as honest:
        clients = [server.connect() for _ in range(200)]
        for client in clients:
            client.sendall(b"GET /file HTTP/1.1\r\nHost: h\r\nX: ")
        times = trickle(clients, b"y")
        assert 0.5 < min(times) and max(times) < (30 if is_sanitized() else 4)
    print(f"\n200 slow heads: all closed after {min(times):.2f} to {max(times):.2f} s (limit 1 s); {honest}")


def test_connections_that_say_nothing_are_closed(folder, tmp_path):
    with serving(folder, tmp_path, "head-timeout=1s") as server, Honest(server) as honest:
        times = trickle([server.connect() for _ in range(200)], b"")
    print(f"\n200 silent connections: all closed after {max(times):.2f} s (limit 1 s); {honest}")


def test_handshakes_left_open_end_at_the_limit(folder, tmp_path):
    authority = Authority(tmp_path / "ca")
    authority.issue("server")
    with TlsRepod(folder, tmp_path, authority, more="tls-timeout=1s") as server:
        before = memory_kib(server)
        clients = [Repod.connect(server) for _ in range(200)]
        for n, client in enumerate(clients):
            client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[: n % 12])
        times = trickle(clients, b"\0")
        grown = memory_kib(server) - before
        assert max(times) < (30 if is_sanitized() else 4)
        with server.connect() as client:
            client.sendall(request("/file"))
            assert Answer(client.makefile("rb")).body == b"content"
        assert server.stop() == 0
    print(f"\n200 handshakes left open: all closed after {max(times):.2f} s (limit 1 s), {grown} KiB more memory")


def test_readers_that_never_read_are_cut_and_cost_no_memory(folder, tmp_path):
    with serving(folder, tmp_path, "write-timeout=1s") as server, Honest(server) as honest:
        before, began = memory_kib(server), time.monotonic()
        clients = [server.connect(receive_buffer=4096) for _ in range(200)]
        for client in clients:
            client.sendall(request("/big"))
        poller = select.poll()
        for client in clients:
            assert client.recv(1) == b"H"
            client.sendall(b"x")  # unread input: the server's end becomes a reset, which poll() sees past what waits
            poller.register(client, 0)
        peak, gone = before, set()
        while len(gone) < len(clients):
            assert time.monotonic() - began < TIMEOUT
            for number, _ in poller.poll(1000):
                gone.add(number)
                poller.unregister(number)
            peak = max(peak, memory_kib(server))
        taken = time.monotonic() - began
        assert taken < 30 and (is_sanitized() or peak - before < 16384)
    print(f"\n200 readers that never read: all cut after {taken:.2f} s (limit 1 s), {peak - before} KiB more memory; {honest}")


def send_until_closed(client, chunk, most):
    """How many bytes the server's kernel took before the connection was cut, at most @most."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < most:
            sent += client.send(chunk)
    return sent


def test_a_hundred_megabytes_of_head_are_not_kept(folder, tmp_path):
    with serving(folder, tmp_path) as server, Honest(server) as honest:
        before = memory_kib(server)
        figures = []
        for chunk in (b"X: " + b"y" * 1000 + b"\r\n", b"y" * 65536, b"A: b\r\n" * 10000):
            with server.connect() as client, client.makefile("rb") as stream:
                client.sendall(b"GET /file HTTP/1.1\r\nHost: h\r\n")
                sent = send_until_closed(client, chunk, 100_000_000)
                with contextlib.suppress(ConnectionError):
                    assert Answer(stream).status in (400, 414, 431)
                figures.append(sent // 1000)
        grown = memory_kib(server) - before
        assert is_sanitized() or grown < 4096
    print(f"\n100 MB of head, three ways: {figures} kB until it was cut, {grown} KiB more memory; {honest}")


def test_a_client_that_sends_forever_while_it_is_sent_a_file(folder, tmp_path):
    with serving(folder, tmp_path) as server, Honest(server) as honest, server.connect() as client:
        before, sent, received, peak = memory_kib(server), 0, 0, 0
        client.sendall(request("/big"))
        client.setblocking(False)
        began = time.monotonic()
        try:
            while True:
                assert time.monotonic() - began < TIMEOUT
                readable, writable, _ = select.select([client], [client], [], TIMEOUT)
                if writable:
                    sent += client.send(b"GET /file HTTP/1.1\r\nHost: h\r\nX: " + b"z" * 60000)
                if readable:
                    data = client.recv(65536)
                    received += len(data)
                    peak = max(peak, memory_kib(server))
                    if not data:
                        break
        except ConnectionError:
            pass
        taken = time.monotonic() - began
        assert received > BIG and (is_sanitized() or peak - before < 4096)
        assert taken < 30
    print(f"\na client that sends forever: {sent / 1e6:.1f} MB of its bytes taken while {received / 1e6:.0f} MB went out, cut "
          f"after {taken:.2f} s, {peak - before} KiB more memory; {honest}")


def test_a_client_that_sends_forever_after_its_refusal_is_cut(folder, tmp_path):
    with serving(folder, tmp_path) as server, server.connect() as client:
        began = time.monotonic()
        sent = send_until_closed(client, b"\0" * 65536, 2**40)
        taken = time.monotonic() - began
        assert taken < 10 and sent < 100e6
    print(f"\na flood after a refusal: cut after {taken:.2f} s and {sent / 1e6:.0f} MB (2 s or 17 MB are given)")


def test_range_storms_are_answered_once_each(folder, tmp_path):
    """Many ranges in one request make servers build many parts; here they make one plain answer."""
    many = "Range: bytes=" + ",".join(f"{n}-" for n in range(2000))
    overlapping = "Range: bytes=" + ",".join(["0-"] * 4000)
    huge = "Range: bytes=18446744073709551615-18446744073709551615"
    with serving(folder, tmp_path) as server, Honest(server) as honest:
        before, cpu, n = memory_kib(server), cpu_seconds(server), 0
        with server.connect() as client, client.makefile("rb") as stream:
            for fields in (many, overlapping, huge, "Range: bytes=-0", "Range: bytes=6-0"):
                for _ in range(200):
                    client.sendall(request("/file", "GET", fields))
                    answer = Answer(stream)
                    assert answer.status in (200, 416) and answer.length < 30
                    n += 1
            for first in range(2000):  # tiny parts of a large file, pipelined
                client.sendall(request("/big", "GET", f"Range: bytes={first * 4096}-{first * 4096}"))
            for _ in range(2000):
                assert len(Answer(stream).body) == 1
                n += 1
        spent = (cpu_seconds(server) - cpu) / n * 1e6
        grown = memory_kib(server) - before
        assert is_sanitized() or grown < 4096
    print(f"\na storm of {n} range requests, of up to 4000 ranges each: {spent:.0f} µs of CPU each, {grown} KiB more memory; "
          f"{honest}")


def test_no_path_leads_outside(folder, tmp_path):
    ups = ["..", "%2e%2e", "%2E.", ".%2e", "..%00", "..%2f", "..%5c", "..;", "...", "%c0%ae%c0%ae", "%252e%252e", "..\\"]
    names = ["secret", ".hidden", "%2ehidden", "relative", "absolute", "chain", "proc/etc/passwd", "cwd/secret", "parent/secret",
             "slash/etc/passwd", "dir/relative", "dir/absolute", "dir/parent/secret", "dir/proc/etc/passwd", "file/../.hidden",
             "%00", "file%00", "dir%2f..%2fsecret", "//etc/passwd", "/etc/passwd"]
    paths = {f"/{name}" for name in names}
    for up, depth, name in itertools.product(ups, (1, 2, 8), names):
        paths |= {"/" + f"{up}/" * depth + name, "/dir/deep/" + f"{up}/" * depth + name}
    with serving(folder, tmp_path) as server:
        statuses = {}
        for path in sorted(paths):
            answer = server.ask(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode("latin-1"))
            assert SECRET not in answer.body and b"root:" not in answer.body, path
            assert answer.status in (400, 403, 404), (path, answer.status)
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
        assert server.ask(request("/file")).body == b"content"
    print(f"\n{len(paths)} paths that lead outside: {statuses}")


def test_running_out_of_descriptors_ends_when_they_come_back(folder, tmp_path):
    """100 clients, 64 descriptors: some connect, some of their files cannot be opened, nothing spins; then all is well again."""
    with serving(folder, tmp_path, max_files=64) as server:
        clients = [server.connect(receive_buffer=4096) for _ in range(100)]
        for client in clients:
            client.sendall(request("/big"))
        answers = {}
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and sum(answers.values()) < 100:
            readable, _, _ = select.select(clients, [], [], 0.5)
            if not readable:
                break
            for client in readable:
                with contextlib.suppress(ConnectionError, IndexError):
                    status = client.recv(16).split()[1]
                    answers[status] = answers.get(status, 0) + 1
                clients.remove(client)
                client.close()
        cpu = cpu_seconds(server)
        silent, _, _ = select.select(clients, [], [], 0.5)
        spent = cpu_seconds(server) - cpu
        for client in clients:
            client.close()
        wait_until(lambda: server.ask(request("/file")).body == b"content")
        assert b"200" in answers and spent < 0.4
    print(f"\n100 downloads with 64 descriptors: {answers}, {spent:.2f} s of CPU in the next half second, then served again")


def test_ten_thousand_idle_connections_stay_small(folder, tmp_path):
    """Each has had one answer. From 50 addresses, since one client may not have so many."""
    before_limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before_limits[1] < 15000:
        pytest.skip("this user may not open 15,000 files")
    limit_files(before_limits[1])
    try:
        with serving(folder, tmp_path, "max-connections=10100") as server:
            before = memory_kib(server)
            clients = []
            for n in range(10000):
                clients.append(socket.create_connection(("127.0.0.1", server.ports[0]), TIMEOUT, (f"127.0.1.{n // 200}", 0)))
                clients[-1].sendall(request("/file"))
                if n % 100 == 99:
                    for client in clients[-100:]:
                        assert client.recv(1000).endswith(b"content")
            idle = memory_kib(server)
            cpu = cpu_seconds(server)
            with Honest(server) as honest:
                wait_until(lambda: honest.count >= 1000)
            print(f"\n10,000 idle connections: {idle / 1024:.1f} MiB in all, {(idle - before) / 10000 * 1024:.0f} bytes each; "
                  f"{honest}, {(cpu_seconds(server) - cpu) / honest.count * 1e6:.0f} µs of CPU each")
            assert is_sanitized() or idle < 100 * 1000
            for client in clients:
                client.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before_limits)


def test_one_client_cannot_take_all_the_connections(folder, tmp_path):
    with serving(folder, tmp_path, "max-client-connections=20") as server, Honest(server, "127.0.0.2") as honest:
        clients = [server.connect() for _ in range(300)]
        statuses = {}
        for client in clients:
            try:
                client.sendall(request("/file"))
                status = Answer(client.makefile("rb")).status
            except (AssertionError, ConnectionError):
                status = "cut"
            statuses[status] = statuses.get(status, 0) + 1
        assert set(statuses) <= {200, 429, "cut"} and statuses[200] == 20 and 429 in statuses
        for client in clients:
            client.close()
        wait_until(lambda: server.ask(request("/file")).status == 200)
    print(f"\n300 connections of one client that may have 20: {statuses}; {honest}")


def test_requests_beyond_the_rate_are_told_when_to_come_back(folder, tmp_path):
    with serving(folder, tmp_path, "client-requests=50", "client-burst=20") as server:
        with server.connect() as client, client.makefile("rb") as stream:
            began, statuses = time.monotonic(), []
            for _ in range(100):
                client.sendall(request("/file"))
                answer = Answer(stream)
                statuses.append(answer.status)
                assert answer.status == 200 or (answer.fields["retry-after"] == "1" and "connection" not in answer.fields)
            taken = time.monotonic() - began
            served = statuses.count(200)
            assert statuses[:20] == [200] * 20 and served <= 20 + 50 * taken + 1 and statuses.count(429) > 0
            with socket.create_connection(("127.0.0.1", server.ports[0]), TIMEOUT, ("127.0.0.2", 0)) as other:
                other.sendall(request("/file"))
                assert Answer(other.makefile("rb")).status == 200

            def is_served():
                client.sendall(request("/file"))
                return Answer(stream).status == 200

            wait_until(is_served)
    print(f"\n100 requests in {taken:.2f} s with a burst of 20 and 50 a second: {served} served, {statuses.count(429)} times 429")


def test_the_connections_of_a_client_share_its_bandwidth(folder, tmp_path):
    def fetch(server, size, address):
        with socket.create_connection(("127.0.0.1", server.ports[0]), TIMEOUT, (address, 0)) as client:
            client.sendall(request("/big", "GET", f"Range: bytes=0-{size - 1}", "Connection: close"))
            assert len(Answer(client.makefile("rb")).body) == size

    with serving(folder, tmp_path, "client-bytes=4M") as server:
        began = time.monotonic()
        threads = [threading.Thread(target=fetch, args=(server, 3 * 2**20, "127.0.0.1")) for _ in range(4)]
        for thread in threads:
            thread.start()
        with Honest(server, "127.0.0.2") as honest:
            for thread in threads:
                thread.join()
        taken = time.monotonic() - began
        assert 1.5 < taken < 30  # 12 MiB, of which a second's worth may come at once
    print(f"\n12 MiB over four connections at 4 MiB/s: {taken:.2f} s; {honest}")


SLOW_DISK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/uio.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* Files whose name ends in "slow" are on a disk that answers only once the FIFO of $SLOW_DISK gave it a byte. */
static _Atomic int is_warm;

static int is_slow(int fd)
{
    char link[64], name[4096];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, name, sizeof name - 1);
    return n > 4 && memcmp(name + n - 4, "slow", 4) == 0 && !atomic_load(&is_warm);
}

static void wait_for_disk(void)
{
    int fifo = open(getenv("SLOW_DISK"), O_RDONLY);
    char byte;

    if (fifo >= 0 && read(fifo, &byte, 1) >= 0)
        atomic_store(&is_warm, 1);
}

ssize_t preadv2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
    ssize_t (*real)(int, const struct iovec *, int, off_t, int) = dlsym(RTLD_NEXT, "preadv2");

    if ((flags & RWF_NOWAIT) && is_slow(fd)) {
        errno = EAGAIN;
        return -1;
    }
    return real(fd, v, n, at, flags);
}
ssize_t preadv64v2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
    return preadv2(fd, v, n, at, flags);
}
ssize_t pread(int fd, void *data, size_t size, off_t at)
{
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");

    if (is_slow(fd))
        wait_for_disk();
    return real(fd, data, size, at);
}
ssize_t pread64(int fd, void *data, size_t size, off_t at)
{
    return pread(fd, data, size, at);
}
ssize_t sendfile(int out, int in, off_t *at, size_t size)
{
    ssize_t (*real)(int, int, off_t *, size_t) = dlsym(RTLD_NEXT, "sendfile");

    if (is_slow(in))
        wait_for_disk();
    return real(out, in, at, size);
}
ssize_t sendfile64(int out, int in, off_t *at, size_t size)
{
    return sendfile(out, in, at, size);
}
"""


@pytest.mark.skipif(is_sanitized() if program().exists() else False, reason="a sanitizer has to be the first library")
def test_a_slow_disk_holds_up_nobody_else(folder, tmp_path):
    """A library in front of the C library makes reads of one file wait. There is one worker thread: if it waited with them, nobody
    would be served."""
    (tmp_path / "slow.c").write_text(SLOW_DISK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "slow.so", "slow.c"], cwd=tmp_path, check=True, timeout=TIMEOUT)
    os.mkfifo(tmp_path / "fifo")
    (folder / "slow").write_bytes(b"slow content")
    environment = {"LD_PRELOAD": str(tmp_path / "slow.so"), "SLOW_DISK": str(tmp_path / "fifo")}
    with serving(folder, tmp_path, threads=1, environment=environment) as server, server.connect() as waiting:
        waiting.sendall(request("/slow"))
        # The reader of the FIFO is there once a thread waits for the disk.
        def open_fifo():
            try:
                return os.open(tmp_path / "fifo", os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                assert error.errno == errno.ENXIO
                return None

        ends = []
        wait_until(lambda: ends.append(open_fifo()) or ends[-1] is not None)
        with Honest(server) as honest:
            wait_until(lambda: honest.count >= 200 or honest.failures)
        stream = waiting.makefile("rb")
        os.write(ends[-1], b"x")
        os.close(ends[-1])
        assert Answer(stream).body == b"slow content"
    print(f"\none worker thread, one read that waits for the disk: {honest}; then it was answered")

# SPDX-License-Identifier: Apache-2.0
"""Pushes that die: kill -9 of either side at random points and at chosen system calls, and disks that fill up."""

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BIN
from push_helpers import Server, bearer, blob_path, check, curl, fingerprint_of, is_long, published, rss_peak_kib
from repo_helpers import Repository, add, can_strace, make_image
from repod_helpers import Answer, wait_until

ROUNDS = 200 if is_long() else 12
SWITCHING = "mkdir,symlink,rename,fsync,unlink"  # what changes a repository, in the order of the manual page


@pytest.fixture
def publisher(depot, home):
    published(depot, home, home / "repo", images=1)
    return home / "repo"


def start_push(home, folder, server, token_file):
    return subprocess.Popen([BIN / "virt-depot", "push", "--token-file", token_file, folder, server.url],
                            env={**os.environ, "VIRT_DEPOT_HOME": str(home), "VIRT_DEPOT_RETRY_MS": "1"},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


def kill_at_call(server, nth):
    """Have the server killed at its @nth system call that changes something."""
    pid = server.running.process.pid
    tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={SWITCHING}", "-e",
                               f"inject={SWITCHING}:signal=KILL:when={nth}"], stderr=subprocess.DEVNULL)
    tasks = Path(f"/proc/{pid}/task")
    wait_until(lambda: all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks.iterdir()))
    return tracer


def is_one_of(folder, texts):
    current = folder / "index"
    return (current.read_bytes() if current.exists() else None) in texts


def die_once(rng, home, publisher, server, token_file, span):
    """One push in which one side is killed. Returns how it went, for the figures."""
    victim = rng.choice(["client", "server", "call"] if can_strace() else ["client", "server"])
    with server:
        tracer = kill_at_call(server, rng.randint(1, 16)) if victim == "call" else None
        client = start_push(home, publisher, server, token_file)
        try:
            if victim != "call":
                client.wait(rng.uniform(0, span))
        except subprocess.TimeoutExpired:
            (client if victim == "client" else server.running.process).kill()
        client.communicate(timeout=120)
        server.running.process.kill()
        server.running.wait()
        if tracer is not None:
            tracer.wait(60)
    return victim if client.returncode != 0 else "none"


def test_a_push_that_is_killed_leaves_the_old_version_or_the_new(depot, home, publisher, tmp_path):
    """Each round: a new version, one side killed on the way, the repository whole, and the next push completes it."""
    rng = random.Random(4)
    server = Server(tmp_path / "target", fingerprint_of(publisher))
    token_file = server.token_file("push:a")
    image, before, span, died = home / "round.raw", None, 1.0, []
    for number in range(ROUNDS):
        add(depot, publisher, make_image(image, random_bytes=300 << 10, seed=1000 + number), "round")
        after = (publisher / "index").read_bytes()
        died.append(die_once(rng, home, publisher, server, token_file, span))
        assert is_one_of(server.folder, (before, after)), number
        if (server.folder / "current").exists():
            assert depot("repo", "check", server.folder, check=False).returncode == 0, number
        with server:
            start = time.monotonic()
            client = start_push(home, publisher, server, token_file)
            assert client.wait(120) == 0, (number, client.stderr.read())
            span = max(0.05, time.monotonic() - start)
        assert (server.folder / "index").read_bytes() == after
        before = after
    check(depot, server.folder)
    Repository(server.folder, home).check()
    assert not list((server.folder / ".virt-depot/uploads").iterdir())
    assert not [path for path in server.folder.iterdir() if path.name.startswith(".tmp-")]
    print({victim: died.count(victim) for victim in sorted(set(died))})
    assert len(died) - died.count("none") >= ROUNDS // 3


@pytest.mark.parametrize("nth", range(1, 13))
def test_a_switch_that_is_killed_at_any_call_is_done_or_not(depot, home, publisher, tmp_path, nth):
    if not can_strace():
        pytest.skip("strace cannot trace here")
    server = Server(tmp_path / "target", fingerprint_of(publisher))
    token_file = server.token_file("push:a")
    with server:
        assert start_push(home, publisher, server, token_file).wait(60) == 0
    before = (server.folder / "index").read_bytes()
    depot("repo", "sign", publisher)  # a new version without a new file: nothing but the switch
    with server:
        tracer = kill_at_call(server, nth)
        client = start_push(home, publisher, server, token_file)
        client.communicate(timeout=60)
        server.running.process.kill()
        tracer.wait(60)
    assert is_one_of(server.folder, (before, (publisher / "index").read_bytes()))
    assert check(depot, server.folder)["findings"] == []
    with server:
        assert start_push(home, publisher, server, token_file).wait(60) == 0
    assert (server.folder / "index").read_bytes() == (publisher / "index").read_bytes()


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "server/served"
    folder.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", folder], capture_output=True).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: it is the disk that fills up")
    yield tmp_path / "server"
    subprocess.run(["umount", folder], check=True)


def fill(path):
    with open(path, "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(1 << 16))
        except OSError:
            pass


def begin_put(server, token, content, *fields):
    client = server.running.connect()
    lines = [f"PUT /{blob_path(content)} HTTP/1.1", "Host: h", f"Authorization: Bearer {token}", *fields]
    client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return client


def send_chunks(client, content):
    for at in range(0, len(content), 1 << 16):
        piece = content[at:at + (1 << 16)]
        client.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")


def test_a_disk_that_fills_up_in_the_middle_ends_the_upload_alone(small_disk):
    content = os.urandom(24 << 20)
    half, ballast = len(content) // 2, small_disk / "served/.ballast"
    with Server(small_disk) as server:
        token = server.token("push:a")
        parts = server.folder / ".virt-depot/uploads"
        with begin_put(server, token, content, "Transfer-Encoding: chunked") as client:
            send_chunks(client, content[:half])
            wait_until(lambda: [part for part in parts.glob("*") if part.stat().st_size >= half - (1 << 19)])
            fill(ballast)
            try:
                send_chunks(client, content[half:])
                client.sendall(b"0\r\n\r\n")
            except OSError:
                pass  # the answer came before the end
            assert Answer(client.makefile("rb")).status == 507
        assert not list(parts.iterdir())
        ballast.unlink()
        with begin_put(server, token, content, f"Content-Length: {len(content)}") as client:
            client.sendall(content[:half])
            wait_until(lambda: list(parts.iterdir()))
            fill(ballast)  # what was announced has been reserved
            client.sendall(content[half:])
            assert Answer(client.makefile("rb")).status == 201
        assert (server.folder / blob_path(content)).read_bytes() == content
        status, _, body = curl("-X", "PUT", "--data-binary", "@-", *bearer(token), server.url + blob_path(b"x"), data=b"x")
        assert status == 507 and b"room" in body


def test_a_large_upload_takes_no_memory(tmp_path):
    """10 GiB in the long run, 1 GiB else: the server's memory does not grow with it."""
    size, zeros = (10 if is_long() else 1) << 30, tmp_path / "zeros"
    with open(zeros, "wb") as file:
        file.truncate(size)
    digest = subprocess.run(["sha512sum", zeros], capture_output=True, text=True, check=True).stdout.split()[0]
    with Server(tmp_path / "server") as server:
        token, pid = server.token("push:a"), server.running.process.pid
        curl("-X", "PUT", "--data-binary", "@-", *bearer(token), server.url + blob_path(bytes(1 << 20)), data=bytes(1 << 20))
        before, start = rss_peak_kib(pid), time.monotonic()
        done = subprocess.run(["curl", "--silent", "--fail", "--upload-file", zeros, *bearer(token), "--output", "/dev/null",
                               "--write-out", "%{http_code}", f"{server.url}blobs/sha512/{digest[:2]}/{digest}"],
                              capture_output=True, text=True, timeout=1800)
        peak = rss_peak_kib(pid)
        print(f"{size >> 30} GiB in {time.monotonic() - start:.1f} s, peak {peak} KiB, {peak - before} KiB more than before")
    assert done.stdout == "201"
    assert peak - before < 8 << 10
    is_sanitized = b"__asan_init" in (BIN / "repod").read_bytes() or b"__tsan_init" in (BIN / "repod").read_bytes()
    assert is_sanitized or peak < 16 << 10
    shutil.rmtree(server.folder)


def test_a_slow_body_is_ended_and_its_beginning_kept(tmp_path):
    with Server(tmp_path / "server", server="body-timeout=1s\nmin-body-rate=1M") as server:
        token, content = server.token("push:a"), os.urandom(1 << 20)
        with begin_put(server, token, content, f"Content-Length: {len(content)}") as client:
            client.sendall(content[:400_000])
            assert Answer(client.makefile("rb")).status == 408
        fields = curl("--head", *bearer(token), server.url + blob_path(content))[1]
        assert 0 < int(fields["upload-offset"]) <= 400_000

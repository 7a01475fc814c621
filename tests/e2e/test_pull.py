# SPDX-License-Identifier: Apache-2.0
"""Pulling by manifest: what is fetched, what is believed, and what is left behind, with every kind of bad server."""

import contextlib
import hashlib
import json
import os
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from conftest import BIN, run
from fetch_helpers import QUICK, Server, wait_for
from real import fingerprint
from repo_helpers import can_strace
from repod_helpers import Repod

BLOCK = 16 << 20
HOLES = (3, 7)  # blocks of the image that are nothing but zeroes
BLOCKS = 11
NOISE = 1 << 20  # incompressible bytes at the start of every other block: several requests for the whole image
SIZE = (BLOCKS - 1) * BLOCK + 70000  # and the last block is short
LONG = bool(os.environ.get("VIRT_DEPOT_LONG"))


def make_image(path):
    with open(path, "wb") as image:
        for number in range(BLOCKS):
            if number not in HOLES:
                image.seek(number * BLOCK)
                image.write(random.Random(number).randbytes(min(NOISE, SIZE - number * BLOCK)))
        image.truncate(SIZE)
    return path


class Published:
    """A repository with the images 'big' (raw) and 'small' (qcow2), and what its manifest says of the first."""

    def __init__(self, top):
        self.home, self.folder, self.image = top / "home", top / "repo", make_image(top / "big.raw")
        env = {"VIRT_DEPOT_HOME": str(self.home)}
        self.small = top / "small.qcow2"
        with open(top / "small.raw", "wb") as raw:
            raw.write(random.Random(77).randbytes(300000))
            raw.truncate(32 << 20)
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", top / "small.raw", self.small)
        run(BIN / "virt-depot", "repo", "init", self.folder, env=env)
        for name, path in (("big", self.image), ("small", self.small)):
            run(BIN / "virt-depot", "repo", "add", self.folder, path, "--name", name, "--no-inspect", "--arch", "x86_64",
                env=env, timeout=600)
        self.fingerprint = fingerprint(self.folder, self.home)
        listed = (self.folder / "index").read_text().split("[big]")[1].split("\n[")[0]
        fields = dict(line.split("=", 1) for line in listed.splitlines() if "=" in line)
        self.file, self.manifest = fields["file"], fields["x_manifest"]
        self.packed = (self.folder / self.file).read_bytes()
        self.id = f"{hashlib.sha512(self.packed).hexdigest()}-{self.manifest.rsplit('/', 1)[1][:32]}"
        self.digest = hashlib.sha256(self.image.read_bytes()).hexdigest()
        self.places = self.parse((self.folder / self.manifest).read_bytes())

    @staticmethod
    def parse(manifest):
        """[(packed offset, packed size, raw offset, raw size, raw digest)] of every block."""
        length, at, packed, raw, places = struct.unpack_from("<Q", manifest, 120)[0], 128, 12, 0, []
        for _ in range(length // 72):
            sizes = struct.unpack_from("<II", manifest, at)
            places.append((packed, sizes[0], raw, sizes[1], manifest[at + 40:at + 72]))
            packed, raw, at = packed + sizes[0], raw + sizes[1], at + 72
        return places


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return Published(tmp_path_factory.mktemp("pull"))


class Puller:
    """A host with the source 'src': any number of servers that misbehave on request."""

    def __init__(self, published, home, n_servers):
        self.published, self.home = published, home
        self.servers = [Server(published.folder) for _ in range(n_servers)]
        self.server = self.servers[0]
        self.cache = home / "cache"
        mirrors = [word for server in self.servers[1:] for word in ("--mirror", server.url)]
        done = self.run("source", "add", "src", self.server.url, "--fingerprint", published.fingerprint, *mirrors)
        assert done.returncode == 0, done.stderr

    def environment(self):
        return {**os.environ, "VIRT_DEPOT_HOME": str(self.home), **QUICK}

    def run(self, *arguments, **more):
        return run(BIN / "virt-depot", *arguments, check=False, env=self.environment(), **more)

    def start(self, *arguments):
        return subprocess.Popen([BIN / "virt-depot", *arguments], env=self.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ends_well(self):
        """A pull that gives the image, and nothing else stays."""
        done = self.run("pull", "big")
        assert done.returncode == 0, done.stderr
        self.check(done.stdout.strip())
        return done

    def fails(self, status, *texts):
        done = self.run("pull", "big")
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        for text in texts:
            assert text in done.stderr, done.stderr
        assert done.stdout == ""
        assert not list(self.cache.glob("images/*.raw")) and not list(self.cache.glob("images/.tmp-*"))
        return done

    def check(self, path):
        published = self.published
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == published.digest
        assert Path(path).stat().st_mode & 0o777 == 0o444
        assert Path(path).stat().st_blocks <= published.image.stat().st_blocks + 64
        assert self.files() == sorted([f"images/{published.id}.manifest", f"images/{published.id}.raw"])

    def files(self):
        return sorted(str(path.relative_to(self.cache)) for path in self.cache.rglob("*")
                      if path.is_file() and path.relative_to(self.cache).parts[0] != "index")

    def image_path(self):
        return "/" + self.published.file

    def ranges(self, *servers):
        """The ranges of the image that were asked for."""
        found = []
        for server in servers or self.servers:
            for headers in server.requests(self.image_path()):
                first, last = headers["Range"].removeprefix("bytes=").split("-")
                found.append((int(first), int(last) + 1))
        return found

    def finished(self):
        """The numbers of the blocks that are whole in the partial image."""
        partial = self.cache / "partial" / f"{self.published.id}.blocks"
        if not partial.exists():
            return []
        data = partial.read_bytes()
        return [number for number, (_, _, raw, size, digest) in enumerate(self.published.places)
                if number not in HOLES and hashlib.sha256(data[raw:raw + size]).digest() == digest]

    def midway(self, action):
        """Once most of the image has been sent and some of it is finished, do @action; the server waits for that."""
        once = threading.Lock()

        def look(handler):
            if handler.path == self.image_path() and self.server.sent[handler.path] > 6 << 20 and once.acquire(blocking=False):
                wait_for(self.finished, "a block that is whole")
                action()

        self.server.on_sent = look

    def asked_again(self, blocks):
        """Which of @blocks lie in a range that was asked for."""
        asked = self.ranges()
        return [number for number in blocks for first, end in asked
                if first < sum(self.published.places[number][:2]) and end > self.published.places[number][0]]

    def forget(self):
        for server in self.servers:
            server.log.clear()
            server.sent.clear()

    def close(self):
        for server in self.servers:
            server.close()


@pytest.fixture
def pullers(published, home):
    made = []

    def make(n_servers=1):
        made.append(Puller(published, home, n_servers))
        return made[-1]

    yield make
    for puller in made:
        puller.close()


@pytest.fixture
def puller(pullers):
    return pullers()


# What is fetched

def test_content_and_holes_are_equal_from_a_real_repod(published, home, tmp_path, depot):
    with Repod(published.folder, tmp_path) as server:
        depot("source", "add", "local", f"http://127.0.0.1:{server.ports[0]}", "--fingerprint", published.fingerprint)
        path = Path(depot("pull", "local/big").stdout.strip())
        assert hashlib.sha256(path.read_bytes()).hexdigest() == published.digest
        assert path.stat().st_blocks <= published.image.stat().st_blocks + 64
        small = depot("pull", "small").stdout.strip()
        assert Path(small).read_bytes() == published.small.read_bytes()
        assert small.endswith(".qcow2") and "identical" in run("qemu-img", "compare", small, published.small).stdout


def test_only_what_is_no_hole_is_asked_for_and_in_large_ranges(puller, published):
    puller.ends_well()
    asked = sorted(puller.ranges())
    wanted = sum(place[1] for number, place in enumerate(published.places) if number not in HOLES)
    assert sum(end - first for first, end in asked) == wanted == puller.server.sent[puller.image_path()]
    assert all(before[1] <= after[0] for before, after in zip(asked, asked[1:]))
    assert not puller.asked_again(HOLES)
    assert len(asked) < len(published.places) - len(HOLES) and all(end - first <= 4 << 20 for first, end in asked)
    puller.forget()
    puller.ends_well()  # out of the cache
    assert puller.ranges() == [] and puller.server.requests("/" + published.manifest) == []


def test_a_folder_of_this_host_is_a_source_too(published, home, depot):
    depot("source", "add", "local", published.folder, "--fingerprint", published.fingerprint)
    path = Path(depot("pull", "big").stdout.strip())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == published.digest


def test_pulls_of_one_image_at_the_same_time_fetch_it_once(puller, published):
    pulls = [puller.start("pull", "big") for _ in range(3)]
    outs = {process.communicate(timeout=120)[0] for process in pulls}
    assert [process.returncode for process in pulls] == [0] * 3 and len(outs) == 1
    puller.check(outs.pop().strip())
    assert puller.server.sent[puller.image_path()] == sum(end - first for first, end in set(puller.ranges()))


# What survives

def kill_at(puller, process, limit):
    """SIGKILL once the server has sent that many bytes of the image."""
    sent = puller.server.sent

    def look(handler):
        if handler.path == puller.image_path() and sent.get(handler.path, 0) >= limit:
            process.kill()

    puller.server.on_sent = look
    process.communicate(timeout=120)
    puller.server.on_sent = lambda handler: None
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("seed", range(50 if LONG else 4))
def test_kill_9_at_any_moment_loses_no_finished_block(puller, published, seed):
    """Four kills of one pull, each after another number of bytes; no block that was whole is asked for again."""
    chance = random.Random(seed)
    kills = 0
    for _ in range(4):
        before = puller.finished()
        puller.forget()
        kills += kill_at(puller, puller.start("pull", "big"), chance.randrange(1, 6 << 20))
        assert not puller.asked_again(before)
        assert set(before) <= set(puller.finished()) or not puller.finished()
    assert kills > 0
    before = puller.finished()
    puller.forget()
    puller.ends_well()
    assert not puller.asked_again(before)


@pytest.mark.killed
@pytest.mark.parametrize("call,nth", [(call, nth) for call in ("pwrite64", "fallocate", "ftruncate", "fsync", "rename")
                                      for nth in ((1, 7, 30) if call == "pwrite64" else (1,))])
def test_kill_9_in_any_step_of_writing_is_made_good(puller, call, nth):
    if not can_strace():
        pytest.skip("strace is missing or may not trace here: it delivers the signal at the right system call")
    puller.server.plan[puller.image_path()] = [puller.server.dies_after(1 << 20)] * 3
    for _ in range(2):  # the second one finds what the first left behind
        subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                        f"inject={call}:signal=KILL:when={nth}", BIN / "virt-depot", "pull", "big"],
                       env=puller.environment(), capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
    before = puller.finished()
    puller.forget()
    puller.ends_well()
    assert not puller.asked_again(before)


def test_ctrl_c_keeps_what_is_finished(puller):
    started = []
    puller.midway(lambda: started[0].send_signal(signal.SIGINT))
    started.append(process := puller.start("pull", "big"))
    assert process.wait(timeout=120) == -signal.SIGINT
    puller.server.on_sent = lambda handler: None
    before = puller.finished()
    assert before
    puller.forget()
    puller.ends_well()
    assert not puller.asked_again(before)


def test_a_partial_image_that_lies_costs_only_time(puller, published):
    """As if the power had gone: some blocks whole, some changed, one with a byte where a hole must be, and a wrong size."""
    partial = puller.cache / "partial"
    partial.mkdir(parents=True, exist_ok=True)
    run("cp", "--sparse=always", published.image, partial / f"{published.id}.blocks")
    with open(partial / f"{published.id}.blocks", "r+b") as file:
        file.truncate(5 * BLOCK)
        for at in (1 * BLOCK + 5, 2 * BLOCK + NOISE + 100000, 3 * BLOCK + 7, SIZE + 5000):
            file.seek(at)
            file.write(b"x")
    assert puller.finished() == [0, 4]
    puller.ends_well()
    assert not puller.asked_again([0, 4]) and puller.asked_again([1, 2, 5])


# Bad servers

def altered(puller, *numbers, server=None, times=None):
    """The server sends some blocks with a wrong byte, always or a few times."""
    server = server or puller.server
    places = [puller.published.places[number][0] + 1000 for number in numbers]
    body = bytearray(puller.published.packed)
    for at in places:
        body[at] ^= 1
    tag = f'"{hashlib.md5(puller.published.packed).hexdigest()}"'
    left = [times if times is not None else 1 << 30]

    def handle(handler):
        first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
        if left[0] == 0 or not any(int(first) <= at <= int(last) for at in places):
            return server.serve(handler)
        left[0] -= 1
        handler.send_response(206)
        handler.send_header("ETag", tag)
        handler.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
        handler.send_header("Content-Length", str(int(last) + 1 - int(first)))
        handler.end_headers()
        return server.write(handler, body[int(first):int(last) + 1])

    server.always[puller.image_path()] = handle


def test_a_block_that_came_wrong_once_is_fetched_again(puller):
    altered(puller, 5, times=1)
    assert "are wrong and are fetched again" in puller.ends_well().stderr


def test_a_server_with_a_wrong_block_is_not_believed_and_the_rest_is_kept(puller, published):
    altered(puller, 5)
    puller.fails(3, puller.server.url, "do not have the digest")
    before = puller.finished()
    assert 5 not in before
    del puller.server.always[puller.image_path()]
    puller.forget()
    puller.ends_well()
    assert not puller.asked_again(before) and puller.asked_again([5])


def test_one_bad_mirror_among_three_is_named_and_does_no_harm(pullers):
    puller = pullers(3)
    altered(puller, 5, 6)
    done = puller.ends_well()
    assert puller.server.url in done.stderr and "not asked again" in done.stderr
    assert puller.ranges(puller.servers[1]) and not puller.ranges(puller.servers[2])


def test_three_bad_mirrors_are_three_too_many(pullers):
    puller = pullers(3)
    for server in puller.servers:
        altered(puller, 5, server=server)
    done = puller.fails(3, "do not have the digest")
    assert all(server.url in done.stderr for server in puller.servers)


@pytest.mark.parametrize("what", ["404", "stall", "dead", "error page", "range of another file"])
def test_a_mirror_takes_over_from_a_server_that_fails(pullers, published, what):
    puller = pullers(2)
    server, path = puller.server, puller.image_path()
    server.always[path] = {
        "404": server.status(404), "stall": server.stalls_after(100), "dead": server.dies_after(0),
        "error page": server.status(200), "range of another file": lambda handler: server.serve(handler, body=published.packed + b"x"),
    }[what]
    puller.ends_well()
    assert puller.ranges(puller.servers[1])


def with_head(server, change, body=lambda part: part):
    """A handler that answers 206 with changed headers."""
    def handle(handler):
        data = server.read(handler)
        first, last = (int(number) for number in handler.headers["Range"].removeprefix("bytes=").split("-"))
        part = body(data[first:last + 1])
        headers = {"Content-Range": f"bytes {first}-{last}/{len(data)}", "Content-Length": str(len(part))}
        headers = change(headers, first, last, len(data))
        handler.send_response(206)
        for name, value in headers.items():
            if value is not None:
                handler.send_header(name, value)
        handler.end_headers()
        handler.close_connection = True
        server.write(handler, part)
    return handle


LIES = {
    "another range": (lambda h, a, b, n: {**h, "Content-Range": f"bytes {a + 1}-{b + 1}/{n}"}, "another range", 1),
    "a shorter range": (lambda h, a, b, n: {**h, "Content-Range": f"bytes {a}-{b - 1}/{n}"}, "another range", 1),
    "no range": (lambda h, a, b, n: {**h, "Content-Range": None}, "does not say which range", 1),
    "nonsense": (lambda h, a, b, n: {**h, "Content-Range": "bytes 1-0/x"}, "does not say which range", 1),
    "a longer file": (lambda h, a, b, n: {**h, "Content-Range": f"bytes {a}-{b}/{n + 1}"}, "the index states", 3),
    "gzip": (lambda h, a, b, n: {**h, "Content-Encoding": "gzip"}, "Content-Encoding", 1),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_about_ranges_is_refused(puller, lie):
    change, text, status = LIES[lie]
    puller.server.always[puller.image_path()] = with_head(puller.server, change)
    puller.fails(status, text)
    assert puller.server.sent.get(puller.image_path(), 0) <= 20 << 20
    del puller.server.always[puller.image_path()]
    puller.server.plan[puller.image_path()] = [with_head(puller.server, change)] if lie != "a longer file" else []
    puller.ends_well()  # once is an accident


def test_more_bytes_than_announced_are_not_taken(puller):
    puller.server.always[puller.image_path()] = with_head(
        puller.server, lambda h, a, b, n: {**h, "Content-Length": None}, lambda part: part + b"more")
    puller.fails(1, "more than was asked for")


def test_a_server_without_ranges_gives_the_whole_file(puller, published):
    puller.server.always[puller.image_path()] = puller.server.ignores_range
    done = puller.run("pull", "big")
    assert done.returncode == 0, done.stderr
    puller.check(done.stdout.strip())


def test_a_server_that_stops_early_is_asked_for_the_rest(puller, published):
    puller.server.plan[puller.image_path()] = [puller.server.dies_after(1500000)] * 5 + [puller.server.status(503)] * 2
    puller.ends_well()
    wanted = sum(place[1] for number, place in enumerate(published.places) if number not in HOLES)
    assert puller.server.sent[puller.image_path()] < wanted + (1 << 20)


def test_a_stall_is_given_up_and_resumed(puller):
    puller.server.plan[puller.image_path()] = [puller.server.stalls_after(100000)]
    puller.ends_well()


def endless(server):
    def handle(handler):
        first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {first}-{last}/{len(server.read(handler))}")
        handler.end_headers()
        handler.close_connection = True
        while True:
            server.write(handler, bytes(65536))
    return handle


BAD = {
    "error page": (lambda s: s.status(200), 3, "the index states"),
    "endless": (endless, 3, "do not have the digest"),
    "endless whole": (lambda s: s.sends_endlessly, 3, "more than the"),
    "stall": (lambda s: s.stalls_after(0), 1, "too slow"),
    "416": (lambda s: s.status(416), 1, "HTTP status 416"),
    "404": (lambda s: s.status(404), 1, "HTTP status 404"),
    "403": (lambda s: s.status(403), 1, "HTTP status 403"),
    "503": (lambda s: s.status(503, headers=[("Retry-After", "1")]), 1, "HTTP status 503"),
    "redirect loop": (lambda s: lambda h: s.status(302, headers=[("Location", h.path)])(h), 1, "redirects"),
    "redirect to file": (lambda s: s.status(302, headers=[("Location", "file:///etc/passwd")]), 1, "not allowed"),
    "redirect to ftp": (lambda s: s.status(302, headers=[("Location", "ftp://127.0.0.1/x")]), 1, "not allowed"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_server_is_named_and_leaves_nothing_behind(puller, published, what):
    handler, status, text = BAD[what]
    puller.server.always[puller.image_path()] = handler(puller.server)
    puller.fails(status, text, puller.server.url)
    assert puller.files() == [f"images/{published.id}.manifest"]
    del puller.server.always[puller.image_path()]
    puller.ends_well()


def test_a_redirect_is_followed(puller, published):
    path = puller.image_path()
    puller.server.always["/else" + path] = lambda handler: puller.server.serve(handler, body=published.packed)
    puller.server.always[path] = puller.server.status(302, headers=[("Location", "/else" + path)])
    puller.ends_well()


def test_a_file_that_changes_between_ranges_is_noticed(puller, published):
    """First by its tag, then, as the server has another file for good, by the digests."""
    other = bytes(byte ^ 0x55 for byte in published.packed)
    good = [puller.server.serve] * 2
    puller.server.plan[puller.image_path()] = good
    puller.server.always[puller.image_path()] = lambda handler: puller.server.serve(handler, body=other)
    assert any(text in puller.fails(3).stderr for text in ("changed while", "do not have the digest"))
    before = puller.finished()
    del puller.server.always[puller.image_path()]
    puller.server.plan.clear()
    puller.forget()
    puller.ends_well()
    assert not puller.asked_again(before)


# Manifests

def wrong_manifest(server, data):
    return lambda handler: server.serve(handler, body=data)


def test_a_wrong_manifest_is_refused_before_anything_is_fetched(puller, published):
    data = bytearray((published.folder / published.manifest).read_bytes())
    data[200] ^= 1
    puller.server.always["/" + published.manifest] = wrong_manifest(puller.server, bytes(data))
    puller.fails(3, "manifest does not have the digest", puller.server.url)
    assert puller.files() == [] and puller.ranges() == []


def test_another_server_has_the_right_manifest(pullers, published):
    puller = pullers(2)
    puller.server.always["/" + published.manifest] = wrong_manifest(puller.server, b"no manifest")
    assert "manifest does not have the digest" in puller.ends_well().stderr


def test_an_endless_manifest_is_cut(puller, published):
    puller.server.always["/" + published.manifest] = puller.server.sends_endlessly
    puller.fails(1, puller.server.url)
    assert puller.files() == []


def test_without_its_manifest_the_image_is_fetched_as_a_whole(puller, published):
    puller.server.always["/" + published.manifest] = puller.server.status(404)
    done = puller.run("pull", "big")
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(Path(done.stdout.strip()).read_bytes()).hexdigest() == published.digest
    assert puller.files() == [f"images/{published.id}.local-manifest", f"images/{published.id}.raw"]


def test_a_kept_manifest_is_not_fetched_again_unless_it_is_damaged(puller, published):
    kept = puller.cache / "images" / f"{published.id}.manifest"
    puller.server.always[puller.image_path()] = puller.server.status(404)
    puller.fails(1, "404")
    assert kept.exists() and len(puller.server.requests("/" + published.manifest)) == 1
    puller.fails(1, "404")
    assert len(puller.server.requests("/" + published.manifest)) == 1
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    del puller.server.always[puller.image_path()]
    puller.ends_well()
    assert len(puller.server.requests("/" + published.manifest)) == 2


# This host

@contextlib.contextmanager
def tmpfs(cache, size):
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    if run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", cache, check=False).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: it is the disk that is full or read-only")
    try:
        yield
    finally:
        run("umount", cache)


def test_what_cannot_fit_is_said_before_the_download(puller):
    with tmpfs(puller.cache, "4m"):
        puller.fails(1, "are free")
        assert puller.ranges() == []
        run("mount", "-o", "remount,size=64m", puller.cache)
        puller.ends_well()


def test_a_disk_that_fills_up_is_said_and_what_is_finished_stays(puller):
    with tmpfs(puller.cache, "64m"):
        filler = puller.cache / "filler"

        def fill():
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 20))

        puller.midway(fill)
        process = puller.start("pull", "big")
        stderr = process.communicate(timeout=120)[1]
        puller.server.on_sent = lambda handler: None
        assert process.returncode == 1 and "o space left" in stderr, stderr
        filler.unlink()
        before = puller.finished()
        assert before
        puller.forget()
        puller.ends_well()
        assert not puller.asked_again(before)


def test_a_read_only_cache_is_said(puller, published):
    with tmpfs(puller.cache, "64m"):
        puller.ends_well()
        run("mount", "-o", "remount,ro", puller.cache)
        done = puller.run("pull", "big")  # what is there can be used
        assert done.returncode == 0 and done.stdout.strip().endswith(".raw")
        done = puller.run("pull", "small")
        assert done.returncode == 1 and "Read-only file system" in done.stderr, done.stderr


def test_progress_has_a_rate_and_the_time_left_and_never_goes_back(puller):
    """A block comes wrong and the server breaks off; the line counts what is verified."""
    altered(puller, 5, times=1)
    puller.server.plan[puller.image_path()] = [puller.server.dies_after(1500000)] * 2
    ours, theirs = pty.openpty()
    seen = []

    def read():
        with contextlib.suppress(OSError):  # EIO: nobody writes any more
            while data := os.read(ours, 65536):
                seen.append(data.decode())

    reader = threading.Thread(target=read)
    reader.start()
    puller.midway(lambda: wait_for(lambda: "pull big" in "".join(seen), "the line"))
    done = subprocess.run([BIN / "virt-depot", "pull", "big"], env=puller.environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=theirs, timeout=120, text=True)
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert done.returncode == 0
    puller.check(done.stdout.strip())
    shown = re.findall(r"pull big +(\d+) %  [0-9.]+ \w+  [0-9.]+ \w+/s  \d+ s left", "".join(seen))
    assert shown and shown == sorted(shown, key=int) and int(shown[-1]) <= 100, "".join(seen)


def test_json_says_where_it_is(puller):
    done = puller.run("pull", "big", "--json")
    assert json.loads(done.stdout)[0]["image_format"] == "raw"
    puller.check(json.loads(done.stdout)[0]["path"])

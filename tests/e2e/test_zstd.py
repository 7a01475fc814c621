# SPDX-License-Identifier: Apache-2.0
"""The zstd twin: the same blocks once more, for clients whose link is faster than their cores unpack xz."""

import fcntl
import hashlib
import json
import os
import random
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from conftest import BIN, run
from fetch_helpers import QUICK, Server, wait_for
from push_helpers import Server as PushServer
from push_helpers import fingerprint_of
from repo_helpers import Repository, add, make_image

BLOCK = 16 << 20


@pytest.fixture
def repo(depot, home):
    depot("repo", "init", home / "repo")
    return Repository(home / "repo", home)


def write(path, at, size, seed):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(random.Random(seed).randbytes(size))


def blocks_of(manifest):
    """[(packed size, raw size, packed digest, raw digest)], and the hole map."""
    length = struct.unpack_from("<Q", manifest, 120)[0]
    return ([(*struct.unpack_from("<II", manifest, at), manifest[at + 8:at + 40], manifest[at + 40:at + 72])
             for at in range(128, 128 + length, 72)], manifest[128 + length:])


# ---- published ----


def test_the_twin_is_the_same_image_block_by_block_and_any_zstd_reads_it(repo, depot, home):
    image = make_image(home / "a.raw", 700 << 10, 3 * BLOCK + 5000)
    write(image, 2 * BLOCK + 4096, 100 << 10, 2)
    done = add(depot, repo.folder, image, "a", "--zstd", "--json")
    told, fields = json.loads(done.stdout), repo.check()["a"]
    blob, manifest = repo.folder / fields["x_zstd"], repo.folder / fields["x_zstd_manifest"]
    for path, key in ((blob, "x_zstd"), (manifest, "x_zstd_manifest")):
        assert hashlib.sha512(path.read_bytes()).hexdigest() == path.name and path.stat().st_size == int(fields[f"{key}_size"])
    assert told["zstd_size"] == blob.stat().st_size
    assert subprocess.run(["zstd", "-dc"], stdin=open(blob, "rb"), stdout=subprocess.PIPE, check=True).stdout == image.read_bytes()
    assert repo.content("a") == image.read_bytes()  # xz stays what everybody sees
    (own, own_map), (other, other_map) = blocks_of(manifest.read_bytes()), blocks_of((repo.folder / fields["x_manifest"]).read_bytes())
    assert manifest.read_bytes()[11] == 2 and own_map == other_map
    assert [block[1::2] for block in own] == [block[1::2] for block in other]
    at = 0
    for packed, size, digest, _ in own:
        frame = blob.read_bytes()[at:at + packed]
        assert hashlib.sha256(frame).digest() == digest
        assert len(subprocess.run(["zstd", "-dc"], input=frame, stdout=subprocess.PIPE, check=True).stdout) == size
        at += packed
    assert at == blob.stat().st_size
    depot("repo", "check", repo.folder)
    assert "a: the same as zstd: " in add(depot, repo.folder, image, "a", "--zstd").stderr


def test_the_next_revisions_have_one_too_and_reuse_its_frames(repo, depot, home):
    image = make_image(home / "a.raw", 1000, 4 * BLOCK)
    for block in (1, 3):
        write(image, block * BLOCK, 1000, block)
    first = json.loads(add(depot, repo.folder, image, "a", "--zstd", "--json").stdout)
    assert first["zstd_reused_bytes"] is None
    write(image, 5, 100, 9)
    second = json.loads(add(depot, repo.folder, image, "a", "--json").stdout)
    assert second["zstd_reused_bytes"] == second["reused_bytes"] == 2 * BLOCK
    depot("repo", "init", home / "fresh")
    fresh = json.loads(add(depot, home / "fresh", image, "a", "--zstd", "--json").stdout)
    assert fresh["extensions"]["x_zstd"] == second["extensions"]["x_zstd"] != first["extensions"]["x_zstd"]
    third = json.loads(add(depot, repo.folder, image, "a", "--no-zstd", "--json").stdout)  # the same content
    assert not [key for key in third["extensions"] if key.startswith("x_zstd")]
    write(image, 5, 100, 10)
    assert not [key for key in json.loads(add(depot, repo.folder, image, "a", "--json").stdout)["extensions"] if "zstd" in key]
    assert add(depot, repo.folder, image, "a", "--zstd", "--no-zstd", check=False).returncode == 2


@pytest.mark.parametrize("damage", ["x_zstd", "x_zstd_manifest"])
def test_a_damaged_twin_is_found_and_only_costs_time(repo, depot, home, damage):
    image = make_image(home / "a.raw", 100 << 10, 2 * BLOCK)
    told = json.loads(add(depot, repo.folder, image, "a", "--zstd", "--json").stdout)
    path = repo.folder / told["extensions"][damage]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    assert "damaged" in depot("repo", "check", repo.folder, check=False).stdout
    write(image, BLOCK + 5, 100, 3)
    again = json.loads(add(depot, repo.folder, image, "a", "--json").stdout)
    assert again["zstd_reused_bytes"] is None
    depot("repo", "check", repo.folder)


def test_the_twin_is_pushed_pruned_and_removed_with_its_image(repo, depot, home, tmp_path):
    image = make_image(home / "a.raw", 100 << 10, 2 * BLOCK)
    first = json.loads(add(depot, repo.folder, image, "a", "--zstd", "--json").stdout)
    with PushServer(tmp_path, fingerprint=fingerprint_of(repo.folder)) as server:
        depot("push", repo.folder, server.url, "--token-file", server.token_file("push:a"))
        for key in ("x_zstd", "x_zstd_manifest"):
            assert (server.folder / first["extensions"][key]).read_bytes() == (repo.folder / first["extensions"][key]).read_bytes()
    write(image, 0, 100, 4)
    second = json.loads(add(depot, repo.folder, image, "a", "--json").stdout)
    depot("repo", "prune", repo.folder, "--keep", "1", "--older-than", "0")
    for key in ("x_zstd", "x_zstd_manifest"):
        assert not (repo.folder / first["extensions"][key]).exists() and (repo.folder / second["extensions"][key]).exists()
    depot("repo", "remove", repo.folder, "a")
    depot("repo", "prune", repo.folder, "--keep", "1", "--older-than", "0")
    assert not [path for path in (repo.folder / "blobs").rglob("*") if path.is_file()]


# ---- pulled ----

SLICE = 400000
WORDS = [bytes(random.Random(n).choices(range(97, 123), k=3 + n % 9)) for n in range(3000)]


class Published:
    """'text' takes long to unpack from xz, 'noise' nearly no time; both with holes. xz is somewhat smaller for programs, which are
    in the second."""

    def __init__(self, top):
        self.home, self.folder, self.images = top / "home", top / "repo", {name: top / f"{name}.raw" for name in ("text", "noise")}
        with open(top / "made", "a+") as made:  # by the first of the processes that run these tests: the rest wait for it
            fcntl.lockf(made, fcntl.LOCK_EX)
            if os.fstat(made.fileno()).st_size == 0:
                self.make()
                made.write("made")
        self.fields = Repository(self.folder, self.home).entries()
        self.blocks = {(name, codec): blocks_of((self.folder / self.fields[name][key]).read_bytes())[0]
                       for name in self.images for codec, key in (("xz", "x_manifest"), ("zstd", "x_zstd_manifest"))}

    def make(self):
        program = (BIN / "virt-depot").read_bytes()
        run(BIN / "virt-depot", "repo", "init", self.folder, env={"VIRT_DEPOT_HOME": str(self.home)})
        for name, blocks, noise in (("text", 5, 0), ("noise", 24, 5 << 18)):
            with open(self.images[name], "wb") as image:
                for number in range(blocks):
                    image.seek(number * BLOCK + 8192)
                    image.write(random.Random(number).randbytes(noise) + program[number % 4 * SLICE:][:SLICE] if noise else
                                b" ".join(random.Random(number).choices(WORDS, k=100000)))
                image.truncate(blocks * BLOCK + 5)
            run(BIN / "virt-depot", "repo", "add", self.folder, self.images[name], "--name", name, "--no-inspect", "--arch", "x86_64",
                "--zstd", env={"VIRT_DEPOT_HOME": str(self.home)}, timeout=600)

    def size(self, name, codec, first=0):
        """Packed bytes of the blocks that have data: all but the last."""
        return sum(block[0] for block in self.blocks[name, codec][first:-1])


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    own = tmp_path_factory.getbasetemp()
    top = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "z"  # the path of a GnuPG home may not be long
    top.mkdir(exist_ok=True)
    return Published(top)


class Host:
    def __init__(self, published, home):
        self.published, self.home, self.server, self.limits = published, home, Server(published.folder), QUICK
        self.run("source", "add", "src", self.server.url, "--fingerprint", fingerprint_of(published.folder))

    def run(self, *arguments, **more):
        return run(BIN / "virt-depot", *arguments, env={"VIRT_DEPOT_HOME": str(self.home), **self.limits}, **more)

    def pull(self, name, *options):
        done = self.run("pull", name, "--json", *options)
        told = json.loads(done.stdout)[0]
        image, path = self.published.images[name], Path(told["path"])
        assert path.read_bytes() == image.read_bytes() and path.stat().st_blocks <= image.stat().st_blocks + 64
        return told, done

    def path(self, name, key):
        return "/" + self.published.fields[name][key]

    def id(self, name):
        """As files of the cache are named."""
        fields = self.published.fields[name]
        return f"{fields['checksum[sha512]']}-{Path(fields['x_manifest']).name[:32]}"


@pytest.fixture
def puller(published, home):
    made = Host(published, home)
    yield made
    made.server.close()


def test_on_a_fast_link_the_first_block_is_xz_and_the_rest_zstd(puller, published):
    told, _ = puller.pull("text")
    assert told["fetched_xz"] == published.blocks["text", "xz"][0][0]
    assert told["fetched_zstd"] == published.size("text", "zstd", first=1)
    assert told["codec_reason"]
    plain = puller.run("info", "text").stdout
    assert "as zstd where the link is faster" in plain and published.fields["text"]["x_zstd"] in plain


def test_on_a_slow_link_it_is_xz_once_that_is_known(puller, published):
    """A link of some 20 MB/s, and blocks that xz unpacks faster."""
    turn, pace = threading.Lock(), threading.Event()

    def slow(_):
        with turn:
            pace.wait(0.003)  # never set: this is how fast the server is, for each 64 KiB

    puller.server.on_sent, puller.limits = slow, {}
    assert published.size("noise", "xz") < published.size("noise", "zstd")
    told, _ = puller.pull("noise")
    assert told["fetched_xz"] > published.blocks["noise", "xz"][0][0] and told["fetched_zstd"] > 0
    first = published.size("noise", "zstd", first=1)
    assert told["fetched_zstd"] < first and "/s come, and " in told["codec_reason"], told


@pytest.mark.parametrize("codec", ["xz", "zstd"])
def test_the_user_decides_where_he_wants_to(puller, published, codec):
    told, _ = puller.pull("text", "--codec", codec)
    assert (told["fetched_xz"], told["fetched_zstd"]) == ((published.size("text", "xz"), None) if codec == "xz"
                                                         else (None, published.size("text", "zstd")))
    assert told["codec_reason"] is None
    assert puller.run("pull", "text", "--codec", "gzip", check=False).returncode == 2


def test_a_folder_of_this_host_has_a_twin_too(published, home):
    run(BIN / "virt-depot", "source", "add", "here", published.folder, "--fingerprint", fingerprint_of(published.folder),
        env={"VIRT_DEPOT_HOME": str(home)})
    told = json.loads(run(BIN / "virt-depot", "pull", "text", "--json", env={"VIRT_DEPOT_HOME": str(home)}).stdout)[0]
    assert Path(told["path"]).read_bytes() == published.images["text"].read_bytes()
    assert told["fetched_zstd"] == published.size("text", "zstd", first=1)


def test_a_twin_that_is_not_there_is_done_without(puller, published):
    puller.server.always[puller.path("text", "x_zstd")] = puller.server.status(404)
    told, done = puller.pull("text")
    assert told["fetched_zstd"] is None and told["fetched_xz"] >= published.size("text", "xz")
    assert "the image is fetched as xz" in done.stderr


@pytest.mark.parametrize("answer", ["wrong", "404", "of another image"])
def test_without_the_twins_manifest_it_is_xz(puller, published, answer):
    path = puller.path("text", "x_zstd_manifest")
    other = (published.folder / published.fields["noise"]["x_zstd_manifest"]).read_bytes()
    puller.server.always[path] = puller.server.status(404) if answer == "404" else puller.server.status(200, other if "of" in answer else b"x")
    told, done = puller.pull("text")
    assert (told["fetched_xz"], told["fetched_zstd"]) == (published.size("text", "xz"), None)
    assert "the image is fetched as xz" in done.stderr
    assert not puller.server.requests(puller.path("text", "x_zstd"))


@pytest.mark.parametrize("times", [1, 1000])
def test_wrong_bytes_in_the_twin_never_reach_the_decoder(puller, published, times):
    """Once: fetched again. Always: the server's twin is given up, and what was right of it stays."""
    server, path = puller.server, puller.path("text", "x_zstd")
    body = bytearray((published.folder / published.fields["text"]["x_zstd"]).read_bytes())
    at = sum(block[0] for block in published.blocks["text", "zstd"][:2]) + 1000
    body[at] ^= 1
    tag, left = f'"{hashlib.md5((published.folder / path[1:]).read_bytes()).hexdigest()}"', [times]

    def handle(handler):
        first, last = map(int, handler.headers["Range"].removeprefix("bytes=").split("-"))
        if left[0] == 0 or not first <= at <= last:
            return server.serve(handler)
        left[0] -= 1
        return server.status(206, bytes(body[first:last + 1]), [("Content-Range", f"bytes {first}-{last}/{len(body)}"), ("ETag", tag)])(handler)

    server.always[path] = handle
    told, done = puller.pull("text")
    assert "are wrong and are fetched again" in done.stderr
    assert ("the image is fetched as xz" in done.stderr) == (times > 1)
    assert told["fetched_xz"] >= published.blocks["text", "xz"][0][0] + (published.blocks["text", "xz"][2][0] if times > 1 else 0)


@pytest.mark.killed
def test_killed_over_the_twin_the_next_pull_goes_on_in_either_codec(puller, published):
    once, path = threading.Lock(), puller.path("text", "x_zstd")
    partial = puller.home / "cache/partial" / f"{puller.id('text')}.blocks"

    def finished():
        data = partial.read_bytes() if partial.exists() else b""
        return [number for number, block in enumerate(published.blocks["text", "zstd"][:-1])
                if hashlib.sha256(data[number * BLOCK:number * BLOCK + block[1]]).digest() == block[3]]

    def look(handler):
        if handler.path == path and puller.server.sent[path] > published.size("text", "zstd", first=1) * 3 // 4 and once.acquire(blocking=False):
            wait_for(finished, "a block that is whole")
            process.kill()

    puller.server.on_sent = look
    process = subprocess.Popen([BIN / "virt-depot", "pull", "text", "--codec", "zstd"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, "VIRT_DEPOT_HOME": str(puller.home), **QUICK})
    assert process.wait(60) == -9
    kept = finished()
    puller.server.on_sent = lambda handler: None
    told, _ = puller.pull("text", "--codec", "xz")
    assert kept and told["fetched_xz"] == sum(block[0] for number, block in enumerate(published.blocks["text", "xz"][:-1]) if number not in kept)

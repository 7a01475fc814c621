# SPDX-License-Identifier: Apache-2.0
"""Images of repositories without manifests: fetched by ranges, unpacked in a sandbox while they come, believed at the end."""

import contextlib
import hashlib
import json
import lzma
import os
import random
import shutil
import signal
import struct
import subprocess
import threading
import zlib
from pathlib import Path

import pytest

from conftest import BIN, run
from fetch_helpers import QUICK, Keys, Repository, Server, cache_files, wait_for
from repo_helpers import can_strace

BLOCK = 1 << 20
BLOCKS = 24
HOLES = (5, 6, 17)
NOISE = 600 << 10  # incompressible bytes of every other block: several requests for the whole file
PATH = "/big.xz"
LONG = bool(os.environ.get("VIRT_DEPOT_LONG"))


def make_raw():
    blocks = [bytes(BLOCK) if number in HOLES else random.Random(number).randbytes(NOISE) + bytes(BLOCK - NOISE)
              for number in range(BLOCKS)]
    return b"".join(blocks) + b"\x5a" * 5000


RAW = make_raw()


def xz(raw, *options):
    return subprocess.run(["xz", "-0", "-c", *options], input=raw, capture_output=True, check=True).stdout


PACKED = xz(RAW, "-T2", f"--block-size={BLOCK}")


def number(value):
    """A variable-length integer of .xz."""
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7f | 0x80]), value >> 7
    return out + bytes([value])


def stream(block, records):
    """An .xz stream of copies of one block as the first and only one of an .xz file has it; @records: what the index says:
    (unpadded size, raw size) each."""
    flags = b"\x00\x04"
    index = b"\x00" + number(len(records)) + b"".join(number(a) + number(b) for a, b in records)
    index += bytes(-len(index) % 4)
    index += struct.pack("<I", zlib.crc32(index))
    back = struct.pack("<I", len(index) // 4 - 1) + flags
    return (b"\xfd7zXZ\x00" + flags + struct.pack("<I", zlib.crc32(flags)) + block * len(records) + index +
            struct.pack("<I", zlib.crc32(back)) + back + b"YZ")


def block_of(raw):
    """(the only block of @raw packed, its unpadded size)"""
    packed = xz(raw, "-T1", "--check=crc64")
    index = (struct.unpack("<I", packed[-8:-4])[0] + 1) * 4
    block = packed[12:-12 - index]
    listed, size, shift = packed[-12 - index + 2:], 0, 0
    for byte in listed:
        size |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            break
    return block, size


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(Path(tmp_path_factory.mktemp("k")) / "g")
    made.make("good")
    yield made
    made.close()


class Host:
    """A host with a source 'src' of images that have no manifest."""

    def __init__(self, folder, keys, home):
        self.repo, self.home, self.keys = Repository(folder, keys), home, keys
        self.server = Server(folder)
        self.cache = home / "cache"

    def publish(self, packed=PACKED, raw=RAW, served=None, **fields):
        """@served: what the server has instead of @packed, of which the index speaks."""
        self.repo.entries.clear()
        self.repo.add("big", raw, packed=packed, **fields)
        self.repo.sign()
        if served is not None:
            (self.repo.folder / "big.xz").write_bytes(served)
        self.packed, self.id = packed, hashlib.sha512(packed).hexdigest()
        if not (self.home / "config/sources.d").exists():
            self.add()
        return self

    def add(self, *more):
        run(BIN / "virt-depot", "source", "add", "src", self.server.url, "--fingerprint", self.keys.fingerprints["good"],
            *more, env=self.environment())

    def environment(self):
        return {**os.environ, "VIRT_DEPOT_HOME": str(self.home), **QUICK, "VIRT_DEPOT_STALL_SECONDS": "20"}

    def run(self, *words, **more):
        return run(BIN / "virt-depot", *words, check=False, env=self.environment(), **more)

    def start(self, *words):
        return subprocess.Popen([BIN / "virt-depot", *words], env=self.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def part(self):
        return self.cache / "partial" / f"{self.id}.part"

    def manifest(self):
        return self.cache / "images" / f"{self.id}.local-manifest"

    def ends_well(self, *options, raw=RAW):
        done = self.run("pull", "big", *options)
        assert done.returncode == 0, done.stderr
        self.check(done.stdout.strip(), raw)
        return done

    def check(self, path, raw=RAW):
        path = Path(path)
        assert path.read_bytes() == raw and path.stat().st_mode & 0o777 == 0o444
        assert cache_files(self.home) == [str(path.relative_to(self.cache))]

    def fails(self, status, *texts, options=(), left=()):
        done = self.run("pull", "big", *options)
        assert done.returncode in ((status,) if isinstance(status, int) else status), f"{done.returncode}\n{done.stderr}"
        for text in texts:
            assert text in done.stderr, done.stderr
        assert done.stdout == "" and cache_files(self.home) == list(left) and not self.manifest().exists()
        return done

    def ranges(self):
        found = []
        for headers in self.server.requests(PATH):
            first, last = headers["Range"].removeprefix("bytes=").split("-")
            found.append((int(first), int(last) + 1))
        return found

    def stop_at(self, sent, action):
        """Once the server has sent that many bytes of the image it waits until @action is done; but it never waits with the
        index at the end of the file, without which nothing is unpacked."""
        once = threading.Lock()

        def look(handler):
            is_end = handler.headers.get("Range", "").endswith(f"-{len(self.packed) - 1}")
            if handler.path == PATH and not is_end and self.server.sent[PATH] > sent and once.acquire(blocking=False):
                action()

        self.server.on_sent = look


@pytest.fixture
def host(tmp_path, keys, home):
    made = Host(tmp_path / "repo", keys, home)
    yield made
    made.server.close()


def children(process):
    """Processes that unpack for @process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == process.pid and b"--unpack\0" in (folder / "cmdline").read_bytes():
                found.append(folder)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


# What is fetched

@pytest.mark.parametrize("options", [(), ("--strict",)])
def test_every_byte_is_asked_for_once_over_several_connections(host, options):
    host.publish().ends_well(*options)
    asked = host.ranges()
    assert (len(PACKED) - (256 << 10), len(PACKED)) in asked[:4]  # the index, over the first of four connections
    asked.sort()
    assert asked[0][0] == 0 and asked[-1][1] == len(PACKED) == host.server.sent[PATH] and len(asked) > 3
    assert all(before[1] == after[0] for before, after in zip(asked, asked[1:]))
    image = host.cache / "images" / f"{host.id}.raw"
    assert image.stat().st_blocks * 512 < BLOCKS * (NOISE + 8192) and host.manifest().exists()


FORMS = {
    "no sizes in the headers": ["-T1", f"--block-size={BLOCK}"],
    "one block": ["-T1"],
    "blocks that end within a page": ["-T1", "--block-size=1000001"],
    "sha256": ["-T2", f"--block-size={BLOCK}", "--check=sha256"],
    "no check": ["-T2", f"--block-size={BLOCK}", "--check=none"],
    "x86 and a large dictionary": [f"--block-size={BLOCK}", "--x86", "--lzma2=preset=0,dict=64MiB"],
}


@pytest.mark.parametrize("form,options", [(form, ()) for form in [*FORMS, "two streams", "padded", "file", "small"]] +
                         [("two streams", ("--strict",)), ("one block", ("--strict",)), ("small", ("--strict",))])
def test_every_form_of_xz_file_is_unpacked(host, form, options):
    half = 11 * BLOCK
    raw = RAW[:100000] if form == "small" else RAW
    if form == "two streams":
        packed = xz(RAW[:half], "-T1") + bytes(8) + xz(RAW[half:], "-T2", f"--block-size={BLOCK}")
    else:
        packed = {"padded": PACKED + bytes(4096), "file": PACKED}.get(form) or xz(raw, *FORMS.get(form, ()))
    host.publish(packed, raw)
    if form == "file":
        run(BIN / "virt-depot", "source", "remove", "src", env=host.environment())
        host.server.url = str(host.repo.folder)
        host.add()
    host.ends_well(*options, raw=raw)
    assert host.manifest().exists() == (form not in ("no check", "two streams", "padded"))


def test_a_server_without_ranges_gives_one_stream(host):
    host.publish()
    host.server.always[PATH] = host.server.ignores_range
    host.ends_well()


def test_a_mirror_takes_over(host, tmp_path):
    mirror = Server(host.repo.folder)
    try:
        host.repo.add("other", b"")
        host.repo.sign()
        host.add("--mirror", mirror.url)
        host.publish()
        host.server.always[PATH] = host.server.status(404)
        host.ends_well()
        assert mirror.sent[PATH] == len(PACKED)
    finally:
        mirror.close()


# What is not believed

REGIONS = {"the magic": 3, "the stream's flags": 8, "a block's header": 14, "the first block": 5000,
           "the middle": len(PACKED) // 2, "the last block": len(PACKED) - 3000, "the index": len(PACKED) - 40,
           "the footer": len(PACKED) - 6, "the last byte": len(PACKED) - 1}


@pytest.mark.parametrize("region,options", [*((region, ()) for region in REGIONS), ("the middle", ("--strict",))])
def test_a_changed_byte_is_found_wherever_it_is(host, region, options):
    wrong = bytearray(PACKED)
    wrong[REGIONS[region]] ^= 1
    host.publish(served=bytes(wrong)).fails(3, "does not have the checksum", options=options)


def test_what_was_wrong_once_is_fetched_again(host):
    """The first answer for the end of the file is another end; what was unpacked by that index is not used."""
    other = xz(RAW[:12 * BLOCK], "-T2", "--block-size=262144")
    host.publish()

    def handle(handler):
        host.server.serve(handler, body=PACKED[:-len(other)] + other)

    host.server.plan[PATH] = [handle]
    host.ends_well()


def test_what_was_asked_for_with_a_tag_before_it_was_seen_to_change_is_no_further_fault(host):
    """As behind a balancer whose servers have tags of their own: the first answer has another tag than the ones that follow, and
    a request with it is under way when that is found."""
    with_tag, answered = threading.Event(), threading.Event()

    def first(handler):
        start, end = handler.headers["Range"].removeprefix("bytes=").split("-")
        host.server.status(206, PACKED[int(start):int(end) + 1], [
            ("ETag", '"another"'), ("Content-Range", f"bytes {start}-{end}/{len(PACKED)}")])(handler)

    def rest(handler):
        if "If-Range" in handler.headers:
            with_tag.set()
            assert answered.wait(20)
        else:
            assert with_tag.wait(20)
        host.server.serve(handler)
        answered.set()

    host.publish()
    host.server.plan[PATH], host.server.always[PATH] = [first], rest
    host.ends_well()
    assert with_tag.is_set()


def test_a_file_that_changes_between_ranges_is_refused(host):
    def handle(handler):
        body = bytearray(PACKED)
        body[int(handler.headers["Range"].removeprefix("bytes=").split("-")[0]) + 7] ^= 1
        host.server.serve(handler, body=bytes(body))

    host.publish()
    host.server.always[PATH] = handle
    host.fails(3)


@pytest.mark.parametrize("what", ["shorter", "longer", "endless"])
def test_a_file_of_another_length_is_refused(host, what):
    host.publish(served={"shorter": PACKED[:-4], "longer": PACKED + bytes(4)}.get(what))
    if what == "endless":
        host.server.always[PATH] = host.server.sends_endlessly
    host.fails((1, 3))
    assert host.server.sent.get(PATH, 0) < 2 * len(PACKED) + (64 << 20)


# Files that are what the index says, and not what they should be

def zeroes(n, claimed=None):
    """@n blocks of 32 MiB zeroes; @claimed: what the index says each has."""
    block, size = block_of(bytes(32 << 20))
    return stream(block, [(size, claimed or 32 << 20)] * n)


def greedy():
    """A block whose header asks for a dictionary of 4 GiB."""
    block, size = block_of(b"hello")
    header = bytearray(block[:12])
    at = header.index(b"\x21\x01") + 2
    header[at] = 40
    header[8:12] = struct.pack("<I", zlib.crc32(header[:8]))
    return stream(bytes(header) + block[12:], [(size, 5)])


def long_file(packed):
    """Too long for one request: behind a block of noise, in a stream before it."""
    return xz(random.Random(1).randbytes(5 << 20), "-T1") + packed


BAD = {
    "an index of 1 TiB": (lambda: zeroes(1, 1 << 40), "unpacks to 1099511627776 bytes, at most"),
    "9 GiB of zeroes": (lambda: zeroes(300), "unpacks to 10066329600 bytes, at most"),
    "blocks larger than the index says": (lambda: zeroes(2, 1 << 20), "damaged or truncated"),
    "a dictionary of 4 GiB": (greedy, "more memory than the limit allows"),
    "a corrupt index": (lambda: PACKED[:-40] + b"XXXX" + PACKED[-36:], "damaged or truncated"),
    "a corrupt block": (lambda: PACKED[:9000] + b"XXXX" + PACKED[9004:], "damaged or truncated"),
    "cut short": (lambda: PACKED[:-1000], ""),
    "something after it": (lambda: PACKED + b"something", ""),
    "padding of another length": (lambda: PACKED + bytes(6), ""),
    "an image that is too long": (lambda: xz(RAW + bytes(512), f"--block-size={BLOCK}"), "at most"),
    "an image that is too short": (lambda: xz(RAW[:-512], f"--block-size={BLOCK}"), "but the index says"),
    "no block": (lambda: xz(b""), "the image"),
}


@pytest.mark.parametrize("what,options,is_long", [
    *((what, (), False) for what in BAD), ("a corrupt block", ("--strict",), False), ("an index of 1 TiB", ("--strict",), True),
    *((what, (), True) for what in ("an index of 1 TiB", "9 GiB of zeroes", "blocks larger than the index says",
                                    "a dictionary of 4 GiB"))])
def test_a_signed_file_that_is_no_good_is_refused(host, what, options, is_long):
    make, text = BAD[what]
    packed = make()
    if is_long and len(packed) <= 4 << 20:
        packed = long_file(packed)
        text = ""
    host.publish(packed)
    done = host.run("pull", "big", *options)
    assert done.returncode in (1, 3) and text in done.stderr and "big" in done.stderr, done.stderr
    assert not list((host.cache / "images").iterdir())


# The process that unpacks

ALLOWED_FILES = 7


@pytest.mark.parametrize("form", ["blocks", "one block"])
def test_who_unpacks_before_the_digest_is_known_can_do_nothing_else(host, form):
    """Looked at from outside while it decodes what has come."""
    seen = []
    host.publish(PACKED if form == "blocks" else xz(RAW, "-T1"))
    os.environ["A_SECRET"] = "1"

    def look():
        wait_for(lambda: children(pull), "the process")
        child = children(pull)[0]
        wait_for(lambda: "Seccomp:\t2" in (child / "status").read_text(), "its sandbox")
        image = host.cache / "images" / f".tmp-{host.id}"
        wait_for(lambda: image.stat().st_blocks * 512 > 2 << 20, "something unpacked")
        for thread in (child / "task").iterdir():
            status = dict(line.split(":\t", 1) for line in (thread / "status").read_text().splitlines())
            seen.append((status["Seccomp"], status["NoNewPrivs"]))
        files = {int(file.name): os.readlink(file) for file in (child / "fd").iterdir()}
        limits = {line[:25].strip(): line[26:].split()[0] for line in (child / "limits").read_text().splitlines()[1:]}
        seen.append((files, limits, (child / "environ").read_bytes(), os.readlink(child / "cwd")))

    host.stop_at(len(PACKED) * 3 // 4, look)
    pull = host.start("pull", "big")
    out, err = pull.communicate(timeout=60)
    del os.environ["A_SECRET"]
    assert pull.returncode == 0, err
    host.check(out.strip())
    *threads, (files, limits, environment, folder) = seen
    assert len(threads) > 1 and set(threads) == {("2", "1")}
    assert sorted(files) == list(range(ALLOWED_FILES)) and files[1] == files[2] == "/dev/null"
    assert files[3].endswith(".part") and f".tmp-{host.id}" in files[5] and environment == b"" and folder == "/"
    assert int(limits["Max file size"]) < 1 << 30 and limits["Max core file size"] == "0"
    assert limits["Max processes"] == "0" and int(limits["Max open files"]) == ALLOWED_FILES
    assert int(limits["Max cpu time"]) < 1000


def test_with_strict_nobody_unpacks_before_the_digest_is_known(host):
    seen = []
    host.publish()
    host.stop_at(len(PACKED) * 3 // 4, lambda: seen.append((children(pull), (
        host.cache / "images" / f".tmp-{host.id}").stat().st_blocks)))
    pull = host.start("pull", "big", "--strict")
    host.check(pull.communicate(timeout=60)[0].strip())
    assert seen == [([], 0)]


def test_strict_can_be_said_of_a_source(host):
    host.repo.sign()
    host.add("--strict")
    assert "strict=yes" in (host.home / "config/sources.d/src.conf").read_text()
    assert json.loads(host.run("source", "list", "--json").stdout)[0]["strict"] is True
    seen = []
    host.publish()
    host.stop_at(len(PACKED) * 3 // 4, lambda: seen.append(children(pull)))
    pull = host.start("pull", "big")
    host.check(pull.communicate(timeout=60)[0].strip())
    assert seen == [[]]


def kill_child(process, sent_signal):
    wait_for(lambda: children(process), "the process")
    os.kill(int(children(process)[0].name), sent_signal)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGXCPU])
def test_if_it_dies_on_the_way_it_is_done_again_once_all_is_right(host, sent):
    host.publish()
    host.stop_at(len(PACKED) // 2, lambda: kill_child(pull, sent))
    pull = host.start("pull", "big")
    out, err = pull.communicate(timeout=60)
    assert pull.returncode == 0, err
    host.check(out.strip())
    assert host.server.sent[PATH] == len(PACKED)


@pytest.mark.killed
def test_if_it_dies_each_time_that_is_said_and_nothing_is_left_but_the_download(host):
    if not can_strace():
        pytest.skip("strace is missing or may not trace here: it kills the process at a system call of its own")
    host.publish()
    done = run("strace", "-f", "-o", "/dev/null", "-e", "trace=pread64", "-e", "inject=pread64:signal=SEGV:when=40+",
               BIN / "virt-depot", "pull", "big", env=host.environment(), check=False)
    assert done.returncode == 1 and "big: the process that unpacks it was killed by signal 11" in done.stderr, done.stderr
    assert cache_files(host.home) == [f"partial/{host.id}.part"] and not host.manifest().exists()
    host.server.log.clear()
    host.ends_well()
    assert host.ranges() == []


# What survives

@pytest.mark.parametrize("seed", range(20 if LONG else 2))
def test_kill_9_at_any_moment_is_gone_on_from(host, seed):
    """Up to four kills of one pull. What is in order when it dies is not asked for again, and nobody goes on unpacking."""
    host.publish()
    chance = random.Random(seed)
    kills = 0
    for _ in range(4):
        have = host.part().stat().st_size if host.part().exists() else 0
        assert PACKED.startswith(host.part().read_bytes() if have else b"")
        host.server.log.clear()
        host.server.sent.clear()
        pull = host.start("pull", "big")
        host.stop_at(chance.randrange(max(min(len(PACKED) - have, 6 << 20), 1)), pull.kill)
        pull.communicate(timeout=60)
        host.server.on_sent = lambda handler: None
        asked = [first for first, _ in host.ranges()]
        assert not asked or min(asked) >= have
        if pull.returncode == 0:
            break
        kills += 1
    assert kills > 1
    if pull.returncode != 0:
        wait_for(lambda: not [folder for folder in Path("/proc").glob("[0-9]*") if f".tmp-{host.id}" in "".join(open_files(folder))],
                 "the end of the unpacking processes")
    host.ends_well()


def open_files(folder):
    found = []
    with contextlib.suppress(OSError):
        for file in (folder / "fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(os.readlink(file))
    return found


def test_ctrl_c_keeps_the_download_and_stops_the_unpacking(host):
    host.publish()
    host.stop_at(len(PACKED) // 2, lambda: (wait_for(lambda: children(pull), "the process"), seen.extend(children(pull)),
                                            pull.send_signal(signal.SIGINT), pull.wait(20)))
    seen = []
    pull = host.start("pull", "big")
    pull.communicate(timeout=60)
    host.server.on_sent = lambda handler: None
    assert pull.returncode == -signal.SIGINT and seen and not any(folder.exists() for folder in seen)
    assert cache_files(host.home) == [f"partial/{host.id}.part"]
    have = host.part().stat().st_size
    assert have > 0
    host.server.log.clear()
    host.ends_well()
    assert min(first for first, _ in host.ranges()) == have


def test_a_complete_download_is_not_asked_for_again(host):
    host.publish()
    (host.cache / "partial").mkdir(parents=True)
    host.part().write_bytes(PACKED)
    host.ends_well()
    assert host.ranges() == []


@pytest.mark.parametrize("what", ["nearly all", "other bytes", "too much", "the start"])
def test_any_partial_download_is_made_good(host, what):
    host.publish()
    (host.cache / "partial").mkdir(parents=True)
    host.part().write_bytes({"nearly all": PACKED[:-1000], "other bytes": b"x" * 5000, "too much": PACKED + b"x",
                             "the start": PACKED[:100]}[what])
    host.ends_well()


# The disk

def test_a_full_disk_is_said_and_keeps_the_download(host):
    raw = RAW + b"\x01" * (64 << 20)
    packed = xz(raw, "-T2", f"--block-size={BLOCK}")
    host.publish(packed, raw)
    shutil.rmtree(host.cache)
    host.cache.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", host.cache, check=False).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: it is the disk that fills up")
    try:
        host.fails(1, "big: ", "o space left", left=[f"partial/{host.id}.part"])
        run("mount", "-o", "remount,size=256m", host.cache)
        host.ends_well(raw=raw)
    finally:
        run("umount", host.cache)


def test_a_cache_that_cannot_be_written_is_said(host):
    host.publish()
    shutil.rmtree(host.cache, ignore_errors=True)
    host.cache.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", host.cache, check=False).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: it is the disk that cannot be written")
    try:
        run("mount", "-o", "remount,ro", host.cache)
        assert "ead-only file system" in host.fails(1).stderr
        assert host.server.requests(PATH) == []
    finally:
        run("umount", host.cache)


# The manifest that is kept

def test_an_image_that_was_here_before_is_repaired_block_by_block(host):
    host.publish().ends_well()
    image = host.cache / "images" / f"{host.id}.raw"
    damaged = host.cache / "partial" / f"{host.id}.blocks"
    data = bytearray(image.read_bytes())
    data[9 * BLOCK + 5] ^= 1
    image.unlink()
    damaged.write_bytes(data)
    host.server.log.clear()
    host.ends_well()
    assert len(host.ranges()) == 1 and host.ranges()[0][1] - host.ranges()[0][0] < 2 * BLOCK


def test_a_damaged_manifest_of_our_own_is_not_used(host):
    host.publish().ends_well()
    data = bytearray(host.manifest().read_bytes())
    data[-30] ^= 1
    host.manifest().write_bytes(data)
    (host.cache / "images" / f"{host.id}.raw").unlink()
    host.server.log.clear()
    host.server.sent.clear()
    host.ends_well()
    assert host.server.sent[PATH] == len(PACKED)


def test_its_blocks_serve_an_image_of_our_own(host, tmp_path, depot):
    """A repository with manifests publishes nearly the same disk: only the blocks that differ are fetched."""
    block = 16 << 20
    raw = random.Random(3).randbytes(1 << 20) + bytes(block - (1 << 20)) + random.Random(4).randbytes(1 << 20)
    raw += bytes(2 * block - len(raw))
    host.publish(xz(raw, "-T2", f"--block-size={block}"), raw).ends_well(raw=raw)
    changed = raw[:block] + b"changed" + raw[block + 7:]
    (tmp_path / "own.raw").write_bytes(changed)
    depot("repo", "init", tmp_path / "own")
    depot("repo", "add", tmp_path / "own", tmp_path / "own.raw", "--name", "own", "--no-inspect", "--arch", "x86_64")
    note = json.loads((tmp_path / "own/.virt-depot/repo.json").read_text())
    own = Server(tmp_path / "own")
    try:
        host.run("source", "add", "own", own.url, "--fingerprint", note["fingerprint"])
        done = host.run("pull", "own")
        assert done.returncode == 0, done.stderr
        assert Path(done.stdout.strip()).read_bytes() == changed
        blobs = sum(size for path, size in own.sent.items() if path.startswith("/blobs") and size > 100000)
        assert blobs < (1 << 20) + 5000
    finally:
        own.close()

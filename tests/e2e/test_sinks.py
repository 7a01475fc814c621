# SPDX-License-Identifier: Apache-2.0
"""pull --output: files, qcow2 files laid out up front, block devices and pipes; what is refused, and what is left behind."""

import contextlib
import json
import os
import random
import signal
import subprocess

import pytest

from conftest import BIN, run
from fetch_helpers import QUICK, Server, wait_for
from real import fingerprint

BLOCK = 16 << 20
SIZE = 5 * BLOCK + 70000 - 70000 % 512
NOISE = 3 << 20


def make_image(path, seed=1, size=SIZE):
    """Noise in some blocks, a hole in others, and pieces that share clusters with holes."""
    with open(path, "wb") as image:
        for number in (0, 1, 3):
            image.seek(number * BLOCK)
            image.write(random.Random(seed + number).randbytes(NOISE))
            image.seek(number * BLOCK + NOISE + 60 * 1024)
            image.write(b"x" * 8192)
        image.seek(size - 512)
        image.write(b"y" * 512)
        image.truncate(size)
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    top = tmp_path_factory.mktemp("sinks")
    env = {"VIRT_DEPOT_HOME": str(top / "home")}
    raw = make_image(top / "big.raw")
    small = make_image(top / "small.raw", 7)
    run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", small, top / "small.qcow2")
    run(BIN / "virt-depot", "repo", "init", top / "repo", env=env)
    for name, image in (("big", raw), ("small", top / "small.qcow2")):
        run(BIN / "virt-depot", "repo", "add", top / "repo", image, "--name", name, "--no-inspect", "--arch", "x86_64",
            env=env, timeout=600)
    top.joinpath("fingerprint").write_text(fingerprint(top / "repo", top / "home"))
    listed = (top / "repo" / "index").read_text().split("[big]")[1].split("\n[")[0]
    top.joinpath("file").write_text(next(line[5:] for line in listed.splitlines() if line.startswith("file=")))
    return top


class Sinks:
    def __init__(self, published, top):
        self.raw, self.small = published / "big.raw", published / "small.raw"
        self.home, self.out = top / "home", top / "out"
        self.out.mkdir()
        self.server = Server(published / "repo")
        self.folder, self.path = published / "repo", "/" + (published / "file").read_text()
        self.env = {**os.environ, "VIRT_DEPOT_HOME": str(self.home), **QUICK}
        done = self.run("source", "add", "src", self.server.url, "--fingerprint", (published / "fingerprint").read_text())
        assert done.returncode == 0, done.stderr

    def run(self, *arguments, **more):
        return run(BIN / "virt-depot", *arguments, check=False, env=self.env, **more)

    def pull(self, target, *options, image="big"):
        return self.run("pull", image, "--output", target, *options)

    def good(self, target, *options, image="big"):
        done = self.pull(target, *options, image=image)
        assert done.returncode == 0, done.stderr
        return done

    def fails(self, status, text, target, *options, image="big"):
        before = self.files()
        done = self.pull(target, *options, image=image)
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        assert text in done.stderr and done.stdout == "", done.stderr
        assert self.files() == before
        return done

    def files(self):
        return sorted(path.name for path in self.out.iterdir())

    def cached(self):
        return sorted(path.suffix for path in (self.home / "cache" / "images").glob("*") if path.suffix != ".manifest")

    def same(self, path, kind="raw", raw=None):
        if kind == "qcow2":
            run("qemu-img", "check", "-q", "-f", "qcow2", path)
        run("qemu-img", "compare", "-q", "-f", "raw", "-F", kind, raw or self.raw, path)

    def requests(self):
        return len(self.server.requests(self.path))


@pytest.fixture
def sinks(published, tmp_path):
    made = Sinks(published, tmp_path)
    yield made
    made.server.close()


@contextlib.contextmanager
def loop_device(path, size, content=None):
    with open(path, "wb") as file:
        if content is not None:
            file.write(content)
        file.truncate(size)
    device = run("losetup", "--find", "--show", path).stdout.strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device, check=False)


def test_a_raw_file_comes_without_a_copy_in_the_cache(sinks):
    target = sinks.out / "vm.img"
    os.umask(0o027)
    try:
        assert sinks.good(target).stdout == f"{target}\n"
    finally:
        os.umask(0o022)
    assert target.read_bytes() == sinks.raw.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o640
    assert target.stat().st_blocks <= sinks.raw.stat().st_blocks + 64  # holes stay holes
    assert sinks.files() == ["vm.img"] and sinks.cached() == []


def test_a_raw_image_comes_as_qcow2_with_no_conversion(sinks):
    told = json.loads(sinks.good(sinks.out / "vm.qcow2", "--format", "qcow2", "--json").stdout)
    assert told[0]["path"] == str(sinks.out / "vm.qcow2") and told[0]["image_format"] == "qcow2"
    sinks.same(sinks.out / "vm.qcow2", "qcow2")
    described = json.loads(run("qemu-img", "info", "--output=json", sinks.out / "vm.qcow2").stdout)
    assert described["virtual-size"] == SIZE and "backing-filename" not in described
    assert described["actual-size"] <= sinks.raw.stat().st_blocks * 512 + (1 << 20)
    assert sinks.cached() == [] and sinks.files() == ["vm.qcow2"]


@pytest.mark.parametrize("image, kind", [("big", "raw"), ("big", "qcow2"), ("small", "qcow2"), ("small", "raw")])
def test_what_is_in_the_cache_is_not_fetched_again(sinks, image, kind):
    assert sinks.run("pull", image).returncode == 0
    before = len([path for path, _ in sinks.server.log if path.startswith("/blobs")])
    sinks.good(sinks.out / "vm", "--format", kind, image=image)
    assert len([path for path, _ in sinks.server.log if path.startswith("/blobs")]) == before
    sinks.same(sinks.out / "vm", kind, sinks.raw if image == "big" else sinks.small)
    assert sinks.files() == ["vm"]
    assert (sinks.out / "vm").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("kind, cached", [("qcow2", []), ("raw", [".qcow2"])])
def test_a_published_qcow2_comes_as_it_is_or_as_raw(sinks, kind, cached):
    sinks.good(sinks.out / "vm", "--format", kind, image="small")
    sinks.same(sinks.out / "vm", kind, sinks.small)
    assert sinks.cached() == cached  # what must be converted goes through the cache


@pytest.mark.parametrize("image, kind", [("big", None), ("big", "qcow2"), ("small", None), ("small", "raw")])
def test_standard_output(sinks, image, kind):
    done = subprocess.run([BIN / "virt-depot", "pull", image, "--output", "-", *(["--format", kind] if kind else [])],
                          env=sinks.env, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (sinks.out / "got").write_bytes(done.stdout)
    sinks.same(sinks.out / "got", kind or ("raw" if image == "big" else "qcow2"), sinks.raw if image == "big" else sinks.small)


def test_a_reader_that_goes_away(sinks):
    pull = subprocess.Popen([BIN / "virt-depot", "pull", "big", "--output", "-"], env=sinks.env, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    pull.stdout.read(1000)
    pull.stdout.close()
    assert pull.wait(60) == 1
    assert b"standard output: cannot write: Broken pipe" in pull.stderr.read()
    pull.stderr.close()


def test_ctrl_c_ends_a_write_that_nobody_reads(sinks):
    pull = subprocess.Popen([BIN / "virt-depot", "pull", "big", "--output", "-"], env=sinks.env, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)
    pull.stdout.read(1000)
    pull.send_signal(signal.SIGINT)
    assert pull.wait(60) == -signal.SIGINT
    pull.stdout.close()


def test_an_existing_file_is_replaced_only_when_asked_for_and_never_written_to(sinks):
    target = sinks.out / "vm"
    target.write_text("mine")
    sinks.fails(1, "exists already; --force replaces it", target)
    assert target.read_text() == "mine"
    with open(target) as old:
        sinks.good(target, "--force")
        assert old.read() == "mine"
    sinks.same(target)
    (sinks.out / "link").symlink_to("vm")
    target.write_text("mine")
    sinks.good(sinks.out / "link", "--force", "--format", "qcow2")
    assert (sinks.out / "link").is_symlink()
    sinks.same(target, "qcow2")


def test_what_cannot_be_written_to_is_refused_before_anything_is_fetched(sinks):
    os.mkfifo(sinks.out / "pipe")
    (sinks.out / "nowhere").symlink_to("absent/file")
    for target, text in ((sinks.out, "is a folder"), (sinks.out / "pipe", "'--output -' writes to a pipe"),
                         (sinks.out / "nowhere", "is a link to something that does not exist"),
                         (sinks.out / "absent" / "vm", "No such file"), ("/dev/null", "neither a regular file nor a block")):
        sinks.fails(1, text, target, "--force")
    for options, text in ((("--format", "vmdk"), "raw or qcow2"), (("--all",), "either images or --all")):
        sinks.fails(2, text, sinks.out / "vm", *options)
    assert sinks.run("pull", "big", "small", "--output", sinks.out / "vm").returncode == 2
    assert sinks.run("pull", "big", "--format", "raw").returncode == 2
    assert sinks.run("pull", "big", "--output", "-", "--json").returncode == 2
    assert sinks.run("pull", "big", "--output", sinks.out / "vm", "--dry-run").stdout.endswith(f"be written to {sinks.out}/vm\n")
    assert not [path for path, _ in sinks.server.log if path.startswith("/blobs")]


def test_a_terminal_gets_no_image(sinks):
    master, slave = os.openpty()
    done = subprocess.run([BIN / "virt-depot", "pull", "big", "--output", "-"], env=sinks.env, stdout=slave,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(master)
    os.close(slave)
    assert done.returncode == 2 and "standard output is a terminal" in done.stderr


def is_first(handler):
    """Whether the image's first block is what is asked for."""
    return int(handler.headers["Range"].split("=")[1].split("-")[0]) < NOISE // 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_an_interrupted_pull_leaves_no_image_and_goes_on(sinks, kind, how):
    target = sinks.out / "vm"
    stall = sinks.server.stalls_after(1000)
    sinks.server.always[sinks.path] = lambda handler: (sinks.server.serve if is_first(handler) else stall)(handler)
    pull = subprocess.Popen([BIN / "virt-depot", "pull", "big", "--output", target, "--format", kind],
                            env={**sinks.env, "VIRT_DEPOT_STALL_SECONDS": "60"}, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)
    wait_for(lambda: any(part.stat().st_blocks * 512 >= NOISE + 8192 for part in sinks.out.glob(".virt-depot-*.part")), "a block")
    pull.send_signal(how)
    assert pull.wait(60) == -how
    told = pull.stderr.read()
    pull.stderr.close()
    (part,) = sinks.files()
    assert part.startswith(".virt-depot-") and part.endswith(".part")
    assert (sinks.out / part).read_bytes()[:4] != b"QFI\xfb"  # no image
    assert how == signal.SIGKILL or f"what was fetched is kept in {sinks.out}/{part}" in told
    sinks.server.released.set()
    del sinks.server.always[sinks.path]
    before = sum(sinks.server.sent.values())
    sinks.good(target, "--format", kind)
    assert sum(sinks.server.sent.values()) - before < 3 * NOISE - (1 << 20)  # one of three blocks was there
    assert sinks.files() == ["vm"]
    sinks.same(target, kind)


def test_wrong_bytes_leave_nothing(sinks):
    whole = (sinks.server.folder / sinks.path.lstrip("/")).read_bytes()
    bad = bytearray(whole)
    bad[len(bad) // 2] ^= 1
    sinks.server.always[sinks.path] = lambda handler: sinks.server.serve(handler, body=bytes(bad))
    for kind in ("raw", "qcow2"):
        sinks.fails(3, "digest", sinks.out / "vm", "--format", kind)


def test_no_room(sinks, tmp_path):
    folder = tmp_path / "full"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=4m", "none", folder)
    try:
        for kind in ("raw", "qcow2"):
            done = sinks.pull(folder / "vm", "--format", kind)
            assert done.returncode == 1 and "are free" in done.stderr
            assert list(folder.iterdir()) == []
        assert sinks.run("pull", "big").returncode == 0
        for kind in ("raw", "qcow2"):
            done = sinks.pull(folder / "vm", "--format", kind)
            assert done.returncode == 1 and "No space left on device" in done.stderr
            assert list(folder.iterdir()) == []
        run("mount", "-o", "remount,ro", folder)
        done = sinks.pull(folder / "vm")
        assert done.returncode == 1 and "Read-only file system" in done.stderr
    finally:
        run("umount", folder)


@pytest.mark.parametrize("image", ["big", "small"])
def test_a_block_device_gets_the_image_and_zeroes_where_it_has_holes(sinks, image):
    raw = sinks.raw if image == "big" else sinks.small
    old = random.Random(5).randbytes(SIZE + (1 << 20))
    with loop_device(sinks.out / "disk", len(old), old) as device:
        sinks.fails(1, "the device is not empty; --force overwrites", device, image=image)
        assert (sinks.out / "disk").read_bytes() == old
        assert sinks.good(device, "--force", image=image).stdout == f"{device}\n"
    got = (sinks.out / "disk").read_bytes()
    assert got[:SIZE] == raw.read_bytes() and got[SIZE:] == old[SIZE:]  # what is behind the image stays


def test_an_empty_device_needs_no_force(sinks):
    with loop_device(sinks.out / "disk", SIZE) as device:
        sinks.good(device)
        before = sinks.requests()
        sinks.good(device, "--force")  # a comparison is all that this takes
        assert sinks.requests() == before
    assert (sinks.out / "disk").read_bytes() == sinks.raw.read_bytes()
    assert sinks.cached() == []


def test_a_device_from_the_cache(sinks):
    assert sinks.run("pull", "big").returncode == 0
    old = b"\xff" * (SIZE - SIZE % 4096 + 8192)
    with loop_device(sinks.out / "disk", len(old), old) as device:
        sinks.good(device, "--force")
    assert (sinks.out / "disk").read_bytes()[:SIZE] == sinks.raw.read_bytes()


def test_a_device_that_is_too_small_or_in_use_stays_as_it_is(sinks, tmp_path):
    with loop_device(sinks.out / "disk", SIZE - (1 << 20)) as device:
        sinks.fails(1, "the image needs", device)
        sinks.fails(2, "a block device takes the raw image", device, "--format", "qcow2")
        run("mkfs.ext4", "-q", device)
        before = (sinks.out / "disk").read_bytes()
        (tmp_path / "mounted").mkdir()
        run("mount", "-o", "ro", device, tmp_path / "mounted")
        try:
            sinks.fails(1, "the device is in use", device, "--force")
        finally:
            run("umount", tmp_path / "mounted")
        assert (sinks.out / "disk").read_bytes() == before


def test_a_device_half_old_half_new_is_said_to_be_and_goes_on(sinks):
    old = random.Random(6).randbytes(SIZE)
    with loop_device(sinks.out / "disk", SIZE, old) as device, open(device, "rb", buffering=0) as content:
        def serve_first(handler):
            if is_first(handler):
                return sinks.server.serve(handler)
            wait_for(lambda: os.pread(content.fileno(), NOISE, 0) == sinks.raw.read_bytes()[:NOISE], "the first block")
            return sinks.server.status(403)(handler)

        sinks.server.always[sinks.path] = serve_first
        done = sinks.pull(device, "--force")
        assert done.returncode == 1
        assert "the device has a part of the image only, do not use it; the same command with --force goes on" in done.stderr
        del sinks.server.always[sinks.path]
        before = sum(sinks.server.sent.values())
        sinks.good(device, "--force")
        assert sum(sinks.server.sent.values()) - before < 3 * NOISE - (1 << 20)
    assert (sinks.out / "disk").read_bytes() == sinks.raw.read_bytes()


def test_a_device_that_was_begun_is_said_to_be_whichever_way_fails(sinks):
    """The first block comes by its range; then the server gives another file, as a whole."""
    whole = bytearray((sinks.folder / sinks.path[1:]).read_bytes())
    whole[len(whole) // 2] ^= 1
    with loop_device(sinks.out / "disk", SIZE) as device, open(device, "rb", buffering=0) as content:
        def serve_first(handler):
            if "Range" in handler.headers and is_first(handler) and not sinks.server.sent.get(sinks.path):
                return sinks.server.serve(handler)
            wait_for(lambda: os.pread(content.fileno(), NOISE, 0) == sinks.raw.read_bytes()[:NOISE], "the first block")
            return sinks.server.status(200, bytes(whole))(handler)

        sinks.server.always[sinks.path] = serve_first
        done = sinks.pull(device)
        assert done.returncode == 3 and "the file changed while it was fetched" in done.stderr, done.stderr
        assert "the device has a part of the image only, do not use it; the same command with --force goes on" in done.stderr


def test_who_has_lost_the_right_to_read_goes_on_once_it_is_back(sinks):
    """What was fetched is not thrown away for a token that has expired."""
    def serve_first(handler):
        if is_first(handler):
            return sinks.server.serve(handler)
        wait_for(lambda: any(part.stat().st_blocks * 512 >= NOISE for part in sinks.out.glob(".virt-depot-*.part")), "a block")
        return sinks.server.status(403)(handler)

    sinks.server.always[sinks.path] = serve_first
    done = sinks.pull(sinks.out / "vm")
    (part,) = sinks.files()
    assert done.returncode == 1 and f"what was fetched is kept in {sinks.out}/{part}" in done.stderr, done.stderr
    del sinks.server.always[sinks.path]
    before = sum(sinks.server.sent.values())
    sinks.good(sinks.out / "vm")
    assert sum(sinks.server.sent.values()) - before < 3 * NOISE - (1 << 20)
    sinks.same(sinks.out / "vm")
    assert sinks.files() == ["vm"]


def test_two_pulls_to_one_file_and_one_to_another(sinks):
    pulls = [subprocess.Popen([BIN / "virt-depot", "pull", "big", "--output", sinks.out / name, "--force"], env=sinks.env,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for name in ("a", "a", "b")]
    ends = [(pull.communicate(timeout=120)[1], pull.returncode) for pull in pulls]
    assert sum(status == 0 for _, status in ends) >= 2, ends
    assert sinks.files() == ["a", "b"]
    for name in ("a", "b"):
        sinks.same(sinks.out / name)

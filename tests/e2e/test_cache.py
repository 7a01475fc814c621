# SPDX-License-Identifier: Apache-2.0
"""The cache: what is in it, who needs it, what may go, what is damaged and heals; without any network, too."""

import contextlib
import fcntl
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from conftest import BIN, run
from fetch_helpers import QUICK, Keys, Repository, Server, wait_for
from push_helpers import fingerprint_of
from repo_helpers import can_strace, make_image

BLOCK = 16 << 20
DAY = 24 * 3600


def fields_of(folder, name):
    """The lines of the entry @name of the index in @folder."""
    text = (folder / "index").read_text().split(f"[{name}]\n", 1)[1].split("\n\n")[0].split("\n[")[0]
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Images 'one', 'two' and 'three', of that many MiB of noise over three blocks, the second of which is a hole."""
    top = tmp_path_factory.mktemp("cache")

    def depot(*words):
        return run(BIN / "virt-depot", *words, env={"VIRT_DEPOT_HOME": str(top / "publisher")}, timeout=600)

    depot("repo", "init", top / "repo")
    for number, name in enumerate(("one", "two", "three"), 1):
        path = make_image(top / name, number << 20, 3 * BLOCK - 8192, seed=number)
        with open(path, "r+b") as image:
            image.seek(2 * BLOCK + 4096)
            image.write(random.Random(number + 10).randbytes(64 << 10))
        depot("repo", "add", top / "repo", path, "--name", name, "--no-inspect", "--arch", "x86_64")
    with open(top / "wide", "wb") as image:  # a MiB in each of eight blocks
        for number in range(8):
            image.seek(number * BLOCK)
            image.write(random.Random(number + 30).randbytes(1 << 20))
    depot("repo", "add", top / "repo", top / "wide", "--name", "wide", "--no-inspect", "--arch", "x86_64")
    return top


class Host:
    """A host with the source 'src' that offers 'one', 'two' and 'three', and counts requests."""

    def __init__(self, home, repository):
        self.home, self.cache, self.repository = home, home / "cache", repository
        self.server = Server(repository / "repo")
        self.depot("source", "add", "src", self.server.url, "--fingerprint", fingerprint_of(repository / "repo"))
        (home / "disks").mkdir()

    def content(self, name):
        return (self.repository / name).read_bytes()

    def environment(self, **more):
        return {**os.environ, "VIRT_DEPOT_HOME": str(self.home), **QUICK, **more}

    def depot(self, *words, env=None, **more):
        return run(BIN / "virt-depot", *words, env=self.environment(**(env or {})), **more)

    def start(self, *words, env=None, **more):
        return subprocess.Popen([BIN / "virt-depot", *words], env=self.environment(**(env or {})), stdin=subprocess.DEVNULL,
                                **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more})

    def pull(self, name):
        return Path(self.depot("pull", name).stdout.strip())

    def listed(self):
        """{name: what `cache list` says of it}"""
        told = json.loads(self.depot("cache", "list", "--json").stdout)
        return {image["images"][0]["name"]: image for image in told["images"]}

    def prune(self, *words, **more):
        """The names that were removed, and those that were kept, with the reason."""
        done = self.depot("cache", "prune", "--json", *words, **more)
        told = json.loads(done.stdout)
        return [line["name"] for line in told["removed"]], {line["name"]: line["reason"] for line in told["kept"]}

    def used(self, path, seconds_ago):
        """As if the image at @path was used last some time ago."""
        seal = self.home / "state/sealed" / f"{path.stem}.json"
        then = time.time() - seconds_ago
        os.utime(seal, (then, then))

    def clone(self, base, name, folder=None):
        disk = (folder or self.home / "disks") / name
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", disk)
        return disk


@pytest.fixture
def host(home, repository):
    made = Host(home, repository)
    yield made
    made.server.close()


def test_list_tells_names_sizes_last_use_and_who_needs_an_image(host):
    assert "the cache holds no image" in host.depot("cache", "list").stderr
    one, two = host.pull("one"), host.pull("two")
    host.used(one, 3 * DAY)
    disk = host.clone(one, "vm.qcow2")
    told = host.listed()
    assert set(told) == {"one", "two"}
    assert told["one"]["path"] == str(one) and told["one"]["used_by"] == [str(disk)] and told["two"]["used_by"] == []
    assert told["one"]["images"] == [{"source": "src", "name": "one", "arch": "x86_64", "revision": 1}]
    assert 1 << 20 < told["one"]["disk_size"] < told["one"]["file_size"] == one.stat().st_size
    assert told["one"]["last_used"] < told["two"]["last_used"]
    lines = host.depot("cache", "list").stdout.splitlines()
    assert lines[0].split() == ["IMAGE", "ARCH", "REVISION", "SIZE", "LAST", "USED", "USED", "BY"]
    assert lines[1].split()[:3] == ["src/one", "x86_64", "1"] and lines[1].endswith("vm.qcow2")
    host.pull("one")  # a use, though nothing is fetched
    assert host.listed()["one"]["last_used"] >= told["two"]["last_used"]


def test_prune_takes_the_least_recently_used_first(host):
    paths = {name: host.pull(name) for name in ("one", "two", "three")}
    for days, name in enumerate(("two", "three", "one"), 1):
        host.used(paths[name], days * DAY)
    assert host.prune() == ([], {})
    assert host.prune("--max-size", "10M", "--dry-run") == ([], {})
    assert host.prune("--max-size", "6M", "--dry-run")[0] == ["src/one"] and paths["one"].exists()
    assert host.prune("--max-size", "6M") == (["src/one"], {})
    assert host.prune("--older-than", "36h") == (["src/three"], {})
    assert [name for name, path in paths.items() if path.exists()] == ["two"]
    assert sorted(path.name for path in (host.cache / "images").iterdir()) == sorted([paths["two"].name, paths["two"].stem + ".manifest"])
    assert host.pull("one").exists()
    for wrong in (["--max-size", "1Q"], ["--older-than", "soon"], ["extra"]):
        assert host.depot("cache", "prune", *wrong, check=False).returncode == 2


def test_prune_leaves_what_a_chain_of_disks_needs(host, tmp_path):
    """Found by the headers, wherever the disks are that were noted, and by whatever name they go now."""
    one, two, three = (host.pull(name) for name in ("one", "two", "three"))
    middle = host.clone(one, "middle.qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "middle.qcow2", "-F", "qcow2", middle.parent / "top.qcow2")
    away = host.clone(two, "away.qcow2", tmp_path)
    note = host.cache / "uses" / two.stem / "0"
    note.parent.mkdir(parents=True)
    note.write_text(str(away))
    removed, kept = host.prune("--max-size", "1")
    assert removed == ["src/three"] and not three.exists()
    assert kept["src/one"].endswith("needs it") and kept["src/two"] == f"{away} needs it"
    away.rename(tmp_path / "renamed.qcow2")
    assert host.prune("--older-than", "0")[0] == []
    (tmp_path / "renamed.qcow2").unlink()
    run("qemu-img", "rebase", "-u", "-b", "", middle)  # as after a flatten
    assert sorted(host.prune("--max-size", "1")[0]) == ["src/one", "src/two"]
    assert not note.exists()


def test_prune_leaves_what_libvirt_names(host, tmp_path):
    """A user's own libvirt knows of a disk in a folder that nothing else tells of."""
    one, two, three = (host.pull(name) for name in ("one", "two", "three"))
    disk, pool = host.clone(one, "vm & co.qcow2", tmp_path), tmp_path / "pool"
    pool.mkdir()
    host.clone(two, "volume.qcow2", pool)
    conf = tmp_path / "conf/libvirt"
    (conf / "qemu").mkdir(parents=True)
    (conf / "storage").mkdir()
    domain = conf / "qemu/vm.xml"
    domain.write_text(f"<!-- made by virsh -->\n<domain type='kvm'><name>vm</name><devices><disk type='file' device='disk'>"
                      f"<source file='{str(disk).replace('&', '&amp;')}'/></disk></devices></domain>\n")
    (conf / "storage/pool.xml").write_text(f"<pool type='dir'><target><path>{pool}</path></target></pool>\n")
    live = conf / "qemu/live.xml"  # a VM that has the image itself as its disk
    live.write_text(f"<domain><devices><disk type='file'><source file='{three}'/><readonly/></disk></devices></domain>\n")
    (conf / "qemu/autostart").mkdir()
    (conf / "qemu/autostart/live.xml").symlink_to(live)
    env = {"XDG_CONFIG_HOME": str(tmp_path / "conf")}
    assert host.prune("--max-size", "1", env=env) == ([], {
        "src/one": f"{disk} needs it", "src/two": f"{pool}/volume.qcow2 needs it", "src/three": f"{live} needs it"})
    live.write_text(f"<domain><devices><disk type='volume'><source pool='cache' volume='{three.name}'/></disk></devices></domain>\n")
    assert host.prune("--max-size", "1", env=env)[1]["src/three"] == f"{live} needs it"
    live.unlink()
    domain.write_text("<domain><unfinished")
    done = host.depot("cache", "prune", "--max-size", "1", env=env, check=False)
    assert done.returncode == 1 and "2 images stay" in done.stderr
    assert str(domain) in done.stderr and "virsh define" in done.stderr and one.exists() and three.exists()
    domain.unlink()
    assert sorted(host.prune("--max-size", "1", env=env)[0]) == ["src/one", "src/three"]
    domain.write_text(f"<domain><devices><disk><source file='{tmp_path}/nowhere/vm.qcow2'/></disk></devices></domain>\n")
    host.pull("one")
    done = host.depot("cache", "prune", "--max-size", "1", env=env, check=False)
    assert done.returncode == 1 and f"mount its file system, or, if it is gone for good, take it out of {domain}" in done.stderr


def test_a_disk_that_is_not_mounted_keeps_its_image_and_no_other(host, tmp_path):
    """The run fails only where something that was to go stays for that reason, and says what to do."""
    one, two = host.pull("one"), host.pull("two")
    drive = tmp_path / "drive"
    drive.mkdir()
    run("mount", "-t", "tmpfs", "none", drive)
    try:
        (drive / "vms").mkdir()
        disk = host.clone(one, "vm.qcow2", drive / "vms")
        note = host.cache / "uses" / one.stem / "0"
        note.parent.mkdir(parents=True)
        note.write_text(str(disk))
        assert host.prune("--max-size", "1", "--dry-run") == (["src/two"], {"src/one": f"{disk} needs it"})
    finally:
        run("umount", drive)
    listed = host.depot("cache", "list")
    assert f"{disk}: is not there, nor is its folder: mount its file system" in listed.stderr
    assert host.prune() == ([], {}) and host.prune("--older-than", "30d") == ([], {})
    host.used(two, 40 * DAY)
    assert host.prune("--older-than", "30d", "--dry-run") == (["src/two"], {})
    for words in (["--dry-run"], []):
        done = host.depot("cache", "prune", "--json", "--max-size", "1", *words, check=False)
        told = json.loads(done.stdout)
        assert done.returncode == 1 and "1 image stays" in done.stderr and f"remove {note}" in done.stderr
        assert [line["name"] for line in told["removed"]] == ["src/two"]
        assert [line["name"] for line in told["kept"]] == ["src/one"] and told["kept"][0]["reason"].startswith("it may be needed: ")
        assert one.exists() and two.exists() == bool(words)
    note.unlink()
    assert host.prune("--max-size", "1")[0] == ["src/one"]


@pytest.mark.parametrize("what", ["disks", "notes", "note", "disk"])
def test_what_a_user_cannot_read_keeps_the_images(host, tmp_path, what):
    """While a folder of somebody else that is closed to him, such as lost+found, holds no disk of his."""
    home = host.home / "theirs"
    env = host.environment(HOME=str(home), VIRT_DEPOT_HOME=str(home))
    disk = home / "disks/vm.qcow2"

    def depot(*words):
        return run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BIN / "virt-depot", *words, env=env, check=False)

    home.mkdir()
    (home / "disks/lost+found").mkdir(parents=True)
    for path in (home, home / "disks"):
        os.chown(path, 65534, 65534)
    (home / "disks/lost+found").chmod(0o700)
    depot("source", "add", "src", host.server.url, "--fingerprint", fingerprint_of(host.repository / "repo"))
    image = Path(depot("pull", "one").stdout.strip())
    assert image.is_relative_to(home)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "raw", disk)
    note = home / "cache/uses" / image.stem / "0"
    note.parent.mkdir(parents=True)
    note.write_text(str(disk))
    for path in (disk, note, note.parent, note.parent.parent):
        os.chown(path, 65534, 65534)
    assert "vm.qcow2 needs it" in depot("cache", "prune", "--max-size", "1").stderr
    closed = {"disks": disk.parent, "notes": note.parent, "note": note, "disk": disk}[what]
    if what in ("notes", "note"):  # then nothing else tells of it
        disk.rename(tmp_path / "elsewhere.qcow2")
    closed.chmod(0)
    done = depot("cache", "prune", "--max-size", "1")
    assert done.returncode == 1 and f"{closed}" in done.stderr and "make it readable" in done.stderr
    assert image.exists()
    disk.unlink(missing_ok=True)
    note.unlink()
    closed.exists() and closed.chmod(0o755)
    done = depot("cache", "prune", "--max-size", "1")
    assert done.returncode == 0 and not image.exists(), done.stderr


def test_prune_leaves_what_others_hold(host):
    """A pull under way, VMs that are being made, a running qemu."""
    one, two, three = (host.pull(name) for name in ("one", "two", "three"))
    with open(host.cache / "partial" / f"{one.stem}.lock", "w") as lock, open(two) as made:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fcntl.flock(made, fcntl.LOCK_SH)
        holder = subprocess.Popen(["qemu-io", "-r", "-f", "raw", three], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        holder.stdin.write(b"read 0 512\n")
        holder.stdin.flush()
        while b"ops" not in holder.stdout.readline():
            pass
        try:
            assert host.prune("--max-size", "1") == ([], {
                "src/one": "another process pulls or verifies it", "src/two": "VMs are being made of it",
                "src/three": "a running program has it open"})
        finally:
            holder.communicate(b"quit\n")
    assert sorted(host.prune("--max-size", "1")[0]) == ["src/one", "src/three", "src/two"]


def test_prune_removes_what_dead_pulls_left_a_day_ago(host):
    one = host.pull("one")
    partial = host.cache / "partial"
    orphan = host.cache / "images" / ("ab" * 64 + ".manifest")
    left = [partial / ("ab" * 64 + suffix) for suffix in (".part", ".blocks", ".delta", ".lock")] + [orphan]
    for path in left:
        path.write_bytes(b"x" * 5000)
    assert host.prune()[0] == [] and all(path.exists() for path in left)
    for path in left:
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    with open(left[3]) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert host.prune()[0] == []
    told = json.loads(host.depot("cache", "list", "--json").stdout)
    assert {part["path"] for part in told["partial"]} == {str(path) for path in left}
    assert len(host.prune()[0]) == 4 and not any(path.exists() for path in left) and one.exists()


def test_a_clock_that_jumps_removes_nothing_that_was_just_used(host):
    """Back: a last use in the future is not old. Forward: what is used goes by its users, not by the clock."""
    one, two = host.pull("one"), host.pull("two")
    host.clone(one, "vm.qcow2")
    for path in (one, two):
        host.used(path, -400 * DAY)
    assert host.prune("--older-than", "0")[0] == []
    for path in (one, two):
        host.used(path, 4000 * DAY)
    assert host.prune("--older-than", "30d") == (["src/two"], {"src/one": f"{host.home}/disks/vm.qcow2 needs it"})


# ---- damage, and how it heals ----

PAGE = 4096


def damage(path, *offsets, data=b"\x00broken"):
    """Write over a few bytes of a read-only image."""
    path.chmod(0o644)
    with open(path, "r+b") as file:
        for at in offsets:
            file.seek(at)
            file.write(data)
    path.chmod(0o444)


def verified(host, *words, status=0, **more):
    """{name: what `cache verify` says}"""
    done = host.depot("cache", "verify", "--json", *words, check=False, **more)
    assert done.returncode == status, f"{done.returncode} {done.stdout} {done.stderr}"
    return {line["name"]: line for line in json.loads(done.stdout)}


def file_requests(host):
    """Requests since the last call for anything but the index."""
    found = [path for path, _ in host.server.log if "/blobs/" in path]
    host.server.log.clear()
    return found


def test_verify_finds_damaged_blocks_and_fetches_only_those(host):
    one, three = host.pull("one"), host.pull("three")
    host.used(three, 5 * DAY)
    assert {name: line["state"] for name, line in verified(host).items()} == {"src/one": "good", "src/three": "good"}
    before, last_used = three.stat(), host.listed()["three"]["last_used"]
    damage(three, 100, 2 << 20)  # both in the first block
    host.server.log.clear()
    told = verified(host, "three", "--no-fix", status=1)
    assert list(told) == ["src/three"]
    assert told["src/three"]["state"] == "damaged" and (told["src/three"]["damaged_blocks"], told["src/three"]["blocks"]) == (1, 3)
    assert "1 of 3 blocks" in host.depot("cache", "verify", "--offline", check=False).stdout
    assert host.server.log == []
    told = verified(host)["src/three"]
    assert told["state"] == "healed" and told["damaged_blocks"] == 1
    spans = [[int(n) for n in headers["Range"][6:].split("-")] for path, headers in host.server.log if "/blobs/" in path]
    assert sum(last - first + 1 for first, last in spans) == told["fetched_size"]  # of 3 MiB; the last block has 64 KiB more
    assert 3 << 20 <= told["fetched_size"] < (3 << 20) + (32 << 10)
    after = three.stat()
    assert three.read_bytes() == host.content("three")
    assert after.st_ino == before.st_ino and after.st_mode & 0o777 == 0o444 and after.st_blocks <= before.st_blocks + 16
    assert host.listed()["three"]["last_used"] == last_used
    assert {name: line["state"] for name, line in verified(host, "--offline").items()} == {"src/one": "good", "src/three": "good"}
    assert host.depot("cache", "verify", one.stem).stdout == "src/one: good\n"
    assert "is not in the cache" in host.depot("cache", "verify", "nothing", check=False).stderr


DAMAGES = {
    "a flipped bit": lambda path: damage(path, BLOCK * 2 + 4096),
    "data in a hole": lambda path: damage(path, BLOCK + 12345),
    "cut off": lambda path: os.truncate(path, BLOCK + 5),
    "longer": lambda path: os.truncate(path, 3 * BLOCK + 5),
    "empty": lambda path: os.truncate(path, 0),
    "everything": lambda path: damage(path, *range(0, 3 * BLOCK - 8192, 1 << 20), data=bytes([255]) * 5000),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_every_kind_of_damage_heals(host, kind):
    path = host.pull("two")
    DAMAGES[kind](path)
    assert verified(host)["src/two"]["state"] == "healed"
    assert path.read_bytes() == host.content("two") and path.stat().st_mode & 0o777 == 0o444
    assert verified(host, "--offline")["src/two"]["state"] == "good"


def test_a_pull_heals_what_was_changed_since_it_was_verified(host):
    """The size and time of the file tell; nothing is hashed where they are as they were."""
    path = host.pull("two")
    host.server.log.clear()
    os.utime(path)  # touched, and the same: read once more, and nothing is fetched
    assert host.pull("two") == path and file_requests(host) == []
    inode = path.stat().st_ino
    damage(path, 4096)
    done = host.depot("pull", "two")
    assert "1 of 3 blocks were fetched anew" in done.stderr and path.read_bytes() == host.content("two")
    assert path.stat().st_ino == inode and file_requests(host)
    assert host.depot("pull", "two").stderr == ""
    damage(path, 4096)
    host.server.log.clear()
    done = host.depot("pull", "two", "--offline", check=False)
    assert done.returncode == 1 and "1 of 3 blocks" in done.stderr and host.server.log == []


def test_another_source_with_the_same_file_and_another_manifest_has_another_image(host, tmp_path_factory):
    """Whoever signs any source cannot say what is in the image of another: not by planting it, nor by healing it."""
    tmp_path = tmp_path_factory.mktemp("e")  # the path of a GnuPG home may not be long
    evil = tmp_path / "evil"
    for words in (("repo", "init", evil), ("repo", "add", evil, host.repository / "one", "--name", "two",
                                           "--no-inspect", "--arch", "x86_64")):
        host.depot(*words, env={"VIRT_DEPOT_HOME": str(tmp_path / "attacker")})
    keys = Keys(tmp_path / "keys")
    keys.make("evil")
    mine = fields_of(evil, "two")
    theirs = fields_of(host.repository / "repo", "two")
    made = Repository(tmp_path / "served", keys, signer="evil")
    made.entries.append("[two]\n" + "".join(f"{key}={value}\n" for key, value in {
        **mine, "file": theirs["file"], "checksum[sha512]": theirs["checksum[sha512]"]}.items()))
    made.sign()
    shutil.copytree(evil / "blobs", made.folder / "blobs")
    for file, content in ((theirs["file"], evil / mine["file"]), (mine["x_manifest"], evil / mine["x_manifest"])):
        (made.folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(content, made.folder / file)
    server = Server(made.folder)
    host.depot("source", "add", "evil", server.url, "--fingerprint", keys.fingerprints["evil"])
    try:
        planted = host.pull("evil/two")
        assert planted.read_bytes() == host.content("one")
        good = host.pull("src/two")
        assert good != planted and good.read_bytes() == host.content("two")
        damage(good, 4096)
        assert verified(host)["src/two"]["state"] == "healed"
        assert good.read_bytes() == host.content("two") and host.pull("evil/two") == planted
    finally:
        server.close()
        keys.close()


def test_a_running_guest_reads_right_data_after_its_base_was_healed(host):
    """Over an overlay that stays open: in place, so that qemu's open file heals too; good pages never change."""
    base = host.pull("one")
    overlay = host.clone(base, "vm.qcow2")
    damage(base, 8192)
    guest = subprocess.Popen(["qemu-io", "-f", "qcow2", overlay], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(at, pattern):
        guest.stdin.write(f"read -P {pattern} {at} 1\n")
        guest.stdin.flush()
        while "ops" not in (line := guest.stdout.readline()):
            if "verification failed" in line:
                guest.stdout.readline()
                return False
        return True

    content = host.content("one")
    try:
        assert not read(8192, content[8192])
        assert verified(host)["src/one"]["state"] == "healed"
        assert read(8193, content[8193]) and read(8195, content[8195])
    finally:
        guest.communicate("quit\n")


@pytest.mark.parametrize("why", ["gone", "wrong bytes", "removed", "no ranges"])
def test_what_cannot_be_healed_is_told_and_left_as_it_is(host, why):
    path = host.pull("one")
    damage(path, 0, 2 * BLOCK + 8192)
    broken, manifest = path.read_bytes(), path.with_suffix(".manifest").read_bytes()
    blob = next(p for p in (host.repository / "repo/blobs").rglob("*") if p.name == path.stem.split("-")[0])
    name = "/" + str(blob.relative_to(host.repository / "repo"))
    if why == "gone":
        host.server.always[name] = host.server.status(404)
    elif why == "wrong bytes":
        host.server.always[name] = lambda handler: host.server.serve(handler, body=bytes(blob.stat().st_size))
    elif why == "no ranges":
        host.server.always[name] = host.server.ignores_range
    else:
        host.depot("source", "remove", "src")
    told = verified(host, status=1)["src/one"]
    assert told["state"] == "damaged" and told["damaged_blocks"] == 2 and told["reason"]
    assert {"gone": "404", "removed": "there is no source 'src'", "no ranges": "range requests",
            "wrong bytes": "do not have the digest"}[why] in told["reason"], told["reason"]
    assert path.read_bytes() == broken and path.with_suffix(".manifest").read_bytes() == manifest
    assert not list((host.cache / "partial").glob("*.blocks"))


@pytest.mark.skipif(not can_strace(), reason="nothing here may be traced: it is the death at a chosen system call")
@pytest.mark.killed
def test_healing_that_is_killed_never_makes_a_page_worse(host):
    path = host.pull("two")
    right = host.content("two")
    damage(path, 0, 1 << 20, 2 * BLOCK + 4096)
    broken = path.read_bytes()
    for nth in (1, 3, 5, 6, 7, 8):
        path.write_bytes(broken)
        subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", "trace=pwrite64", "-e",
                        f"inject=pwrite64:signal=KILL:when={nth}", BIN / "virt-depot", "cache", "verify"],
                       env=host.environment(), capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
        now = path.read_bytes()
        assert len(now) == len(right)
        for at in range(0, len(right), PAGE):
            page = now[at:at + PAGE]
            assert page == right[at:at + PAGE] or page == broken[at:at + PAGE]
        assert verified(host)["src/two"]["state"] in ("healed", "good")
        assert path.read_bytes() == right


@pytest.mark.skipif(not can_strace(), reason="nothing here may be traced: it is the stop at a chosen system call")
@pytest.mark.parametrize("is_damaged", [False, True])
def test_an_image_that_somebody_changes_while_it_is_compared_is_not_called_good(host, is_damaged, tmp_path):
    """Stopped in the middle, written to with what is there already, and let go on: another write might have been a wrong one."""
    path = host.pull("wide")
    seal = host.home / "state/sealed" / f"{path.stem}.json"
    if is_damaged:
        damage(path, 4096)
    before, content = seal.read_text(), path.read_bytes()
    log = tmp_path / "log"
    tracer = subprocess.Popen(["strace", "-f", "-o", log, "-P", path, "-e", "trace=pread64", "-e",
                               "inject=pread64:signal=STOP:when=2", BIN / "virt-depot", "cache", "verify", "--json"],
                              env=host.environment(ASAN_OPTIONS="detect_leaks=0"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: log.exists() and "stopped by SIGSTOP" in log.read_text(), "the comparison")
        damage(path, BLOCK, data=content[BLOCK:BLOCK + 1])
        program = int(Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text())
        while tracer.poll() is None:  # each thread stops at its second read
            with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
                os.kill(program, signal.SIGCONT)
                tracer.wait(timeout=0.1)
        told = json.loads(tracer.communicate()[0])[0]
    finally:
        tracer.kill()
        tracer.wait()
    assert tracer.returncode == 1 and told["state"] == "damaged" and "changed by somebody else" in told["reason"]
    assert seal.read_text() == before and path.read_bytes() == content
    assert verified(host)["src/wide"]["state"] == ("healed" if is_damaged else "good")


def test_an_image_that_has_no_manifest_is_told(host):
    path = host.pull("one")
    path.with_suffix(".manifest").write_text("damaged too")
    assert verified(host, "--offline")["src/one"]["state"] == "unknown"
    assert verified(host)["src/one"]["state"] == "good"  # the source has it, the signed index its digest
    for record in (host.home / "state/pulled").iterdir():
        record.unlink()
    told = verified(host)
    assert list(told) == [path.stem] and told[path.stem]["state"] == "unknown"


# ---- without a network, and with little of it ----


def test_offline_nobody_is_asked(host):
    path = host.pull("one")
    host.server.log.clear()
    assert host.depot("pull", "one", "--offline").stdout.strip() == str(path)
    assert str(path) in host.depot("pull", "one", "--offline", "--dry-run").stdout
    done = host.depot("pull", "two", "--offline", check=False)
    assert done.returncode == 1 and "src/two: revision 1 is not in the cache, and with --offline nothing is fetched" in done.stderr
    assert host.depot("outdated", "--offline").returncode == 0
    assert host.server.log == []
    host.server.close()
    assert host.depot("pull", "one", "--offline").stdout.strip() == str(path)
    assert host.depot("pull", "one").stdout.strip() == str(path)  # what is known does as well, and that is said
    for index in (host.cache / "index").iterdir():
        for part in index.iterdir():
            part.unlink()
    assert host.depot("pull", "one", "--offline", check=False).returncode == 1


def test_an_index_that_has_not_changed_is_not_sent_again(host):
    answers = []
    answer = host.server.serve

    def serve(handler):
        before = host.server.sent.get(handler.path, 0)
        answer(handler)
        answers.append((handler.path, host.server.sent.get(handler.path, 0) - before))

    for name in ("/index", "/index.sig", "/keys.asc"):
        host.server.always[name] = serve
    host.server.log.clear()
    host.depot("pull", "one")
    asked = {path: headers for path, headers in host.server.log if "/blobs/" not in path}
    assert {"/index", "/index.sig"} <= set(asked) and all("If-None-Match" in headers for headers in asked.values())
    assert {path for path, _ in answers} == set(asked) and all(sent == 0 for _, sent in answers)


def test_a_clock_that_jumps_makes_an_index_old_not_young(host):
    """What was confirmed in the future, before the clock was set back, is asked for again; so is what is long ago."""
    facts = host.cache / "index/src/facts.json"
    env = {"VIRT_DEPOT_MAX_AGE": "3600"}
    host.depot("list", env=env)
    host.server.log.clear()
    host.depot("list", env=env)
    assert host.server.log == []
    for seconds in (5 * DAY, -5 * DAY):
        os.utime(facts, (time.time() + seconds,) * 2)
        host.depot("list", env=env)
        assert "/index" in [path for path, _ in host.server.log]
        host.server.log.clear()


def test_what_is_in_a_read_only_cache_is_used(host):
    path = host.pull("one")
    run("mount", "--bind", host.cache, host.cache)
    try:
        run("mount", "-o", "remount,ro,bind", host.cache)
        for words in ([], ["--offline"]):
            assert host.depot("pull", "one", *words).stdout.strip() == str(path)
        assert verified(host)["src/one"]["state"] == "good"
        done = host.depot("pull", "two", check=False)
        assert done.returncode == 1 and "Read-only file system" in done.stderr
        done = host.depot("cache", "prune", "--max-size", "1", check=False)
        assert path.exists() and "Read-only" in done.stderr
    finally:
        run("umount", host.cache)


# ---- two at once ----


class Terminal:
    """What a program writes to its stderr, a terminal."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        self.seen = ""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        with contextlib.suppress(OSError):  # EIO: nobody writes any more
            while data := os.read(self.ours, 65536):
                self.seen += data.decode()

    def shows(self, pattern):
        wait_for(lambda: re.search(pattern, self.seen), f"{pattern!r} in {self.seen[-2000:]!r}")

    def close(self):
        os.close(self.theirs)
        self.reader.join()
        os.close(self.ours)


class Slow:
    """The server goes on with images only as far as it is let."""

    def __init__(self, server):
        self.server, self.limit, self.event = server, 0, threading.Condition()
        server.on_sent = self.wait

    def sent(self):
        return sum(size for path, size in self.server.sent.items() if "/blobs/" in path)

    def wait(self, handler):
        with self.event:
            self.event.wait_for(lambda: "/blobs/" not in handler.path or self.sent() < self.limit, timeout=60)

    def let(self, limit):
        with self.event:
            self.limit = limit
            self.event.notify_all()


@pytest.mark.parametrize("end", ["well", "killed", "interrupted"])
def test_the_second_pull_shows_the_progress_of_the_first(host, end):
    slow, terminal = Slow(host.server), Terminal()
    slow.let(3 << 20)
    patient = {"VIRT_DEPOT_STALL_SECONDS": "60"}
    first = host.start("pull", "wide", env=patient)
    wait_for(lambda: slow.sent() >= 3 << 20, "the first pull")
    second = host.start("pull", "wide", env=patient, stderr=terminal.theirs)
    try:
        terminal.shows(r"another process: pull wide +\d+")  # how far he is changes ten times a second at most
        if end == "interrupted":
            second.send_signal(signal.SIGINT)
            assert second.wait(timeout=10) == -signal.SIGINT
        elif end == "killed":
            first.kill()
            first.wait()  # before the server goes on: what it sends to nobody would count
        slow.let(1 << 40)
        if end != "killed":
            assert first.wait(timeout=60) == 0
        if end != "interrupted":
            assert second.wait(timeout=60) == 0
            assert Path(second.stdout.read().strip()).read_bytes() == host.content("wide")
        # Once; what was on its way to the first one, four connections with a block each, is lost with it.
        assert slow.sent() < (8 << 20) + (100 << 10) + (4 << 20 if end == "killed" else 0)
        shown = [int(n) for n in re.findall(r"another process: pull wide +(\d+) %", terminal.seen)]
        assert shown == sorted(shown)
    finally:
        slow.let(1 << 40)
        for process in (first, second):
            process.kill()
            process.communicate()
        terminal.close()
    assert not list((host.cache / "partial").iterdir()) or end == "killed"


# ---- a cache for a whole host ----


def test_a_user_reads_the_cache_of_the_host_if_it_can_be_trusted(host):
    """Root pulls; somebody else has nothing to fetch, and neither writes there nor believes what others may write."""
    path, shared = host.pull("one"), host.home / "cache"
    theirs = host.home / "theirs"
    theirs.mkdir()
    theirs.chmod(0o777)
    before = sorted((p, p.stat().st_mtime_ns) for p in shared.rglob("*"))

    def depot(*words, **env):
        env = host.environment(**{"HOME": str(theirs), "VIRT_DEPOT_HOME": str(theirs), "VIRT_DEPOT_SHARED_CACHE": str(shared), **env})
        return run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BIN / "virt-depot", *words, env=env, check=False)

    assert depot("source", "add", "src", host.server.url, "--fingerprint", fingerprint_of(host.repository / "repo")).returncode == 0
    host.server.log.clear()
    done = depot("pull", "one")
    assert done.stdout.strip() == str(path), done.stderr
    assert file_requests(host) == [] and sorted((p, p.stat().st_mtime_ns) for p in shared.rglob("*")) == before
    assert depot("pull", "two").stdout.startswith(str(theirs))
    assert depot("pull", "one", VIRT_DEPOT_CACHE=str(theirs / "other"), VIRT_DEPOT_SHARED_CACHE="").stdout.startswith(str(theirs / "other/images"))
    assert "src/one" not in depot("cache", "list").stdout  # not ours to remove
    for spoil, mend in ((lambda: (shared / "images").chmod(0o777), lambda: (shared / "images").chmod(0o755)),
                        (lambda: path.chmod(0o464), lambda: path.chmod(0o444)),
                        (lambda: os.chown(path, 12345, 0), lambda: os.chown(path, 0, 0))):
        spoil()
        own = Path(depot("pull", "one").stdout.strip())
        assert own.is_relative_to(theirs) and own.read_bytes() == host.content("one")
        own.unlink()
        mend()
        assert depot("pull", "one").stdout.strip() == str(path)

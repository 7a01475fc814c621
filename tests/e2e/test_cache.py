# SPDX-License-Identifier: Apache-2.0
"""The cache: what is in it, who needs it, what may go, what is damaged and heals; without any network, too."""

import fcntl
import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BIN, run
from fetch_helpers import QUICK, Server
from push_helpers import fingerprint_of
from repo_helpers import make_image

BLOCK = 16 << 20
DAY = 24 * 3600


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

    def start(self, *words, **more):
        return subprocess.Popen([BIN / "virt-depot", *words], env=self.environment(), stdin=subprocess.DEVNULL,
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
    one, two = host.pull("one"), host.pull("two")
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
    env = {"XDG_CONFIG_HOME": str(tmp_path / "conf")}
    assert set(host.prune("--max-size", "1", env=env)[1]) == {"src/one", "src/two"}
    domain.write_text("<domain><unfinished")
    done = host.depot("cache", "prune", "--max-size", "1", env=env, check=False)
    assert done.returncode == 1 and "no image is removed" in done.stderr and str(domain) in done.stderr
    domain.unlink()
    assert host.prune("--max-size", "1", env=env)[0] == ["src/one"]


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

# SPDX-License-Identifier: Apache-2.0
"""Deploys that must fail, and deploys that are killed: nothing is left behind, nothing that was there is lost, and a
rerun succeeds. Against a real libvirtd; the small image keeps it fast where no guest OS is needed."""

import json
import os
import random
import signal
import socket
import subprocess
import time

import pytest

from conftest import BIN, ROOT, run
from real import PRIVATE, STOCK, Repod, fingerprint

LONG = bool(os.environ.get("VIRT_DEPOT_LONG"))


@pytest.fixture(scope="module")
def small(host):
    """A second source with a 64 MiB image of no operating system, deployed without an appliance."""
    env = {"VIRT_DEPOT_HOME": str(host.home)}
    image = host.top / "small.img"
    with open(image, "wb") as file:
        file.write(os.urandom(1 << 20))
        file.truncate(64 << 20)
    folder = host.top / "small-repo"
    run(BIN / "virt-depot", "repo", "init", folder, env=env)
    run(BIN / "virt-depot", "repo", "add", folder, image, "--name", "small", "--arch", "x86_64", "--no-inspect", env=env)
    server = Repod(folder, host.top)
    host.depot("source", "add", "small", server.url, "--fingerprint", fingerprint(folder, host.home))
    path = host.depot("pull", "small").stdout.strip()
    yield path
    host.depot("source", "remove", "small")
    server.stop()


def snapshot(host):
    """Everything that a deploy makes: disks, base images, journals with their identity, and domains. (The catalogue,
    which a deploy refreshes, is not among them.)"""
    files = {}
    for path in [p for part in ("disks", "cache/images", "state/journal") for p in (host.home / part).rglob("*")]:
        st = path.lstat()
        if not path.is_dir() and not path.name.endswith(".lock"):
            files[path] = (st.st_ino, st.st_size, st.st_mtime_ns)
    return files, host.domains()


def changed(host, before):
    files, domains = snapshot(host)
    return {p for p in files.keys() | before[0].keys() if files.get(p) != before[0].get(p)}, domains ^ before[1]


BARE = ["--no-customize", "--linked"]


def test_a_name_that_libvirt_has_is_refused_and_both_stay(host, small):
    host.depot("deploy", "small", "taken-2", *BARE)
    before = snapshot(host)
    try:
        done = host.depot("deploy", "small", "taken", "--count", "3", *BARE, check=False)
        assert done.returncode == 1 and "taken-2" in done.stderr
        assert changed(host, before) == (set(), set())
    finally:
        host.remove("taken-2")


@pytest.mark.parametrize("suffix", ["qcow2", "raw"])
def test_a_disk_that_is_there_is_never_overwritten(host, small, suffix):
    disk = host.home / "disks" / f"precious.{suffix}"
    disk.parent.mkdir(exist_ok=True)
    disk.write_text("somebody's data")
    before = snapshot(host)
    mode = "--linked" if suffix == "qcow2" else "--full"
    try:
        done = host.depot("deploy", "small", "precious", "--no-customize", mode, check=False)
        assert done.returncode == 1 and str(disk) in done.stderr
        assert changed(host, before) == (set(), set()) and disk.read_text() == "somebody's data"
    finally:
        disk.unlink()


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (["nonesuch", "vm"], 1, ["nonesuch"]),
        (["small/other", "vm"], 1, ["other"]),
        (["small", "vm", "--size", "1M"], 2, ["1M", "size"]),
        (["small", "vm", "--hostname", "not_a_name!"], 2, ["hostname"]),
        (["small", "vm", "--ssh-key", "/nonexistent"], 1, ["/nonexistent"]),
        (["small", "vm", "--root-password", "file:/nonexistent"], 1, ["/nonexistent"]),
        (["small", "vm", "--root-password", "swordfish"], 2, ["root-password"]),
        (["small", "vm", "--network", "no-such-network"], 1, ["no-such-network"]),
        (["small", "vm", "--memory", "1"], 2, ["memory"]),
        (["small", "vm", "--cpus", "0"], 2, ["cpus"]),
        (["small", "vm", "-c", "qemu+ssh://elsewhere/system"], 2, ["elsewhere"]),
        (["small", "vm"], 1, ["no Linux system"]),  # customized by default, and there is nothing to customize
    ],
)
def test_what_cannot_be_done_is_said_and_makes_nothing(host, small, arguments, status, words):
    before = snapshot(host)
    done = host.depot("deploy", *arguments, check=False)
    assert done.returncode == status, done.stderr
    for word in words:
        assert word in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("virt-depot: ")
                and "warning:" not in line]) == 1
    assert changed(host, before) == (set(), set())


def test_a_start_that_fails_undoes_every_vm(host, small):
    before = snapshot(host)
    done = host.depot("deploy", "small", "huge", "--count", "2", "--memory", "900T", "--start", *BARE, check=False)
    assert done.returncode == 1 and "huge-1" in done.stderr
    assert changed(host, before) == (set(), set()) and host.litter() == []


def test_a_full_disk_leaves_nothing(host, small):
    """The disk folder on a file system of its own that is too small for a full copy."""
    folder = host.top / "tiny"
    folder.mkdir(exist_ok=True)
    before = snapshot(host)
    script = ('mount -t tmpfs -o size=512k,mode=755 tmpfs "$0" && "$@"; status=$?; find "$0" -mindepth 1; '
              'umount "$0"; exit $status')
    done = host.inside("sh", "-c", script, folder, BIN / "virt-depot", "deploy", "small", "full", "--full",
                       "--no-customize", "--disk-dir", folder, check=False)
    assert done.returncode == 1 and "No space left" in done.stderr
    assert done.stdout == "" and changed(host, before) == (set(), set()) and host.litter() == []


def traced(host, call, number, name):
    """Start a deploy that dies of SIGKILL at its @number-th system call @call; say whether it got that far."""
    done = host.inside("strace", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}",
                       BIN / "virt-depot", "deploy", "small", name, "--count", "2", *BARE, check=False)
    assert done.returncode in (0, 137, -9), done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("call", ["mkdirat,mkdir", "fdatasync,fsync", "renameat2,rename", "unlinkat,unlink", "sendmsg,write",
                                  "openat"])
def test_killed_at_any_system_call_a_rerun_succeeds_and_nothing_is_left(host, small, call):
    """kill -9 at the 1st, 2nd, 3rd ... call of each kind that makes, syncs, moves or removes anything."""
    many = call in ("openat", "sendmsg,write")
    number, step, deaths = 1, (23 if many and not LONG else 3 if many else 1), 0
    while number < 600 and traced(host, call, number, "mortal"):
        deaths += 1
        number += step
        again = host.depot("deploy", "small", "mortal", "--count", "2", *BARE, check=False)
        # Killed after its last step, while it only had its report to print: complete VMs are no litter.
        was_complete = again.returncode == 1 and "exists already" in again.stderr
        assert again.returncode == 0 or was_complete, f"{call} {number}: {again.stderr}"
        assert host.litter() == [], f"{call} {number}"
        assert {"mortal-1", "mortal-2"} <= host.domains()
        host.remove("mortal-1", "mortal-2")
        if was_complete:
            break
    if {"mortal-1", "mortal-2"} & host.domains():
        host.remove("mortal-1", "mortal-2")  # the one that lived
    assert deaths > 0 and host.litter() == []


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_at_random_moments_with_a_real_guest(host, published, signal_number):
    """The same with the appliance running: it dies with us, and its disks are gone after the next run."""
    host.depot("pull", "debian-12")
    chance = random.Random(20240601)
    before = snapshot(host)
    for _ in range(20 if LONG else 2):
        process = subprocess.Popen(
            [PRIVATE, "exec", host.top / "libvirt", "--", BIN / "virt-depot", "deploy", "debian-12", "halted", "--linked"],
            env={**os.environ, "VIRT_DEPOT_HOME": str(host.home)}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        try:
            process.wait(timeout=chance.uniform(0.2, 12))
        except subprocess.TimeoutExpired:
            # The oldest: libguestfs keeps a child of the same name that ends the appliance after us.
            host.inside("pkill", f"-{int(signal_number)}", "-o", "-x", "virt-depot", check=False)
        _, told = process.communicate(timeout=120)
        if process.returncode == 0:
            host.remove("halted")
        elif signal_number == signal.SIGINT:
            assert "interrupted" in told
            assert changed(host, before) == (set(), set()), "Ctrl-C undoes at once"
    # The rerun undoes what the killed ones left.
    host.depot("deploy", "debian-12", "halted", "--linked", "--no-customize")
    host.remove("halted")
    assert host.litter() == [] and changed(host, before) == (set(), set())
    deadline = time.monotonic() + 20
    while host.inside("pgrep", "-f", "guestfs", check=False).stdout.strip():
        assert time.monotonic() < deadline, "an appliance outlived its deploy"


def test_three_clones_of_an_lvm_guest_each_get_their_own_edit(host):
    """All three disks carry the same volume group: an edit must not land in the wrong guest."""
    env = {"VIRT_DEPOT_HOME": str(host.home)}
    image = host.top / "lvm.img"
    run(ROOT / "examples/make-lvm-guest", image, timeout=300)
    folder = host.top / "lvm-repo"
    run(BIN / "virt-depot", "repo", "init", folder, env=env)
    run(BIN / "virt-depot", "repo", "add", folder, image, "--name", "lvm-guest", env=env, timeout=300)
    server = Repod(folder, host.top)
    host.depot("source", "add", "lvm", server.url, "--fingerprint", fingerprint(folder, host.home))
    try:
        host.depot("deploy", "lvm-guest", "vol", "--count", "3", "--linked", "--size", "2G", "--hostname", "vol")
        for number in (1, 2, 3):
            disk = host.home / "disks" / f"vol-{number}.qcow2"
            got = run("virt-cat", "-a", disk, "/etc/hostname", timeout=300,
                      env=STOCK)
            assert got.stdout == f"vol-{number}\n"
        host.remove("vol-1", "vol-2", "vol-3")
    finally:
        host.depot("source", "remove", "lvm")
        server.stop()


def test_two_deploys_at_once_do_not_undo_each_other(host, small):
    processes = [
        subprocess.Popen([PRIVATE, "exec", host.top / "libvirt", "--", BIN / "virt-depot", "deploy", "small", f"twin{n}",
                          "--count", "4", *BARE], env={**os.environ, "VIRT_DEPOT_HOME": str(host.home)},
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    for process in processes:
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
    names = {f"twin{n}-{i}" for n in range(3) for i in range(1, 5)}
    assert names <= host.domains() and host.litter() == []
    host.remove(*names)


def test_the_same_name_twice_at_once_gives_one_vm(host, small):
    processes = [
        subprocess.Popen([PRIVATE, "exec", host.top / "libvirt", "--", BIN / "virt-depot", "deploy", "small", "single", *BARE],
                         env={**os.environ, "VIRT_DEPOT_HOME": str(host.home)}, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    results = [(p.communicate(timeout=120), p.returncode) for p in processes]
    assert sorted(code for _, code in results) == [0, 1, 1], results
    assert (host.home / "disks/single.qcow2").exists() and host.litter() == []
    host.virsh("start", "single")
    host.remove("single")


def test_the_base_of_a_linked_clone_outlives_every_prune(host, small):
    """Wherever its disk is; and a full copy needs nothing."""
    away = host.top / "away"
    host.depot("deploy", "small", "kept", *BARE, "--disk-dir", away)
    try:
        disk = away / "kept.qcow2"
        listed = {image["path"]: image["used_by"] for image in json.loads(host.depot("cache", "list", "--json").stdout)["images"]}
        assert listed[small] == [str(disk)]
        pruned = json.loads(host.depot("cache", "prune", "--max-size", "1", "--dry-run", "--json").stdout)
        assert small not in [line["path"] for line in pruned["removed"]]
        assert {line["path"]: line["reason"] for line in pruned["kept"]}[small] == f"{disk} needs it"
    finally:
        host.virsh("undefine", "kept")
        disk.unlink()
    pruned = json.loads(host.depot("cache", "prune", "--max-size", "1", "--dry-run", "--json").stdout)
    assert small in [line["path"] for line in pruned["removed"]]


def test_an_offline_deploy_asks_no_server(host, small, tmp_path):
    folder = host.top / "small-repo"
    server = Repod(folder, tmp_path)
    host.depot("source", "add", "quiet", server.url, "--fingerprint", fingerprint(folder, host.home))
    host.depot("info", "quiet/small")
    server.stop()
    try:
        with socket.create_server(("127.0.0.1", int(server.url.rsplit(":", 1)[1]))) as nobody:
            host.depot("deploy", "quiet/small", "quiet", *BARE, "--offline")
            assert "quiet" in host.domains()
            assert host.depot("deploy", "quiet/other", "none", *BARE, "--offline", check=False).returncode == 1
            nobody.setblocking(False)
            with pytest.raises(BlockingIOError):
                nobody.accept()
    finally:
        host.depot("source", "remove", "quiet")
        host.remove("quiet")

# SPDX-License-Identifier: Apache-2.0
"""The verbs "guest ...": what they show is what libguestfs's own tools show, what they write is there, and nothing that a
guest holds gets out of the folder that it is copied to. Launches are few: the shell does many things in one."""

import csv
import json
import math
import os
import stat

import pytest

from conftest import BIN, run
from real import STOCK, real_guest

LONG = {"timeout": 600}
HOSTILE = """
mkdir -p /hostile/sub && cd /hostile
ln -s / root && ln -s ../../../../etc up && ln -s /etc/shadow secret
mknod null c 1 3 && mkfifo fifo && echo x > setuid && chmod 6755 setuid && ln setuid sub/again
touch "$(printf 'two\\nlines')" "$(printf 'bell\\a')" && head -c 3000000 /dev/zero > big && echo end >> big
dd if=/dev/urandom of=/fill bs=1M count=48 status=none && sync && rm /fill
"""


def guest(verb, *arguments, home, **more):
    env = {"VIRT_DEPOT_HOME": str(home), **more.pop("env", {})}
    return run(BIN / "virt-depot", "guest", verb, *arguments, env=env, **{**LONG, **more})


def shell(script, *arguments, home, check=True, env=None):
    lines = home / "script"
    lines.write_text(script)
    return run("sh", "-c", 'exec "$0" guest shell "$@" <' + str(lines), BIN / "virt-depot", *arguments, check=check,
               env={"VIRT_DEPOT_HOME": str(home), **(env or {})}, **LONG)


def stock(*command, **more):
    return run(*command, env=STOCK, **{**LONG, **more}).stdout


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("guest")


@pytest.fixture(scope="module")
def disk(work):
    """An overlay on the Debian guest with a hostile folder, files that were copied in, and one that was edited."""
    path = work / "disk.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", real_guest(), path)
    tree = work / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below" / "file").write_bytes(bytes(range(256)))
    (work / "hostile.sh").write_text(HOSTILE)
    editor = work / "editor"
    editor.write_text("#!/bin/sh\nsed s/debian/edited/ \"$2\" >\"$2.new\" && mv \"$2.new\" \"$2\"\n")
    editor.chmod(0o755)
    done = shell(f"copy-in {tree} {work}/hostile.sh /opt\nrun 'sh /opt/hostile.sh'\nedit /etc/hostname\n", "--rw", path,
                 home=work, env={"EDITOR": f"{editor} -x", "VISUAL": f"{editor} -x"})
    assert done.stdout == ""
    return path


def test_what_the_shell_shows_and_copies_is_what_guestfish_reads(disk, work):
    out = work / "out"
    out.mkdir()
    before = disk.read_bytes()
    done = shell(f"ls /etc\nfind /etc/apt\ncat /etc/hostname\ncat /opt/tree/below/file\ncopy-out /hostile /etc/hostname {out}\n"
                 f"run 'touch /not-allowed'\n", disk, home=work, check=False)
    assert done.returncode == 1 and "Read-only file system" in done.stderr
    assert disk.read_bytes() == before
    asked = ["ls /etc", "find /etc/apt", "cat /etc/hostname"]
    told = stock("guestfish", "--ro", "-a", disk, "-m", "/dev/sda1", *" : ".join(asked).split(" "))
    assert done.stdout.startswith(told.rstrip("\n") + "\n")
    assert "edited\n" in done.stdout

    hostile = out / "hostile"
    assert sorted(p.name for p in out.iterdir()) == ["hostile", "hostname"]
    assert (out / "hostname").read_text() == "edited\n"
    assert {p.name for p in hostile.iterdir()} == {"sub", "root", "up", "secret", "setuid", "two\nlines", "bell\a", "big"}
    assert "2 devices, FIFOs or sockets were left out" in done.stderr
    assert os.readlink(hostile / "root") == "/" and os.readlink(hostile / "secret") == "/etc/shadow"
    assert stat.S_IMODE((hostile / "setuid").stat().st_mode) == 0o755 & ~_umask()
    assert (hostile / "sub/again").stat().st_ino == (hostile / "setuid").stat().st_ino
    assert (hostile / "big").stat().st_size == 3000004 and (hostile / "big").read_bytes().endswith(b"\0end\n")


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_volumes_are_those_of_virt_filesystems(disk, work):
    ours = json.loads(guest("filesystems", "--all", "--json", disk, home=work).stdout)
    rows = list(csv.DictReader(stock("virt-filesystems", "--all", "--long", "--uuid", "--csv", "-a", disk).splitlines()))
    assert len(ours) == len(rows) == 3
    for mine, theirs in zip(sorted(ours, key=lambda v: (v["name"], v["type"])),
                            sorted(rows, key=lambda r: (r["Name"], r["Type"]))):
        assert (mine["name"], mine["type"]) == (theirs["Name"], theirs["Type"])
        if mine["type"] != "filesystem":  # theirs is what the file system says of itself, ours what it lies on
            assert str(mine["size"]) == theirs["Size"]
        else:
            assert (mine["fs"], mine["label"], mine["uuid"]) == (theirs["VFS"], theirs["Label"], theirs["UUID"])
        if mine["type"] == "partition":
            assert f"{mine['mbr_id']:x}" == theirs["MBR"] and mine["parent"] == theirs["Parent"]


def test_df_has_the_figures_of_virt_df(disk, work):
    ours = [line.split() for line in guest("df", disk, home=work).stdout.splitlines()]
    theirs = list(csv.reader(stock("virt-df", "--csv", "-a", disk).splitlines()))
    assert ours[0] == ["FILESYSTEM", "1K-BLOCKS", "USED", "AVAILABLE", "USE%"]
    assert [row[:4] for row in ours[1:]] == [row[1:5] for row in theirs[1:]]
    used, available = int(ours[1][2]), int(ours[1][3])
    assert ours[1][4] == f"{math.ceil(100 * used / (used + available))}%", "as df(1), of what users can have"


def test_rescue_is_a_shell_in_the_appliance(disk, work):
    script = work / "rescue"
    script.write_text("cat /sysroot/etc/hostname; echo s''um $((40+2)); touch /sysroot/rescued; exit\n")
    done = run("sh", "-c", f'exec "$0" guest rescue --rw "$1" <{script}', BIN / "virt-depot", disk,
               env={"VIRT_DEPOT_HOME": str(work)}, **LONG)
    assert "edited" in done.stdout and "sum 42" in done.stdout
    left = work / "left"
    left.mkdir()
    before = disk.stat().st_blocks * 512
    told = json.loads(guest("sparsify", "--json", disk, home=work).stdout)
    assert told["before"] == before and told["after"] == disk.stat().st_blocks * 512
    assert told["before"] - told["after"] > 40 << 20, "48 MiB were written and deleted"
    run("qemu-img", "check", "-q", disk)
    assert "rescued" in guest("ls", disk, "/", home=work).stdout.split()


DOMAIN = """<domain type='qemu'><name>looked-at</name><memory>65536</memory><os><type>hvm</type></os><devices>
<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{0}'/><target dev='vda' bus='virtio'/></disk>
</devices></domain>"""


@pytest.fixture
def small(host):
    """A disk that qemu's user can open: a system without a partition table, with hardly anything in it."""
    path, tree = host.top / "domain.raw", host.top / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
    (tree / "etc/fstab").write_text("")
    (tree / "etc/hostname").write_text("edited\n")
    run("/sbin/mke2fs", "-q", "-t", "ext4", "-d", tree, path, "16M")
    path.chmod(0o666)
    return path


def test_a_domain_is_read_while_it_runs_and_written_to_when_it_does_not(host, small):
    path, xml = small, host.top / "domain.xml"
    xml.write_text(DOMAIN.format(path))
    host.virsh("define", xml)
    host.virsh("start", "--paused", "looked-at")
    try:
        shown = host.depot("guest", "cat", "-d", "looked-at", "/etc/hostname")
        assert shown.stdout == "edited\n" and "is running" in shown.stderr
        for verb, more in (("edit", ["/etc/hostname"]), ("copy-in", [xml, "/"]), ("sparsify", []), ("shell", ["--rw"]),
                           ("rescue", ["--rw"])):
            refused = host.depot("guest", verb, "-d", "looked-at", *more, check=False)
            assert refused.returncode == 1 and "VM 'looked-at' is running: shut it down first" in refused.stderr
        refused = host.depot("guest", "edit", path, "/etc/hostname", check=False)
        assert refused.returncode == 1 and "a running program has it open" in refused.stderr
    finally:
        host.virsh("destroy", "looked-at")
    host.depot("guest", "edit", "-d", "looked-at", "-e", "s/edited/again/", "/etc/hostname")
    assert host.depot("guest", "cat", "-d", "looked-at", "/etc/hostname").stdout == "again\n"
    host.virsh("undefine", "looked-at")
    missing = host.depot("guest", "ls", "-d", "looked-at", "/", check=False)
    assert missing.returncode == 1 and "no VM is called 'looked-at'" in missing.stderr


@pytest.mark.parametrize("arguments", [
    ["ls"], ["ls", "disk"], ["ls", "-d", "vm"], ["cat", "-a", "disk"], ["copy-out", "disk", "/etc"], ["df", "one", "two"],
    ["ls", "-d", "vm", "-a", "disk", "/"], ["ls", "-c", "qemu:///system", "disk", "/"], ["filesystems"],
    ["ls", "-d", "vm", "-c", "qemu+ssh://elsewhere/system", "/"], ["edit", "-e", "s/a/b/", "-b", ".old", "disk", "/f"],
    ["df", "--accel", "warp", "disk"],
])
def test_wrong_usage_is_status_2_and_starts_nothing(arguments, home):
    done = guest(arguments[0], *arguments[1:], home=home, check=False, timeout=20)
    assert done.returncode == 2, done.stderr


def test_a_write_protected_disk_is_not_written_to(home):
    path = home / "base.raw"
    path.write_bytes(b"\0" * 65536)
    path.chmod(0o444)
    done = guest("sparsify", path, home=home, check=False, timeout=20)
    assert done.returncode == 1 and "write-protected" in done.stderr

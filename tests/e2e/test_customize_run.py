# SPDX-License-Identifier: Apache-2.0
"""virt-depot customize: programs of the guest, now and at its first boot. A real apt installs from a package repository on
loopback, and the guest then boots. What became of its files is read by debugfs, which needs no appliance."""

import functools
import hashlib
import http.server
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from conftest import BIN, run
from real import real_guest

HOST = "169.254.2.2"  # this machine's loopback, as libguestfs's network shows it to the appliance
PART = 1 << 20  # where the guest's only partition begins

# A daemon that the package starts would keep the guest's file systems busy.
POSTINST = """#!/bin/sh
set -e
/usr/sbin/policy-rc.d probe start && code=0 || code=$?
echo "policy $code, $DEBIAN_FRONTEND, proxy $no_proxy" >>/root/postinst
setsid tail -f /dev/null &
"""
FIRSTBOOT = ["echo one >>/root/order; echo spoken by the first", "echo two >>/root/order; exit 3",
             "echo three >>/root/order; systemctl reboot; exec tail -f /dev/null",
             "cat /proc/sys/kernel/random/boot_id >>/root/order; poweroff"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def add_package(folder, name, version):
    """A package in @folder, and its paragraph for the repository's list."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Tests <tests@example.org>\n" \
              "Description: proves that packages are installed\n"
    tree = folder / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(control)
    (tree / "DEBIAN/postinst").write_text(POSTINST)
    (tree / "DEBIAN/postinst").chmod(0o755)
    (tree / f"opt/{name}").mkdir(parents=True)
    (tree / f"opt/{name}/version").write_text(version)
    file = folder / f"{name}_{version}_all.deb"
    run("dpkg-deb", "--root-owner-group", "--build", tree, file)
    data = file.read_bytes()
    with open(folder / "Packages", "a", encoding="ascii") as packages:
        packages.write(f"{control}Filename: {file.name}\nSize: {len(data)}\n"
                       f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n")


@pytest.fixture(scope="module")
def top():
    path = Path(tempfile.mkdtemp(prefix="vdr", dir="/var/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def packages(top):
    """A package repository; yields the line for sources.list."""
    folder = top / "packages"
    folder.mkdir()
    for name, version in (("probe", "1.0"), ("probe", "1.1"), ("unwanted", "1.0")):
        add_package(folder, name, version)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"deb [trusted=yes] http://{HOST}:{server.server_port}/ ./"
    server.shutdown()


def customize(disk, *operations, **more):
    return run(BIN / "virt-depot", "customize", "-a", disk, *operations,
               **{"timeout": 400, "env": {"no_proxy": "probed it's", "VIRT_DEPOT_HOME": str(disk.parent)}, **more})


def ask(disk, command, offset=PART):
    return run("debugfs", "-R", command, f"{disk}?offset={offset}").stdout


def is_there(disk, path, offset=PART):
    return "Inode: " in ask(disk, f"stat {path}", offset)


def read(disk, path):
    return ask(disk, f"cat {path}")


@pytest.fixture(scope="module")
def guest(top, packages):
    """The real guest after everything that can be run in it, in one launch."""
    disk = top / "guest.img"
    script = top / "which.sh"
    script.write_text("#!/bin/bash\necho \"bash $BASH_VERSINFO in $PWD as $(id -u)\" >/root/which; ls -A /tmp >/root/tmp\n")
    run("cp", "--sparse=always", real_guest(), disk)
    done = customize(disk, "--write", f"/etc/apt/sources.list:{packages}\n", "--install", "probe=1.0,unwanted",
                     "--run-command", "cat /opt/*/version >/root/installed", "--update", "--uninstall", "unwanted",
                     "--run", script, *[word for line in FIRSTBOOT for word in ("--firstboot-command", line)])
    assert done.stdout == ""
    return disk


def test_packages_are_installed_updated_and_removed_and_start_nothing(guest):
    assert read(guest, "/root/installed") == "1.01.0"
    assert read(guest, "/opt/probe/version") == "1.1"
    assert not is_there(guest, "/opt/unwanted")
    told = read(guest, "/root/postinst").splitlines()
    assert told == ["policy 101, noninteractive, proxy probed it's"] * 3
    assert not is_there(guest, "/usr/sbin/policy-rc.d")


def test_a_script_runs_by_its_first_line_and_nothing_of_it_stays(guest):
    assert re.fullmatch(r"bash \d+ in / as 0\n", read(guest, "/root/which"))
    assert re.fullmatch(r"virt-depot-\w+\n", read(guest, "/root/tmp"))
    assert "virt-depot" not in ask(guest, "ls -l /tmp")


def test_a_failing_command_says_why_and_leaves_the_disk_alone(top):
    disk = top / "failed.img"
    run("cp", "--sparse=always", real_guest(), disk)
    before = disk.stat()
    done = customize(disk, "--write", "/root/half:x", "--no-network", "--run-command",
                     "seq 1000; ls /nowhere; printf 'last\\033[2J words'; exit 7", check=False)
    assert done.returncode == 1 and done.stdout == ""
    told = next(line for line in done.stderr.splitlines() if "warning:" not in line)
    assert re.search(r"failed\.img: cannot run a command 'seq 1000; ls /nowhere; .*': it ended with status 7 after: "
                     r"997 \| 998 \| 999 \| 1000 \| \S+ .*/nowhere.* \| last \[2J words$", told), done.stderr
    after = disk.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(p.name for p in top.iterdir() if "failed" in p.name) == ["failed.img"]


def test_what_cannot_be_a_package_is_refused_before_anything_starts(top):
    disk = top / "untouched.img"
    disk.write_bytes(b"")
    done = customize(disk, "--install", "vim,-oDebug::NoLocking=1", check=False)
    assert done.returncode == 2 and "'-oDebug::NoLocking=1' is not the name of a package" in done.stderr


def test_the_first_boot_runs_each_script_once_even_when_one_reboots(guest, top):
    """Two boots: the third script reboots, the fourth turns the guest off."""
    done = subprocess.run(
        ["qemu-system-x86_64", "-machine", "pc,accel=tcg", "-cpu", "max", "-smp", "2", "-m", "512", "-nodefaults",
         "-display", "none", "-serial", "stdio", "-device", "virtio-rng-pci", "-drive",
         f"file={guest},format=raw,if=virtio,cache=unsafe"],
        capture_output=True, text=True, errors="replace", timeout=400, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    order = read(guest, "/root/order").splitlines()
    assert order[:3] == ["one", "two", "three"] and len(order) == 4, done.stdout[-2000:]
    log = read(guest, "/var/log/virt-depot-firstboot.log")
    assert "\nspoken by the first\n" in log and re.search(r"0002-echo-two.*: ended with status 3\n", log)
    assert log.count("begins") == 4
    left = ask(guest, "ls -l /var/lib/virt-depot/firstboot/done")
    assert "0001-" not in left and "0002-echo-two" in left
    assert not re.search(r"\b0\d{3}-", ask(guest, "ls -l /var/lib/virt-depot/firstboot/scripts"))


def label(disk, path):
    return ask(disk, f"ea_get {path} security.selinux", 0).replace("\\000", "").strip()


def test_new_files_of_a_guest_with_selinux_are_labelled(top):
    disks = {}
    for mode in ("enforcing", "disabled"):
        tree = top / mode
        for name, text in {"etc/os-release": "ID=fedora\nVERSION_ID=40\n", "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
                           "etc/selinux/config": f"SELINUX={mode}\n", "usr/lib/systemd/systemd": ""}.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
        disks[mode] = top / f"{mode}.img"
        run("mke2fs", "-q", "-t", "ext4", "-d", tree, disks[mode], "16M")
    customize(disks["enforcing"], "-a", disks["disabled"], "--mkdir", "/etc/systemd/network", "--write",
              "/etc/hostname:new\n", "--append-line", "/etc/passwd:x", "--firstboot-command", "true")
    disk = disks["enforcing"]
    for path, kind in {"/etc/hostname": "hostname_etc_t", "/etc/systemd/network": "etc_t", "/var/lib/virt-depot": "var_lib_t",
                       "/var/lib/virt-depot/firstboot/scripts/0001-true": "var_lib_t",
                       "/etc/systemd/system/virt-depot-firstboot.service": "systemd_unit_file_t"}.items():
        assert f"system_u:object_r:{kind}:s0" in label(disk, path), path
        assert "object_r" not in label(disks["disabled"], path), path
    assert not any(is_there(each, "/.autorelabel", 0) for each in disks.values())

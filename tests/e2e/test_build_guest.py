# SPDX-License-Identifier: Apache-2.0
"""build with an appliance: grown and customized disks, checked by mounting them on this host."""

import contextlib
import json
import os
import stat
import subprocess
import warnings

import pytest

from conftest import BIN, run
from fetch_helpers import Keys, Repository

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

MIB = 1 << 20
START = MIB
CACHED = {"LIBGUESTFS_CACHEDIR": "/var/tmp"}  # where the appliance is, wherever temporary files go


def make_guest(top):
    """A disk of 64 MiB with just what a Debian guest is known by, in the first partition of an MBR table."""
    tree = top / "tree"
    files = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        "etc/debian_version": "12.5\n", "etc/hostname": "template\n", "etc/hosts": "127.0.0.1 localhost\n",
        "etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n",
        "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nadmin:x:1000:1000::/home/admin:/bin/sh\n",
        "etc/shadow": "root:*:19000:0:99999:7:::\nadmin:!:19000:0:99999:7:::\n", "etc/group": "root:x:0:\n",
        "boot/vmlinuz-6.1.0-9-amd64": "old kernel", "boot/vmlinuz-6.1.0-10-amd64": "kernel",
        "boot/initrd.img-6.1.0-9-amd64": "old ramdisk", "boot/initrd.img-6.1.0-10-amd64": "ramdisk",
        "root/.profile": "", "usr/bin/true": "", "var/log/messages": "", "tmp/x": "", "bin/sh": "", "lib/x": "",
    }
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    disk = top / "guest.raw"
    disk.write_bytes(b"")
    os.truncate(disk, 64 * MIB)
    run("mkfs.ext4", "-q", "-F", "-d", tree, "-E", f"offset={START}", disk, f"{62 * 1024}k")
    subprocess.run(["sfdisk", "--quiet", disk], input=f"label: dos\nstart={START // 512}, size={62 * 2048}, type=83, bootable\n",
                   text=True, check=True, capture_output=True)
    return disk


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    top = tmp_path_factory.mktemp("guest")
    keys = Keys(top / "gpg")
    keys.make("good")
    made = Repository(top / "repo", keys)
    made.disk = make_guest(top)
    made.add("debian-12", made.disk.read_bytes(), expand="/dev/sda1")
    made.sign()
    made.source = ("--source", f"file://{made.folder}", "--fingerprint", keys.fingerprints["good"])
    yield made
    keys.close()


@pytest.fixture(scope="module")
def builder(repository, tmp_path_factory):
    """Runs build in a folder of its own, with one cache for all tests."""
    top = tmp_path_factory.mktemp("home")

    def call(folder, *words, check=True, **more):
        folder.mkdir(exist_ok=True)
        env = {"VIRT_DEPOT_HOME": str(top), "TMPDIR": str(folder), **CACHED}
        return run(BIN / "virt-depot", "build", *repository.source, *words, cwd=folder, env=env, check=check, timeout=600, **more)

    return call


@contextlib.contextmanager
def mounted(disk):
    point = disk.parent / "mounted"
    point.mkdir()
    run("mount", "-o", f"ro,noload,loop,offset={START}", disk, point)
    try:
        yield point
    finally:
        run("umount", point)
        point.rmdir()


def shadow_hash(point, user):
    return next(line.split(":")[1] for line in (point / "etc/shadow").read_text().splitlines() if line.startswith(f"{user}:"))


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_disk_is_grown_and_customized(builder, tmp_path):
    folder = tmp_path / "out"
    secret = tmp_path / "pw"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    done = builder(folder, "debian-12", "--size", "3G", "--hostname", "web.example.org", "--root-password", f"file:{secret}",
                   "--write", "/etc/motd:hello\n", "--mkdir", "/srv/data", "--append-line", "/etc/motd:world")
    disk = folder / "debian-12.img"
    assert done.stdout == f"{disk}\n" and files(folder) == ["debian-12.img"]
    assert stat.S_IMODE(disk.stat().st_mode) == 0o600 and disk.stat().st_size == 3 << 30
    table = json.loads(run("sfdisk", "--json", disk).stdout)["partitiontable"]
    (partition,) = table["partitions"]
    assert partition["start"] == START // 512 and partition["size"] * 512 > (3 << 30) - 4 * MIB and partition["bootable"]
    with mounted(disk) as point:
        assert (point / "etc/hostname").read_text() == "web.example.org\n"
        assert (point / "etc/motd").read_text() == "hello\nworld\n" and (point / "srv/data").is_dir()
        kept = shadow_hash(point, "root")
        assert crypt.crypt("s3cret", kept) == kept
        assert os.statvfs(point).f_blocks * os.statvfs(point).f_frsize > 2.7 * (1 << 30)
    assert disk.stat().st_blocks * 512 < 400 * MIB


def test_root_gets_a_random_password_and_the_disk_goes_to_standard_output(builder, repository, tmp_path):
    folder, home = tmp_path / "out", tmp_path / "home"
    folder.mkdir()
    with open(folder / "stream", "wb") as stream:
        done = subprocess.run([BIN / "virt-depot", "build", *repository.source, "debian-12", "--format", "qcow2", "--output", "-",
                               "--size", "100M", "--no-cache"], cwd=folder, stdout=stream, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "VIRT_DEPOT_HOME": str(home), "TMPDIR": str(folder), **CACHED},
                              timeout=600)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Setting random password of root to ")]
    assert files(folder) == ["stream"] and not list(home.glob("cache/images/*.raw"))
    raw = folder / "stream.raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", folder / "stream", raw)
    assert raw.stat().st_size == 100 * MIB
    with mounted(raw) as point:
        kept = shadow_hash(point, "root")
        assert crypt.crypt(line.split()[-1], kept) == kept
        assert shadow_hash(point, "admin") == "!"


def test_a_device_gets_the_guest_grown_to_all_of_it(builder, tmp_path):
    folder, disk = tmp_path / "out", tmp_path / "disk"
    disk.write_bytes(b"")
    os.truncate(disk, 200 * MIB)
    device = run("losetup", "--find", "--show", disk).stdout.strip()
    try:
        done = builder(folder, "debian-12", "--output", device, "--password", "root:disabled", "--hostname", "metal", "--json")
    finally:
        run("losetup", "--detach", device)
    told = json.loads(done.stdout)
    assert told["path"] == device and told["size"] == 200 * MIB and told["passwords"] == {} and files(folder) == []
    with mounted(disk) as point:
        assert (point / "etc/hostname").read_text() == "metal\n" and shadow_hash(point, "root") == "*"
        assert os.statvfs(point).f_blocks * os.statvfs(point).f_frsize > 160 * MIB


def test_what_fails_in_the_guest_leaves_nothing(builder, tmp_path):
    folder = tmp_path / "out"
    done = builder(folder, "debian-12", "--password", "nobody-such:password:x", check=False)
    assert done.returncode == 1 and "nobody-such" in done.stderr and done.stdout == "" and files(folder) == []


def test_a_failed_disk_can_be_kept(builder, tmp_path):
    folder = tmp_path / "out"
    done = builder(folder, "debian-12", "--chown", "0:0:/no/such/file", "--no-delete-on-failure", check=False)
    assert done.returncode == 1 and "is not complete, and kept" in done.stderr and files(folder) == ["debian-12.img"]


def test_the_kernel_is_copied_out(builder, repository, tmp_path):
    folder = tmp_path / "out"
    done = builder(folder, "--get-kernel", repository.disk, "--output", folder)
    assert files(folder) == ["initrd.img-6.1.0-10-amd64", "vmlinuz-6.1.0-10-amd64"]
    assert done.stdout.splitlines() == [str(folder / "vmlinuz-6.1.0-10-amd64"), str(folder / "initrd.img-6.1.0-10-amd64")]
    assert (folder / "vmlinuz-6.1.0-10-amd64").read_text() == "kernel"
    assert (folder / "initrd.img-6.1.0-10-amd64").read_text() == "ramdisk"

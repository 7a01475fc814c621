# SPDX-License-Identifier: Apache-2.0
"""repo add looks into several disks: in one appliance where they cannot be mistaken for one another, else one by one."""

import json
import os
import shutil

import pytest

from conftest import run
from repo_helpers import Repository

STATUS = "Package: {0}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:{1}-1\nDescription: x\n\n"


@pytest.fixture
def repo(depot, home):
    folder = home / "repo"
    depot("repo", "init", folder)
    return Repository(folder, home)


@pytest.fixture
def launches(home):
    """A qemu that counts the guests that it starts."""
    log = home / "launches"
    qemu = home / "qemu"
    real = shutil.which("qemu-system-x86_64")
    qemu.write_text(f'#!/bin/sh\ncase "$*" in *" -kernel "*) echo >>"{log}";; esac\nexec "{real}" "$@"\n')
    qemu.chmod(0o755)
    os.environ["LIBGUESTFS_HV"] = str(qemu)
    yield lambda: len(log.read_text()) if log.exists() else 0
    del os.environ["LIBGUESTFS_HV"]


def make_guest(path, version, table=("label: dos", "start=2048, type=83"), packages=("bash",)):
    """A disk that libguestfs takes for a Debian: one ext4 partition with the files that it looks for."""
    tree = path.with_suffix(".tree")
    for folder in ("bin", "etc", "usr/bin", "var/lib/dpkg", "boot", "dev", "proc", "tmp"):
        (tree / folder).mkdir(parents=True)
    shutil.copy("/bin/true", tree / "bin/ls")
    (tree / "etc/debian_version").write_text(f"{version}.1\n")
    (tree / "etc/os-release").write_text(f'ID=debian\nVERSION_ID="{version}"\nPRETTY_NAME="Fake Debian {version}"\n')
    uuid = f"6a0e6b1c-0000-4000-8000-{version:012}"
    (tree / "etc/fstab").write_text(f"UUID={uuid} / ext4 defaults 0 1\n")
    (tree / "etc/hostname").write_text("fake\n")
    (tree / "var/lib/dpkg/status").write_text("".join(STATUS.format(name, version) for name in packages))
    with open(path, "wb") as disk:
        disk.truncate(32 << 20)
    run("sh", "-c", 'printf "%s\\n" "$@" | /sbin/sfdisk -q "$0"', path, *table)
    run("/sbin/mke2fs", "-q", "-t", "ext4", "-F", "-U", uuid, "-E", "offset=1048576", "-d", tree, path, "24M")
    shutil.rmtree(tree)
    return path


def test_disks_that_differ_share_one_launch(repo, depot, home, launches):
    one = make_guest(home / "one.raw", 11, packages=("bash", "one"))
    two = make_guest(home / "two.raw", 12, ("label: gpt", "start=2048, size=50000, type=linux", "type=uefi"),
                     packages=("two",))
    told = json.loads(depot("repo", "add", "--json", repo.folder, one, two, timeout=600).stdout)
    assert launches() == 1
    found = [(i["name"], i["title"], i["osinfo"], i["expand"], i["extensions"]["x_root"],
              i["extensions"].get("x_firmware")) for i in told["images"]]
    assert found == [("one", "Fake Debian 11", "debian11", "/dev/sda1", "/dev/sda1", None),
                     ("two", "Fake Debian 12", "debian12", "/dev/sda1", "/dev/sda1", "uefi")]
    lists = [json.loads((repo.folder / i["extensions"]["x_packages"]).read_text()) for i in told["images"]]
    assert [[p["name"] for p in document["packages"][1:]] for document in lists] == [["bash", "one"], ["two"]]
    assert lists[0]["packages"][1]["versionInfo"] == "1:11-1"


def test_disks_that_look_alike_and_bad_ones_are_looked_at_alone(repo, depot, home, launches):
    one = make_guest(home / "one.raw", 12)
    shutil.copy(one, home / "copy.raw")  # the same file system UUID
    (home / "empty.raw").write_bytes(bytes(1 << 20))
    done = depot("repo", "add", "--json", "--keep-going", "--no-sbom", repo.folder, one, home / "copy.raw",
                 home / "empty.raw", check=False, timeout=900)
    told = json.loads(done.stdout)
    assert done.returncode == 1 and launches() == 4
    assert [(i["name"], i["expand"]) for i in told["images"]] == [("one", "/dev/sda1"), ("copy", "/dev/sda1")]
    assert [f["name"] for f in told["failed"]] == ["empty"] and "operating systems" in told["failed"][0]["error"]
    assert not any("x_packages" in i["extensions"] for i in told["images"])


def test_the_list_of_packages_stays_with_the_content(repo, depot, home):
    image = make_guest(home / "a.raw", 12)
    first = json.loads(depot("repo", "add", "--json", "--name", "a", repo.folder, image, timeout=600).stdout)
    assert "x_packages" in first["extensions"]
    more = ["--no-inspect", "--arch", "x86_64"]
    same = json.loads(depot("repo", "add", "--json", "--name", "a", *more, repo.folder, image).stdout)
    assert same["extensions"] == first["extensions"]
    with open(image, "r+b") as file:
        file.seek(30 << 20)
        file.write(b"changed")
    new = json.loads(depot("repo", "add", "--json", "--name", "a", *more, repo.folder, image).stdout)
    assert "x_packages" not in new["extensions"] and new["extensions"]["x_os_version"] == "12"

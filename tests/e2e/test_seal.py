# SPDX-License-Identifier: Apache-2.0
"""virt-depot seal on the real Debian guest, in one launch: what has to go is gone, what has to stay stays, the report and the
size are right. Seeded and looked at with debugfs, which needs no appliance."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import run
from real import STOCK, real_guest

ROOT_AT = 1048576  # where the guest's file system begins
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKp6sD0z2gYcJYjnMsRv5dSKrCo2fwnNqmM9u1tGv0Xx me@host"

# virt-sysprep's operations that are not ours, with the reason.
NOT_OURS = {"script": "runs programs of this host in a FUSE mount of the guest; customize's --run runs them in the guest"}


@pytest.fixture
def work():
    path = Path(tempfile.mkdtemp(prefix="vds", dir="/var/tmp"))
    yield path
    shutil.rmtree(path)


def debugfs(disk, *commands, write=False):
    """What debugfs prints for @commands on the file system in @disk."""
    done = subprocess.run(["/sbin/debugfs", *(["-w"] if write else []), "-f", "-", f"{disk}?offset={ROOT_AT}"],
                          input="\n".join(commands) + "\n", capture_output=True, text=True, errors="replace", check=True)
    return done.stdout


def content(disk, path):
    out = subprocess.run(["/sbin/debugfs", "-R", f"cat {path}", f"{disk}?offset={ROOT_AT}"], capture_output=True, text=True)
    return None if "File not found" in out.stderr else out.stdout


def is_there(disk, paths):
    """Which of @paths are in the guest."""
    text = debugfs(disk, *(f"stat {path}" for path in paths))
    parts = re.split(r"^debugfs: +stat (.*)$", text, flags=re.M)
    return {path.strip(): "Inode:" in told for path, told in zip(parts[1::2], parts[2::2])}


class Seeder:
    """Collects files, and writes them into a disk with one debugfs."""

    def __init__(self, disk, work):
        self.disk, self.folder, self.commands, self.made = disk, work / "seed", [], set()
        self.folder.mkdir()

    def put(self, path, data="litter\n"):
        parents = [str(p) for p in reversed(Path(path).parents)][1:]
        self.commands += [f"mkdir {p}" for p in parents if not (p in self.made or self.made.add(p))]
        host = self.folder / str(len(self.commands))
        host.write_bytes(data if isinstance(data, bytes) else data.encode())
        self.commands += [f"rm {path}", f"write {host} {path}"]
        return path

    def edit(self, path, change):
        return self.put(path, change(content(self.disk, path)))

    def done(self):
        debugfs(self.disk, *self.commands, write=True)


# Every path has to be gone, under the operation that is to report it.
LITTER = {
    "abrt-data": ["/var/spool/abrt/crash-1"],
    "backup-files": ["/etc/motd~", "/srv/notes.bak"],
    "bash-history": ["/root/.bash_history", "/home/bob/.bash_history", "/srv/people/ann/.bash_history"],
    "blkid-tab": ["/etc/blkid.tab"],
    "cloud-init": ["/var/lib/cloud/instances/i-1/user-data.txt", "/var/lib/cloud/data/instance-id", "/var/lib/cloud/sem/x"],
    "config-management": ["/etc/salt/pki/minion/minion.pem", "/etc/puppetlabs/puppet/ssl/private_keys/me.pem"],
    "crash-data": ["/var/crash/vmcore"],
    "cron-spool": ["/var/spool/cron/crontabs/bob", "/var/spool/cron/atjobs/a0001"],
    "dhcp-client-state": ["/var/lib/dhcp/dhclient.eth0.leases"],
    "dhcp-server-state": ["/var/lib/dhcpd/dhcpd.leases"],
    "dovecot-data": ["/var/lib/dovecot/instances"],
    "ipa-client": ["/etc/ipa/default.conf"],
    "kerberos-hostkeytab": ["/etc/krb5.keytab"],
    "logfiles": ["/var/log/syslog", "/var/log/apt/history.log", "/var/log/wtmp", "/var/log/journal/0123/system.journal"],
    "lvm-system-devices": ["/etc/lvm/devices/system.devices"],
    "mail-spool": ["/var/mail/bob"],
    "network-state": ["/var/lib/NetworkManager/secret_key", "/var/lib/NetworkManager/internal-1-eth0.lease"],
    "nvme-host": ["/etc/nvme/hostid"],
    "other-history": ["/root/.viminfo", "/srv/people/ann/.python_history"],
    "pacct-log": ["/var/log/account/pacct"],
    "package-manager-cache": ["/var/cache/apt/archives/big_1.0_amd64.deb", "/var/cache/apt/pkgcache.bin"],
    "pam-data": ["/run/faillock/bob"],
    "passwd-backups": ["/etc/passwd-", "/etc/shadow-"],
    "puppet-data-log": ["/var/lib/puppet/state/state.yaml"],
    "qemu-ga-state": ["/var/lib/qemu/qga.state"],
    "random-seed": ["/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/boot/efi/loader/random-seed"],
    "rh-subscription-manager": ["/etc/pki/consumer/key.pem"],
    "rhn-systemid": ["/etc/sysconfig/rhn/systemid"],
    "rpm-db": ["/var/lib/rpm/__db.001"],
    "samba-db-log": ["/var/lib/samba/private/secrets.tdb", "/var/log/samba/log.smbd"],
    "smolt-uuid": ["/etc/smolt/uuid"],
    "ssh-hostkeys": ["/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub"],
    "ssh-userdir": ["/home/bob/.ssh/authorized_keys", "/srv/people/ann/.ssh/id_ed25519"],
    "sssd-db-log": ["/var/lib/sss/db/cache.ldb"],
    "systemd-state": ["/var/lib/systemd/timers/stamp-apt.timer", "/var/lib/systemd/coredump/core.1"],
    "tmp-files": ["/tmp/file", "/tmp/.hidden/file", "/var/tmp/folder/file"],
    "udev-persistent-net": ["/etc/udev/rules.d/70-persistent-net.rules"],
    "user-account": ["/home/eve/letter"],
    "utmp": ["/run/utmp"],
    "yum-uuid": ["/var/lib/yum/uuid"],
    "zsh-history": ["/home/bob/.zsh_history"],
}
# Done by default, and shown by other tests or other lines of the same one.
ELSEWHERE = {
    "cron-sequence", "customize", "iscsi-initiator-debian", "machine-id", "net-hwaddr",  # below
    "lvm-uuids", "swap-data",  # test_volumes_and_swap
    "iscsi-initiator", "net-hostname", "net-nmconn",  # other distributions': tests/unit/guest/test_seal_plan.c
}
STAYS = ["/etc/ssh/sshd_config", "/usr/share/keep.bak", "/var/lib/cloud/seed/nocloud/meta-data", "/var/spool/cron/crontabs",
         "/var/log/apt", "/var/lib/dhcp", "/home/bob/letter", "/etc/netplan/50-cloud-init.yaml", "/etc/hostid",
         "/etc/NetworkManager/system-connections/lan.nmconnection", "/etc/wireguard/wg0.conf", "/tmp", "/var/tmp"]


def seed(disk, work):
    seeder = Seeder(disk, work)
    big = os.urandom(8 << 20)
    for paths in LITTER.values():
        for path in paths:
            seeder.put(path, big if path.endswith((".deb", ".journal")) else "litter\n")
    for path in STAYS:
        if path.rpartition("/")[2].find(".") > 0 or path.startswith(("/home", "/var/lib/cloud")) or path == "/etc/hostid":
            if path != "/etc/ssh/sshd_config":
                seeder.put(path, "kept\n")
    people = "bob:x:1001:1001::/home/bob:/bin/sh\neve:x:1002:1002::/home/eve:/bin/sh\nann:x:1003:1003::/srv/people/ann:/bin/sh\n"
    seeder.edit("/etc/passwd", lambda text: text + people)
    seeder.edit("/etc/shadow", lambda text: text + "bob:!:1::::::\neve:!:1::::::\n")
    seeder.edit("/etc/group", lambda text: text + "staff2:x:1500:bob,eve\neve:x:1002:\n")
    seeder.put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    seeder.put("/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n")
    seeder.put("/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1993-08.org.debian:01:abc\n")
    seeder.put("/etc/network/interfaces.d/eth0", "iface eth0 inet dhcp\n    hwaddress 52:54:00:00:00:01\n    mtu 1400\n")
    seeder.put("/var/spool/cron/atjobs/.SEQ", "0001f\n")
    seeder.done()


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def uuid_of(disk):
    return run("/sbin/blkid", "-p", "-O", ROOT_AT, "-s", "UUID", "-o", "value", disk).stdout.strip()


def test_every_operation_of_virt_sysprep_is_ours_with_its_default(depot):
    def operations(text):
        return dict(re.match(r"(\S+) ([* ]) ", line).groups() for line in text.splitlines())

    stock = operations(run("virt-sysprep", "--list-operations").stdout)
    ours = operations(depot("seal", "--list-operations").stdout)
    assert {name for name, mark in ours.items() if mark == "*"} == (LITTER.keys() - {"user-account"}) | ELSEWHERE
    assert len(stock) > 40
    assert {name: ours.get(name) for name in stock if name not in NOT_OURS} == {
        name: default for name, default in stock.items() if name not in NOT_OURS}
    assert not NOT_OURS.keys() & ours.keys()
    told = json.loads(depot("seal", "--list-operations", "--json").stdout)["operations"]
    assert {one["name"]: "*" if one["default"] else " " for one in told} == ours


def test_a_guest_is_sealed_in_one_launch(depot, work):
    disk = work / "guest.img"
    run("cp", "--sparse=always", real_guest(), disk)
    disk.chmod(0o640)
    seed(disk, work)
    seeded = is_there(disk, [path for paths in LITTER.values() for path in paths] + STAYS)
    assert all(seeded.values()), [path for path, there in seeded.items() if not there]
    before, old_uuid = disk.stat(), uuid_of(disk)
    done = depot("seal", "--json", "-a", disk, "--operations", "defaults,user-account,fs-uuids,flag-reconfiguration",
                 "--remove-user-accounts", "eve", "--ssh-inject", f"root:string:{KEY}", "--write", "/var/log/late.log:x",
                 "--write", "/etc/machine-id:fedcba9876543210fedcba9876543210", timeout=600)
    after = disk.stat()
    report, = json.loads(done.stdout)["guests"]

    left = is_there(disk, [path for paths in LITTER.values() for path in paths])
    assert not any(left.values()), [path for path, there in left.items() if there]
    kept = is_there(disk, STAYS)
    assert all(kept.values()), [path for path, there in kept.items() if not there]

    # Reported under the right name: the path itself, or a folder above it.
    for operation, paths in LITTER.items():
        told = [item["path"].replace("/var/run", "/run") for item in report["items"] if item["operation"] == operation]
        for path in paths:
            assert any(path == one or path.startswith(one + "/") for one in told), (operation, path, told)
    sums = {one["name"]: one for one in report["operations"]}
    assert sums["package-manager-cache"]["bytes"] >= 8 << 20 and sums["logfiles"]["bytes"] >= 8 << 20
    assert report["bytes"] == sum(one["bytes"] for one in sums.values()) == sum(one["bytes"] for one in report["items"])

    # Smaller by what went, the same file otherwise, and nothing beside it.
    assert after.st_blocks * 512 <= before.st_blocks * 512 - (14 << 20)
    assert (report["size_before"], report["size"]) == (before.st_blocks * 512, after.st_blocks * 512)
    assert (after.st_size, after.st_mode) == (before.st_size, before.st_mode)
    assert sorted(path.name for path in work.iterdir()) == ["guest.img", "seed"]

    # The identity: empty although an operation wrote one, since that comes last; a link; keys at the next boot.
    assert content(disk, "/etc/machine-id") == ""
    assert 'Fast link dest: "/etc/machine-id"' in debugfs(disk, "stat /var/lib/dbus/machine-id")
    assert "ssh-keygen -A" in content(disk, "/etc/systemd/system/virt-depot-ssh-keys.service")
    assert "GenerateName=yes" in content(disk, "/etc/iscsi/initiatorname.iscsi")
    # Customizing comes after the rest; what it makes that has to go goes.
    assert KEY in content(disk, "/root/.ssh/authorized_keys")
    assert content(disk, "/var/log/late.log") is None
    assert content(disk, "/.unconfigured") == ""

    assert content(disk, "/etc/network/interfaces.d/eth0") == "iface eth0 inet dhcp\n    mtu 1400\n"
    assert content(disk, "/var/spool/cron/atjobs/.SEQ") == "00000\n"
    passwd, group = content(disk, "/etc/passwd"), content(disk, "/etc/group")
    assert "bob:" in passwd and "ann:" in passwd and "eve" not in passwd + content(disk, "/etc/shadow")
    assert "staff2:x:1500:bob\n" in group and "eve" not in group

    new_uuid = uuid_of(disk)
    assert report["notes"] == [] and new_uuid != old_uuid
    for path in ("/etc/fstab", "/boot/grub/grub.cfg"):
        assert new_uuid in content(disk, path) and old_uuid not in content(disk, path), path
    with open(work / "root", "wb") as out:  # a sound file system
        subprocess.run(["dd", f"if={disk}", "bs=1M", "skip=1", "conv=sparse", "status=none"], stdout=out, check=True)
    run("/sbin/e2fsck", "-fn", work / "root")


VOLUMES = """
run
part-init /dev/sda mbr
part-add /dev/sda p 2048 34815
part-add /dev/sda p 34816 51199
part-add /dev/sda p 51200 -1
mkfs ext4 /dev/sda1
pwrite-device /dev/sda2 "a secret in memory" 65536
mkswap /dev/sda2 label:pages uuid:01234567-89ab-cdef-0123-456789abcdef
pvcreate /dev/sda3
vgcreate vg /dev/sda3
lvcreate root vg 60
mkfs ext4 /dev/vg/root
mount /dev/vg/root /
mkdir /etc
mkdir /boot
write /etc/os-release "ID=fedora\\nVERSION_ID=40\\n"
write /etc/machine-id 0123456789abcdef0123456789abcdef
write /etc/fstab "/dev/mapper/vg-root / ext4 defaults 0 1\\n/dev/sda1 /boot ext4 defaults 0 2\\n"
"""


def volume_uuid(disk):
    """The physical volume's, from its label (the second sector) and what follows."""
    with open(disk, "rb") as file:
        file.seek(51200 * 512 + 512)
        label = file.read(512)
    assert label[:8] == b"LABELONE"
    return label[32:64].decode()


def test_volumes_and_swap_of_two_clones(depot, work):
    one, two = work / "one.raw", work / "two.raw"
    with open(one, "wb") as disk:
        disk.truncate(128 << 20)
    subprocess.run(["guestfish", "--format=raw", "-a", one], input=VOLUMES, text=True, check=True, env={**os.environ, **STOCK})
    shutil.copy(one, two)
    old = volume_uuid(one)
    assert b"a secret in memory" in one.read_bytes()
    report = json.loads(depot("seal", "--json", "--in-place", "-a", one, "-a", two, timeout=600).stdout)
    assert len({old, volume_uuid(one), volume_uuid(two)}) == 3
    for disk, guest in zip((one, two), report["guests"]):
        items = [(item["operation"], item["path"][-1]) for item in guest["items"]]
        assert guest["notes"] == [] and items == [("lvm-uuids", "3"), ("swap-data", "2"), ("machine-id", "d")]
        assert b"a secret in memory" not in disk.read_bytes()
        tags = run("/sbin/blkid", "-p", "-O", 34816 * 512, "-s", "UUID", "-s", "LABEL", "-o", "value", disk).stdout.split()
        assert sorted(tags) == ["01234567-89ab-cdef-0123-456789abcdef", "pages"]


@pytest.fixture
def small(work):
    """A disk that passes for a Debian, in one ext4 partition of 24 MiB."""
    path, tree = work / "small.raw", work / "tree"
    for folder in ("etc/ssh", "var/log/journal/1", "root", "tmp"):
        (tree / folder).mkdir(parents=True)
    (tree / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    (tree / "etc/fstab").write_text("")
    (tree / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (tree / "root/.bash_history").write_text("secret\n" * 1000)
    (tree / "var/log/journal/1/system.journal").write_bytes(os.urandom(300 << 10))
    with open(path, "wb") as disk:
        disk.truncate(32 << 20)
    run("sh", "-c", 'echo "start=2048, type=83" | /sbin/sfdisk -q "$0"', path)
    run("/sbin/mke2fs", "-q", "-t", "ext4", "-F", "-E", f"offset={ROOT_AT}", "-d", tree, path, "24M")
    shutil.rmtree(tree)
    return path


def test_a_dry_run_shows_what_would_go_and_changes_nothing(depot, small):
    before = digest(small)
    done = depot("seal", "--dry-run", "-a", small, timeout=300)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["bash-history", "7.0", "KiB", "/root/.bash_history"] in lines
    journal, = [line for line in lines if line[-1] == "/var/log/journal/1"]
    assert journal[0] == "logfiles" and float(journal[1]) >= 300
    assert ["machine-id", "0", "B", "/etc/machine-id"] in lines
    assert digest(small) == before and len(list(small.parent.iterdir())) == 1


def test_windows_is_refused_with_advice_and_no_disk_is_touched(depot, small, work):
    windows, mounted = work / "windows.raw", work / "mounted"
    with open(windows, "wb") as disk:
        disk.truncate(32 << 20)
    run("/sbin/mkntfs", "-F", "-q", "-Q", windows)
    mounted.mkdir()
    run("ntfs-3g", windows, mounted)
    try:
        (mounted / "Windows/System32").mkdir(parents=True)
    finally:
        run("umount", mounted)
    mounted.rmdir()
    before = digest(small), digest(windows), small.stat().st_ino
    done = depot("seal", "-a", small, "-a", windows, check=False, timeout=300)
    assert done.returncode == 1
    assert "holds Windows" in done.stderr and "sysprep.exe /generalize /oobe /shutdown" in done.stderr
    assert (digest(small), digest(windows), small.stat().st_ino) == before
    assert sorted(path.name for path in work.iterdir()) == ["small.raw", "windows.raw"]


@pytest.mark.parametrize("arguments, message", [
    ((), "1 to 200 disks"),
    (("-a", "x", "--enable", "no-such"), "'no-such': there is no such operation"),
    (("-a", "x", "--enable", "defaults"), "'defaults': there is no such operation"),
    (("-a", "x", "--operations", "all,-no-such"), "'no-such': there is no such operation"),
    (("-a", "x", "--enable", "utmp", "--operations", "all"), "exclude each other"),
    (("-a", "x", "--keep-user-accounts", "bob"), "'user-account' is not chosen"),
    (("-a", "x", "--enable", "utmp", "--touch", "/x"), "'customize' is not chosen"),
])
def test_wrong_usage_is_status_2(depot, arguments, message):
    done = depot("seal", *arguments, check=False)
    assert done.returncode == 2 and message in done.stderr


def test_a_disk_that_is_not_there_is_named(depot, work):
    done = depot("seal", "-a", work / "absent.img", check=False)
    assert done.returncode == 1 and "absent.img: No such file" in done.stderr

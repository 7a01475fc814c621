# SPDX-License-Identifier: Apache-2.0
"""virt-depot customize: every operation on files and accounts, on a real Debian guest and on small file systems that look like
other distributions. What became of them is read by debugfs, which needs no appliance."""

import crypt
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from conftest import BIN, run
from real import real_guest

PASSWORD = "in a file: \"pw\""
DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><os><type arch='x86_64'>hvm</type></os>
<devices><disk type='file'><driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
</devices></domain>"""


class Guest:
    """The ext4 root of a raw disk, read by debugfs."""

    def __init__(self, path, offset=0):
        self.path, self.source = Path(path), f"{path}?offset={offset}" if offset else str(path)

    def ask(self, command):
        return run("debugfs", "-R", command, self.source).stdout

    def read(self, path):
        return self.ask(f"cat {path}")

    def names(self, path):
        return set(re.findall(r"^/\d+/\d+/\d+/\d+/([^/]+)/", self.ask(f"ls -p {path}"), re.M)) - {".", ".."}

    def stat(self, path):
        """Type, permissions, user and group."""
        text = self.ask(f"stat {path}")
        found = re.search(r"Type: (\w+)\s+Mode:\s+(\d+).*?User:\s+(\d+)\s+Group:\s+(\d+)", text, re.S)
        return found and (found[1], found[2], int(found[3]), int(found[4]))

    def target(self, path):
        return re.search(r'link dest: "(.*?)"', self.ask(f"stat {path}"))[1]

    def hash_of(self, user):
        return re.search(rf"^{user}:([^:]*):", self.read("/etc/shadow"), re.M)[1]


@pytest.fixture(scope="module")
def top():
    path = Path(tempfile.mkdtemp(prefix="vdc", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def folder(top, request):
    path = top / re.sub(r"\W", "-", request.node.name)
    path.mkdir()
    return path


def phony(path, distro, **files):
    """A disk of 16 MiB that holds what edits need of a system, and neither perl nor anything else to run."""
    with tempfile.TemporaryDirectory(dir=path.parent) as tree:
        for name, text in {"etc/os-release": f"ID={distro}\nVERSION_ID=40\n", "etc/hostname": "old\n",
                           "etc/passwd": "root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n",
                           "etc/shadow": "root:*:1:0:99999:7:::\nbob:!:1:0:99999:7:::\n", "etc/conf": "a=1\nb=2\n",
                           **files}.items():
            file = Path(tree, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        run("mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", tree, path, "16M")
    return Guest(path)


def customize(*arguments, **more):
    home = more.pop("home", "/var/tmp/nonexistent")
    return run(BIN / "virt-depot", "customize", *arguments, timeout=600, env={"VIRT_DEPOT_HOME": str(home)}, **more)


def inside(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture(scope="module")
def debian(top):
    """A Debian guest after one call with nearly all operations, what the call printed, and the folder of copy-out."""
    made, out = top / "debian", top / "out"
    made.mkdir()
    out.mkdir()
    disk = made / "guest.img"
    run("cp", "--sparse=always", real_guest(), disk)
    disk.chmod(0o640)
    (top / "pw").touch(0o600)
    (top / "pw").write_text(f"{PASSWORD}\nsecond line\n")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", top / "key")
    (top / "tree/sub").mkdir(parents=True)
    (top / "tree/sub/file").write_text("copied in\n")
    with tarfile.open(top / "tree.tar.xz", "w:xz") as archive:
        archive.add(top / "tree", "from-xz")
    with tarfile.open(top / "tree.tar", "w") as archive:
        archive.add(top / "tree", "from-zstd")
    run("zstd", "-q", top / "tree.tar")
    (top / "script").write_text("#!/bin/sh\n")
    (top / "script").chmod(0o2750)
    (top / "commands").write_text("# a comment\n\nwrite /srv/commands:one \\\n    two\nmkdir /srv/deep/er\n")
    operations = [
        ("write", "/srv/lines:unended"), ("append-line", "/srv/lines:second: line"), ("append-line", "/srv/new:first"),
        ("write", "/srv/dos:a\r\nb"), ("append-line", "/srv/dos:c"),
        ("write", "/srv/mode:x"), ("chown", "1:2:/srv/mode"), ("chmod", "04640:/srv/mode"), ("copy", "/srv/mode:/srv/mode2"),
        ("copy-in", f"{top}/tree:/srv"), ("copy-out", f"/srv/tree:{out}"),
        ("write", "/srv/gone1:x"), ("mkdir", "/srv/gone2/below"), ("delete", "/srv/gone*"), ("delete", "/srv/never-was"),
        ("disable-cloud-init", None), ("drop-host-keys", None),
        ("write", "/srv/edit:one\ntwo\nfoo\n"), ("chmod", "0600:/srv/edit"),
        ("edit", "/srv/edit:s/o/<$lineno$&>/g; $_ = '' if /^tw/; # perl"),
        ("hostname", "custom.example.org"), ("keyboard", "de"), ("link", "../srv/mode:/srv/link1:/srv/link2"),
        ("commands-from-file", top / "commands"), ("write", "/srv/from:x"), ("move", "/srv/from:/srv/to"),
        ("root-password", f"file:{top}/pw"), ("password", "daemon:random"), ("password", "bin:locked"),
        ("password", "sys:locked:password:sys"), ("write", "/srv/scrubbed:x"), ("scrub", "/srv/scrubbed"),
        ("ssh-inject", f"root:file:{top}/key.pub"), ("ssh-inject", f"daemon:string:{(top / 'key.pub').read_text().strip()}"),
        ("tar-in", f"{top}/tree.tar.xz:/srv/deep"), ("tar-in", f"{top}/tree.tar.zst:/srv/deep/er"),
        ("mkdir", "/usr/share/zoneinfo/Europe"), ("write", "/usr/share/zoneinfo/Europe/Berlin:TZif2"), ("timezone", "Europe/Berlin"),
        ("touch", "/srv/touched"), ("write", "/srv/cut:x"), ("truncate", "/srv/cut"), ("copy", "/srv/tree:/srv/emptied"),
        ("truncate-recursive", "/srv/emptied"), ("upload", f"{top}/script:/srv"), ("upload", f"{top}/script:/srv/named"),
    ]
    words = [word for name, argument in operations for word in [f"--{name}", argument] if word is not None]
    done = customize("-a", disk, "--no-network", *words)
    assert inside(made) == ["guest.img"] and disk.stat().st_mode & 0o7777 == 0o640
    return Guest(disk, 1 << 20), done.stdout, out


def test_each_operation_on_files_did_its_work(debian):
    guest, _, out = debian
    for path, expected in {"/srv/lines": "unended\nsecond: line\n", "/srv/new": "first\n", 
                           "/srv/tree/sub/file": "copied in\n", "/srv/deep/from-xz/sub/file": "copied in\n",
                           "/srv/deep/er/from-zstd/sub/file": "copied in\n", "/srv/edit": "<1o>ne\nf<3o><3o>\n",
                           "/srv/commands": "one two", "/srv/to": "x", "/srv/touched": "", "/srv/cut": "", "/srv/emptied/sub/file": "",
                           "/srv/script": "#!/bin/sh\n", "/srv/named": "#!/bin/sh\n"}.items():
        kind = guest.stat(path)
        assert kind and kind[0] == "regular" and guest.read(path) == expected, path
    assert guest.stat("/srv/mode") == guest.stat("/srv/mode2") == ("regular", "04640", 1, 2)
    assert guest.stat("/srv/edit")[1] == "0600" and guest.stat("/srv/new")[1] == "0644"
    assert guest.stat("/srv/named") == guest.stat("/srv/script") == ("regular", "02750", os.getuid(), os.getgid())
    assert guest.target("/srv/link1") == guest.target("/srv/link2") == "../srv/mode"
    assert not guest.names("/srv") & {"gone1", "gone2", "scrubbed", "from"}
    assert (out / "tree/sub/file").read_text() == "copied in\n"


def test_lines_are_ended_as_the_files_own_are(debian):
    text = subprocess.run(["debugfs", "-R", "cat /srv/dos", debian[0].source], capture_output=True, check=True).stdout
    assert text == b"a\r\nb\r\nc\r\n"


def test_the_machine_is_another_one(debian):
    guest = debian[0]
    assert guest.read("/etc/hostname") == "custom.example.org\n"
    assert re.search(r"^127\.0\.1\.1\s+custom\.example\.org custom$", guest.read("/etc/hosts"), re.M)
    assert 'XKBLAYOUT="de"' in guest.read("/etc/default/keyboard")
    assert guest.target("/etc/localtime") == "../usr/share/zoneinfo/Europe/Berlin"
    assert guest.read("/etc/timezone") == "Europe/Berlin\n"
    assert guest.stat("/etc/cloud/cloud-init.disabled")[0] == "regular"
    assert not [name for name in guest.names("/etc/ssh") if name.startswith("ssh_host_")]
    assert guest.target("/etc/systemd/system/multi-user.target.wants/virt-depot-ssh-keys.service")


def test_accounts_have_their_passwords_and_keys(debian, top):
    guest, printed, _ = debian
    random, = re.findall(r"^daemon password of \S+: (\w{16})$", printed, re.M)
    assert PASSWORD not in printed and len(printed.splitlines()) == 1
    for user, password in (("root", PASSWORD), ("daemon", random)):
        found = guest.hash_of(user)
        assert found.startswith("$y$") and crypt.crypt(password, found) == found
    assert guest.hash_of("bin") == "!*"
    assert guest.hash_of("sys").startswith("!$y$")
    key = (top / "key.pub").read_text()
    assert key in guest.read("/root/.ssh/authorized_keys")
    assert guest.stat("/root/.ssh/authorized_keys") == ("regular", "0600", 0, 0)
    assert guest.read("/usr/sbin/.ssh/authorized_keys") == key
    assert guest.stat("/usr/sbin/.ssh") == ("directory", "0700", 1, 1)


def test_several_distributions_share_a_launch_and_need_no_perl(folder):
    fedora, suse = phony(folder / "f.img", "fedora"), phony(folder / "s.img", "opensuse-leap", **{"etc/HOSTNAME": "old\n"})
    link = folder / "link.img"
    link.symlink_to("s.img")
    done = customize("-a", fedora.path, "-a", link, "--json", "--hostname", "both", "--keyboard", "fr", "--root-password",
                     "random", "--edit", r"/etc/conf:s/^(\w)=(\d)$/$1: \2/", "--edit", "/etc/conf:/^b/d")
    first, second = json.loads(done.stdout)
    assert link.is_symlink() and inside(folder) == ["f.img", "link.img", "s.img"]
    assert [first["guest"], second["guest"]] == [str(fedora.path), str(link)] and first["state"] == "customized"
    for guest, told in ((fedora, first), (suse, second)):
        password = told["random_passwords"]["root"]
        assert guest.read("/etc/hostname") == "both\n" and guest.read("/etc/conf") == "a: 1\n"
        assert 'KEYMAP="fr"' in guest.read("/etc/vconsole.conf")
        assert crypt.crypt(password, guest.hash_of("root")) == guest.hash_of("root")
    assert suse.read("/etc/HOSTNAME") == "both\n" and first["random_passwords"] != second["random_passwords"]


def test_an_unknown_user_leaves_every_guest_as_it_was(folder):
    one, two = phony(folder / "1.img", "debian"), phony(folder / "2.img", "debian", **{"etc/shadow": "root:*:1::::::\n"})
    before = [(guest.path.read_bytes(), guest.path.stat().st_ino) for guest in (one, two)]
    done = customize("-a", one.path, "-a", two.path, "--hostname", "new", "--password", "bob:random", check=False)
    assert done.returncode == 1 and done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if "warning:" not in line]
    assert errors == [f"virt-depot: {two.path}: cannot set a password: /etc/shadow in the guest has no line for 'bob'"]
    assert [(guest.path.read_bytes(), guest.path.stat().st_ino) for guest in (one, two)] == before
    assert inside(folder) == ["1.img", "2.img"]


def test_after_kill_9_the_disk_is_as_it_was_and_the_next_call_sweeps(folder):
    guest = phony(folder / "g.img", "debian")
    before = guest.path.read_bytes(), guest.path.stat().st_ino
    large = folder / "large"
    with open(large, "wb") as file:
        file.truncate(32 << 20)
    killed = subprocess.Popen([BIN / "virt-depot", "customize", "-a", guest.path, "--hostname", "new"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    children = Path(f"/proc/{killed.pid}/task/{killed.pid}/children")
    while len(inside(folder)) < 3 or not children.read_text().split():
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert (guest.path.read_bytes(), guest.path.stat().st_ino) == before and len(inside(folder)) == 3
    # The next one fails, for the guest's file system is full: the disk is as it was, and nothing is left of either call.
    done = customize("-a", guest.path, "--hostname", "new", "--upload", f"{large}:/srv", check=False)
    assert done.returncode == 1 and "upload a file: /srv: " in done.stderr and "the file system is full" in done.stderr
    assert (guest.path.read_bytes(), guest.path.stat().st_ino) == before and inside(folder) == ["g.img", "large"]


def test_a_domain_is_customized_when_it_is_shut_off(host, folder):
    guest = phony(folder / "d.img", "debian")
    os.chmod(guest.path, 0o666)
    (folder / "d.xml").write_text(DOMAIN.format(name="cust", disk=guest.path))
    host.virsh("define", folder / "d.xml")
    try:
        host.virsh("start", "cust")
        done = host.depot("customize", "-d", "cust", "--hostname", "new", check=False)
        assert done.returncode == 1 and "VM 'cust' is running" in done.stderr
        done = host.depot("customize", "-a", guest.path, "--hostname", "new", check=False)
        assert done.returncode == 1 and "a running program has it open" in done.stderr
        host.virsh("destroy", "cust")
        host.depot("customize", "-d", "cust", "--in-place", "--hostname", "new", "--run-command", "true", "-n")
        host.depot("customize", "-d", "cust", "--in-place", "--hostname", "new")
        assert guest.read("/etc/hostname") == "new\n"
    finally:
        host.virsh("destroy", "cust", check=False)
        host.virsh("undefine", "cust")


def test_a_dry_run_tells_the_plan_without_secrets(folder):
    guest = phony(folder / "g.img", "debian")
    before = guest.path.read_bytes()
    words = ["-a", guest.path, "-n", "--write", "/etc/motd:hello", "--root-password", "password:secret", "--update"]
    done = customize(*words)
    assert done.stdout == (f"guest {guest.path}\n  write /etc/motd: hello\n  root-password root: given (hashed as the guest "
                           "knows it)\n  update (by the guest's package manager)\n")
    plan, = json.loads(customize(*words, "--json").stdout)
    assert plan["state"] == "planned" and [op["operation"] for op in plan["operations"]] == ["write", "root-password", "update"]
    assert guest.path.read_bytes() == before and inside(folder) == ["g.img"]


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (["--write", "/a:b"], 2, "no guest"),
        (["-a", "{disk}"], 2, "nothing to do"),
        (["-a", "{disk}", "-a", "{disk}", "--copy-out", "/etc:/tmp"], 2, "--copy-out: of several guests"),
        (["-a", "{disk}", "-a", "{disk}", "--touch", "/a"], 1, "it was given twice"),
        (["-a", "{disk}", "--format", "vmdk", "--touch", "/a"], 2, "none of raw, qcow2"),
        (["-a", "{disk}", "--format", "qcow2", "--touch", "/a"], 1, "is in raw format"),
        (["-a", "{disk}.not", "--touch", "/a"], 1, "No such file"),
        (["-a", "{disk}", "--upload", "/nonexistent:/a"], 1, "--upload: /nonexistent: No such file"),
        (["-a", "{disk}", "--network", "--no-network", "--touch", "/a"], 2, "exclude each other"),
        (["-a", "{disk}", "-m", "-1", "--touch", "/a"], 2, "--memsize"),
        (["-a", "{disk}", "--commands-from-file", "/nonexistent"], 1, "/nonexistent"),
        (["-a", "{disk}", "--delete", "//"], 2, "cannot be deleted"),
        (["-c", "qemu:///system", "-a", "{disk}", "--touch", "/a"], 2, "--connect"),
    ],
)
def test_what_cannot_be_right_is_told_before_anything_starts(folder, arguments, status, words):
    guest = phony(folder / "g.img", "debian")
    before = guest.path.read_bytes()
    done = customize(*[word.format(disk=guest.path) for word in arguments], check=False)
    assert done.returncode == status and words in done.stderr, done.stderr
    assert guest.path.read_bytes() == before and inside(folder) == ["g.img"]

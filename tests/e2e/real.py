# SPDX-License-Identifier: Apache-2.0
"""The real parts that the appliance and libvirt tests share, made once per session: a Debian guest, a published
repository, repod over TCP, and a private libvirtd (examples/private-libvirtd)."""

import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from conftest import BIN, ROOT, run

PRIVATE = ROOT / "examples/private-libvirtd"
URI = "qemu:///system"
# For libguestfs's own tools, which do not find out by themselves whether KVM works.
STOCK = {"LIBGUESTFS_BACKEND": "direct", "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}


def wait_file(path, process, seconds=30):
    """Wait until @path holds something, or @process is dead."""
    deadline = time.monotonic() + seconds
    while not (path.exists() and path.stat().st_size):
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{path} did not appear"
        select.select([], [], [], 0.02)


class Repod:
    """repod on a free loopback port."""

    def __init__(self, folder, work, prefix=()):
        port_file = Path(work) / f"port-{os.urandom(4).hex()}"
        self.log = Path(work) / "repod.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*prefix, BIN / "repod", "--listen", "127.0.0.1:0", "--port-file", port_file, "--access-log", "-", folder],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_file(port_file, self.process)
        self.url = f"http://127.0.0.1:{port_file.read_text().strip()}"

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0


class Host:
    """A KVM host of the tests: a private libvirtd and a VIRT_DEPOT_HOME."""

    def __init__(self):
        self.top = Path(tempfile.mkdtemp(prefix="vdh", dir="/var/tmp"))
        self.top.chmod(0o755)
        self.home = self.top / "h"
        self.home.mkdir()
        run(PRIVATE, "start", self.top / "libvirt")

    def inside(self, *command, **more):
        more["env"] = {"VIRT_DEPOT_HOME": str(self.home), **more.get("env", {})}
        return run(PRIVATE, "exec", self.top / "libvirt", "--", *command, **more)

    def depot(self, *arguments, **more):
        return self.inside(BIN / "virt-depot", *arguments, **{"timeout": 600, **more})

    def virsh(self, *arguments, **more):
        return self.inside("virsh", "-q", "-c", URI, *arguments, **more).stdout

    def domains(self):
        return set(self.virsh("list", "--all", "--name").split())

    def remove(self, *names):
        for name in names:
            self.virsh("destroy", name, check=False)
            self.virsh("undefine", name)
        for path in (self.home / "disks").iterdir():
            if path.stem in names:
                path.unlink()

    def litter(self):
        """What a dead or failed run could have left: journals, staging folders, temporary and partial files."""
        found = [p for p in self.home.rglob("*") if p.name.startswith(".") or p.parent.name in ("journal", "partial")]
        return [p for p in found if not p.name.endswith(".lock")]

    def close(self):
        run(PRIVATE, "stop", self.top / "libvirt", check=False)
        shutil.rmtree(self.top, ignore_errors=True)


class Console:
    """A VM's serial console: its log to read, its terminal to type into."""

    def __init__(self, host, name, log):
        self.host, self.name, self.log = host, name, Path(log)
        self.at = 0
        self.terminal = -1

    def expect(self, pattern, seconds=300):
        """Wait until @pattern stands in what the guest printed since the last match; return the match."""
        deadline = time.monotonic() + seconds
        while True:
            text = self.log.read_bytes().decode(errors="replace") if self.log.exists() else ""
            match = re.compile(pattern, re.S).search(text, self.at)
            if match:
                self.at = match.end()
                return match
            assert time.monotonic() < deadline, f"{self.name}: no {pattern!r} in:\n{text[self.at:][-3000:]}"
            # The log has it all; but a terminal that is open and not read would stop the guest.
            readable = [self.terminal] if self.terminal >= 0 else []
            if select.select(readable, [], [], 0.1)[0]:
                os.read(self.terminal, 1 << 16)

    def type(self, line):
        # Kept open: qemu looks only once a second whether somebody is there.
        if self.terminal < 0:
            path = self.host.virsh("ttyconsole", self.name).strip()
            self.terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
        os.write(self.terminal, line.encode() + b"\r")

    def close(self):
        if self.terminal >= 0:
            os.close(self.terminal)

    def login(self, password):
        self.expect(r"login: ")
        self.type("root")
        self.expect(r"Password: ")
        self.type(password)
        self.expect(r"# ")

    def ask(self, command):
        """Run @command in the guest and return what it printed."""
        self.type(f"{command}; echo EN''D")
        told = self.expect(r"EN''D\r?\n(.*?)END\r?\n.*?# ", 120).group(1)
        return re.sub(r"\x1b\[\?2004[hl]|\r", "", told).strip()


def real_guest():
    """The path of the cached Debian guest, made now where it is not there."""
    return Path(run(ROOT / "examples/make-guest", timeout=1200).stdout.strip())


def fingerprint(repository, home):
    text = run(BIN / "virt-depot", "repo", "list", "--json", repository, env={"VIRT_DEPOT_HOME": str(home)}).stdout
    return json.loads(text)["fingerprint"]

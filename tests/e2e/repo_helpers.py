# SPDX-License-Identifier: Apache-2.0
"""What the tests of the repo verbs share: images, gpg, the state of a repository, and death at a chosen system call."""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

from conftest import BIN, run

FIELDS = re.compile(r"^([A-Za-z0-9_.\[\]]+)=(.*)$")


def make_image(path, random_bytes=64 << 10, size=1 << 20, seed=1):
    """A raw image that starts with @random_bytes of noise and is a hole from there on."""
    with open(path, "wb") as image:
        image.write(random.Random(seed).randbytes(random_bytes))
        image.truncate(size)
    return path


def add(depot, folder, image, name="tiny", *options, **more):
    """repo add without an appliance."""
    return depot("repo", "add", folder, image, "--name", name, "--no-inspect", "--arch", "x86_64", *options, **more)


def gpg(home, *arguments, **more):
    """The real gpg, with the publisher's public key in a home of its own."""
    return run("gpg", "--homedir", home, "--batch", "--quiet", "--no-autostart", "--trust-model", "always", *arguments,
               **more)


class Repository:
    """What a reader finds in a repository, checked with other people's programs."""

    def __init__(self, folder, work):
        self.folder = Path(folder)
        self.gpg_home = Path(work) / "reader"
        self.gpg_home.mkdir(mode=0o700, exist_ok=True)

    def check_signatures(self):
        gpg(self.gpg_home, "--import", self.folder / "keys.asc")
        gpg(self.gpg_home, "--verify", self.folder / "index.sig", self.folder / "index")

    def check(self):
        """Signatures, digests, compression and layout; returns the entries as {name: {field: value}}."""
        self.check_signatures()
        clear = gpg(self.gpg_home, "--decrypt", self.folder / "index.asc").stdout
        text = (self.folder / "index").read_text()
        assert [line.rstrip() for line in clear.splitlines()] == [line.rstrip() for line in text.splitlines()]
        for name in ("index", "index.asc", "index.sig", "keys.asc"):
            assert os.readlink(self.folder / name) == f"current/{name}"
        assert os.readlink(self.folder / "current") == f"gen/{self.version()}"
        entries = self.entries()
        for entry in entries.values():
            blob = self.folder / entry["file"]
            digest = run("sha512sum", blob).stdout.split()[0]
            assert entry["checksum[sha512]"] == digest == blob.name
            assert entry["file"] == f"blobs/sha512/{digest[:2]}/{digest}"
            assert int(entry["compressed_size"]) == blob.stat().st_size
            run("sh", "-c", 'xz -t < "$0"', blob)
        return entries

    def version(self):
        return int(re.search(r"^# version: (\d+)$", (self.folder / "index").read_text(), re.M).group(1))

    def entries(self):
        entries, current = {}, None
        for line in (self.folder / "index").read_text().splitlines():
            if line.startswith("["):
                current = entries.setdefault(line.strip("[]"), {})
            elif FIELDS.match(line):
                key, value = FIELDS.match(line).groups()
                current[key] = value
        return entries

    def content(self, name):
        """The decompressed image."""
        blob = self.folder / self.entries()[name]["file"]
        return subprocess.run(["xz", "-dc"], stdin=open(blob, "rb"), stdout=subprocess.PIPE, check=True).stdout

    def litter(self):
        return sorted(p.name for p in self.folder.iterdir() if p.name.startswith(".tmp-"))


def can_strace():
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0


def run_and_die(home, syscalls, nth, *arguments):
    """Run virt-depot, killed with SIGKILL at its @nth call of one of @syscalls. Returns whether it was killed."""
    done = subprocess.run(["strace", "-o", "/dev/null", "-e", f"trace={syscalls}", "-e",
                           f"inject={syscalls}:signal=KILL:when={nth}", BIN / "virt-depot", *map(str, arguments)],
                          env={**os.environ, "VIRT_DEPOT_HOME": str(home)}, capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL)
    assert done.returncode in (0, -9, 137), done.stderr
    return done.returncode != 0


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def listed(depot, folder):
    return json.loads(depot("repo", "list", "--json", folder).stdout)

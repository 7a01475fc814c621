# SPDX-License-Identifier: Apache-2.0
"""A repod that can be pushed to, its tokens, and uploads spoken byte by byte."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

from conftest import BIN, run
from repo_helpers import add, make_image
from repod_helpers import Repod

PATCH_TYPE = "Content-Type: application/partial-upload"


class Server:
    """One repod with one or two repositories that take pushes; the folders outlive it."""

    def __init__(self, top, fingerprint=None, listen=("127.0.0.1:0",), **keys):
        self.listen = listen
        self.top = Path(top)
        self.folder, self.state, self.audit = self.top / "served", self.top / "state", self.top / "audit"
        for folder in (self.folder, self.state):
            folder.mkdir(parents=True, exist_ok=True)
        self.config = self.top / "repod.conf"
        self.write_config(fingerprint, **keys)
        self.running = None

    def write_config(self, fingerprint=None, extra="", server="", **keys):
        site = {"dir": self.folder, "push": "yes", **{key.replace("_", "-"): value for key, value in keys.items()}}
        if fingerprint:
            site["fingerprints"] = fingerprint
        lines = "\n".join(f"{key}={value}" for key, value in site.items())
        self.config.write_text(f"[server]\nstate={self.state}\naudit-log={self.audit}\n{server}\n[repository a]\n{lines}\n{extra}")

    def __enter__(self):
        self.running = Repod(None, self.top, "--config", self.config, listen=self.listen)
        return self

    def __exit__(self, *exception):
        if exception[0] is None and self.running.process.poll() is None:
            assert self.running.stop() == 0, self.running.stderr()  # a sanitizer has its say at the end
            assert "Sanitizer" not in self.running.stderr()
        self.running.__exit__(*exception)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.running.ports[0]}/"

    def token(self, *arguments):
        return run(BIN / "virt-depot", "token", "create", "--state", self.state, *arguments).stdout.strip()

    def token_file(self, *arguments):
        path = self.top / f"token-{len(list(self.top.glob('token-*')))}"
        run(BIN / "virt-depot", "token", "create", "--state", self.state, "--output", path, *arguments)
        return path

    def audited(self):
        return [json.loads(line) for line in self.audit.read_text().splitlines()] if self.audit.exists() else []


def blob_path(content):
    digest = hashlib.sha512(content).hexdigest()
    return f"blobs/sha512/{digest[:2]}/{digest}"


def curl(*arguments, data=None):
    """The curl program as a foreign client: its status, fields of the last answer, and body."""
    done = subprocess.run(["curl", "--silent", "--include", "--max-time", "60", *map(str, arguments)], input=data,
                          capture_output=True)
    head, _, body = done.stdout.rpartition(b"\r\n\r\n")
    last = head.split(b"\r\n\r\n")[-1].decode("latin-1").splitlines()
    assert last, (done.returncode, done.stderr)
    fields = dict(line.lower().split(": ", 1) for line in last[1:] if ": " in line)
    return int(last[0].split()[1]), fields, body


def bearer(token):
    return ["-H", f"Authorization: Bearer {token}"]


def published(depot, home, folder, images=2, size=256 << 10):
    """A signed repository with @images small images; its fingerprint."""
    depot("repo", "init", folder)
    for i in range(images):
        add(depot, folder, make_image(home / f"image{i}.raw", random_bytes=size, seed=i), f"tiny{i}")
    return fingerprint_of(folder)


def fingerprint_of(folder):
    return json.loads((Path(folder) / ".virt-depot/repo.json").read_text())["fingerprint"]


def check(depot, folder):
    """The repository is whole for whoever looks, with nothing worse than files that no version needs yet."""
    done = depot("repo", "check", "--json", folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def rss_peak_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


def is_long():
    return os.environ.get("VIRT_DEPOT_LONG") == "1"

# SPDX-License-Identifier: Apache-2.0
"""A repository to be mirrored, the mirror, and what is in it."""

import hashlib
import json
import os
from pathlib import Path

from conftest import BIN, run
from fetch_helpers import QUICK, Server

LOG_TEXTS = ("/index", "/index.asc", "/index.sig", "/keys.asc", "/trust", "/trust.sig")


class Mirror:
    """virt-depot mirror with a home and a folder of its own."""

    def __init__(self, home, folder):
        self.home, self.folder = Path(home), Path(folder)

    def depot(self, *words, status=0, env=None, **more):
        done = run(BIN / "virt-depot", *words, check=False,
                   env={"VIRT_DEPOT_HOME": str(self.home), **QUICK, **(env or {})}, **more)
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def add_source(self, url, fingerprint, key, name="up"):
        self.depot("source", "add", name, url, "--fingerprint", fingerprint, "--key", key)

    def run(self, *options, status=0, **more):
        done = self.depot("mirror", "--json", *options, "up", self.folder, status=status, **more)
        done.report = json.loads(done.stdout) if done.stdout else None
        return done

    def version(self):
        current = self.folder / "current"
        return int(os.readlink(current).split("/")[1]) if current.is_symlink() else 0

    def read(self, name):
        return (self.folder / name).read_bytes()

    def blobs(self):
        """Name -> whether its content is what the name says."""
        return {path.name: hashlib.sha512(path.read_bytes()).hexdigest() == path.name
                for path in self.folder.glob("blobs/sha512/*/*")}

    def shown(self):
        """What is at the top beside the texts and the folders of a repository."""
        own = {name[1:] for name in LOG_TEXTS} | {"current", "gen", "blobs"}
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith(".")
                      and path.name not in own and path.exists())

    def outside(self):
        """Whatever lies beside the folder."""
        return sorted(path.name for path in self.folder.parent.iterdir())


def asked(server):
    """The paths that were asked for since the last call."""
    log = [path for path, _ in server.log]
    server.log.clear()
    return log

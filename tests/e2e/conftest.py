# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: where the programs are, short homes (a GnuPG socket path must fit in 108 bytes)."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("VIRT_DEPOT_BIN", ROOT / "build/dev/bin"))


def pytest_configure(config):
    config.addinivalue_line("markers", "killed: traced by strace, which LeakSanitizer does not bear; run plain")


def run(*command, check=True, env=None, timeout=120, **more):
    """Run a program; with check=True a failure raises with all that it printed."""
    done = subprocess.run([str(word) for word in command], env={**os.environ, **(env or {})}, timeout=timeout,
                          capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} gave {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture
def home():
    """A short, empty VIRT_DEPOT_HOME."""
    path = Path(tempfile.mkdtemp(prefix="vd", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def depot(home):
    """Runs virt-depot with that home."""

    def call(*arguments, **more):
        env = {"VIRT_DEPOT_HOME": str(home), **more.pop("env", {})}
        return run(BIN / "virt-depot", *arguments, env=env, **more)

    return call


@pytest.fixture(scope="session")
def host():
    """A KVM host with a libvirtd of its own."""
    from real import Host

    made = Host()
    yield made
    made.close()


@pytest.fixture(scope="session")
def published(host):
    """A repository with the real Debian guest, served by a real repod and added on the host as source 'local'."""
    from real import Repod, fingerprint, real_guest

    folder = host.top / "repo"
    publisher = {"VIRT_DEPOT_HOME": str(host.home)}
    run(BIN / "virt-depot", "repo", "init", folder, env=publisher)
    added = run(BIN / "virt-depot", "repo", "add", folder, real_guest(), "--name", "debian-12", "--notes",
                "First paragraph.\n\nSecond one.", env=publisher, timeout=900)
    server = Repod(folder, host.top)
    host.depot("source", "add", "local", server.url, "--fingerprint", fingerprint(folder, host.home))
    server.folder, server.added = folder, added
    yield server
    server.stop()

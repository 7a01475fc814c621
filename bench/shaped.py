# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of pulling share: repod in a network namespace behind a veth pair that tc shapes, and a stopwatch."""
import contextlib
import os
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / "build/release/bin"
HERE, THERE = "10.211.97.1", "10.211.97.2"
NAME = f"vdb{os.getpid() % 10000}"


def run(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, **more).stdout


def depot(home, *words):
    return run(BIN / "virt-depot", *words, env={**os.environ, "VIRT_DEPOT_HOME": str(home)})


@contextlib.contextmanager
def network():
    run("ip", "netns", "add", NAME)
    try:
        run("ip", "link", "add", f"{NAME}h", "type", "veth", "peer", "name", f"{NAME}s", "netns", NAME)
        run("ip", "addr", "add", f"{HERE}/30", "dev", f"{NAME}h")
        run("ip", "link", "set", f"{NAME}h", "up")
        run("ip", "-n", NAME, "addr", "add", f"{THERE}/30", "dev", f"{NAME}s")
        run("ip", "-n", NAME, "link", "set", f"{NAME}s", "up")
        yield
    finally:
        run("ip", "netns", "del", NAME)


def shape(rate):
    subprocess.run(["tc", "-n", NAME, "qdisc", "del", "dev", f"{NAME}s", "root"], capture_output=True)
    if rate > 0:
        run("tc", "-n", NAME, "qdisc", "add", "dev", f"{NAME}s", "root", "tbf", "rate", f"{rate}mbit", "burst", "256kb",
            "latency", "50ms")


@contextlib.contextmanager
def serving(repository, top, more=""):
    """The port is always the same, as the namespace is ours: hosts find the next repository where they found the one before.
    @more: sections of repod.conf for other repositories."""
    limits = top / "repod.conf"
    limits.write_text(f"[server]\nclient-requests=0\n[repository all]\ndir={repository}\n{more}")
    server = subprocess.Popen(["ip", "netns", "exec", NAME, BIN / "repod", "--listen", f"{THERE}:8080",
                               "--config", limits], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while "serving" not in server.stderr.readline():
            assert server.poll() is None, "repod did not start"
        yield f"http://{THERE}:8080"
    finally:
        server.terminate()
        server.wait()


def measure(command, **more):
    """Wall and CPU seconds and the peak memory in MiB of the largest process of @command."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **more)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

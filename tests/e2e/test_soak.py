# SPDX-License-Identifier: Apache-2.0
"""Reloads, pushes and pulls together: no request fails, nothing wrong is ever served, memory stays flat. A slice of it
in every check; ten minutes with VIRT_DEPOT_LONG=1, which also prints the figures."""

import hashlib
import http.client
import json
import os
import signal
import statistics
import threading
import time
from pathlib import Path

from conftest import BIN
from push_helpers import Server, fingerprint_of, is_long, published
from repo_helpers import Repository, add, make_image

READERS = 6
SLICE_PUSHES = 3
LONG_SECONDS = 600


class Load:
    """Threads that go on until they are told to stop; the first failure stops all and is raised by join()."""

    def __init__(self):
        self.is_over, self.failures, self.threads, self.counts = threading.Event(), [], [], {}

    def start(self, name, step):
        def turn():
            try:
                while not self.is_over.is_set():
                    step()
                    self.counts[name] = self.counts.get(name, 0) + 1
            except Exception as error:
                self.failures.append((name, error))
                self.is_over.set()

        self.counts.setdefault(name, 0)
        self.threads.append(threading.Thread(target=turn))
        self.threads[-1].start()

    def join(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join()
        if self.failures:
            name, error = self.failures[0]
            raise AssertionError(f"{name}: {error!r}") from error


class Reader:
    """One kept connection: the index again and again, sometimes a file that it names, whole or in a range."""

    def __init__(self, port, seed):
        self.client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.turn, self.etag = seed, None

    def get(self, path, **fields):
        self.client.request("GET", path, headers=fields)
        answer = self.client.getresponse()
        return answer.status, answer.read(), answer.headers

    def step(self):
        self.turn += 1
        status, text, fields = self.get("/index", **({"If-None-Match": self.etag} if self.etag and self.turn % 3 else {}))
        assert status in (200, 304), status
        if status == 304:
            return
        self.etag = fields["ETag"]
        files = [line.split("=", 1)[1] for line in text.decode().splitlines() if line.startswith("file=")]
        assert files
        path = files[self.turn % len(files)]
        status, whole, _ = self.get(f"/{path}")
        assert status == 200 and hashlib.sha512(whole).hexdigest() == path.rsplit("/", 1)[1]
        status, part, _ = self.get(f"/{path}", Range="bytes=1000-1999")
        assert status == 206 and part == whole[1000:2000]


def resident_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def is_sanitized():
    return any(mark in (BIN / "repod").read_bytes() for mark in (b"__asan_init", b"__tsan_init"))


def test_reloads_pushes_and_pulls_together(depot, home, tmp_path):
    folder = home / "repo"
    published(depot, home, folder, size=1 << 20)
    server = Server(tmp_path / "target", fingerprint_of(folder), server="client-requests=0")  # all come from one address
    plain = server.config.read_text()
    (server.top / "second").mkdir()
    variants = [plain, plain + f"[repository b]\ndir={server.top}/second\npath=/b\n"]
    load, memory, state = Load(), [], {"pushes": 0, "reloads": 0}
    with server:
        token, pid = server.token_file("push:a"), server.running.process.pid
        depot("push", "--token-file", token, folder, server.url)
        depot("source", "add", "soak", server.url, "--fingerprint", fingerprint_of(folder))

        def publish():
            number = state["pushes"]
            add(depot, folder, make_image(home / "new.raw", 256 << 10, seed=100 + number), f"tiny{number % 2}")
            done = json.loads(depot("push", "--token-file", token, "--json", folder, server.url).stdout)
            assert done["published"]
            state["pushes"] += 1

        def pull():
            depot("pull", f"tiny{state['pushes'] % 2}")

        def reload():
            state["reloads"] += 1
            temporary = server.config.with_suffix(".new")
            temporary.write_text(variants[state["reloads"] % 2])
            temporary.rename(server.config)
            server.running.process.send_signal(signal.SIGHUP)
            memory.append(resident_kib(pid))
            load.is_over.wait(0.2)

        readers = [Reader(server.running.ports[0], seed) for seed in range(READERS)]
        for name, step in [("publish", publish), ("pull", pull), ("reload", reload),
                           *((f"reader {n}", reader.step) for n, reader in enumerate(readers))]:
            load.start(name, step)
        begin = time.monotonic()
        while not load.is_over.wait(0.05):
            if time.monotonic() - begin > LONG_SECONDS if is_long() else min(state["pushes"], load.counts["pull"]) >= SLICE_PUSHES:
                break
        load.join()
        metrics = Reader(server.running.ports[0], 0).get("/metrics")[1].decode()
    assert server.running.process.returncode == 0
    assert not [line for line in metrics.splitlines() if 'status="5xx"' in line and not line.endswith(" 0")], metrics
    Repository(server.folder, home).check()
    requests = sum(count for name, count in load.counts.items() if name.startswith("reader"))
    middle, last = (statistics.median(part) for part in (memory[len(memory) // 5:len(memory) // 2], memory[-len(memory) // 4:]))
    print(f"{time.monotonic() - begin:.0f} s: {state['pushes']} pushes, {load.counts['pull']} pulls, {state['reloads']} reloads, "
          f"{requests} readers' turns; repod's memory {middle / 1024:.1f} MiB early, {last / 1024:.1f} MiB at the end")
    if is_long() and not is_sanitized():
        assert last < 1.1 * middle + 1024

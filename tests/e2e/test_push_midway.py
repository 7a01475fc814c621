# SPDX-License-Identifier: Apache-2.0
"""What happens in the middle of `virt-depot push`: somebody else publishes, or the publisher presses Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
import threading

import pytest

from conftest import BIN, run
from push_helpers import Server, fingerprint_of, published
from repo_helpers import Repository, add, make_image
from repod_helpers import TIMEOUT


class Relay:
    """Stands before a server. When the client's stream first holds @mark after @after bytes, it calls @then() before it
    passes that on."""

    def __init__(self, port, mark, then, after=0):
        self.port, self.mark, self.then, self.after, self.passed = port, mark, then, after, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source, target, is_request):
        try:
            while data := source.recv(64 << 10):
                if is_request and self.then and self.mark in data and self.passed >= self.after:
                    then, self.then = self.then, None
                    then()
                self.passed += len(data) if is_request else 0
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            target.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


@pytest.fixture
def publisher(depot, home):
    folder = home / "repo"
    published(depot, home, folder)
    return folder


@pytest.fixture
def target(tmp_path, publisher):
    with Server(tmp_path / "target", fingerprint_of(publisher)) as running:
        yield running


def test_who_is_overtaken_between_the_files_and_the_index_changes_nothing(depot, home, publisher, target):
    token = target.token_file("push:a")
    depot("push", "--token-file", token, publisher, target.url)
    other = home / "other"
    run("cp", "-a", publisher, other)
    add(depot, publisher, make_image(home / "mine.raw", seed=7), "mine")
    os.remove(next(home.rglob("last-version")))  # the other publisher does not know of this version
    add(depot, other, make_image(home / "theirs.raw", seed=8), "theirs")

    def overtake():
        depot("push", "--token-file", token, other, target.url)

    with Relay(target.running.ports[0], b"PUT /index ", overtake) as relay:
        done = depot("push", "--token-file", token, publisher, relay.url, check=False)
        assert relay.then is None
    assert done.returncode == 1 and "somebody else has published meanwhile, nothing was changed" in done.stderr
    assert set(Repository(target.folder, home).check()) == {"tiny0", "tiny1", "theirs"}
    assert (target.folder / "index").read_bytes() == (other / "index").read_bytes()
    assert [line["result"] for line in target.audited() if line["action"] == "publish"].count("done") == 2


def test_ctrl_c_leaves_the_server_as_it_was_and_the_next_push_goes_on(depot, home, publisher, target):
    token = target.token_file("push:a")
    depot("push", "--token-file", token, publisher, target.url)
    before = (target.folder / "index").read_bytes()
    add(depot, publisher, make_image(home / "big.raw", random_bytes=6 << 20, size=8 << 20, seed=9), "big")
    pusher = None

    def interrupt():
        pusher.send_signal(signal.SIGINT)
        pusher.wait(TIMEOUT)

    with Relay(target.running.ports[0], b"", interrupt, after=2 << 20) as relay:
        pusher = subprocess.Popen([BIN / "virt-depot", "push", "--token-file", token, publisher, relay.url],
                                  env={**os.environ, "VIRT_DEPOT_HOME": str(home)}, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        _, stderr = pusher.communicate(timeout=TIMEOUT)
    assert relay.then is None and pusher.returncode == -signal.SIGINT and "interrupted" in stderr
    assert (target.folder / "index").read_bytes() == before
    done = json.loads(depot("push", "--token-file", token, "--json", publisher, target.url).stdout)
    assert done["published"] and 0 < done["bytes_sent"] < 5 << 20  # what had come was not sent again
    assert "big" in Repository(target.folder, home).check()

# SPDX-License-Identifier: Apache-2.0
"""Starts the real repod on a free port, and speaks to it over plain sockets, byte by byte."""
import os
import resource
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 60  # for any single wait; long, since sanitizers and shared machines are slow


def program():
    return Path(os.environ.get("VIRT_DEPOT_BIN", ROOT / "build/dev/bin")) / "repod"


def limit_files(number):
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))


class Repod:
    """One running daemon; use it in a with statement."""

    def __init__(self, folder, work, *options, listen=("127.0.0.1:0",), threads=2, environment=None, max_files=None):
        self.port_file = Path(work) / "port"
        self.stderr_path = Path(work) / "stderr"
        command = [program(), "--port-file", self.port_file, "--threads", str(threads)]
        for address in listen:
            command += ["--listen", address]
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen([*command, *options, *([folder] if folder else [])], stderr=stderr, stdout=stderr,
                                            env={**os.environ, **(environment or {})},
                                            preexec_fn=max_files and (lambda: limit_files(max_files)))
        # The line on stderr is the last thing before serving; a program that ends instead ends the wait.
        wait_until(lambda: b"serving" in self.stderr_path.read_bytes() or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise RuntimeError(self.stderr())
        self.ports = [int(line) for line in self.port_file.read_text().split()]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stderr(self):
        return self.stderr_path.read_text()

    def connect(self, port=None, receive_buffer=None):
        client = socket.socket(socket.AF_INET)
        client.settimeout(TIMEOUT)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(("127.0.0.1", port or self.ports[0]))
        return client

    def ask(self, text):
        """One request on a connection of its own, which the client half-closes."""
        with self.connect() as client:
            client.sendall(text)
            socket.socket.shutdown(client, socket.SHUT_WR)  # below TLS, where there is any
            return Answer(client.makefile("rb"), method=text.split(b" ")[0])

    def stop(self, signal_number=signal.SIGTERM):
        self.process.send_signal(signal_number)
        return self.wait()

    def wait(self):
        return self.process.wait(TIMEOUT)


class Answer:
    """One response read from a stream: status, fields (lower-case names) and exactly the announced body."""

    def __init__(self, stream, method=b"GET"):
        line = stream.readline()
        assert line, "the server closed the connection without an answer"
        version, status, self.reason = line.decode().rstrip("\r\n").split(" ", 2)
        assert version == "HTTP/1.1"
        self.status = int(status)
        self.fields = {}
        while (line := stream.readline()) != b"\r\n":
            assert line.endswith(b"\r\n")
            name, value = line.decode().rstrip("\r\n").split(": ", 1)
            assert name.lower() not in self.fields
            self.fields[name.lower()] = value
        self.length = int(self.fields.get("content-length", 0))
        has_body = method != b"HEAD" and self.status not in (204, 304)
        self.body = stream.read(self.length) if has_body else b""
        assert not has_body or len(self.body) == self.length


def request(path, method="GET", *fields, version="HTTP/1.1"):
    lines = [f"{method} {path} {version}", "Host: h", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def wait_until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        select.select([], [], [], 0.005)  # leaves the processor to the one that is waited for


def is_at_end(client):
    """Whether the server has closed: nothing more comes but the end of the stream, or a reset."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True

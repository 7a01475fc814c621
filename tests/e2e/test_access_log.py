# SPDX-License-Identifier: Apache-2.0
"""Access logs: each line whole and true, whatever a client sends and whenever the log is rotated."""

import json
import os
import random
import re
import signal
import threading

import pytest

from repod_helpers import Answer, Repod, request, wait_until

TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 127\.0\.0\.1:\d+ (\S+) (\S+) (\d{3}) \d+ \d+")

# What a client may put where; None: the request as a whole is something else.
HOSTILE = [b"\"", b"\\", b"\\\"", b"\\x22", b"%0a%0d", b"a%20b", b"\x7f", b"\xff\xfe", b"\xc3(", b"\xe2\x80\xae", b"\xf0\x9f\x92\xbf",
           b"\x1b[31m", b"\x01\x02\x08", b"\n2026-01-01T00:00:00.000Z 1.2.3.4:5 GET /forged 200 0 0", b"\r\n\r\nGET /forged HTTP/1.1",
           b"\t", b"{\"a\":1}", b"\",\"status\":200,\"x\":\"", b"'", b"<script>", b"\x00", b"\x80", b"\\u0000", b"\xed\xa0\x80", b"A" * 9000]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").write_text("content")
    return tmp_path / "root"


def serve(folder, work, kind, threads=2):
    conf = work / "conf"
    conf.write_text(f"[server]\naccess-log={work}/log\naccess-log-format={kind}\nclient-requests=0\n[repository all]\ndir={folder}\n")
    return Repod(None, work, "--config", conf, threads=threads)


def send(server, text):
    """Whatever it is, until the server closes; returns the status, if there was one."""
    with server.connect() as client:
        client.sendall(text)
        try:
            return Answer(client.makefile("rb")).status
        except (ConnectionResetError, AssertionError):
            return None


def requests_with(piece):
    yield b"GET /" + piece + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    yield b"GET /file HTTP/1.1\r\nHost: h\r\nUser-Agent: " + piece + b"\r\nConnection: close\r\n\r\n"
    yield b"GET /file HTTP/1.1\r\nHost: h" + piece + b"\r\nConnection: close\r\n\r\n"
    yield piece + b" /file HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    yield piece + b"\r\n\r\n"


def test_each_line_of_text_has_its_seven_fields(folder, tmp_path):
    with serve(folder, tmp_path, "text") as server:
        statuses = [send(server, text) for piece in HOSTILE for text in requests_with(piece)]
        assert server.stop() == 0
        lines = (tmp_path / "log").read_bytes().decode("ascii").split("\n")
        assert lines.pop() == ""
        matches = [TEXT.fullmatch(line) for line in lines]
        assert all(matches), [line for line, match in zip(lines, matches) if not match][:3]
        answered = [s for s in statuses if s]
        # One line for each answer; the pieces with a line end in them make two requests of one.
        assert len(answered) <= len(lines) <= len(answered) + 8
        assert not any(m.group(2) == "/forged" and m.group(3) == "200" for m in matches)
        # What is written can be read back: it is the target as sent.
        targets = [re.sub(rb"\\x(..)", lambda x: bytes([int(x[1], 16)]), m.group(2).encode()) for m in matches]
        assert b"/a%20b" in targets and b'/"' in targets


def test_each_line_of_json_is_an_object(folder, tmp_path):
    with serve(folder, tmp_path, "json") as server:
        statuses = [send(server, text) for piece in HOSTILE for text in requests_with(piece)]
        assert server.stop() == 0
        lines = (tmp_path / "log").read_bytes().decode("ascii").split("\n")
        assert lines.pop() == ""
        entries = [json.loads(line, object_pairs_hook=once) for line in lines]
        assert len([s for s in statuses if s]) <= len(entries)
        for one in entries:
            assert set(one) <= {"time", "peer", "method", "target", "status", "bytes", "microseconds", "repository", "token", "agent"}
            assert isinstance(one["status"], int) and one["peer"].startswith("127.0.0.1:")
        agents = {one.get("agent") for one in entries}
        assert {"\"", "\\", "\\\"", "{\"a\":1}", "\",\"status\":200,\"x\":\"", "ÿþ", "A" * 200} <= agents


def once(pairs):
    """No member may be there twice: readers would differ in which of them counts."""
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), keys
    return dict(pairs)


@pytest.mark.parametrize("kind", ["text", "json"])
def test_noise_makes_no_line_that_is_none(folder, tmp_path, kind):
    noise = random.Random(4)
    with serve(folder, tmp_path, kind, threads=1) as server:
        for _ in range(300):
            junk = bytes(noise.choice(b'\\"\x00\x1f\x7f\x80\xffnuxAZ{}:, ') for _ in range(noise.randrange(1, 60)))
            send(server, b"GET /" + junk + b" HTTP/1.1\r\nHost: h\r\nUser-Agent: " + junk + b"\r\nConnection: close\r\n\r\n")
        assert send(server, b"GET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") == 404
        assert server.stop() == 0
        lines = (tmp_path / "log").read_bytes().decode("ascii").splitlines()
        assert len(lines) == 301
        if kind == "json":
            assert all(json.loads(line) for line in lines) and json.loads(lines[-1])["target"] == "/end"
        else:
            assert all(TEXT.fullmatch(line) for line in lines)


def test_no_line_is_lost_when_the_log_is_rotated(folder, tmp_path):
    """As logrotate does it: rename, SIGHUP, and wait for the new file. Four clients ask all the while, each with numbers."""
    n_clients, n_rotations = 4, 20
    sent = [0] * n_clients
    stop = threading.Event()
    with serve(folder, tmp_path, "text") as server:

        def ask(client_number):
            with server.connect() as client, client.makefile("rb") as stream:
                while not stop.is_set():
                    client.sendall(request(f"/file?{client_number}-{sent[client_number]}"))
                    assert Answer(stream).status == 200
                    sent[client_number] += 1

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(n_clients)]
        for thread in threads:
            thread.start()
        try:
            for rotation in range(n_rotations):
                before = sum(sent)
                wait_until(lambda: sum(sent) > before + 20)
                os.rename(tmp_path / "log", tmp_path / f"log.{rotation}")
                server.process.send_signal(signal.SIGHUP)
                wait_until(lambda: (tmp_path / "log").exists() and (tmp_path / "log").stat().st_size > 0)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert server.stop() == 0
        found = []
        for name in [*(f"log.{n}" for n in range(n_rotations)), "log"]:
            text = (tmp_path / name).read_text()
            assert text.endswith("\n"), name  # whole lines
            found += [TEXT.fullmatch(line).group(2) for line in text.splitlines()]
        expected = [f"/file?{n}-{i}" for n in range(n_clients) for i in range(sent[n])]
        assert sorted(found) == sorted(expected)
        print(f"{len(found)} lines in {n_rotations + 1} files")


def test_a_log_that_cannot_be_opened_again_leaves_the_old_one(folder, tmp_path):
    with serve(folder, tmp_path, "text") as server:
        os.rename(tmp_path / "log", tmp_path / "log.1")
        (tmp_path / "log").mkdir()
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: f"not reloaded: {tmp_path}/log: Is a directory" in server.stderr())
        assert send(server, request("/file", "GET", "Connection: close")) == 200
        assert server.stop() == 0
        assert len((tmp_path / "log.1").read_text().splitlines()) == 1

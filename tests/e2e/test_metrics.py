# SPDX-License-Identifier: Apache-2.0
"""What an operator reads: /healthz and /readyz, /metrics as Prometheus parses it, and access logs that no client can break."""

import contextlib
import hashlib
import math
import os
import re
import signal
import socket
import time

import pytest

from fetch_helpers import Keys
from push_helpers import bearer, blob_path, curl
from conftest import BIN, run
from repod_helpers import TIMEOUT, Answer, Repod, is_at_end, request, wait_until
from repod_tls import Authority
from web_helpers import HandMade, ask, entry

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def parse_metrics(text):
    """The text format, version 0.0.4, strictly: {(name, ((label, value), ...)): number}."""
    samples, kinds, family = {}, {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert family not in kinds and len(line.split(" ", 3)) == 4, line
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and name not in kinds and kind in ("counter", "gauge", "histogram"), line
            kinds[name] = kind
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        base = re.sub(r"_(bucket|sum|count)$", "", name) if kinds.get(family) == "histogram" else name
        assert base == family, (line, family)  # the samples of a family stand together
        assert kinds[family] != "counter" or family.endswith("_total"), line
        pairs = LABEL.findall(labels or "")
        assert ",".join(f'{k}="{v}"' for k, v in pairs) == (labels or ""), line
        key = (name, tuple(sorted(pairs)))
        assert key not in samples and not math.isnan(float(value)), line
        samples[key] = float(value)
    return samples


def metrics(server):
    """From a Unix socket, which no limit of a client counts."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(TIMEOUT)
        client.connect(str(server.socket))
        client.sendall(request("/metrics", "GET", "Connection: close"))
        answer = Answer(client.makefile("rb"))
    assert (answer.status, answer.fields["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return parse_metrics(answer.body.decode())


def value(samples, name, **labels):
    return samples.get((name, tuple(sorted(labels.items()))), 0)


def hits(server, limit):
    return value(metrics(server), "repod_limit_hits_total", limit=limit)


@contextlib.contextmanager
def serving(work, *keys, sites=None, listen="127.0.0.1:0", **more):
    """A small file, a big one, and what @sites adds to the configuration."""
    (work / "root").mkdir(exist_ok=True)
    (work / "root/file").write_bytes(b"content")
    with open(work / "root/big", "wb") as big:
        big.truncate(1 << 26)
    conf = work / "conf"
    sites = sites or f"[repository all]\ndir={work}/root\n"
    conf.write_text("\n".join(["[server]", f"listen={listen} unix:{work}/s", *keys, sites, ""]))
    with Repod(None, work, "--config", conf, listen=(), **more) as server:
        server.socket, server.conf = work / "s", conf
        yield server
        if server.process.poll() is None:
            assert server.stop() in (0, 1)  # 1: it cut somebody who was to be cut
        assert "Sanitizer" not in server.stderr(), server.stderr()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(tmp_path_factory.mktemp("k") / "g")
    made.make("good")
    yield made
    made.close()


@pytest.fixture
def work(home):
    """Short, since a Unix socket lies there."""
    return home


# ---- health ----


def test_while_it_stops_it_is_not_ready(work):
    """Who began to ask before the signal is told; whoever comes later finds nobody."""
    with serving(work) as server, server.connect() as early, server.connect(receive_buffer=4096) as busy:
        assert (ask(server, "/readyz").status, ask(server, "/healthz").body) == (200, b"ok\n")
        assert b"all: ok" in ask(server, "/readyz").body
        busy.sendall(request("/big"))
        assert busy.recv(1) == b"H"
        early.sendall(request("/file"))
        assert Answer(early.makefile("rb")).body == b"content"
        early.sendall(b"GET /readyz HTTP/1.1\r\nHost: h\r\n")
        wait_until(lambda: value(metrics(server), "repod_requests_total", method="GET", status="2xx") >= 4)
        server.process.send_signal(signal.SIGTERM)

        def is_refused():
            try:
                server.connect().close()
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:  # the socket was closed in the middle of the handshake
                pass
            return False

        wait_until(is_refused)
        early.sendall(b"\r\n")
        answer = Answer(early.makefile("rb"))
        assert (answer.status, answer.fields["connection"]) == (503, "close") and b"stopping\n" in answer.body
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 1


def test_a_reload_that_fails_changes_nothing_and_is_counted(work):
    with serving(work) as server:
        os.rename(work / "root", work / "moved")  # open already: still served
        assert ask(server, "/readyz").status == 200
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "not reloaded" in server.stderr())
        assert ask(server, "/readyz").status == 200 and ask(server, "/file").body == b"content"
        assert value(metrics(server), "repod_reload_failures_total") == 1


# ---- metrics ----


def test_requests_bytes_and_durations_add_up(work):
    with serving(work) as server:
        before = metrics(server)
        for path, method, status, size in (("/file", "GET", 200, 7), ("/file", "HEAD", 200, 0), ("/none", "GET", 404, None),
                                           ("/big", "GET", 200, 1 << 26), ("/file", "BREW", 405, None), ("/f ile", "GET", 400, None)):
            with server.connect() as client:
                client.sendall(request(path, method, "Connection: close"))
                assert Answer(client.makefile("rb"), method.encode()).status == status, (path, method)
        # What it has sent is counted, and a connection given up, a moment after the client saw its answer.
        wait_until(lambda: value(metrics(server), "repod_sent_bytes_total") >= (1 << 26) + 7)
        wait_until(lambda: value(metrics(server), "repod_open_connections") == 1)  # the one that asks
        after = metrics(server)

        def grown(name, **labels):
            return value(after, name, **labels) - value(before, name, **labels)

        assert grown("repod_requests_total", method="HEAD", status="2xx") == 1
        assert grown("repod_requests_total", method="GET", status="4xx") >= 1
        assert grown("repod_requests_total", method="other", status="4xx") >= 1
        total = sum(v for (name, _), v in after.items() if name == "repod_requests_total")
        assert value(after, "repod_request_seconds_count") == total
        buckets = [(float(dict(labels)["le"]), v) for (name, labels), v in after.items() if name == "repod_request_seconds_bucket"]
        assert [end for end, _ in buckets] == sorted(end for end, _ in buckets) and buckets[-1][0] == math.inf
        counts = [v for _, v in buckets]
        assert counts == sorted(counts) and counts[-1] == total and counts[0] < total
        assert 0 < value(after, "repod_request_seconds_sum") < 60 * total
        assert value(after, "repod_connections_total") >= 8
        assert [labels for name, labels in after if name == "repod_build_info"] != []


def test_the_age_of_the_index_and_the_pulls_of_each_image(work, keys):
    blobs = [os.urandom(1000 + i) for i in range(3)]
    made = HandMade(work / "repo", keys)
    for blob in blobs:
        path = made.folder / blob_path(blob)
        path.parent.mkdir(parents=True)
        path.write_bytes(blob)

    def image(name, blob, **more):
        return entry(name, file=blob_path(blob), compressed_size=str(len(blob)), **{"checksum[sha512]": hashlib.sha512(blob).hexdigest()}, **more)

    expires = int(time.time()) + 3 * 86400
    header = time.strftime("# expires: %Y-%m-%dT%H:%M:%SZ\n", time.gmtime(expires))
    made.publish(image("tiny", blobs[0]) + image("other", blobs[2]), header=header)
    made.publish(image("tiny", blobs[1], revision="2") + image("other", blobs[2]), header=header)
    sites = f"[repository a-b]\ndir={made.folder}\nfingerprints={keys.fingerprints['good']}\n"
    with serving(work, sites=sites) as server:
        url = f"http://127.0.0.1:{server.ports[0]}/"
        for blob, times in ((blobs[0], 1), (blobs[1], 3)):
            for _ in range(times):
                assert curl(url + blob_path(blob))[2] == blob
        assert curl("-r", "500-", url + blob_path(blobs[1]))[0] == 206  # the rest of a download is no other one
        curl("--head", url + blob_path(blobs[1]))
        curl(url + blob_path(b"not there"))
        bytes_sent = 1000 + 3 * 1001 + 501
        wait_until(lambda: value(metrics(server), "repod_blob_bytes_total", repository="a-b") == bytes_sent)
        now = metrics(server)
        assert value(now, "repod_image_pulls_total", repository="a-b", image="tiny", arch="x86_64") == 4  # of both revisions
        assert value(now, "repod_image_bytes_total", repository="a-b", image="tiny", arch="x86_64") == bytes_sent
        assert ("repod_image_pulls_total", (("arch", "x86_64"), ("image", "other"), ("repository", "a-b"))) not in now
        assert value(now, "repod_blob_pulls_total", repository="a-b") == 4
        assert value(now, "repod_index_valid", repository="a-b") == 1 and value(now, "repod_index_version", repository="a-b") == 2
        assert value(now, "repod_index_images", repository="a-b") == 2
        assert 0 <= value(now, "repod_index_age_seconds", repository="a-b") < 300
        left = value(now, "repod_index_expires_seconds", repository="a-b")
        assert expires - time.time() - 5 < left <= 3 * 86400
        (made.folder / "current/index").write_text("forged")
        made.publish(b"[x]\n", header=header)
        (made.folder / "gen/3/index").write_text("forged")
        assert value(metrics(server), "repod_index_valid", repository="a-b") == 0


def test_names_that_clients_choose_make_no_labels(work):
    with serving(work, "client-requests=0") as server:
        before = set(metrics(server))
        with server.connect() as client, client.makefile("rb") as stream:
            for i in range(3000):
                client.sendall(request(f"/blobs/sha512/{i % 256:02x}/{i:0128x}", "GET", f"User-Agent: a{i}", f"Host: h{i}")
                               .replace(b"Host: h\r\n", b""))
                assert Answer(stream).status == 404
        for i in range(100):
            ask(server, f"/api/v1/images/{i}", host=f"name{i}.example")
            ask(server, f"/n{i}", method=f"M{i}")
        after = set(metrics(server))
        new = after - before
        assert all(name == "repod_requests_total" for name, _ in new) and len(new) <= 4, new


def test_who_may_read_them(work):
    with serving(work) as server:
        assert ask(server, "/metrics").status == 200
        for field in ("Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1", "Via: 1.1 proxy"):
            answer = ask(server, "/metrics", field)
            assert answer.status == 403 and b"repod_" not in answer.body
        assert ask(server, "/metrics", method="POST").status == 405
    with serving(work, "metrics=public", f"state={work}") as server:
        assert ask(server, "/metrics", "Via: 1.1 proxy").status == 200
    with serving(work, f"state={work}") as server:
        admin, reader = (run(BIN / "virt-depot", "token", "create", "--state", work, scope).stdout.strip() for scope in ("admin:*", "read:*"))
        assert ask(server, "/metrics", "Via: 1.1 proxy", f"Authorization: Bearer {admin}").status == 200
        assert ask(server, "/metrics", "Via: 1.1 proxy", f"Authorization: Bearer {reader}").status == 403


# ---- limits: each counter moves when its limit bites, and no other does ----


def slow_head(server):
    with server.connect() as client:
        client.sendall(b"GET / HTT")
        while client.recv(1 << 16):
            pass


def hold(server, n):
    """@n connections that were let in; one that ended just now may still be counted, so the last may need more than one try."""
    held = []

    def one_more():
        client = server.connect()
        with contextlib.suppress(OSError):
            client.sendall(request("/file"))
            if Answer(client.makefile("rb")).status == 200:
                held.append(client)
                return len(held) == n
        client.close()
        return False

    wait_until(one_more)
    return held


def many_connections(server):
    held = hold(server, 3)
    with server.connect() as refused:
        assert Answer(refused.makefile("rb")).status == 429
    for client in held:
        client.close()


def full_server(server):
    held = hold(server, 3)
    with server.connect() as refused:
        assert Answer(refused.makefile("rb")).status == 503
    for client in held:
        client.close()
    # The next who is let in is the one that reads the counters.
    wait_until(lambda: ask(server, "/file").status == 200)


def many_requests(server):
    with server.connect() as client, client.makefile("rb") as stream:
        client.sendall(request("/file") * 3)
        assert [Answer(stream).status for _ in range(3)] == [200, 200, 429]


def many_files(server):
    """Thirty connections are fewer than 48, which is three quarters of 64; with a file each, and what the server itself has
    open, they take more than there are."""
    clients = [server.connect(receive_buffer=4096) for _ in range(30)]
    wait_until(lambda: value(metrics(server), "repod_open_connections") == 31)  # with the one that asks
    for number, client in enumerate(clients):
        os.link(server.conf.parent / "root/big", server.conf.parent / f"root/big{number}")
        client.sendall(request(f"/big{number}"))
    assert b"503" in {client.recv(16).split()[1] for client in clients}
    for client in clients:
        client.close()
    wait_until(lambda: ask(server, "/file").status == 200)


def fast_reader(server):
    with server.connect() as client:
        client.sendall(request("/big"))
        wait_until(lambda: hits(server, "client-bytes") > 0 or not client.recv(1 << 16))


def no_reader(server):
    with server.connect(receive_buffer=4096) as client:
        client.sendall(request("/big"))
        wait_until(lambda: hits(server, "write-timeout") + hits(server, "request-timeout") > 0)


def reader_for_ever(server):
    with server.connect(receive_buffer=4096) as client:
        client.sendall(request("/big"))

        def is_cut():
            try:
                client.recv(512)
            except ConnectionError:
                pass
            return hits(server, "request-timeout") > 0

        wait_until(is_cut)


def open_handshake(server):
    with server.connect() as client:
        assert is_at_end(client)


def put(server, content, *options, token):
    return curl("-X", "PUT", "--data-binary", "@-", *bearer(token), *options, f"http://127.0.0.1:{server.ports[0]}/" + blob_path(content),
                data=content)


def large_upload(server):
    assert put(server, bytes(5000), token=server.token("push:all"))[0] == 413


def large_chunked_upload(server):
    assert put(server, bytes(5000), "-H", "Transfer-Encoding: chunked", token=server.token("push:all"))[0] == 413


def upload_over_quota(server):
    assert put(server, bytes(5000), token=server.token("push:all"))[0] == 507


def upload_over_daily_share(server):
    assert put(server, bytes(5000), token=server.token("push:all", "--daily", "4K"))[0] == 413


def slow_upload(server):
    with server.connect() as client:
        client.sendall(request("/" + blob_path(b"x"), "PUT", f"Authorization: Bearer {server.token('push:all')}", "Content-Length: 9999") + b"x")
        client.recv(100)
        wait_until(lambda: hits(server, "min-body-rate") > 0)


def wrong_tokens(server):
    statuses = [ask(server, "/" + blob_path(b"x"), "Authorization: Bearer vdt_wrong", method="DELETE").status for _ in range(5)]
    assert statuses[0] == 401 and statuses[-1] == 429


def many_pushes(server):
    token = server.token("push:all")
    head = request("/index", "PUT", f"Authorization: Bearer {token}", "Content-Type: application/vnd.virt-depot.texts", "If-None-Match: *",
                   "Content-Length: 100", "Expect: 100-continue")
    clients = [server.connect() for _ in range(5)]
    first = []
    for client in clients:
        client.sendall(head)
        first.append(client.recv(100).split(b" ")[1])
    assert first == [b"100"] * 4 + [b"503"]
    for client in clients:
        client.close()


PUSH = "push=yes\n"
LIMITS = [
    ("connections", full_server, ["max-connections=3"], ""),
    ("client-connections", many_connections, ["max-client-connections=3"], ""),
    ("client-requests", many_requests, ["client-requests=1", "client-burst=2"], ""),
    ("open-files", many_files, ["client-requests=0"], ""),
    ("client-bytes", fast_reader, ["client-bytes=64K"], ""),
    ("head-timeout", slow_head, ["head-timeout=1s"], ""),
    ("write-timeout", no_reader, ["write-timeout=1s"], ""),
    ("request-timeout", reader_for_ever, ["request-timeout=1s"], ""),
    ("tls-timeout", open_handshake, ["tls-timeout=1s"], ""),
    ("max-upload", large_upload, [], PUSH + "max-upload=4K\n"),
    ("max-upload", large_chunked_upload, [], PUSH + "max-upload=4K\n"),
    ("quota", upload_over_quota, [], PUSH + "quota=4K\n"),
    ("daily", upload_over_daily_share, [], PUSH),
    ("min-body-rate", slow_upload, ["body-timeout=1s"], PUSH),
    ("wrong-tokens", wrong_tokens, [], PUSH),
    ("uploads-at-once", many_pushes, [], PUSH),
]


@pytest.mark.parametrize("limit, bite, keys, site", LIMITS, ids=[f"{limit}-{bite.__name__}" for limit, bite, _, _ in LIMITS])
def test_a_limit_that_bites_is_counted(work, limit, bite, keys, site):
    listen = "127.0.0.1:0"
    if limit == "tls-timeout":
        authority, listen = Authority(work / "tls"), ""
        authority.issue("server")
        keys = [*keys, "tls-listen=127.0.0.1:0", f"tls-certificate={work}/tls/server.pem", f"tls-key={work}/tls/server.key"]
    (work / "target").mkdir()
    sites = f"[repository all]\ndir={work}/{'target' if site else 'root'}\n{site}"
    with serving(work, f"state={work}", *keys, sites=sites, listen=listen, max_files=64 if bite is many_files else None) as server:
        server.token = lambda *words: run(BIN / "virt-depot", "token", "create", "--state", work, *words).stdout.strip()
        before = metrics(server)
        assert {dict(labels)["limit"] for name, labels in before if name == "repod_limit_hits_total"} == {row[0] for row in LIMITS}
        bite(server)
        wait_until(lambda: hits(server, limit) > 0)
        after = metrics(server)
        moved = {dict(labels)["limit"] for (name, labels), v in after.items()
                 if name == "repod_limit_hits_total" and v != before[(name, labels)]}
        assert moved == {limit}

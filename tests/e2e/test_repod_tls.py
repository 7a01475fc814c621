# SPDX-License-Identifier: Apache-2.0
"""repod over TLS: versions, resumption, certificates of clients, new certificates. What HTTP means is in test_repod.py, all of
which runs over TLS too."""
import hashlib
import os
import signal
import socket
import ssl

import pytest

from repod_helpers import Answer, Repod, program, request, wait_until
from repod_tls import Authority, TlsRepod

TEXT = b"[debian-12]\nname=Debian\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("tls") / "ca")
    made.issue("server")
    made.issue("client", "extendedKeyUsage=clientAuth")
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    (root / "index.asc").write_bytes(TEXT)
    (root / "big").write_bytes(os.urandom(2**20) * 32)
    return root


@pytest.fixture(scope="module")
def server(folder, authority, tmp_path_factory):
    with TlsRepod(folder, tmp_path_factory.mktemp("server"), authority) as running:
        yield running
        assert running.stop() == 0


def read_rest(client):
    data = b""
    try:
        while more := client.recv(1000):
            data += more
    except ConnectionResetError:
        pass
    return data


def get_index(client):
    client.sendall(request("/index.asc"))
    assert Answer(client.makefile("rb")).body == TEXT


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_either_version_has_forward_secrecy(server, authority, version):
    with server.connect(context=authority.context(version=version)) as client:
        get_index(client)
        assert client.selected_alpn_protocol() == "http/1.1"
        name, _, bits = client.cipher()
        assert bits >= 128 and (name.startswith("TLS_") or name.startswith("ECDHE-"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed(server, authority, version):
    context = authority.context(version=version)
    with server.connect(context=context) as first:
        get_index(first)
        session = first.session
    with server.connect(context=context, session=session) as second:
        get_index(second)
        assert second.session_reused


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_and_other_protocols_are_refused(server, authority):
    old = authority.context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    only_h2 = authority.context()
    only_h2.set_alpn_protocols(["h2"])
    for context in (old, only_h2):
        with pytest.raises(ssl.SSLError):
            server.connect(context=context)
    with Repod.connect(server) as plain:
        plain.sendall(request("/index.asc"))
        assert b"HTTP" not in read_rest(plain)
    with server.connect() as client:  # and it goes on
        get_index(client)


def test_pipelined_requests_in_one_record_are_all_answered(server):
    """The second and later ones are decrypted already: no event of the socket announces them."""
    with server.connect() as client, client.makefile("rb") as stream:
        client.sendall(request("/index.asc") * 100)
        for _ in range(100):
            assert Answer(stream).body == TEXT
        client.sendall(request("/index.asc", "GET", "X: " + "y" * 7000) * 2 + request("/index.asc")[:-1])
        assert Answer(stream).body == Answer(stream).body == TEXT
        client.sendall(b"\n")
        assert Answer(stream).body == TEXT


def test_a_large_file_ends_with_close_notify(server, folder):
    with server.connect() as client, client.makefile("rb") as stream:
        client.sendall(request("/big", "GET", "Connection: close"))
        answer = Answer(stream)
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256((folder / "big").read_bytes()).digest()
        assert stream.read() == b""  # an end without close_notify would raise here


def test_certificates_of_clients_are_asked_for_and_checked(folder, authority, tmp_path):
    stranger = Authority(tmp_path / "stranger")
    stranger.issue("client", "extendedKeyUsage=clientAuth")
    with TlsRepod(folder, tmp_path, authority, more=f"tls-client-ca={authority.folder}/ca.pem") as server:
        for certificate in (None, "client"):  # who has none is served all the same
            with server.connect(context=authority.context(certificate)) as client:
                get_index(client)
        bad = authority.context()
        bad.load_cert_chain(stranger.folder / "client.pem", stranger.folder / "client.key")
        with pytest.raises((ssl.SSLError, ConnectionError)):  # TLS 1.3 tells it with the first read
            with server.connect(context=bad) as client:
                client.recv(1)
        assert server.stop() == 0


def serial(server, context=None):
    with server.connect(context=context) as client:
        get_index(client)
        return client.getpeercert()["serialNumber"]


def test_a_new_certificate_is_taken_over_without_dropping_anybody(folder, authority, tmp_path):
    mine = Authority(tmp_path / "ca")
    mine.issue("server")
    with TlsRepod(folder, tmp_path, mine) as server:
        before = serial(server)
        with server.connect() as idle, server.connect(receive_buffer=4096) as busy:
            get_index(idle)
            busy.sendall(request("/big"))
            first = busy.recv(1)
            mine.issue("server")
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: serial(server) != before)
            get_index(idle)
            assert len(Answer(_Rejoined(first, busy)).body) == 2**25

            # A certificate without its key is refused, and the old pair stays.
            after = serial(server)
            mine.issue("other")
            (mine.folder / "server.pem").write_bytes((mine.folder / "other.pem").read_bytes())
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "server.key" in server.stderr())
            assert serial(server) == after
            get_index(idle)
        assert server.stop() == 0


class _Rejoined:
    """A stream of which the first byte was read already."""

    def __init__(self, first, client):
        self.first, self.stream = first, client.makefile("rb")

    def readline(self):
        first, self.first = self.first, b""
        return first + self.stream.readline()

    def read(self, size):
        return self.stream.read(size)


def test_a_stop_says_goodbye(folder, authority, tmp_path):
    with TlsRepod(folder, tmp_path, authority) as server:
        with server.connect() as idle, socket.create_connection(("127.0.0.1", server.ports[0])):
            get_index(idle)
            server.process.send_signal(signal.SIGTERM)
            assert idle.recv(1) == b""
            assert server.wait() == 0


@pytest.mark.parametrize("broken, message", [
    ("server.pem", "server.pem: "), ("server.key", "server.key: "), ("ca.pem", "ca.pem: "),
])
def test_files_that_cannot_be_used_are_named(folder, authority, tmp_path, broken, message):
    mine = Authority(tmp_path / "ca")
    mine.issue("server")
    (mine.folder / broken).write_text("nonsense")
    context = mine.context
    mine.context = authority.context
    with pytest.raises(RuntimeError, match=message):
        TlsRepod(folder, tmp_path, mine, more=f"tls-client-ca={mine.folder}/ca.pem")
    mine.context = context

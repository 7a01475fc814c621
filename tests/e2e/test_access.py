# SPDX-License-Identifier: Apache-2.0
"""Who this host is to a server: client certificates and ~/.netrc, and to whom they are not shown."""

import base64
import ssl

import pytest

from conftest import run
from fetch_helpers import QUICK, Server as PlainServer
from push_helpers import Server, fingerprint_of
from repo_helpers import add, make_image
from repod_tls import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("access") / "ca")
    made.issue("server")
    for name in ("host", "stranger"):
        made.issue(name, "extendedKeyUsage=clientAuth")
        (made.folder / f"{name}.key").chmod(0o600)
    return made


@pytest.fixture
def repository(depot, home):
    depot("repo", "init", home / "repo")
    add(depot, home / "repo", make_image(home / "image", 3 << 20, 20 << 20), "tiny")
    return home / "repo"


def certificate(authority, name):
    return ["--ca", authority.folder / "ca.pem", "--client-cert", authority.folder / f"{name}.pem",
            "--client-key", authority.folder / f"{name}.key"]


def test_a_private_repository_knows_its_hosts_by_their_certificates(depot, home, repository, authority, tmp_path):
    ca = authority.folder
    server = Server(tmp_path / "server", listen=(), public="no", server=f"tls-listen=127.0.0.1:0\ntls-certificate={ca}/server.pem\n"
                    f"tls-key={ca}/server.key\ntls-client-ca={ca}/ca.pem")
    run("cp", "-a", f"{repository}/.", server.folder)
    digest = authority.openssl("x509", "-in", "host.pem", "-noout", "-fingerprint", "-sha256").strip().split("=")[1]
    server.token("read:a", "--certificate", digest)
    pin = ["--fingerprint", fingerprint_of(repository), "--key", repository / "keys.asc"]
    with server:
        url = server.url.replace("http:", "https:")
        for wrong in (["--ca", ca / "ca.pem"], certificate(authority, "stranger")):
            done = depot("source", "add", "private", url, *pin, *wrong, check=False)
            assert done.returncode == 1 and "401" in done.stderr
        depot("source", "add", "private", url, *pin, *certificate(authority, "host"))
        conf = (home / "config/sources.d/private.conf").read_text()
        assert f"client-key={ca}/host.key" in conf and "PRIVATE" not in conf
        assert open(depot("pull", "tiny").stdout.strip(), "rb").read() == (home / "image").read_bytes()
        (ca / "host.key").chmod(0o644)
        done = depot("pull", "tiny", check=False, env={"VIRT_DEPOT_MAX_AGE": "0"})
        (ca / "host.key").chmod(0o600)
        assert "chmod 600" in done.stderr


class TlsServer(PlainServer):
    """A server that asks for certificates and remembers who showed one."""

    def __init__(self, folder, authority):
        super().__init__(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.folder / "server.pem", authority.folder / "server.key")
        context.load_verify_locations(authority.folder / "ca.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")
        self.shown = []
        self.judge = self.serve

        def see(handler):
            peer = handler.connection.getpeercert()
            self.shown.append(dict(pair for part in peer["subject"] for pair in part)["commonName"] if peer else None)
            self.judge(handler)

        class Everything(dict):
            def get(self, key, default=None):
                return see

        self.always = Everything()


def test_a_certificate_is_shown_to_the_sources_own_origin_alone(depot, repository, authority):
    source, other = TlsServer(repository, authority), TlsServer(repository, authority)
    pin = ["--fingerprint", fingerprint_of(repository), "--mirror", other.url]
    try:
        depot("source", "add", "src", source.url, *pin, *certificate(authority, "host"), env=QUICK)
        assert set(source.shown) == {"host"} and other.shown == []
        source.judge = source.status(503)
        depot("pull", "tiny", env=QUICK)
        assert set(other.shown) == {None} and set(source.shown) == {"host"}
        before = len(other.shown)
        source.judge = lambda handler: source.status(302, headers=[("Location", other.url + handler.path)])(handler)
        (repository / "index").rename(repository / "gone")  # the mirror is of no help: only the redirect is
        done = depot("list", "--refresh", env=QUICK)
        assert "302" in done.stderr
        assert set(other.shown[before:]) <= {None}
    finally:
        source.close()
        other.close()


def test_a_certificate_and_its_key_go_together(depot, authority):
    for half in ("--client-cert", "--client-key"):
        done = depot("source", "add", "src", "https://127.0.0.1:1/", "--unsigned", half, authority.folder / "host.pem", check=False)
        assert done.returncode == 2 and "go together" in done.stderr


def test_netrc_gives_the_password_of_its_machine(depot, home, repository):
    server = PlainServer(repository)
    wanted = "Basic " + base64.b64encode(b"me:secret").decode()

    def ask(handler):
        if handler.headers.get("Authorization") == wanted:
            return server.serve(handler)
        return server.status(401, headers=[("WWW-Authenticate", 'Basic realm="r"')])(handler)

    for name in ("/index", "/index.sig", "/index.asc", "/keys.asc"):
        server.always[name] = ask
    words = ["source", "add", "src", server.url, "--fingerprint", fingerprint_of(repository)]
    env = {"HOME": str(home), **QUICK}
    try:
        assert depot(*words, env=env, check=False).returncode == 1
        (home / ".netrc").write_text("machine elsewhere login me password wrong\nmachine 127.0.0.1 login me password secret\n")
        (home / ".netrc").chmod(0o600)
        depot(*words, env=env)
        assert depot("pull", "tiny", env=env).returncode == 0
    finally:
        server.close()

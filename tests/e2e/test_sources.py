# SPDX-License-Identifier: Apache-2.0
"""Where images come from: priorities, mirrors, proxies, credentials, simplestreams, virt-builder's own sources."""

import base64
import hashlib
import http.client
import json
import os
import shutil
import ssl
import time
import urllib.parse
from pathlib import Path

import pytest

from conftest import BIN, ROOT, run
from fetch_helpers import QUICK, Keys, Repository, Server, Streams, make_content

DATA = Path(os.environ.get("VIRT_DEPOT_DATA", ROOT / "../shared/data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"there is no test data in {DATA} (VIRT_DEPOT_DATA)")
CONTENT = make_content()
HEADER = "# virt-depot: 1\n# repo-id: 0f8fad5b-d9cb-469f-a165-70867728950e\n# version: {}\n# expires: {}\n"
NEVER, LONG_AGO = "2100-01-01T00:00:00Z", "2020-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(Path(tmp_path_factory.mktemp("k")) / "g")
    made.make("good", time="20200101T000000")
    made.make("other")
    yield made
    made.close()


@pytest.fixture
def repo(tmp_path, keys):
    made = Repository(tmp_path / "repo", keys)
    made.add("tiny", CONTENT)
    return made


@pytest.fixture
def serve():
    """Starts a server for a folder; @kind may be a subclass of Server."""
    servers = []

    def start(folder, kind=Server, **more):
        servers.append(kind(folder, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def quick(home):
    def call(*arguments, status=0, env=None):
        done = run(BIN / "virt-depot", *arguments, check=False,
                   env={"VIRT_DEPOT_HOME": str(home), **QUICK, **(env or {})})
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return call


@pytest.fixture
def add(quick, keys):
    def call(name, url, *more, status=0, env=None):
        return quick("source", "add", name, url, "--fingerprint", keys.fingerprints["good"], *more, status=status,
                     env=env)

    return call


def pulled(done):
    return Path(done.stdout.strip()).read_bytes()


def sources(quick, **env):
    return {source["name"]: source for source in json.loads(quick("source", "list", "--json", env=env).stdout)}


# Which source

def test_the_highest_priority_wins_then_the_highest_revision(repo, add, quick, keys, tmp_path):
    repo.add("both", make_content(seed=1), revision="1")
    repo.sign()
    newer = Repository(tmp_path / "newer", keys)
    newer.add("both", make_content(seed=2), revision="9")
    newer.add("evil", make_content(seed=3), revision="99", aliases="tiny both nick")
    newer.sign()
    add("old", repo.folder)
    add("new", newer.folder, "--priority", "50")
    assert pulled(quick("pull", "both")) == make_content(seed=2)
    quick("source", "remove", "new")
    add("new", newer.folder, "--priority", "49")
    assert pulled(quick("pull", "both")) == make_content(seed=1)
    assert pulled(quick("pull", "new/both")) == make_content(seed=2)
    quick("source", "remove", "new")
    add("new", newer.folder, "--priority", "900")
    assert pulled(quick("pull", "tiny")) == CONTENT  # an alias shadows no name, whatever its source's priority
    assert pulled(quick("pull", "nick")) == make_content(seed=3)


def test_a_disabled_source_is_listed_and_left_alone(repo, add, quick, home, serve):
    repo.sign()
    server = serve(repo.folder)
    add("src", server.url)
    conf = home / "config/sources.d/src.conf"
    conf.write_text(conf.read_text() + "enabled=no\n")
    server.log.clear()
    assert json.loads(quick("list", "--json").stdout) == []
    assert server.log == []
    assert sources(quick)["src"]["enabled"] is False
    assert "disabled" in quick("source", "list").stdout
    assert "enabled=no" in quick("pull", "src/tiny", status=1).stderr


def test_a_dry_run_stores_nothing(repo, add, home):
    repo.sign()
    assert "would be added: 1 image" in add("src", repo.folder, "--dry-run").stderr
    assert not (home / "config").exists()


@pytest.mark.parametrize("options", [("--priority", "high"), ("--priority", "9999999"), ("--proxy", "http://u:p@x/"),
                                     ("--proxy", "perhaps"), ("--format", "tuf"), ("--mirror", "ftp://x/"),
                                     ("--credential", "@../x")])
def test_options_that_mean_nothing_are_wrong_usage(repo, add, home, options):
    repo.sign()
    add("src", repo.folder, *options, status=2)
    assert list(home.iterdir()) == []


def test_list_strict_fails_for_any_problem(repo, add, quick, keys, tmp_path):
    repo.sign()
    add("good", repo.folder)
    quick("list", "--strict")
    second = Repository(tmp_path / "second", keys)
    second.add("bad", CONTENT, size="-4")
    second.add("fine", CONTENT)
    second.sign()
    add("second", second.folder)
    assert "fine" in quick("list").stdout
    done = quick("list", "--strict", status=1)
    assert "fine" in done.stdout and "'second'" in done.stderr and "--strict" in done.stderr
    quick("source", "remove", "second")
    quick("list", "--strict")
    (repo.folder / "index.asc").unlink()
    quick("list")
    quick("list", "--strict", status=1)


# How often

def test_an_index_that_was_just_confirmed_is_listed_without_asking(repo, add, quick, serve, home):
    repo.sign()
    server = serve(repo.folder)
    add("src", server.url)
    server.log.clear()
    minute = {"VIRT_DEPOT_MAX_AGE": "60"}
    for verb in (("list",), ("info", "tiny")):
        quick(*verb, env=minute)
        assert server.log == []
    quick("list", "--refresh", env=minute)
    assert server.log != []
    server.log.clear()
    quick("info", "--refresh", "tiny", env=minute)
    assert server.log != []
    server.log.clear()
    quick("pull", "tiny", env=minute)
    assert server.requests("/index.asc")
    # An answer of long ago, or from the future, has to be asked for again.
    facts = next((home / "cache/index").rglob("facts.json"))
    for moment in (time.time() - 61, time.time() + 3600):
        os.utime(facts, (moment, moment))
        server.log.clear()
        quick("list", env=minute)
        assert server.log != []
    conf = home / "config/sources.d/src.conf"
    conf.write_text(conf.read_text() + "max-age=0\n")
    server.log.clear()
    quick("list", env=minute)
    assert server.log != []


def test_an_index_that_expired_in_the_meantime_is_asked_for_again(repo, add, quick, serve, home):
    repo.header = HEADER.format(1, LONG_AGO)
    repo.sign()
    server = serve(repo.folder)
    add("src", server.url, status=3)
    repo.header = HEADER.format(2, NEVER)
    repo.sign()
    add("src", server.url)
    quick("list", env={"VIRT_DEPOT_MAX_AGE": "60"})


# Mirrors

@pytest.fixture
def mirrored(repo, tmp_path, serve, add):
    """A source with version 2, its server and that of its one mirror; copy() makes the mirror like the source."""
    class Pair:
        def __init__(self):
            self.repo = repo
            repo.header = HEADER.format(2, NEVER)
            repo.sign()
            self.folder = tmp_path / "mirror"
            self.copy()
            self.main, self.mirror = serve(repo.folder), serve(self.folder)
            add("src", self.main.url, "--mirror", self.mirror.url)
            self.main.log.clear()
            self.mirror.log.clear()

        def copy(self):
            shutil.rmtree(self.folder, ignore_errors=True)
            shutil.copytree(repo.folder, self.folder)

        def publish(self, version, expires=NEVER):
            repo.header = HEADER.format(version, expires)
            repo.sign()

    return Pair()


def test_a_mirror_is_not_asked_while_the_source_is_well(mirrored, quick):
    assert pulled(quick("pull", "tiny")) == CONTENT
    assert mirrored.mirror.log == []
    assert sources(quick)["src"]["mirrors"] == [f"{mirrored.mirror.url}/index.asc"]


@pytest.mark.parametrize("what", ["dead", "lying", "expired", "older", "empty"])
def test_a_mirror_stands_in_for_a_source_that_fails_or_is_behind(mirrored, quick, home, what):
    mirrored.publish(3)
    mirrored.copy()
    quick("list")
    if what == "dead":
        mirrored.main.close()
        mirrored.main.close = lambda: None
    elif what == "lying":
        (mirrored.repo.folder / "index.asc").write_text("<html>")
    elif what == "expired":
        mirrored.publish(4, LONG_AGO)
    elif what == "older":
        mirrored.publish(1)
    else:
        (mirrored.repo.folder / "index.asc").unlink()
    done = quick("pull", "tiny")
    assert pulled(done) == CONTENT and "trying a mirror" in done.stderr
    assert mirrored.mirror.requests("/index.asc") and mirrored.mirror.requests("/tiny.xz")


def test_a_mirror_is_believed_no_more_than_the_source(mirrored, quick, home):
    text = (mirrored.folder / "index.asc").read_text()
    (mirrored.folder / "index.asc").write_text(text.replace("Image tiny", "Image evil"))
    (mirrored.repo.folder / "index.asc").unlink()
    (home / "cache/index/src/facts.json").unlink()
    assert "evil" not in quick("list", status=1).stdout


@pytest.mark.parametrize("what", ["missing", "damaged", "unavailable"])
def test_a_file_that_the_source_lacks_comes_from_the_mirror(mirrored, quick, what):
    if what == "missing":
        (mirrored.repo.folder / "tiny.xz").unlink()
    elif what == "damaged":
        packed = (mirrored.repo.folder / "tiny.xz").read_bytes()
        (mirrored.repo.folder / "tiny.xz").write_bytes(packed[:1000] + b"XXXX" + packed[1004:])
    else:
        mirrored.main.plan["/tiny.xz"] = [mirrored.main.status(503)] * 9
    assert pulled(quick("pull", "tiny")) == CONTENT
    assert mirrored.mirror.requests("/tiny.xz")


def test_where_all_mirrors_fail_the_sources_own_failure_is_told(mirrored, quick):
    (mirrored.repo.folder / "tiny.xz").unlink()
    mirrored.mirror.plan["/tiny.xz"] = [mirrored.mirror.status(403)]
    assert f"{mirrored.main.url}/tiny.xz" in quick("pull", "tiny", status=1).stderr


def test_an_etag_of_a_mirror_is_not_shown_to_the_source(mirrored, quick):
    mirrored.main.plan["/index.asc"] = [mirrored.main.status(500)] * 6
    mirrored.main.plan["/index.sig"] = [mirrored.main.status(500)] * 6
    quick("list")
    mirrored.main.plan.clear()
    mirrored.main.log.clear()
    quick("list")
    assert all("If-None-Match" not in headers for headers in mirrored.main.requests("/index.asc"))


# Proxies, authorities, credentials

class Proxy(Server):
    """A forwarding proxy for plain http."""

    def serve(self, handler, limit=None, wait=False):
        parts = urllib.parse.urlsplit(handler.path)
        link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        link.request("GET", parts.path, headers={k: v for k, v in handler.headers.items() if k != "Proxy-Connection"})
        answer = link.getresponse()
        body = answer.read()
        handler.send_response(answer.status)
        for name in ("ETag", "Content-Range"):
            if answer.getheader(name):
                handler.send_header(name, answer.getheader(name))
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        self.write(handler, body)


def test_a_proxy_is_used_for_all_of_a_source(repo, add, quick, serve, tmp_path):
    repo.sign()
    server, proxy = serve(repo.folder), serve(tmp_path, Proxy)
    add("src", server.url, "--proxy", proxy.url)
    assert pulled(quick("pull", "tiny")) == CONTENT
    assert {path for path, _ in proxy.log} >= {f"{server.url}/{leaf}" for leaf in ("keys.asc", "index.asc", "tiny.xz")}
    assert len(proxy.log) == len(server.log)
    assert sources(quick)["src"]["proxy"] == proxy.url


def test_the_environments_proxy_is_the_systems_and_no_means_none(repo, add, quick, serve, tmp_path):
    repo.sign()
    server, proxy = serve(repo.folder), serve(tmp_path, Proxy)
    env = {"http_proxy": proxy.url, "no_proxy": ""}
    add("system", server.url, "--proxy", "system", env=env)
    assert proxy.log != []
    proxy.log.clear()
    add("none", server.url, "--proxy", "no", env=env)
    quick("list", "--source", "none", env=env)
    assert proxy.log == []
    # What is set for a source holds whatever the environment exempts.
    add("own", server.url, "--proxy", proxy.url, env={"no_proxy": "*"})
    assert proxy.log != []


class Https(Server):
    def __init__(self, folder, certificate):
        super().__init__(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """(ca, certificate, key) for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("ca")
    ca, ca_key, cert, key, request = (folder / leaf for leaf in ("ca.pem", "ca.key", "cert.pem", "key.pem", "request"))
    names = folder / "names"
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test authority", "-days", "30",
        "-keyout", ca_key, "-out", ca)
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", request)
    run("openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "30",
        "-extfile", names, "-out", cert)
    return ca, cert, key


def test_an_authority_of_ones_own_is_believed_for_its_source_alone(repo, add, quick, serve, authority, tmp_path):
    repo.sign()
    ca, certificate, key = authority
    server = serve(repo.folder, Https, certificate=(certificate, key))
    done = add("src", server.url, status=1)
    assert "certificate" in done.stderr
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    add("src", server.url, "--ca", rubbish, status=1)
    add("src", server.url, "--ca", ca)
    assert pulled(quick("pull", "tiny")) == CONTENT
    assert sources(quick)["src"]["ca"] == str(ca)


class Guarded(Server):
    """Serves only to who shows the right Authorization."""

    def __init__(self, folder, wanted):
        super().__init__(folder)
        self.wanted = wanted

    def serve(self, handler, limit=None, wait=False):
        if handler.headers.get("Authorization") != self.wanted:
            return self.status(401)(handler)
        return super().serve(handler, limit, wait)


def basic(secret):
    return "Basic " + base64.b64encode(secret.encode()).decode()


@pytest.fixture
def secret_file(tmp_path):
    def write(secret, mode=0o600, leaf="secret"):
        path = tmp_path / leaf
        path.write_text(secret + "\n")
        path.chmod(mode)
        return path

    return write


@pytest.mark.parametrize("secret, header", [("user:pass:word", basic("user:pass:word")),
                                            ("bearer abc.def-123", "Bearer abc.def-123"), ("Bearer zyxw4321", "Bearer zyxw4321")])
def test_a_credential_is_read_from_its_file(repo, add, quick, serve, secret_file, home, secret, header):
    repo.sign()
    server = serve(repo.folder, Guarded, wanted=header)
    assert "401" in add("src", server.url, status=1).stderr
    path = secret_file(secret)
    add("src", server.url, "--credential", path)
    assert pulled(quick("pull", "tiny")) == CONTENT
    # Only the reference is stored and shown.
    assert sources(quick)["src"]["credential"] == str(path)
    stored = [file.read_text(errors="replace") for file in home.rglob("*") if file.is_file() and file.suffix != ".raw"]
    assert not any(secret in text or secret.split(" ")[-1] in text for text in stored)


def test_a_credential_of_systemd_is_found_by_name(repo, add, quick, serve, secret_file, tmp_path):
    repo.sign()
    server = serve(repo.folder, Guarded, wanted=basic("user:secret"))
    secret_file("user:secret", mode=0o644, leaf="depot")
    add("src", server.url, "--credential", "@depot", env={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    quick("pull", "tiny", env={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert "CREDENTIALS_DIRECTORY" in quick("list", "--strict", status=1).stderr


@pytest.mark.parametrize("secret, mode, word", [("user:secret", 0o640, "chmod 600"), ("user:secret", 0o604, "chmod 600"),
                                                ("secret", 0o600, "USER:PASSWORD"), ("bearer ", 0o600, "USER:PASSWORD"),
                                                ("", 0o600, "secret")])
def test_a_credential_that_is_none_or_open_to_others_is_refused(repo, add, serve, secret_file, secret, mode, word):
    repo.sign()
    server = serve(repo.folder)
    assert word in add("src", server.url, "--credential", secret_file(secret, mode), status=1).stderr
    assert server.log == []


@pytest.mark.parametrize("secret", ["user:secret", "bearer token"])
def test_a_credential_leaves_its_origin_neither_by_redirect_nor_by_mirror(repo, add, quick, serve, secret_file, secret):
    repo.sign()
    header = basic(secret) if ":" in secret else "Bearer token"
    server, other, mirror = serve(repo.folder, Guarded, wanted=header), serve(repo.folder), serve(repo.folder)
    add("src", server.url, "--credential", secret_file(secret), "--mirror", mirror.url)
    server.plan["/tiny.xz"] = [server.status(302, b"", [("Location", f"{other.url}/tiny.xz")])]
    assert pulled(quick("pull", "tiny")) == CONTENT
    assert server.log[-1][1]["Authorization"] == header
    assert other.log and all("Authorization" not in headers for _, headers in other.log)
    server.plan["/index.asc"] = [server.status(503)] * 6
    server.plan["/index.sig"] = [server.status(503)] * 6
    quick("list")
    assert mirror.log and all("Authorization" not in headers for _, headers in mirror.log)


# virt-builder's own sources

@pytest.fixture
def builder(tmp_path):
    """Writes repos.d files below folders of VIRT_BUILDER_DIRS; .env names them."""
    class Builder:
        def __init__(self):
            self.env = {"VIRT_BUILDER_DIRS": f"{tmp_path}/one:{tmp_path}/two"}

        def write(self, leaf, text, where="one"):
            path = tmp_path / where / "virt-builder/repos.d" / leaf
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return path

    return Builder()


@pytest.fixture
def key_file(keys, tmp_path):
    path = tmp_path / "key.gpg"
    path.write_text(keys.export("other", "good"))
    return path


def test_virt_builders_sources_are_used_as_they_are(repo, quick, builder, key_file, keys, serve):
    repo.sign()
    (repo.folder / "index.asc").rename(repo.folder / "odd-name")
    server = serve(repo.folder)
    conf = builder.write("x.conf", f"[example.org]\nuri={server.url}/odd-name\ngpgkey=file://{key_file}\nproxy=off\n")
    assert pulled(quick("pull", "tiny", env=builder.env)) == CONTENT
    assert "tiny" in quick("list", env=builder.env).stdout
    source = sources(quick, **builder.env)["example.org"]
    assert (source["from"], source["file"], source["priority"]) == ("virt-builder", str(conf), 10)
    assert set(source["fingerprints"]) == set(keys.fingerprints.values())
    assert str(conf) in quick("source", "list", env=builder.env).stdout
    # Another host's folders are not looked into, and nothing at all on demand.
    assert sources(quick) == {}
    assert sources(quick, VIRT_DEPOT_REPOS_D="no", **builder.env) == {}


def test_a_source_by_an_unpinned_key_is_not_trusted(repo, quick, builder, keys, tmp_path):
    repo.sign()
    key = tmp_path / "other.gpg"
    key.write_text(keys.export("other"))
    builder.write("x.conf", f"[x]\nuri={repo.folder}/index.asc\ngpgkey={key}\n")
    quick("pull", "tiny", status=3, env=builder.env)


def test_a_file_name_masks_and_the_first_of_one_name_counts(repo, quick, builder, key_file):
    repo.sign()
    lines = f"uri={repo.folder}/index.asc\ngpgkey={key_file}\n"
    builder.write("a.conf", f"[a]\n{lines}")
    builder.write("b.conf", f"[b]\n{lines}", where="two")
    builder.write("c.conf", "", where="one")  # an empty file masks, as for virt-builder
    builder.write("c.conf", f"[c]\n{lines}", where="two")
    second = builder.write("z.conf", f"[a]\n{lines}\n[d]\n{lines}", where="two")
    builder.write("not-a-conf", f"[e]\n{lines}")
    found = sources(quick, **builder.env)
    assert set(found) == {"a", "b", "d"}
    assert found["a"]["file"].endswith("one/virt-builder/repos.d/a.conf") and found["d"]["file"] == str(second)


@pytest.mark.parametrize("lines, word", [("", "--unsigned"), ("gpgkey=https://example.org/key\n", "downloaded"),
                                         ("gpgkey=/nonexistent/key\n", "/nonexistent/key"),
                                         ("gpgkey={key}\nformat=tuf\n", "format"),
                                         ("gpgkey={key}\nproxy=http://u:p@x/\n", "proxy")])
def test_what_is_never_taken_for_unsigned(repo, quick, builder, key_file, lines, word):
    repo.sign()
    conf = builder.write("x.conf", f"[x]\nuri={repo.folder}/index.asc\n{lines.format(key=key_file)}")
    done = quick("list", env=builder.env)
    assert "tiny" not in done.stdout
    assert f"{conf}:1" in done.stderr and "left out" in done.stderr and word in done.stderr
    assert word in quick("list", "--source", "x", status=1, env=builder.env).stderr


def test_our_own_source_of_the_name_comes_first_and_can_hide_it(repo, add, quick, builder, key_file, home, keys, tmp_path):
    repo.sign()
    other = Repository(tmp_path / "other", keys)
    other.add("theirs", CONTENT)
    other.sign()
    conf = builder.write("x.conf", f"[x]\nuri={other.folder}/index.asc\ngpgkey={key_file}\n")
    assert "theirs" in quick("list", env=builder.env).stdout
    done = quick("source", "remove", "x", status=1, env=builder.env)
    assert str(conf) in done.stderr and "enabled=no" in done.stderr
    add("x", repo.folder, env=builder.env)
    assert "theirs" not in quick("list", env=builder.env).stdout
    quick("source", "remove", "x", env=builder.env)
    (home / "config/sources.d/x.conf").write_text("[source]\nenabled=no\n")
    assert json.loads(quick("list", "--json", env=builder.env).stdout) == []
    assert sources(quick, **builder.env)["x"]["enabled"] is False


def test_ones_own_image_comes_before_virt_builders(repo, add, quick, builder, key_file, keys, tmp_path):
    repo.sign()
    theirs = Repository(tmp_path / "theirs", keys)
    theirs.add("tiny", make_content(seed=7), revision="1000")
    theirs.sign()
    builder.write("x.conf", f"[x]\nuri={theirs.folder}/index.asc\ngpgkey={key_file}\n")
    add("own", repo.folder)
    assert pulled(quick("pull", "tiny", env=builder.env)) == CONTENT
    assert pulled(quick("pull", "x/tiny", env=builder.env)) == make_content(seed=7)


def test_an_unreachable_one_is_a_warning_after_one_try(repo, add, quick, builder, key_file, serve, tmp_path):
    repo.sign()
    server = serve(tmp_path)
    server.plan["/index"] = [server.status(503)] * 9
    builder.write("x.conf", f"[gone]\nuri={server.url}/index\ngpgkey={key_file}\n")
    add("src", repo.folder)
    done = quick("list", env={**builder.env, "VIRT_DEPOT_RETRY_MS": "60000"})
    assert "tiny" in done.stdout and "'gone'" in done.stderr
    assert len(server.log) == 1
    assert pulled(quick("pull", "tiny", env=builder.env)) == CONTENT


@needs_data
def test_the_files_that_debian_installs_are_read(quick, builder):
    for path in (DATA / "repos.d").glob("*.conf"):
        builder.write(path.name, path.read_text().replace("file:///etc/virt-builder/repos.d", f"file://{DATA}/keys")
                      .replace("opensuse.gpg", "libguestfs.gpg"))
    found = sources(quick, **builder.env)
    assert set(found) == {"libguestfs.org", "archive.libguestfs.org", "opensuse.org"}
    assert found["libguestfs.org"]["fingerprints"] == ["F7774FB1AD074A7E8C8767EA91738F73E1B768A0"]
    assert found["opensuse.org"]["uri"].endswith("/images/index")


# simplestreams

@pytest.fixture
def streams(tmp_path, keys):
    made = Streams(tmp_path / "streams-repo", keys)
    made.add("net.cirros-cloud:standard:0.3:x86_64", "1M", "20140317")
    made.path = made.add("net.cirros-cloud:standard:0.3:x86_64", "3M", "20150422", pubname="cirros-0.3.4-x86_64")
    made.products["net.cirros-cloud:standard:0.3:x86_64"]["pubname"] = "cirros-0.3.4-x86_64"
    return made


NAME = "net.cirros-cloud-standard-0.3"
FORMAT = ("--format", "simplestreams")


def test_an_image_of_simplestreams_is_pulled_and_its_size_known_from_then_on(streams, quick, serve, home):
    streams.publish()
    server = serve(streams.folder)
    quick("source", "add", "src", f"{server.url}/streams/v1/index.json", *FORMAT, "--unsigned")
    assert sources(quick)["src"]["uri"] == f"{server.url}/"
    listed = json.loads(quick("list", "--json").stdout)
    assert [(i["name"], i["size"], i["revision"], i["aliases"]) for i in listed] == [
        (NAME, None, 201504220000, ["cirros-0.3.4-x86_64"])]
    assert listed[0]["compressed_size"] == streams.path.stat().st_size
    assert "unknown until it is pulled" in quick("info", "cirros-0.3.4-x86_64").stdout
    path = Path(quick("pull", "cirros-0.3.4-x86_64").stdout.strip())
    assert path.read_bytes() == streams.path.read_bytes() and path.suffix == ".qcow2"
    assert json.loads(quick("list", "--json").stdout)[0]["size"] == 3 << 20
    assert json.loads(quick("info", NAME, "--json").stdout)["size"] == 3 << 20
    assert json.loads(quick("info", NAME, "--json").stdout)["cached"] == str(path)
    # It stays usable without its server.
    server.close()
    server.close = lambda: None
    assert NAME in quick("list", "--offline").stdout


def test_a_raw_image_of_simplestreams_is_pulled_too(streams, quick):
    path = streams.add("com.example:raw:1:x86_64", version="20240101")
    path.write_bytes(CONTENT)
    item = streams.products["com.example:raw:1:x86_64"]["versions"]["20240101"]["items"]["disk.img"]
    item.update(size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    streams.publish()
    quick("source", "add", "src", streams.folder, *FORMAT, "--unsigned")
    done = quick("pull", "com.example-raw-1")
    assert pulled(done) == CONTENT and done.stdout.strip().endswith(".raw")


def test_what_has_not_changed_in_streams_is_not_transferred_again(streams, quick, serve):
    streams.publish()
    server = serve(streams.folder)
    quick("source", "add", "src", server.url, *FORMAT, "--unsigned")
    sent = dict(server.sent)
    quick("list")
    assert server.sent == sent and server.requests("/streams/v1/images.json")[-1]["If-None-Match"]
    server.log.clear()
    quick("list", env={"VIRT_DEPOT_MAX_AGE": "60"})
    assert server.log == []


def test_signed_streams_are_verified_file_by_file(streams, add, quick, serve, keys, tmp_path, home):
    streams.publish("good")
    server = serve(streams.folder)
    key = tmp_path / "key.asc"
    key.write_text(keys.export("good"))
    add("src", server.url, *FORMAT, "--key", key)
    info = json.loads(quick("info", NAME, "--json").stdout)
    assert info["fingerprint"] == keys.fingerprints["good"]
    assert Path(quick("pull", NAME).stdout.strip()).read_bytes() == streams.path.read_bytes()
    for leaf in ("images.sjson", "index.sjson"):
        file = streams.folder / "streams/v1" / leaf
        text = file.read_text()
        for bad in (text.replace('"format"', '"Format"'), text.split("\n\n", 1)[1].split("-----BEGIN")[0]):
            file.write_text(bad)
            shutil.rmtree(home / "cache/index", ignore_errors=True)
            assert leaf in quick("list", status=3).stderr
        file.write_text(text)
    streams.publish("other")
    quick("list", status=3)
    streams.publish("good")
    quick("list")


def test_a_signed_source_never_uses_the_unsigned_file(streams, add, serve, keys, tmp_path):
    streams.publish()
    key = tmp_path / "key.asc"
    key.write_text(keys.export("good"))
    assert "index.sjson" in add("src", streams.folder, *FORMAT, "--key", key, status=1).stderr


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "http://127.0.0.1:1/x", "file:///etc/passwd"])
def test_a_path_that_leaves_the_folder_is_never_asked_for(streams, quick, serve, path):
    streams.add("p:x86_64")
    streams.products["p:x86_64"]["versions"]["20240101"]["items"]["disk.img"]["path"] = path
    streams.publish()
    server = serve(streams.folder)
    done = quick("source", "add", "src", server.url, *FORMAT, "--unsigned")
    assert "product 'p:x86_64'" in done.stderr and "1 image" in done.stderr
    quick("pull", "p", status=1)


def test_incus_products_are_named_by_os_and_release(quick, tmp_path):
    streams = Streams(tmp_path / "incus", incus=True)
    for arch in ("amd64", "arm64"):
        streams.add(f"alpine:3.20:cloud:{arch}", arch=arch, os="Alpine", release="3.20", variant="cloud",
                    aliases="alpine/3.20/cloud", version="20240101_13:00")
    streams.publish()
    quick("source", "add", "src", streams.folder, *FORMAT, "--unsigned")
    listed = json.loads(quick("list", "--json").stdout)
    assert [(i["name"], i["arch"], i["revision"]) for i in listed] == [
        ("alpine-3.20-cloud", "x86_64", 202401011300), ("alpine-3.20-cloud", "aarch64", 202401011300)]
    quick("pull", "--arch", "aarch64", "alpine-3.20-cloud")


def test_a_damaged_image_of_simplestreams_is_refused(streams, quick):
    streams.publish()
    streams.path.write_bytes(streams.path.read_bytes()[:-4] + b"XXXX")
    quick("source", "add", "src", streams.folder, *FORMAT, "--unsigned")
    assert "checksum" in quick("pull", NAME, status=3).stderr


@needs_data
@pytest.mark.parametrize("who, entries", [("cirros", 3), ("incus", 20)])
def test_recorded_streams_list_all_products_with_a_disk(quick, tmp_path, who, entries):
    folder = tmp_path / "r/streams/v1"
    shutil.copytree(DATA / "simplestreams" / who, folder)
    for path in (tmp_path / "r").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    quick("source", "add", "src", tmp_path / "r", *FORMAT, "--unsigned")
    assert len(json.loads(quick("list", "--strict", "--json").stdout)) == entries

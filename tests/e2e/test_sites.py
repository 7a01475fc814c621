# SPDX-License-Identifier: Apache-2.0
"""Several repositories under one daemon, by path and by host name, public and private: each a world of its own."""

import json
import re
import signal
import subprocess

import pytest

from conftest import BIN, ROOT, run
from push_helpers import blob_path
from repod_helpers import Answer, Repod, request, wait_until
from web_helpers import Publisher, ask, ask_json, parse_page

HOST = "images.example.org"
SITES = {  # name: (repository that is published there, keys)
    "a": ("one", "path=/a/\npush=yes"),
    "ab": ("two", "path=/ab"),
    "deep": ("three", "path=/a/deep/er/"),
    "hush": ("one", "path=/hush/\npublic=no"),
    "hush2": ("two", "path=/hush2/\npublic=no\npush=yes"),
    "named": ("three", f"host={HOST.upper()}"),
    "named-a": ("two", f"host={HOST}\npath=/a/"),
    "named-hush": ("one", "host=secret.example.org\npublic=no"),
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    top = tmp_path_factory.mktemp("p")
    publisher = Publisher(top)
    for name in ("one", "two", "three"):
        publisher.add(publisher.init(top / name), f"image-{name}")
    return top


@pytest.fixture
def server(published, tmp_path):
    write(published, tmp_path, SITES)
    with Repod(None, tmp_path, "--config", tmp_path / "conf") as running:
        yield running
        assert running.stop() == 0 and "Sanitizer" not in running.stderr(), running.stderr()


def write(published, work, sites):
    text = f"[server]\nstate={work}\naccess-log={work}/log\naccess-log-format=json\naudit-log={work}/audit\n"
    for name, (repository, keys) in sites.items():
        text += f"[repository {name}]\ndir={published / repository}\n{keys}\n"
    (work / "conf").write_text(text)


def ask_json_at(server, path, host):
    answer = ask(server, path, host=host)
    assert answer.status == 200, (path, host, answer.status)
    return json.loads(answer.body)


def token(work, *scopes):
    return run(BIN / "virt-depot", "token", "create", "--state", work, *scopes).stdout.strip()


def bearer(secret):
    return f"Authorization: Bearer {secret}"


@pytest.mark.parametrize("host, path, site, repository", [
    ("h", "/a/", "a", "one"), ("h", "/ab/", "ab", "two"), ("h", "/a/deep/er/", "deep", "three"),
    (HOST, "/", "named", "three"), (HOST + ":8080", "/", "named", "three"), ("Images.EXAMPLE.org.", "/", "named", "three"),
    (HOST, "/a/", "named-a", "two"), ("other.example.org", "/a/", "a", "one"),
    ("127.0.0.1", "/a/", "a", "one"), ("[::1]:80", "/a/", "a", "one"), (HOST + ".evil.example", "/a/", "a", "one"),
])
def test_path_and_host_choose_the_repository(server, host, path, site, repository):
    index = ask_json_at(server, f"{path}api/v1/index", host)
    assert index["repository"] == site and [i["name"] for i in index["images"]] == [f"image-{repository}"]
    page = parse_page(ask(server, path, host=host).body)
    assert page.first("h1").text == f"Virtual machine images: {site}"
    commands = next(page.all("pre")).text
    assert f"virt-depot source add {site} http://{host}{path} " in commands
    assert f"virt-depot pull {site}/image-{repository} " in page.text
    assert ask(server, f"{path}{index['images'][0]['file']}", method="HEAD", host=host).status == 200
    assert ask(server, f"{path}index.asc", host=host).body == ask(server, f"{path}index.asc", host=host).body != b""


@pytest.mark.parametrize("path, status, location", [
    ("/a", 308, "/a/"), ("/ab", 308, "/ab/"), ("/a/deep/er", 308, "/a/deep/er/"), ("/hush", 308, "/hush/"), ("/a?x=1", 308, "/a/"),
    ("/", 200, None), ("/abc", 404, None), ("/abc/", 404, None), ("/A/", 404, None), ("/a/deep", 404, None), ("/a/deep/", 404, None),
    ("/a/b", 404, None), ("/a//", 404, None), ("//a/", 404, None), ("/a/../ab/", 404, None), ("/a%2f", 400, None), ("/%61/", 200, None),
    ("/a/%2e%2e/ab/index", 404, None), ("/a/.virt-depot/uploads", 404, None), ("/a/api/v1/images/image-two", 404, None),
    ("/ab/api/v1/images/image-two", 200, None), ("/api/v1/index", 404, None), ("/index.asc", 404, None), ("/a/healthz", 404, None),
])
def test_the_edges_of_paths(server, path, status, location):
    for method in ("GET", "HEAD"):
        answer = ask(server, path, method=method)
        assert (answer.status, answer.fields.get("location")) == (status, location), (method, answer.body)


def test_the_first_page_lists_what_is_public_for_that_host(server):
    def listed(host):
        page = parse_page(ask(server, "/", host=host).body)
        return {a.text: a.attributes["href"] for a in page.all("a")}

    assert list(listed("h").items()) == [("a", "./a/"), ("ab", "./ab/"), ("deep", "./a/deep/er/")]
    assert "hush" not in ask(server, "/").body.decode()
    # The host that has a repository at its root has no list, and what has no host is not there.
    assert ask(server, "/ab/", host=HOST).status == 404
    assert parse_page(ask(server, "/", host=HOST).body).first("h1").text == "Virtual machine images: named"
    answer = ask(server, "/", host="secret.example.org")
    assert answer.status == 401 and b"named" not in answer.body


def test_a_client_of_http_1_0_need_not_name_a_host(server):
    answer = server.ask(b"GET /a/api/v1/index HTTP/1.0\r\n\r\n")
    assert answer.status == 200
    assert server.ask(b"GET /a/ HTTP/1.1\r\n\r\n").status == 400


def test_a_redirect_to_a_repository_works_where_another_one_is_at_the_root(published, tmp_path):
    write(published, tmp_path, {"root": ("one", ""), "sub": ("two", "path=/sub/"), "hush": ("two", "path=/hush/\npublic=no")})
    with Repod(None, tmp_path, "--config", tmp_path / "conf") as server:
        answer = ask(server, "/sub")
        assert (answer.status, answer.fields["location"]) == (308, "/sub/")
        assert ask(server, "/sub", method="HEAD").status == 308 and ask(server, "/none").status == 404
        assert ask(server, "/index").status == 200 and ask_json(server, "/api/v1/index")["repository"] == "root"
        assert ask_json(server, "/sub/api/v1/index")["repository"] == "sub"
        assert server.stop() == 0


def test_each_repository_has_its_own_tokens(server, tmp_path):
    secrets = {scope: token(tmp_path, scope) for scope in ("read:hush", "read:hush2", "push:a", "push:hush2", "read:*", "admin:*")}
    readable = {"read:hush": (200, 404), "read:hush2": (404, 200), "push:a": (404, 404), "push:hush2": (404, 200), "read:*": (200, 200),
                "admin:*": (200, 200)}
    for scope, expected in readable.items():
        for site, status in zip(("hush", "hush2"), expected):
            for path in ("", "index", "api/v1/index"):
                answer = ask(server, f"/{site}/{path}", bearer(secrets[scope]))
                assert answer.status == status, (scope, site, path)
                assert status == 200 or b"image" not in answer.body
    assert ask(server, "/hush/").status == 401
    writable = {"read:hush": (403, 404), "read:hush2": (403, 403), "push:a": (200, 404), "push:hush2": (403, 200), "read:*": (403, 403)}
    for scope, expected in writable.items():
        for site, status in zip(("a", "hush2"), expected):
            answer = ask(server, f"/{site}/{blob_path(b'x')}", bearer(secrets[scope]), method="DELETE")
            assert answer.status == status, (scope, site, answer.body)
    assert ask(server, f"/ab/{blob_path(b'x')}", bearer(secrets["push:a"]), method="DELETE").status == 405  # takes no pushes


def test_no_shared_cache_may_keep_what_is_private(server, tmp_path):
    """With "public" it might give to everybody what one client got with a token (RFC 9111, 3.5)."""
    secret = bearer(token(tmp_path, "read:hush"))
    blob = ask_json(server, "/a/api/v1/index")["images"][0]["file"]
    for site, *fields in (("a",), ("hush", secret)):
        for path, caching in (("", "no-cache"), ("api/v1/index", "no-cache"), ("index", "no-cache"),
                              (blob, "max-age=31536000, immutable")):
            answer = ask(server, f"/{site}/{path}", *fields)
            prefix = "private, " if fields else "public, " if path == blob else ""
            assert (answer.status, answer.fields["cache-control"]) == (200, prefix + caching), (site, path)
    tag = ask(server, "/hush/", secret).fields["etag"]
    answer = ask(server, "/hush/", secret, f"If-None-Match: {tag}")
    assert (answer.status, answer.fields["cache-control"]) == (304, "private, no-cache")


def test_each_repository_has_its_own_label_and_log(server, tmp_path):
    for host, path in (("h", "/a/"), (HOST, "/a/"), (HOST, "/"), ("h", "/nowhere/")):
        ask(server, f"{path}index", host=host)
    pulled = ask_json(server, "/ab/api/v1/index")["images"][0]["file"]
    assert ask(server, f"/ab/{pulled}").status == 200
    wait_until(lambda: b'repod_blob_pulls_total{repository="ab"} 1\n' in ask(server, "/metrics").body)
    text = ask(server, "/metrics").body.decode()
    for site, (repository, _) in SITES.items():
        assert f'repod_index_valid{{repository="{site}"}} 1\n' in text
        assert f'repod_blob_pulls_total{{repository="{site}"}} {int(site == "ab")}\n' in text  # the same blobs lie in other repositories
    assert 'repod_image_pulls_total{repository="ab",image="image-two",arch="x86_64"} 1\n' in text
    wait_until(lambda: (tmp_path / "log").read_text().count("/ab/blobs") == 1)
    entries = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    repositories = [e.get("repository") for e in entries if e["target"].endswith("/index") and "api" not in e["target"]]
    assert sorted(repositories, key=str) == [None, "a", "named", "named-a"]


def test_sites_come_and_go_with_a_reload_and_nobody_is_dropped(server, published, tmp_path):
    big = published / "two" / "big"
    with open(big, "wb") as file:
        file.truncate(1 << 26)
    with server.connect() as kept, kept.makefile("rb") as stream, server.connect(receive_buffer=4096) as busy:
        def get(path):
            kept.sendall(request(path))
            return Answer(stream)

        assert get("/ab/index").status == 200
        pulled = ask_json(server, "/a/api/v1/index")["images"][0]["file"]
        assert get(f"/a/{pulled}").status == 200
        busy.sendall(request("/ab/big"))
        assert busy.recv(1) == b"H"
        sites = {name: site for name, site in SITES.items() if name not in ("ab", "hush")}
        sites["new"] = ("two", "path=/new/")
        sites["hush"] = ("two", "path=/hush/")  # public from now on, and something else
        write(published, tmp_path, sites)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: get("/new/index").status == 200)
        wait_until(lambda: get("/ab/index").status == 404)  # on the same connection
        assert get("/ab").status == 404 and ask_json(server, "/hush/api/v1/index")["images"][0]["name"] == "image-two"
        assert "ab" not in {a.text for a in parse_page(ask(server, "/").body).all("a")}
        text = ask(server, "/metrics").body.decode()
        assert 'repository="ab"' not in text and 'repod_index_valid{repository="new"} 1\n' in text
        assert 'repod_blob_pulls_total{repository="a"} 1\n' in text  # what stays keeps its count
        received = 1
        while received < 1 << 26:  # the download from what is gone goes on to its end
            data = busy.recv(1 << 20)
            assert data
            received += len(data)
    big.unlink()


def test_what_the_readme_says_about_serving_works_as_it_stands(home):
    serving = (ROOT / "README.md").read_text().split("\n## Serving\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", serving, re.S)
    assert len(blocks) == 2
    (home / "work").mkdir()
    done = subprocess.run(["bash", "-euxo", "pipefail", "-c", "\n".join(blocks)], cwd=home / "work", capture_output=True,
                          text=True, env={"PATH": f"{BIN}:/usr/bin:/bin", "VIRT_DEPOT_HOME": str(home / "h")}, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

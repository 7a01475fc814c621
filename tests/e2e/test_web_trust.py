# SPDX-License-Identifier: Apache-2.0
"""The page of a repository whose root keys are pinned, and what makes a server ready: real gpg keys, trust written by hand."""

import time

import pytest

from conftest import BIN, run
from fetch_helpers import Keys
from push_helpers import Server
from repo_helpers import add, make_image
from repod_helpers import Repod
from trust_helpers import ID, Trust
from web_helpers import HandMade, ask, ask_json, entry, parse_page

EXPIRES = "# expires: 2100-01-01T00:00:00Z\n"
HEADER = f"# repo-id: {ID}\n{EXPIRES}"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(tmp_path_factory.mktemp("k") / "g")
    for name in ("a", "b", "c", "index", "next", "stranger"):
        made.make(name)
    yield made
    made.close()


@pytest.fixture
def made(keys, tmp_path):
    return HandMade(tmp_path / "repo", keys, signer="index")


@pytest.fixture
def trust(keys, tmp_path):
    """Version 1: two of a, b, c; the key "index" signs."""
    return Trust(keys, tmp_path).add("abc", ["index"], "ab")


def publish(made, trust, signer="index", **more):
    made.signer = signer
    return made.publish(entry("image", name=f"By {signer}", **more), header=HEADER,
                        extra=[("trust", "".join(trust.texts)), ("trust.sig", "".join(trust.signatures))])


def serve(made, work, *pins):
    conf = work / "conf"
    conf.write_text(f"[repository default]\ndir={made.folder}\nfingerprints={' '.join(made.keys.fingerprints[p] for p in pins)}\n")
    return Repod(None, work, "--config", conf)


@pytest.mark.parametrize("pins", ["ab", "a", "b"])
def test_pinned_root_keys_stand_for_the_key_that_they_name(made, trust, keys, tmp_path, home, pins):
    publish(made, trust)
    roots = [keys.fingerprints[p] for p in pins]
    with serve(made, tmp_path, *pins) as server:
        index = ask_json(server, "/api/v1/index")
        assert (index["fingerprint"], index["roots"]) == (keys.fingerprints["index"], roots)
        assert index["images"][0]["title"] == "By index"
        page = parse_page(ask(server, "/", host=f"127.0.0.1:{server.ports[0]}").body)
        shown = [e.text.replace(" ", "") for e in page.all("code", class_="fingerprint")]
        assert shown == [keys.fingerprints["index"], *roots]
        # The command that it shows pins the same, and works.
        command = next(page.all("pre")).text.replace("\\\n", " ").replace("virt-depot list", "").split()
        assert command[-2 * len(roots):] == [word for root in roots for word in ("--root", root)]
        (made.folder / "trust").symlink_to("current/trust")
        (made.folder / "trust.sig").symlink_to("current/trust.sig")
        run(BIN / "virt-depot", *command[1:], env={"VIRT_DEPOT_HOME": str(home)})
        assert "image" in run(BIN / "virt-depot", "list", env={"VIRT_DEPOT_HOME": str(home)}).stdout
        assert server.stop() == 0


def test_the_history_goes_back_beyond_a_new_key(made, trust, tmp_path):
    publish(made, trust)
    publish(made, trust.add("abc", ["next"], "bc"), "next", revision="2")  # a, which is pinned, signed the first version alone
    with serve(made, tmp_path, "a", "b") as server:
        history = ask_json(server, "/api/v1/history")
        assert [r["revision"] for r in history["images"][0]["revisions"]] == [2, 1] and history["unread_versions"] == 0
        publish(made, trust, "index", revision="3")  # the key that the trust dropped
        assert "not pinned" in ask_json(server, "/api/v1/index", status=503)["error"]
        assert ask(server, "/readyz").status == 503
        publish(made, trust, "next", revision="4")
        assert ask_json(server, "/api/v1/index")["images"][0]["revision"] == 4
        assert ask(server, "/readyz").status == 200
        assert server.stop() == 0


@pytest.mark.parametrize("pins, roots, signers", [
    ("ac", "abc", "ab"), ("c", "abc", "ab"), ("ab", "c", "c"), (("stranger",), "abc", "ab"), ("a", "bc", "abc"),
])
def test_too_few_or_other_root_keys_are_refused_and_said(made, keys, tmp_path, pins, roots, signers):
    publish(made, Trust(keys, tmp_path).add(roots, ["index"], signers, threshold=len(roots) - (len(roots) > 2)))
    with serve(made, tmp_path, *pins) as server:
        answer = ask(server, "/")
        text = parse_page(answer.body).text
        assert answer.status == 503 and "By index" not in text and "There is no catalogue to show" in text
        sentence = ask_json(server, "/api/v1/index", status=503)["error"]
        assert sentence in text and ("pinned" in sentence or "root keys" in sentence), sentence
        assert ask(server, "/readyz").status == 503
        assert server.stop() == 0


def test_an_expired_trust_shows_nothing_but_the_server_stays_ready(made, keys, tmp_path):
    long_ago = int(time.time()) - 40 * 86400
    publish(made, Trust(keys, tmp_path).add("abc", ["index"], "ab", created=long_ago, days=30))
    with serve(made, tmp_path, "a", "b") as server:
        assert "the trust has expired" in ask_json(server, "/api/v1/index", status=503)["error"]
        ready = ask(server, "/readyz")
        assert ready.status == 200 and b"the trust has expired" in ready.body
        assert server.stop() == 0


def test_the_first_push_can_come_under_root_keys(depot, home, tmp_path):
    folder = home / "images"
    depot("repo", "init", folder)
    add(depot, folder, make_image(home / "image", random_bytes=20000), "tiny")
    roots = []
    for name in ("jo", "kim"):
        roots.append(depot("key", "create", home / name, "--user-id", f"{name} <{name}@example.org>").stdout.split()[-1])
        depot("key", "export", home / name, "--output", home / f"{name}.asc")
    depot("trust", "draft", folder, "--root", home / "jo.asc", "--root", home / "kim.asc", "--output", home / "draft")
    for name in ("jo", "kim"):
        depot("trust", "sign", home / "draft", "--home", home / name)
    depot("trust", "publish", folder, home / "draft")
    for pins, is_right in ((f"{'A' * 40} {roots[0]}", True), (" ".join(roots), True), ("A" * 40, False)):
        with Server(tmp_path / pins[:5].strip() / str(len(pins)), fingerprint=pins) as server:
            done = depot("push", folder, server.url, "--token-file", server.token_file("push:a"), check=False)
            assert (done.returncode == 0) == is_right, done.stderr
            assert ask(server.running, "/api/v1/index").status == (200 if is_right else 404)


# ---- readiness ----


def test_a_server_is_ready_with_nothing_to_show(tmp_path):
    """Plain files, a mirror of another program, a folder for the first push: served as they are, and no fault of the server."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/file").write_text("x")
    with Repod(tmp_path / "plain", tmp_path) as server:
        assert ask(server, "/readyz").status == 200 and ask(server, "/healthz").body == b"ok\n"
        assert ask(server, "/").status in (404, 503)
        assert server.stop() == 0


def break_digest(folder):
    index = folder / "current/index"
    index.write_bytes(index.read_bytes().replace(b"image", b"imagf"))


def lose_signature(folder):
    (folder / "current/index.sig").unlink()


def lose_generation(folder):
    (folder / "gen/1").rename(folder / "gone")


@pytest.mark.parametrize("damage", [break_digest, lose_signature, lose_generation])
def test_a_broken_index_makes_a_server_unready_until_it_is_mended(keys, tmp_path, damage):
    made = HandMade(tmp_path / "repo", keys, signer="index").publish(entry("image"), header=EXPIRES)
    damage(made.folder)
    with serve(made, tmp_path, "index") as server:
        for path, where in (("/readyz", ()), ("/readyz", ("Forwarded: for=192.0.2.1",))):
            answer = ask(server, path, *where)
            assert answer.status == 503
            assert (b"default: the index is broken" in answer.body) == (where == ()), answer.body
        assert answer.body == b"failing\n"  # to who comes through a proxy
        assert ask(server, "/healthz").status == 200
        made.publish(entry("image"), header=EXPIRES)
        assert ask(server, "/readyz").status == 200
        assert ask(server, "/readyz", "Forwarded: for=192.0.2.1").body == b"ok\n"
        assert server.stop() == 0


def test_an_expired_index_leaves_a_server_ready(keys, tmp_path):
    made = HandMade(tmp_path / "repo", keys, signer="index").publish(entry("image"), header="# expires: 2020-01-01T00:00:00Z\n")
    with serve(made, tmp_path, "index") as server:
        assert ask(server, "/").status == 503 and "expired" in parse_page(ask(server, "/").body).text
        assert ask(server, "/readyz").status == 200
        assert server.stop() == 0

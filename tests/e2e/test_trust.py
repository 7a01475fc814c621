# SPDX-License-Identifier: Apache-2.0
"""Keys and trust: the verbs that make and exchange them, and hosts that follow."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BIN, ROOT, run
from fetch_helpers import QUICK, Keys, Repository, Server, make_content
from repo_helpers import Repository as Reader
from repo_helpers import add, gpg, make_image
from trust_helpers import HEADER, Trust

CONTENT = make_content()


def expect(done, status=0):
    assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


# ---- by hand: what a host follows and refuses ----


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(Path(tmp_path_factory.mktemp("k")) / "g")
    for name in ("a", "b", "c", "d", "index", "next", "stranger"):
        made.make(name)
    yield made
    made.close()


@pytest.fixture
def repo(tmp_path, keys):
    made = Repository(tmp_path / "repo", keys, signer="index", header=HEADER.format(7))
    made.add("tiny", CONTENT)
    return made.sign(detached=True)


@pytest.fixture
def trust(tmp_path, keys, repo):
    """Version 1: two of a, b, c; the key "index" signs."""
    return Trust(keys, tmp_path).add("abc", ["index"], "ab").write(repo.folder)


@pytest.fixture
def server(repo):
    made = Server(repo.folder)
    yield made
    made.close()


@pytest.fixture
def client(home, server, keys):
    def call(*arguments, status=0, env=None):
        return expect(run(BIN / "virt-depot", *arguments, check=False,
                          env={"VIRT_DEPOT_HOME": str(home), **QUICK, **(env or {})}), status)

    def pin(*roots, threshold=None, status=0, url=server.url):
        words = [word for name in roots for word in ("--root", keys.fingerprints[name])]
        words += ["--threshold", str(threshold)] if threshold else []
        return call("source", "add", "src", url, *words, status=status)

    call.pin = pin
    return call


def publish(repo, version, signer="index", detached=True):
    """Version @version of the same index, by @signer; keys.asc stays what the trust made it."""
    known = (repo.folder / "keys.asc").read_text()
    repo.header, repo.signer = HEADER.format(version), signer
    repo.sign(detached=detached)
    (repo.folder / "keys.asc").write_text(known)


def test_a_host_that_pins_roots_pulls_what_their_index_key_signs(trust, client, keys, home):
    client.pin("a", "b", "c", threshold=2)
    client("pull", "tiny")
    conf = (home / "config/sources.d/src.conf").read_text()
    assert "fingerprints" not in conf and keys.fingerprints["a"] in conf and "threshold=2" in conf
    assert client("source", "list", "--json").stdout.count(keys.fingerprints["b"]) == 1
    state = home / "state/trust/src/state.json"
    assert state.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("roots, threshold, status", [
    ("ab", None, 0), ("abc", None, 3), ("abc", 2, 0), ("a", None, 0), ("c", None, 3), ("d", None, 3), ("ad", 1, 0),
    ("abc", 4, 2), ("aa", 1, 2),
])
def test_enough_of_the_pinned_roots_must_have_signed(trust, client, home, roots, threshold, status):
    client.pin(*roots, threshold=threshold, status=status)
    assert (home / "config/sources.d/src.conf").exists() == (status == 0)
    assert (home / "state/trust/src").exists() == (status == 0)


@pytest.mark.parametrize("words", [["--root", "A" * 40, "--fingerprint", "B" * 40], ["--threshold", "2"],
                                   ["--root", "1234"], ["--root", "A" * 40, "--unsigned"]])
def test_wrong_usage_of_roots(client, server, words):
    client("source", "add", "src", server.url, *words, status=2)
    assert server.log == []


def test_a_repository_without_trust_says_so(repo, client):
    assert "pin its signing key with --fingerprint" in client.pin("a", status=3).stderr


def test_an_index_key_is_exchanged_and_the_old_one_dropped(repo, trust, client):
    client.pin("a", "b", "c", threshold=2)
    trust.add("abc", ["index", "next"], "bc").write(repo.folder)
    publish(repo, 8, "next")
    client("pull", "tiny")
    trust.add("abc", ["next"], "ab").write(repo.folder)
    publish(repo, 9, "index")
    assert "not pinned" in client("list", status=3).stderr
    publish(repo, 10, "next")
    client("list")


def test_an_index_key_counts_until_its_day_is_over(repo, trust, client):
    client.pin("a", "b", threshold=2)
    past, future = int(time.time()) - 50, int(time.time()) + 86400
    trust.add("abc", [("index", future)], "ab").write(repo.folder)
    client("list")
    trust.add("abc", [("index", past), "next"], "ab").write(repo.folder)
    assert "not pinned" in client("list", status=3).stderr
    trust.add("abc", [("index", past)], "ab").write(repo.folder)
    assert "no key may sign its index" in client("list", status=3).stderr


def test_root_keys_are_exchanged_step_by_step(repo, trust, client):
    client.pin("a", "b", threshold=2)
    trust.add("bcd", ["index"], "abd").add("cd", ["next"], "bcd").write(repo.folder)
    publish(repo, 8, "next")
    client("pull", "tiny")
    # Who was away, and who comes anew with the roots of today.
    client("source", "remove", "src")
    client.pin("c", "d")
    client("list")


def test_roots_that_are_no_roots_any_more_add_nothing(repo, trust, client):
    trust.add("cd", ["index"], "abcd").write(repo.folder)
    client.pin("a", "b", threshold=2)  # they did sign that version
    trust.add("cd", ["next"], "cd").write(repo.folder)
    client("source", "remove", "src")
    client.pin("a", "b", threshold=2, status=3)


def test_a_trust_by_too_few_is_refused_and_the_accepted_one_stays(repo, trust, client):
    client.pin("a", "b", threshold=2)
    good = trust.copy()
    trust.add("a", ["stranger"], "a", threshold=1).write(repo.folder)
    publish(repo, 8, "stranger")
    assert "1 of the version before's root keys, and 2 are needed" in client("list", status=3).stderr
    good.write(repo.folder)
    assert "not pinned" in client("list", status=3).stderr
    publish(repo, 8)
    client("pull", "tiny")


def test_an_older_trust_is_ignored_with_a_warning(repo, trust, client):
    client.pin("a", "b", threshold=2)
    old = trust.copy()
    trust.add("abc", ["next"], "ab").write(repo.folder)
    publish(repo, 8, "next")
    client("list")
    old.write(repo.folder)
    assert "older version than the one that was accepted" in client("list").stderr
    publish(repo, 9, "index")  # the key that the newer trust dropped
    client("list", status=3)


def test_a_forked_trust_is_an_alarm(repo, trust, client, tmp_path, keys):
    client.pin("a", "b", threshold=2)
    Trust(keys, tmp_path).add("abc", ["stranger"], "abc").write(repo.folder)
    publish(repo, 8, "stranger")
    assert "another text than the one accepted before" in client("pull", "tiny", status=3).stderr


def test_a_trust_that_is_gone_or_unreachable_counts_until_it_expires(repo, trust, client, server):
    client.pin("a", "b", threshold=2)
    (repo.folder / "trust").unlink()
    assert "its trust is gone from the server" in client("pull", "tiny").stderr
    server.close()
    assert "tiny" in client("list").stdout


def test_an_expired_trust_lets_nothing_new_be_pulled(repo, keys, tmp_path, client, server):
    now = int(time.time())
    Trust(keys, tmp_path).add("abc", ["index"], "ab", created=now - 40 * 86400, days=30).write(repo.folder)
    assert "its trust has expired" in client.pin("a", "b", status=3).stderr
    # Versions in between may have expired.
    chain = Trust(keys, tmp_path).add("abc", ["next"], "ab", created=now - 40 * 86400, days=30)
    chain.add("abc", ["index"], "bc").write(repo.folder)
    client.pin("b", "c")
    client("pull", "tiny")


def test_the_stored_trust_expires_without_the_server(repo, trust, client, home, server):
    client.pin("a", "b", threshold=2)
    state = home / "state/trust/src/state.json"
    told = json.loads(state.read_text())
    told["trust"] = re.sub(r"created: \d+", "created: 2020", re.sub(r"expires: \d+", "expires: 2021", told["trust"]))
    state.write_text(json.dumps(told))
    server.close()
    assert "its trust has expired" in client("list").stderr
    client("pull", "tiny", status=3)


def test_a_trust_of_another_repository_is_refused(repo, trust, client):
    client.pin("a", "b", threshold=2)
    repo.header = HEADER.format(8).replace("0f8fad5b", "11111111")
    repo.sign(detached=True)
    trust.write(repo.folder)
    assert "this is repository 11111111" in client("list", status=3).stderr


def test_an_unchanged_trust_is_not_transferred_again(repo, trust, client, server):
    client.pin("a", "b", threshold=2)
    client("list")
    sent = dict(server.sent)
    client("list")
    assert server.sent == sent


def test_files_of_two_versions_are_asked_for_again(repo, trust, client, server):
    client.pin("a", "b", threshold=2)
    old_signatures = (repo.folder / "trust.sig").read_bytes()
    trust.add("abc", ["index", "next"], "ab").write(repo.folder)
    server.plan["/trust.sig"] = [server.status(200, old_signatures)]
    client("list")
    publish(repo, 8, "next")
    client("list")


@pytest.mark.parametrize("rubbish", [b"", b"text\n", b"virt-depot-trust: 2\n\n", b"\xff" * 3000])
def test_rubbish_for_a_trust_is_refused(repo, trust, client, rubbish):
    client.pin("a", "b", threshold=2)
    (repo.folder / "trust").write_bytes(rubbish)
    client("list", status=3)


def test_rubbish_for_keys_takes_nothing_away(repo, trust, client, server):
    client.pin("a", "b", threshold=2)
    (repo.folder / "keys.asc").write_bytes(b"rubbish")
    assert "tiny" in client("list").stdout
    server.plan["/keys.asc"] = [server.sends_endlessly]
    assert "its keys are not read" in client("list").stderr
    assert server.sent["/keys.asc"] < 16 << 20


# ---- subkeys of a pinned key ----


@pytest.fixture
def published(depot, home):
    """A repository of the real publisher with one image, and the client's own home."""
    folder = home / "repo"
    depot("repo", "init", folder, "--user-id", "Images <i@example.org>")
    add(depot, folder, make_image(home / "tiny.raw"))
    return folder


@pytest.fixture
def host(home, published):
    """virt-depot as on another machine."""

    def call(*arguments, status=0):
        return expect(run(BIN / "virt-depot", *arguments, check=False,
                          env={"VIRT_DEPOT_HOME": str(home / "host"), **QUICK}), status)

    return call


def show(depot, folder):
    return json.loads(depot("key", "show", folder, "--json").stdout)


def test_a_host_follows_a_rotated_subkey(depot, published, host, home):
    before = show(depot, published)
    host("source", "add", "src", published, "--fingerprint", before["key"]["fingerprint"])
    subkey = depot("key", "rotate", published).stdout.strip()
    after = show(depot, published)
    assert before["signer"] == before["key"]["fingerprint"] and after["signer"] == subkey
    assert [k["status"] for k in after["key"]["subkeys"]] == ["", "signs"]
    Reader(published, home).check()
    host("pull", "tiny")
    add(depot, published, home / "tiny.raw", "second")
    host("pull", "second")
    packets = gpg(home / "reader", "--list-packets", published / "index.sig").stdout
    assert subkey[-16:] in packets


def test_a_subkey_can_travel_ahead_of_its_use(depot, published, host):
    told = json.loads(depot("key", "rotate", published, "--next-only", "--key-days", "30", "--json").stdout)
    shown = show(depot, published)
    assert [k["status"] for k in shown["key"]["subkeys"]] == ["signs", "next"]
    assert shown["key"]["subkeys"][1]["expires"] - shown["key"]["subkeys"][1]["created"] == 30 * 86400
    assert told["key"] == shown["key"]["subkeys"][1]["fingerprint"] != shown["signer"]
    assert depot("key", "rotate", published).stdout.strip() == told["key"]


def test_a_revoked_subkey_is_refused_for_ever(depot, published, host, home):
    host("source", "add", "src", published, "--fingerprint", show(depot, published)["key"]["fingerprint"])
    first = depot("key", "rotate", published).stdout.strip()
    host("list")
    stolen = {name: (published / name).read_bytes() for name in ("index", "index.sig", "index.asc", "keys.asc")}
    depot("key", "rotate", published)
    expect(depot("key", "revoke", published, first, "--dry-run", check=False))
    depot("key", "revoke", published, first)
    assert [k["status"] for k in show(depot, published)["key"]["subkeys"]] == ["", "revoked", "signs"]
    host("list")
    # Somebody with the old subkey serves its index, and keys that know of no revocation.
    current = (published / "current").resolve()
    for name, content in stolen.items():
        (current / name).write_bytes(content)
    done = host("list", status=3)
    assert "was revoked" in done.stderr


def test_what_would_leave_nothing_to_sign_with_is_refused(depot, published, host):
    primary = show(depot, published)["key"]["fingerprint"]
    host("source", "add", "src", published, "--fingerprint", primary)
    done = expect(depot("key", "revoke", published, primary, check=False), 1)
    assert "--force" in done.stderr
    subkey = depot("key", "rotate", published).stdout.strip()
    assert "exchange it first" in expect(depot("key", "revoke", published, subkey, check=False), 1).stderr
    expect(depot("key", "revoke", published, "A" * 40, check=False), 1)
    expect(depot("key", "revoke", published, "1234", check=False), 2)
    host("list")
    depot("key", "revoke", published, primary, "--force")
    assert "was revoked" in host("list", status=3).stderr
    expect(depot("repo", "sign", published, check=False), 3)


# ---- the verbs ----


def test_dry_runs_change_nothing(depot, published):
    before = sorted(str(p) for p in published.rglob("*"))
    depot("key", "rotate", published, "--dry-run")
    depot("key", "rotate", published, "--primary", "--dry-run")
    assert sorted(str(p) for p in published.rglob("*")) == before
    assert len(show(depot, published)["key"]["subkeys"]) == 1


def test_a_new_primary_key_needs_root_keys(depot, published):
    assert "trust draft" in expect(depot("key", "rotate", published, "--primary", check=False), 1).stderr


def test_keys_are_created_shown_and_exported(depot, home):
    told = json.loads(depot("key", "create", home / "r/key", "--user-id", "Jo Doe <jo@example.org>", "--type", "rsa3072",
                            "--valid-days", "100", "--json").stdout)
    shown = json.loads(depot("key", "show", home / "r/key", "--json").stdout)
    assert shown["fingerprint"] == told["fingerprint"] and shown["user_id"] == "Jo Doe <jo@example.org>"
    assert shown["subkeys"][0]["algorithm"] == "rsa3072"
    assert shown["subkeys"][0]["expires"] - shown["subkeys"][0]["created"] == 100 * 86400
    assert told["fingerprint"] in depot("key", "show", home / "r/key").stdout
    exported = depot("key", "export", home / "r/key").stdout
    depot("key", "export", home / "r/key", "--output", home / "key.asc")
    assert exported.startswith("-----BEGIN PGP PUBLIC KEY") and (home / "key.asc").read_text() == exported
    assert "exists already" in expect(depot("key", "create", home / "r/key", "--user-id", "Again", check=False), 1).stderr


@pytest.mark.parametrize("words", [[], ["--user-id", "ab"], ["--user-id", "a\nbcdef"], ["--user-id", "Somebody", "--type", "dsa"],
                                   ["--user-id", "Somebody", "--valid-days", "-1"],
                                   ["--user-id", "Somebody", "--passphrase-file", "a", "--credential", "b"]])
def test_wrong_usage_of_key_create(depot, home, words):
    expect(depot("key", "create", home / "k", *words, check=False), 2)
    assert not (home / "k").exists()


def test_a_repository_key_with_a_passphrase(depot, home):
    secret = home / "secret"
    secret.write_text("correct horse\n")
    secret.chmod(0o644)
    folder = home / "repo"
    assert "others may read" in expect(depot("repo", "init", folder, "--passphrase-file", secret, check=False), 1).stderr
    secret.chmod(0o600)
    depot("repo", "init", folder, "--passphrase-file", secret)
    add(depot, folder, make_image(home / "tiny.raw"))
    depot("key", "rotate", folder)
    Reader(folder, home).check()
    for path in (home / "keys").rglob("*"):
        assert not path.is_file() or b"correct horse" not in path.read_bytes()
    secret.write_text("wrong\n")
    expect(depot("repo", "sign", folder, check=False), 1)
    secret.unlink()
    assert str(secret) in expect(depot("repo", "sign", folder, check=False), 1).stderr


def test_a_passphrase_from_a_credential(depot, home):
    (home / "cred").mkdir()
    (home / "cred/images").write_text("from systemd")
    env = {"CREDENTIALS_DIRECTORY": str(home / "cred")}
    depot("repo", "init", home / "repo", "--credential", "images", env=env)
    depot("repo", "sign", home / "repo", env=env)
    assert "LoadCredential" in expect(depot("repo", "sign", home / "repo", check=False), 1).stderr


@pytest.fixture
def rooted(depot, published, home):
    """The published repository with three root keys, two of which must sign."""
    for name in "abc":
        depot("key", "create", home / f"{name}/root", "--user-id", f"Root {name} <{name}@example.org>")
        depot("key", "export", home / f"{name}/root", "--output", home / f"{name}.asc")
    words = [word for name in "abc" for word in ("--root", home / f"{name}.asc")]
    depot("trust", "draft", published, *words, "--threshold", "2", "--output", home / "t1")
    for name in "ab":
        depot("trust", "sign", home / "t1", "--home", home / f"{name}/root")
    depot("trust", "publish", published, home / "t1")
    return published


def root_of(depot, home, name):
    return json.loads(depot("key", "show", home / f"{name}/root", "--json").stdout)["fingerprint"]


def test_the_published_trust_is_what_gpg_can_check(depot, rooted, home):
    reader = Reader(rooted, home)
    reader.check()
    text, blocks = (rooted / "trust").read_text(), re.findall(
        r"version: 1\n(-----BEGIN.*?-----END PGP SIGNATURE-----\n)", (rooted / "trust.sig").read_text(), re.S)
    assert len(blocks) == 2 and text.count("version: 1\n") == 1
    for block in blocks:
        (home / "s").write_text(block)
        gpg(reader.gpg_home, "--verify", home / "s", rooted / "trust")
    shown = show(depot, rooted)
    assert [r["signed"] for r in shown["trust"]["roots"]] == [True, True, False]
    assert shown["source_add"].endswith("--threshold 2")
    assert "2 of these root keys must sign" in depot("key", "show", rooted).stdout


def test_every_later_version_carries_the_trust(depot, rooted, home):
    trust = (rooted / "trust").read_bytes()
    add(depot, rooted, home / "tiny.raw", "second")
    depot("repo", "sign", rooted)
    assert (rooted / "trust").read_bytes() == trust
    depot("repo", "check", rooted)


def test_a_draft_needs_enough_signatures_of_both_versions(depot, rooted, home):
    depot("key", "create", home / "d/root", "--user-id", "Root d <d@example.org>")
    depot("key", "export", home / "d/root", "--output", home / "d.asc")
    depot("trust", "draft", rooted, "--root", root_of(depot, home, "a"), "--root", home / "d.asc", "--output", home / "t2")
    expect(depot("trust", "publish", rooted, home / "t2", check=False), 1)
    depot("trust", "sign", home / "t2", "--home", home / "a/root")
    depot("trust", "sign", home / "t2", "--home", home / "d/root")
    version = Reader(rooted, home).version()
    done = expect(depot("trust", "publish", rooted, home / "t2", "--dry-run", check=False), 3)
    assert "1 of the version before's root keys, and 2 are needed" in done.stderr
    shown = depot("trust", "sign", home / "t2", "--home", home / "b/root")
    assert "is no root key of this version" in shown.stderr and "version: 2\n" in shown.stdout
    assert "enough" in depot("trust", "publish", rooted, home / "t2", "--dry-run").stdout
    assert Reader(rooted, home).version() == version
    depot("trust", "publish", rooted, home / "t2")
    assert Reader(rooted, home).version() == version + 1


def test_a_changed_draft_is_not_what_was_signed(depot, rooted, home):
    depot("trust", "draft", rooted, "--output", home / "t2")
    for name in "ab":
        depot("trust", "sign", home / "t2", "--home", home / f"{name}/root")
    text = (home / "t2").read_text()
    (home / "t2").write_text(text.replace("threshold: 2", "threshold: 1"))
    assert "0 of its own root keys" in expect(depot("trust", "publish", rooted, home / "t2", check=False), 3).stderr
    (home / "t2").write_text(text + "more\n")
    expect(depot("trust", "publish", rooted, home / "t2", check=False), 3)
    expect(depot("trust", "sign", home / "t2", "--home", home / "a/root", check=False), 3)


def test_the_primary_key_is_exchanged_by_the_root_keys(depot, rooted, host, home):
    words = [word for name in "abc" for word in ("--root", root_of(depot, home, name))]
    host("source", "add", "src", rooted, *words, "--threshold", "2")
    old = show(depot, rooted)["key"]["fingerprint"]
    new = depot("key", "rotate", rooted, "--primary").stdout.strip()
    assert show(depot, rooted)["signer"] == old and show(depot, rooted)["next_key"]["fingerprint"] == new
    depot("trust", "draft", rooted, "--drop-index", old, "--output", home / "t2")
    for name in "bc":
        depot("trust", "sign", home / "t2", "--home", home / f"{name}/root")
    depot("trust", "publish", rooted, home / "t2")
    shown = show(depot, rooted)
    assert shown["signer"] == new and [k["fingerprint"] for k in shown["trust"]["index_keys"]] == [new]
    host("pull", "tiny")
    add(depot, rooted, home / "tiny.raw", "second")
    depot("key", "revoke", rooted, old)
    host("pull", "second")
    depot("repo", "check", rooted)
    Reader(rooted, home).check()


def test_a_trust_that_names_no_key_of_this_host_is_not_published(depot, rooted, home):
    own = show(depot, rooted)["key"]["fingerprint"]
    depot("trust", "draft", rooted, "--drop-index", own, "--index", "A" * 40, "--output", home / "t2")
    for name in "ab":
        depot("trust", "sign", home / "t2", "--home", home / f"{name}/root")
    assert "names no key of this host" in expect(depot("trust", "publish", rooted, home / "t2", check=False), 1).stderr
    assert "version: 2" not in (rooted / "trust").read_text()


@pytest.mark.parametrize("words", [["--output", "x", "--threshold", "9"], ["--output", "x", "--valid-days", "0"], [],
                                   ["--output", "x", "--index", "A" * 39], ["--output", "x", "--index", "A" * 40 + "@tomorrow"],
                                   ["--output", "x", "--root", "A" * 40]])
def test_wrong_usage_of_trust_draft(depot, rooted, home, words):
    expect(depot("trust", "draft", rooted, *[w.replace("x", str(home / "x")) if w == "x" else w for w in words],
                 check=False), 2)
    assert not (home / "x").exists()


def test_the_walk_through_works_as_it_stands(home):
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/trust.md").read_text(), re.S)
    assert len(blocks) >= 6
    (home / "work").mkdir()
    done = subprocess.run(["bash", "-euxo", "pipefail", "-c", "\n".join(blocks)], cwd=home / "work", capture_output=True,
                          text=True, env={"PATH": f"{BIN}:/usr/bin:/bin", "VIRT_DEPOT_HOME": str(home / "h"), **QUICK})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refused" not in done.stderr and "warning" not in done.stderr

# SPDX-License-Identifier: Apache-2.0
"""The attacks that The Update Framework's specification lists, one test each, played by a server against our client.

The victim adds the source while all is well; then the attacker takes the server, or a key, and the test says what he
gains. "online key" is the one that signs the index, "root keys" sign who that is.
"""

import hashlib
import shutil
import time
from pathlib import Path

import pytest

from conftest import BIN, run
from fetch_helpers import QUICK, Keys, Repository, Server, cache_files, compress, make_content
from trust_helpers import HEADER, ID, Trust

GOOD, EVIL = make_content(), make_content(seed=66)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(Path(tmp_path_factory.mktemp("k")) / "g")
    made.make("online", time="20200101T000000")
    for name in ("next", "attacker", "a", "b", "c"):
        made.make(name)
    yield made
    made.close()


@pytest.fixture
def repo(tmp_path, keys):
    made = Repository(tmp_path / "repo", keys, signer="online", header=HEADER.format(7))
    made.add("tiny", GOOD, revision="3")
    return made.sign(detached=True)


@pytest.fixture
def server(repo):
    made = Server(repo.folder)
    yield made
    made.close()


@pytest.fixture
def victim(home, server, keys):
    """Runs virt-depot; status=N is what is expected. victim.add() is done while all is well."""

    def call(*arguments, status=0, env=None):
        done = run(BIN / "virt-depot", *arguments, check=False,
                   env={"VIRT_DEPOT_HOME": str(home), **QUICK, **(env or {})})
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def add(*more, url=server.url, pin="--fingerprint", names=("online",)):
        call("source", "add", "src", url, *[w for n in names for w in (pin, keys.fingerprints[n])], *more)

    call.add = add
    return call


@pytest.fixture
def images(home):
    """The files of pulled images, verified or not."""
    return lambda: [name for name in cache_files(home) if not name.startswith("partial")]


def publish(repo, version, signer=None, **entry):
    """Version @version with the one image "tiny"."""
    known = (repo.folder / "keys.asc").read_bytes()
    repo.header, repo.signer = HEADER.format(version), signer or repo.signer
    if entry:
        repo.entries.clear()
        repo.add("tiny", entry.pop("content", EVIL), **entry)
    repo.sign(detached=True)
    (repo.folder / "keys.asc").write_bytes(known)


def restore_dir(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)


def snapshot(repo):
    return {path.name: path.read_bytes() for path in repo.folder.iterdir() if path.is_file()}


def restore(repo, files):
    restore_dir(repo.folder, files)


# ---- arbitrary installation: anything in place of what was published ----


@pytest.mark.parametrize("how", ["index", "image", "own-key", "text-before", "text-after", "swapped-keys", "unsigned"])
def test_arbitrary_installation(repo, server, victim, keys, images, how):
    victim.add()
    clear, index = repo.folder / "index.asc", repo.folder / "index"
    evil = f"[tiny]\nname=E\narch=x86_64\nfile=e.xz\nsize={len(EVIL)}\nchecksum[sha512]=" + \
        hashlib.sha512(compress(EVIL)).hexdigest() + "\nrevision=9\n\n"
    (repo.folder / "e.xz").write_bytes(compress(EVIL))
    if how == "index":
        index.write_text(index.read_text().replace("tiny.xz", "e.xz"))
        clear.write_text(clear.read_text().replace("tiny.xz", "e.xz"))
    elif how == "image":
        (repo.folder / "tiny.xz").write_bytes(compress(EVIL))
    elif how in ("own-key", "swapped-keys"):
        publish(repo, 8, "attacker", revision="9")
        if how == "swapped-keys":
            (repo.folder / "keys.asc").write_text(keys.export("attacker"))
    else:
        (repo.folder / "index.sig").unlink()
        good = clear.read_text()
        clear.write_text({"text-before": evil + good, "text-after": good + evil, "unsigned": evil}[how])
    victim("pull", "tiny", status=3)
    assert images() == []


# ---- wrong software: an image that was published, but is not the one that was asked for ----


def test_wrong_software(repo, server, victim, images):
    repo.entries.clear()
    repo.add("tiny", GOOD, packed=GOOD)
    repo.add("other", EVIL, packed=EVIL)
    publish(repo, 8)
    victim.add()
    (repo.folder / "tiny.xz").write_bytes((repo.folder / "other.xz").read_bytes())
    assert "does not have the checksum" in victim("pull", "tiny", status=3).stderr
    assert images() == []


# ---- rollback of the index ----


def test_rollback_of_index(repo, server, victim, images):
    old = snapshot(repo)
    publish(repo, 8, content=EVIL, revision="4")
    victim.add()
    restore(repo, old)
    assert "rolled back" in victim("pull", "tiny", status=3).stderr
    assert images() == []


# ---- rollback of one image ----


def test_rollback_of_one_image(repo, server, victim, images):
    victim.add()
    victim("pull", "tiny")
    before = images()
    publish(repo, 8, content=EVIL, revision="2")
    assert "revision 3 was pulled before" in victim("pull", "tiny", status=3).stderr
    assert images() == before


# ---- indefinite freeze: the same index for ever ----


@pytest.mark.parametrize("what", ["index", "signature"])
def test_indefinite_freeze(repo, server, victim, images, what):
    victim.add()
    # The clock cannot be turned forward here, so what time would do to the last index is done to it in its making.
    if what == "index":
        repo.header = HEADER.format(8).replace("2100", "2020")
        repo.sign(detached=True)
    else:
        repo.header = HEADER.format(8)
        repo.sign(detached=True, time="20200201T000000", extra=("--default-sig-expire", "14d"))
    assert "expired" in victim("pull", "tiny", status=3).stderr
    assert images() == []


# ---- mix and match: files of different versions ----


@pytest.mark.parametrize("mixed", ["index", "index.sig", "tiny.xz"])
def test_mix_and_match(repo, server, victim, images, mixed):
    victim.add()
    old = snapshot(repo)
    publish(repo, 8, content=EVIL, revision="4")
    (repo.folder / "index.asc").unlink()
    restore(repo, {mixed: old[mixed]})
    victim("pull", "tiny", status=3)
    assert images() == []


# ---- cross-repository replay: another repository's index by the same key ----


def test_cross_repo_replay(repo, server, victim, images):
    victim.add()
    repo.header = HEADER.format(9).replace(ID, "11111111-d9cb-469f-a165-70867728950e")
    repo.entries.clear()
    repo.add("tiny", EVIL, revision="9")
    repo.sign(detached=True)
    assert "this is repository 11111111" in victim("pull", "tiny", status=3).stderr
    assert images() == []


# ---- endless data ----


CAPS = {"/index": 100 << 20, "/index.sig": 64 << 10, "/index.asc": 100 << 20, "/keys.asc": 1 << 20, "/tiny.xz": 1 << 20}


@pytest.mark.parametrize("path", CAPS)
def test_endless_data(repo, server, victim, images, path):
    victim.add()
    if path == "/index.asc":
        (repo.folder / "index.sig").unlink()
    server.plan[path] = [server.sends_endlessly] * 9
    if path == "/tiny.xz":
        victim("pull", "tiny", status=3)
        assert images() == []
    else:  # what was verified before goes on to count until it expires
        done = victim("pull", "tiny")
        assert "sends more than" in done.stderr and Path(done.stdout.strip()).read_bytes() == GOOD
    assert server.sent[path] <= 2 * CAPS[path] + (16 << 20)  # and what the socket's buffers hold


def test_endless_data_that_unpacks(repo, server, victim, images):
    victim.add()
    repo.entries.clear()
    packed = compress(bytes(300 << 20))
    repo.header = HEADER.format(8)
    repo.add("tiny", GOOD, packed=packed, revision="4")  # says 1 MiB, unpacks to 300
    repo.sign(detached=True)
    victim("pull", "tiny", status=1)
    assert images() == []


# ---- slow retrieval ----


@pytest.mark.parametrize("path", ["/index", "/index.sig", "/keys.asc", "/tiny.xz"])
def test_slow_retrieval(repo, server, victim, images, path):
    victim.add()
    publish(repo, 8, content=GOOD, revision="4")
    (repo.folder / "keys.asc").write_bytes((repo.folder / "keys.asc").read_bytes() + b"\n")
    server.plan[path] = [server.stalls_after(0)] * 99
    start = time.monotonic()
    # It is given up; what was verified before goes on to count until it expires.
    done = victim("pull", "tiny", status=1 if path == "/tiny.xz" else 0)
    assert path in done.stderr
    assert time.monotonic() - start < 60
    assert images() == [] or path != "/tiny.xz"


# ---- extraneous dependencies: does not apply, as an image depends on nothing ----


def test_extraneous_dependencies(repo, server, victim):
    """There is nothing to resolve: no field of an entry but its file leads to a request."""
    victim.add()
    publish(repo, 8, content=GOOD, revision="4", sig="tiny.sig", osinfo="http://127.0.0.1/evil", notes="see http://evil/",
            x_manifest_url=f"{server.url}/evil", depends="evil", x_next="evil.xz")
    server.log.clear()
    victim("pull", "tiny")
    victim("info", "tiny")
    assert {path for path, _ in server.log} <= {"/index", "/index.sig", "/index.asc", "/keys.asc", "/tiny.xz"}


def test_extraneous_dependencies_of_an_image(repo, server, victim, images, tmp_path):
    """Nor may an image lean on another file."""
    disk = tmp_path / "disk.qcow2"
    run("qemu-img", "create", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", disk, "1M")
    victim.add()
    repo.entries.clear()
    repo.header = HEADER.format(8)
    repo.add("tiny", GOOD, packed=compress(disk.read_bytes()), format="qcow2", revision="4")
    repo.sign(detached=True)
    assert "refers to another file" in victim("pull", "tiny", status=3).stderr
    assert images() == []


# ---- fast-forward: the highest number there is, so that nothing new ever counts; and how one gets over it ----


def test_fast_forward_and_recovery(repo, server, victim, keys, tmp_path, images):
    trust = Trust(keys, tmp_path).add("abc", ["online"], "ab").write(repo.folder)
    victim.add("--threshold", "2", pin="--root", names="abc")
    # The online key is stolen, and everything that can be counted up is.
    publish(repo, (1 << 63) - 1, revision="9")
    victim("list")
    # The publisher goes on where he was, with a key that the roots have named in place of the stolen one.
    trust.add("abc", ["next"], "bc").write(repo.folder)
    publish(repo, 8, "next", content=GOOD, revision="4")
    assert victim("list").stderr == ""
    victim("pull", "tiny")
    # And the thief gains nothing by going on.
    publish(repo, (1 << 63) - 1, "online", revision="10")
    assert "not pinned" in victim("pull", "tiny", status=3).stderr


# ---- a malicious mirror that prevents updates ----


@pytest.mark.parametrize("how", ["older", "expired", "garbage", "dead"])
def test_malicious_mirror_preventing_updates(repo, server, victim, keys, tmp_path, how):
    """The first server of the source is the bad one; a good one stands behind it."""
    trust = Trust(keys, tmp_path).add("abc", ["online"], "ab").write(repo.folder)
    shutil.copytree(repo.folder, tmp_path / "bad")
    bad = Server(tmp_path / "bad")
    try:
        victim.add("--threshold", "2", "--mirror", server.url, url=bad.url, pin="--root", names="abc")
        old = snapshot(repo)
        trust.add("abc", ["online", "next"], "bc").write(repo.folder)
        publish(repo, 9)
        restore_dir(bad.folder, snapshot(repo))
        victim("list")  # has seen version 9
        publish(repo, 10, "next", content=EVIL, revision="4")
        if how == "older":
            restore_dir(bad.folder, old)
        elif how == "expired":
            expired = Repository(tmp_path / "expired", keys, signer="online",
                                 header=HEADER.format(10).replace("2100", "2020"))
            expired.add("tiny", GOOD, revision="9")
            expired.sign(detached=True)
            restore_dir(bad.folder, {n: (expired.folder / n).read_bytes() for n in ("index", "index.sig", "index.asc")})
        elif how == "garbage":
            restore_dir(bad.folder, dict.fromkeys(("index", "index.sig", "index.asc", "trust"), b"garbage"))
        else:
            for name in ("/index", "/index.sig", "/index.asc", "/keys.asc", "/trust"):
                bad.plan[name] = [bad.status(503)] * 99
        assert Path(victim("pull", "tiny").stdout.strip()).read_bytes() == EVIL
    finally:
        bad.close()


# ---- the online key in wrong hands ----


def test_online_key_compromise(repo, server, victim, keys, tmp_path, images):
    trust = Trust(keys, tmp_path).add("abc", ["online"], "ab").write(repo.folder)
    victim.add("--threshold", "2", pin="--root", names="abc")
    trust.add("abc", ["next"], "bc").write(repo.folder)
    publish(repo, 8, "next")
    victim("list")
    # Whatever the thief signs, however new, and whether or not he serves the trust.
    publish(repo, 1000, "online", revision="9")
    victim("pull", "tiny", status=3)
    (repo.folder / "trust").unlink()
    victim("pull", "tiny", status=3)
    assert images() == []


def test_online_subkey_compromise(depot, home, images):
    """A stolen subkey of a key that hosts pinned: its revocation reaches them with keys.asc and stays."""
    folder = home / "published"
    depot("repo", "init", folder)
    stolen = depot("key", "rotate", folder).stdout.strip()
    fingerprint = run("gpg", "--show-keys", "--with-colons", folder / "keys.asc",
                      env={"GNUPGHOME": str(home)}).stdout.split("fpr:::::::::")[1][:40]
    env = {"VIRT_DEPOT_HOME": str(home / "victim"), **QUICK}
    run(BIN / "virt-depot", "source", "add", "src", folder, "--fingerprint", fingerprint, env=env)
    old = {name: (folder / name).read_bytes() for name in ("index", "index.sig", "index.asc", "keys.asc")}
    depot("key", "rotate", folder)
    depot("key", "revoke", folder, stolen)
    run(BIN / "virt-depot", "list", env=env)
    restore_dir((folder / "current").resolve(), old)
    done = run(BIN / "virt-depot", "list", env=env, check=False)
    assert done.returncode == 3 and "was revoked" in done.stderr


# ---- root keys in wrong hands, but fewer than the threshold ----


def test_root_key_compromise_below_threshold(repo, server, victim, keys, tmp_path, images):
    trust = Trust(keys, tmp_path).add("abc", ["online"], "ab").write(repo.folder)
    victim.add("--threshold", "2", pin="--root", names="abc")
    good = trust.copy()
    for roots, threshold, signers in (("a", 1, "a"), ("abc", 2, "aa"), ("abc", 2, ["a", "attacker"]),
                                      (["a", "attacker"], 2, ["a", "attacker"])):
        forged = good.copy().add(roots, ["attacker"], signers, threshold=threshold)
        forged.write(repo.folder)
        publish(repo, 9, "attacker", revision="9")
        done = victim("pull", "tiny", status=3)
        assert "and 2 are needed" in done.stderr
    assert images() == []
    # The others exchange the stolen one.
    good.add(["b", "c", "next"], ["online"], ["b", "c"]).write(repo.folder)
    publish(repo, 10, "online", revision="9")
    victim("pull", "tiny")

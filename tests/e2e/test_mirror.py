# SPDX-License-Identifier: Apache-2.0
"""Verbatim mirrors: a verified copy under the same names and signatures, which changes at one moment or not at all."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from conftest import BIN, ROOT, run
from fetch_helpers import QUICK, Keys, Repository, Server, make_content, wait_for
from mirror_helpers import LOG_TEXTS, Mirror, asked
from real import STOCK, Repod
from repo_helpers import add, can_strace, make_image, run_and_die

CONTENT = make_content(seed=42)
IMAGES = ("alpha", "beta", "gamma")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(Path(tmp_path_factory.mktemp("k")) / "g")
    made.make("good")
    made.make("other")
    yield made
    made.close()


@pytest.fixture
def repo(tmp_path, keys):
    """As virt-builder knows them: files with names, and nothing but index.asc."""
    made = Repository(tmp_path / "upstream", keys)
    for number, name in enumerate(IMAGES):
        made.add(name, make_content(seed=number))
    return made.sign()


@pytest.fixture
def server(repo):
    made = Server(repo.folder)
    yield made
    made.close()


@pytest.fixture
def mirror(home, tmp_path, keys, server):
    (tmp_path / "key").write_text(keys.export("good"))
    made = Mirror(home, tmp_path / "m" / "mirror")
    made.folder.parent.mkdir()
    made.add_source(f"{server.url}/index.asc", keys.fingerprints["good"], tmp_path / "key")
    asked(server)
    server.sent.clear()
    return made


def expect_same(mirror, repo, *names):
    for name in names:
        assert mirror.read(name) == (repo.folder / name).read_bytes(), name
    assert all(mirror.blobs().values())


# ---- what a mirror is ----

def test_a_repository_of_virt_builder_is_copied_as_it_is(mirror, repo, server):
    report = mirror.run().report
    expect_same(mirror, repo, "index.asc", "keys.asc", *(f"{name}.xz" for name in IMAGES))
    assert (report["images"], report["fetched"]["files"], report["changed"]) == (3, 3, True)
    assert report["fetched"]["bytes"] == sum((repo.folder / f"{name}.xz").stat().st_size for name in IMAGES)
    assert report["missing"] == [] and report["requests"] == len(server.log)
    assert report["bytes_received"] == sum(size for path, size in server.sent.items() if path != "/index.sig")
    assert os.readlink(mirror.folder / "index.asc") == "current/index.asc"
    assert os.readlink(mirror.folder / "alpha.xz") == "current/alpha.xz"
    assert mirror.shown() == sorted(f"{name}.xz" for name in IMAGES)


def test_both_forms_of_the_index_and_detached_signatures_come_along(mirror, repo, keys):
    keys.sign("good", repo.folder / "alpha.xz", mode="--detach-sign")
    repo.entries[0] = repo.entries[0].rstrip("\n") + "\nsig=alpha.xz.sig\n"
    repo.sign(detached=True)
    mirror.run()
    expect_same(mirror, repo, "index", "index.asc", "index.sig", "keys.asc", "alpha.xz", "alpha.xz.sig")
    keys.gpg("--verify", mirror.folder / "alpha.xz.sig", mirror.folder / "alpha.xz")


def test_an_unchanged_source_costs_one_conditional_request_for_each_text_that_counts(mirror, repo, server):
    (repo.folder / "keys.asc").unlink()  # as public repositories have it
    mirror.run()
    asked(server)
    again = mirror.run().report
    assert asked(server) == ["/index.asc"] and again["requests"] == 1 and again["bytes_received"] == 0
    assert (again["changed"], again["kept"]["files"], again["fetched"]["files"]) == (False, 3, 0)
    assert "nothing has changed" in mirror.depot("mirror", "up", mirror.folder).stdout


def test_keys_are_asked_for_too_as_a_revocation_changes_nothing_else(mirror, repo, server):
    mirror.run()
    asked(server)
    assert mirror.run().report["requests"] == 2 and sorted(asked(server)) == ["/index.asc", "/keys.asc"]
    (repo.folder / "keys.asc").write_text((repo.folder / "keys.asc").read_text() + "\n")
    assert mirror.run().report["changed"] is True
    expect_same(mirror, repo, "keys.asc")


def test_of_a_changed_source_only_what_is_new_is_fetched(mirror, repo, server):
    mirror.run()
    asked(server)
    repo.add("delta", make_content(seed=9))
    repo.sign()
    report = mirror.run().report
    images = [path for path in asked(server) if path not in LOG_TEXTS]
    assert images == ["/delta.xz"] and report["fetched"]["files"] == 1 and report["kept"]["files"] == 3
    expect_same(mirror, repo, "index.asc", "delta.xz", "alpha.xz")
    assert mirror.version() == 2


def test_an_image_that_is_replaced_under_its_name_changes_with_the_index(mirror, repo, server):
    mirror.run()
    old = mirror.read("alpha.xz")
    repo.entries.pop(0)
    repo.add("alpha", make_content(seed=77), revision="2")
    repo.sign()
    states = set()
    server.on_sent = lambda handler: states.add((mirror.read("index.asc"), mirror.read("alpha.xz")))
    before = mirror.read("index.asc")
    mirror.run()
    assert states == {(before, old)}  # until the switch both are the old ones
    expect_same(mirror, repo, "index.asc", "alpha.xz")


def test_a_second_connection_does_not_count_twice_what_two_names_share(mirror, repo, server):
    packed = (repo.folder / "alpha.xz").read_bytes()
    repo.add("twin", make_content(seed=0), packed=packed)
    repo.sign()
    report = mirror.run().report
    assert report["fetched"]["files"] == 3 and report["images"] == 4
    expect_same(mirror, repo, "alpha.xz", "twin.xz")


def test_files_in_folders_and_with_odd_names_are_kept(mirror, repo, server):
    for name in ("deep/er/b.xz", "with space.xz", "caf\u00e9.xz"):
        path = repo.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        packed = (repo.folder / "alpha.xz").read_bytes() + name.encode()
        path.write_bytes(packed)
        (repo.folder / "x.xz").unlink(missing_ok=True)
        repo.add(f"x{len(repo.entries)}", CONTENT, packed=packed, file=name.replace("caf", "./%63af"))
    repo.sign()

    def unquoted(handler):
        from urllib.parse import unquote
        handler.path = unquote(handler.path)
        server.serve(handler)

    for path in ("/deep/er/b.xz", "/with%20space.xz", "/%63af%C3%A9.xz"):
        server.always[path] = unquoted
    mirror.run()
    expect_same(mirror, repo, "deep/er/b.xz", "with space.xz", "caf\u00e9.xz")


def test_a_source_without_etags_is_compared_by_content(mirror, repo, server):
    def plain(handler):
        server.status(200, server.read(handler))(handler) if server.read(handler) else server.status(404)(handler)

    for path in ("/index.asc", "/keys.asc"):
        server.always[path] = plain
    mirror.run()
    asked(server)
    again = mirror.run().report
    assert again["changed"] is False and mirror.version() == 1
    assert not [path for path in asked(server) if path not in LOG_TEXTS]


# ---- other virt-depots ----

@pytest.fixture
def depots(home, tmp_path):
    """A publisher with two revisions of one image and another image, behind repod, and a mirror of it."""
    publisher = Mirror(home, tmp_path / "none")
    folder = tmp_path / "repo"
    fingerprint = publisher.depot("repo", "init", folder).stdout.strip()
    first = make_image(tmp_path / "one.raw", random_bytes=900 << 10, size=4 << 20)
    add(publisher.depot, folder, first, "one")
    content = bytearray(first.read_bytes())
    content[1000:1100] = bytes(100)
    first.write_bytes(content)
    add(publisher.depot, folder, first, "one")
    add(publisher.depot, folder, make_image(tmp_path / "two.raw", seed=2), "two")
    served = Repod(folder, tmp_path)
    host = Mirror(tmp_path / "mh", tmp_path / "m" / "mirror")
    host.home.mkdir()
    host.folder.parent.mkdir()
    host.add_source(served.url, fingerprint, folder / "keys.asc")
    host.publisher, host.upstream, host.served, host.fingerprint = publisher, folder, served, fingerprint
    yield host
    served.stop()


def test_another_virt_depot_is_copied_with_manifests_and_deltas(depots, tmp_path):
    report = depots.run().report
    for name in ("index", "index.asc", "index.sig", "keys.asc"):
        assert depots.read(name) == (depots.upstream / name).read_bytes()
    text = depots.read("index").decode()
    named = {line.split("=", 1)[1].split("/")[-1] for line in text.splitlines() if "=blobs/sha512/" in line}
    assert "x_delta_1=" in text and "x_manifest=" in text
    assert set(depots.blobs()) == named and all(depots.blobs().values())
    assert report["fetched"]["files"] == len(named) and depots.version() == 4
    # Stored again, it is what it was: our client pulls from it by the publisher's key.
    other = Repod(depots.folder, tmp_path)
    try:
        client = Mirror(tmp_path / "ch", tmp_path)
        client.home.mkdir()
        client.add_source(other.url, depots.fingerprint, depots.upstream / "keys.asc")
        path = Path(client.depot("pull", "one").stdout.strip())
        assert path.read_bytes() == (tmp_path / "one.raw").read_bytes()
    finally:
        other.stop()


def test_an_unchanged_virt_depot_costs_two_requests(depots):
    depots.run()
    report = depots.run().report
    assert (report["requests"], report["bytes_received"], report["changed"]) == (2, 0, False)
    depots.publisher.depot("repo", "sign", depots.upstream)
    report = depots.run().report
    assert report["changed"] and report["fetched"]["files"] == 0 and depots.version() == 5


def test_the_trust_comes_along(depots, tmp_path):
    depots.publisher.depot("key", "create", tmp_path / "root", "--user-id", "Root <root@example.org>")
    depots.publisher.depot("key", "export", tmp_path / "root", "--output", tmp_path / "root.asc")
    depots.publisher.depot("trust", "draft", depots.upstream, "--root", tmp_path / "root.asc", "--output", tmp_path / "t")
    depots.publisher.depot("trust", "sign", tmp_path / "t", "--home", tmp_path / "root")
    depots.publisher.depot("trust", "publish", depots.upstream, tmp_path / "t")
    depots.run()
    for name in ("trust", "trust.sig", "keys.asc"):
        assert depots.read(name) == (depots.upstream / name).read_bytes()
    assert depots.run().report["requests"] == 3  # index.asc, keys.asc, trust


def test_stock_virt_builder_reads_a_mirror_that_repod_serves(mirror, repo, tmp_path, home):
    mirror.run()
    served = Repod(mirror.folder, tmp_path)
    try:
        config = home / "c/virt-builder/repos.d"
        config.mkdir(parents=True)
        (home / "gpg").mkdir(mode=0o700)
        (config / "m.conf").write_text(f"[m]\nuri={served.url}/index.asc\ngpgkey=file://{tmp_path}/key\n")
        env = {**STOCK, "XDG_CONFIG_HOME": str(home / "c"), "XDG_CACHE_HOME": str(home / "v"), "HOME": str(home),
               "VIRT_BUILDER_DIRS": str(home / "none"), "GNUPGHOME": str(home / "gpg")}
        listed = run("virt-builder", "--list", env=env).stdout
        assert [line.split()[0] for line in listed.splitlines()] == list(IMAGES)
        run("virt-builder", "--cache-all-templates", env=env)
        cached = home / "v/virt-builder/alpha.x86_64.1"
        assert cached.read_bytes() == (repo.folder / "alpha.xz").read_bytes()
        assert readiness(served) == 200  # it lacks nothing that it should have
    finally:
        served.stop()


def readiness(served):
    try:
        return urllib.request.urlopen(f"{served.url}/readyz").status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("is_hidden", [False, True])
@pytest.mark.parametrize("lost,status", [(None, 200), ("gen/1/index.asc", 503), ("gen/1", 503)])
def test_a_mirror_is_ready_with_what_its_source_has_and_not_with_less(mirror, repo, tmp_path, lost, status, is_hidden):
    """Also on a server that may not read the mirror's notes, as another user's server may not."""
    mirror.run()
    if lost:
        (mirror.folder / lost).rename(tmp_path / "away")
    notes = mirror.folder / ".virt-depot"
    notes.chmod(0 if is_hidden else 0o700)
    obedient = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if is_hidden and os.geteuid() == 0 else ()
    served = Repod(mirror.folder, tmp_path, prefix=obedient)
    try:
        assert readiness(served) == status
    finally:
        served.stop()
        notes.chmod(0o700)


# ---- the past ----

def test_what_the_source_has_no_more_stays_for_the_grace_period(mirror, repo):
    mirror.run()
    repo.entries.pop(1)
    repo.sign()
    report = mirror.run("--keep", "1").report
    assert mirror.read("beta.xz") == (repo.folder / "beta.xz").read_bytes()
    assert (report["removed"]["files"], report["versions_removed"]) == (0, 0)
    planned = mirror.run("--keep", "1", "--grace", "0", "--dry-run").report
    assert planned["versions_removed"] == 1 and mirror.version() == 2
    report = mirror.run("--keep", "1", "--grace", "0").report
    assert (report["removed"]["files"], report["versions_removed"]) == (1, 1)
    assert not (mirror.folder / "beta.xz").is_symlink() and len(mirror.blobs()) == 2
    expect_same(mirror, repo, "alpha.xz", "gamma.xz", "index.asc")


@pytest.mark.parametrize("names", [("x", "x/y/z"), ("x/y/z", "x/y"), ("x/y", "x")])
def test_a_name_can_become_a_folder_and_a_folder_a_name(mirror, repo, tmp_path, names):
    """The old name cannot be shown for the grace period then; its content stays as long as its version."""
    contents = []
    for number, name in enumerate((*names, names[0])):
        old = repo.folder / names[number - 1]
        if number:
            old.unlink()
            shutil.rmtree(repo.folder / "x", ignore_errors=True)
            repo.entries.pop()
        contents.append(make_content(seed=50 + number))
        packed = repo.add("moving", contents[-1], file=name, revision=str(number + 1))
        (repo.folder / name).parent.mkdir(exist_ok=True, parents=True)
        (repo.folder / name).write_bytes(packed)
        repo.sign()
        report = mirror.run("--keep", "3").report
        assert report["changed"] and mirror.version() == number + 1
        expect_same(mirror, repo, "index.asc", name, "alpha.xz")
        assert mirror.shown() == sorted(["x", *(f"{image}.xz" for image in IMAGES)])
    report = mirror.run("--keep", "1", "--grace", "0").report
    assert report["versions_removed"] == 2 and report["removed"]["files"] == 2
    expect_same(mirror, repo, "index.asc", names[0], "alpha.xz")


def test_files_of_versions_that_are_kept_stay(mirror, repo):
    mirror.run()
    repo.entries.pop(1)
    repo.sign()
    report = mirror.run("--keep", "2", "--grace", "0").report
    assert report["versions_removed"] == 0 and len(mirror.blobs()) == 3


def test_an_image_that_comes_back_during_the_grace_period_is_not_fetched_again(mirror, repo, server):
    mirror.run()
    gone = repo.entries.pop(1)
    repo.sign()
    mirror.run()
    repo.entries.append(gone)
    repo.sign()
    asked(server)
    assert mirror.run().report["fetched"]["files"] == 0
    assert not [path for path in asked(server) if path not in LOG_TEXTS]
    expect_same(mirror, repo, "beta.xz")


# ---- options ----

def test_a_dry_run_says_what_would_come_and_makes_nothing(mirror, repo, server):
    report = mirror.run("--dry-run").report
    assert report["fetched"] == {"files": 3, "bytes": sum((repo.folder / f"{n}.xz").stat().st_size for n in IMAGES)}
    assert mirror.outside() == [] and not [path for path in asked(server) if path not in LOG_TEXTS]
    mirror.run()
    repo.add("delta", CONTENT)
    repo.sign()
    state = sorted(str(path) for path in mirror.folder.rglob("*"))
    report = mirror.run("--dry-run").report
    assert (report["fetched"]["files"], report["kept"]["files"], report["dry_run"]) == (1, 3, True)
    assert sorted(str(path) for path in mirror.folder.rglob("*")) == state


def test_check_finds_a_damaged_file_and_fetches_it(mirror, repo):
    mirror.run()
    damaged = (mirror.folder / "alpha.xz").resolve()
    content = bytearray(damaged.read_bytes())
    content[1000] ^= 1
    damaged.write_bytes(content)
    assert mirror.run().report["fetched"]["files"] == 0
    report = mirror.run("--check").report
    assert (report["fetched"]["files"], report["kept"]["files"]) == (1, 2)
    expect_same(mirror, repo, "alpha.xz")


def test_a_file_that_is_missing_or_cut_short_is_fetched_again(mirror, repo):
    mirror.run()
    (mirror.folder / "alpha.xz").resolve().unlink()
    assert mirror.run().report["fetched"]["files"] == 1
    expect_same(mirror, repo, "alpha.xz")


def test_the_rate_is_limited(mirror, repo, server):
    size = sum((repo.folder / f"{name}.xz").stat().st_size for name in IMAGES)
    started = time.monotonic()
    mirror.run("--limit-rate", str(size // 2))
    assert time.monotonic() - started > 1.2  # two seconds, less what the first moment lets through


@pytest.mark.parametrize("options", [("--keep", "0"), ("--grace", "x"), ("--limit-rate", "1"), ("--limit-rate", "fast")])
def test_senseless_options_are_wrong_usage(mirror, options):
    assert mirror.run(*options, status=2).stdout == "" and mirror.outside() == []


def test_a_folder_that_is_something_else_is_left_alone(mirror, tmp_path):
    mirror.folder.mkdir()
    (mirror.folder / "precious").write_text("x")
    assert "not empty" in mirror.run(status=1).stderr
    assert [path.name for path in mirror.folder.iterdir()] == ["precious"]
    mirror.depot("repo", "init", tmp_path / "published")
    before = (tmp_path / "published/index").read_bytes()
    done = mirror.depot("mirror", "up", tmp_path / "published", status=1)
    assert "no verbatim mirror" in done.stderr and (tmp_path / "published/index").read_bytes() == before


def test_a_folder_mirrors_one_source_only(mirror, repo, server, keys, tmp_path):
    mirror.run()
    mirror.add_source(f"{server.url}/index.asc", keys.fingerprints["good"], tmp_path / "key", name="another")
    assert "is a mirror of source 'up'" in mirror.depot("mirror", "another", mirror.folder, status=2).stderr


# ---- interruptions ----

def test_what_was_fetched_is_not_fetched_again_after_an_interruption(mirror, repo, server):
    size = (repo.folder / "beta.xz").stat().st_size
    server.always["/beta.xz"] = server.stalls_after(size // 2)
    process = subprocess.Popen([BIN / "virt-depot", "mirror", "up", mirror.folder],
                               env={**os.environ, **QUICK, "VIRT_DEPOT_HOME": str(mirror.home), "VIRT_DEPOT_STALL_SECONDS": "60"},
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    parts = mirror.folder / ".virt-depot/uploads"
    wait_for(lambda: len(mirror.blobs()) == 2 and any(p.stat().st_size == size // 2 for p in parts.glob("*.part")), "half")
    process.kill()
    process.communicate()
    assert mirror.version() == 0 and not (mirror.folder / "index.asc").exists()
    server.released.set()
    del server.always["/beta.xz"]
    asked(server)
    report = mirror.run().report
    assert (report["kept"]["files"], report["fetched"]["files"]) == (2, 1)
    expect_same(mirror, repo, "index.asc", *(f"{name}.xz" for name in IMAGES))
    assert not list(parts.glob("*"))


def test_ctrl_c_ends_it_and_keeps_what_came(mirror, repo, server):
    server.always["/beta.xz"] = server.stalls_after(1000)
    process = subprocess.Popen([BIN / "virt-depot", "mirror", "up", mirror.folder],
                               env={**os.environ, **QUICK, "VIRT_DEPOT_HOME": str(mirror.home), "VIRT_DEPOT_STALL_SECONDS": "60"},
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: len(mirror.blobs()) == 2, "two of three")
    process.send_signal(2)
    process.communicate(timeout=30)
    assert process.returncode in (-2, 130) and mirror.version() == 0
    server.released.set()
    del server.always["/beta.xz"]
    assert mirror.run().report["fetched"]["files"] == 1


@pytest.mark.killed
@pytest.mark.skipif(not can_strace(), reason="strace does not work here")
@pytest.mark.parametrize("has_version", [False, True])
def test_killed_at_any_change_of_the_folder_it_is_the_old_version_or_the_new(mirror, repo, has_version):
    """Every call that names something: each time the folder is one version, whole, and the next run completes it."""
    if has_version:
        mirror.run()
        old = {name: mirror.read(name) for name in ("index.asc", "alpha.xz")}
        repo.entries.pop(0)
        repo.add("alpha", make_content(seed=55), revision="2")
        repo.sign()
    new = {name: (repo.folder / name).read_bytes() for name in ("index.asc", "alpha.xz")}
    saved = mirror.folder.parent / "saved"
    if has_version:
        shutil.copytree(mirror.folder, saved, symlinks=True)
    died = 0
    for nth in range(1, 200):
        shutil.rmtree(mirror.folder, ignore_errors=True)
        if has_version:
            shutil.copytree(saved, mirror.folder, symlinks=True)
        was_killed = run_and_die(mirror.home, "rename,symlinkat,symlink,mkdir,mkdirat,unlink,unlinkat", nth, "mirror", "up",
                                 mirror.folder)
        if (mirror.folder / "current").exists() and (mirror.folder / "index.asc").exists():
            found = {name: mirror.read(name) for name in new}
            assert found == new or (has_version and found == old), nth
        else:
            assert not has_version, nth
        if not was_killed:
            break
        died += 1
        if nth % 4 == 0:
            mirror.run()
            expect_same(mirror, repo, "index.asc", "alpha.xz", "beta.xz")
    assert died > 8 and not was_killed


def test_a_source_that_goes_back_after_a_kill_before_the_notes_were_written_is_followed(mirror, repo, tmp_path):
    mirror.run()
    notes = mirror.folder / ".virt-depot/mirror.json"
    old_notes = notes.read_bytes()
    shutil.copytree(repo.folder, tmp_path / "first")
    repo.add("delta", make_content(seed=9))
    repo.sign()
    mirror.run()
    notes.write_bytes(old_notes)  # the last thing that a run writes
    shutil.copytree(tmp_path / "first", repo.folder, dirs_exist_ok=True)  # with the times, of which the tags are made
    assert mirror.run().report["changed"] is True
    expect_same(mirror, repo, "index.asc", *(f"{name}.xz" for name in IMAGES))
    assert mirror.run().report["changed"] is False


def test_two_runs_do_not_meet(mirror, repo, server):
    server.always["/beta.xz"] = server.stalls_after(1000)
    process = subprocess.Popen([BIN / "virt-depot", "mirror", "up", mirror.folder],
                               env={**os.environ, **QUICK, "VIRT_DEPOT_HOME": str(mirror.home), "VIRT_DEPOT_STALL_SECONDS": "60"},
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: len(mirror.blobs()) == 2, "two of three")
    assert "another virt-depot" in mirror.run(status=1).stderr
    del server.always["/beta.xz"]
    server.released.set()
    process.communicate(timeout=60)
    mirror.run()
    expect_same(mirror, repo, "index.asc", "beta.xz")


# ---- attacks and accidents ----

def test_wrong_bytes_are_never_shown_and_the_others_are_fetched(mirror, repo, server):
    packed = (repo.folder / "beta.xz").read_bytes()
    server.always["/beta.xz"] = server.status(200, b"x" * len(packed))
    done = mirror.run(status=3)
    assert done.report["missing"][0].startswith("beta: ") and "checksum" in done.report["missing"][0]
    assert done.report["fetched"]["files"] == 2 and mirror.version() == 0 and not (mirror.folder / "index.asc").exists()
    assert "missing: beta" in done.stderr and "1 of 3 files are missing" in done.stderr
    del server.always["/beta.xz"]
    assert mirror.run().report["fetched"]["files"] == 1


def test_a_file_that_is_gone_keeps_the_old_version(mirror, repo, server):
    mirror.run()
    before = mirror.read("index.asc")
    repo.add("delta", CONTENT)
    repo.sign()
    (repo.folder / "delta.xz").unlink()
    done = mirror.run(status=1)
    assert "delta" in done.report["missing"][0] and mirror.read("index.asc") == before and mirror.version() == 1


@pytest.mark.parametrize("name", ["../../etc/x", "/etc/x", "a/../../x", "index.asc", "gen/9/index", "current/x",
                                  ".hidden", "blobs/x", "a//b", "keys.asc", "%2e%2e/x", "a%2f..%2f..%2fx", "a%00b", "x?y"])
def test_a_name_that_leaves_the_folder_or_hides_something_is_refused(mirror, repo, server, name):
    mirror.run()
    before = mirror.read("index.asc")
    repo.add("evil", CONTENT, file=name)
    repo.sign()
    done = mirror.run(status=3)
    assert mirror.read("index.asc") == before and mirror.version() == 1
    assert mirror.outside() == ["mirror"] and ("evil" in done.stderr or "file must" in done.stderr)


def test_a_name_with_a_control_character_is_refused_and_not_printed(mirror, repo):
    repo.add("evil", CONTENT, file="a\x1b[2Jb")
    repo.sign()
    done = mirror.run(status=3)
    assert "\x1b" not in done.stderr and mirror.version() == 0


def test_one_name_for_two_contents_is_refused(mirror, repo):
    repo.add("evil", CONTENT, file="alpha.xz")
    repo.sign()
    assert "another one" in mirror.run(status=3).stderr and mirror.version() == 0


def test_an_image_without_a_checksum_is_refused(mirror, repo):
    repo.add("bare", CONTENT, **{"checksum[sha512]": None})
    repo.sign()
    assert "no checksum" in mirror.run(status=3).stderr and mirror.version() == 0


def test_an_older_sha256_is_enough(mirror, repo, server):
    packed = repo.add("old", make_content(seed=8), **{"checksum[sha512]": None})
    repo.entries[-1] = repo.entries[-1].rstrip("\n") + f"\nchecksum[sha256]={hashlib.sha256(packed).hexdigest()}\n"
    repo.sign()
    mirror.run()
    expect_same(mirror, repo, "old.xz")
    repo.add("new", CONTENT)
    repo.sign()
    asked(server)
    mirror.run()
    assert "/old.xz" not in asked(server)


def test_a_source_that_was_rolled_back_changes_nothing(mirror, repo, server):
    header = "# repo-id: 0f6b6a52-97a4-4b0d-8d3c-0a6b8b7f1c11\n# version: {}\n"
    repo.header = header.format(7)
    repo.sign()
    mirror.run()
    before = mirror.read("index.asc")
    repo.header = header.format(6)
    repo.sign()
    assert "rolled back" in mirror.run(status=3).stderr
    assert mirror.read("index.asc") == before and mirror.version() == 7


def test_an_index_of_another_key_changes_nothing(mirror, repo, keys):
    mirror.run()
    before = mirror.read("index.asc")
    repo.signer = "other"
    repo.sign()
    mirror.run(status=3)
    assert mirror.read("index.asc") == before


def test_an_expired_index_changes_nothing(mirror, repo):
    mirror.run()
    before = mirror.read("index.asc")
    repo.header = "# expires: 2020-01-01T00:00:00Z\n"
    repo.sign()
    assert "expired" in mirror.run(status=3).stderr
    assert mirror.read("index.asc") == before


def test_a_source_that_cannot_be_reached_is_an_error_and_changes_nothing(mirror, repo, server):
    mirror.run()
    before = mirror.read("index.asc")
    server.always["/index.asc"] = server.status(503)
    mirror.run(status=1)
    assert mirror.read("index.asc") == before


def test_a_source_that_changes_in_the_middle_is_begun_anew(mirror, repo, server):
    """Files first of the old version, then of the new one under the same names: what is shown is the new one, whole."""
    def change(handler):
        del server.always["/beta.xz"]
        repo.entries.pop(1)
        repo.add("beta", make_content(seed=99), revision="2")
        repo.sign()
        server.serve(handler)

    server.always["/beta.xz"] = change
    done = mirror.run()
    assert "changed while it was copied" in done.stderr
    expect_same(mirror, repo, "index.asc", *(f"{name}.xz" for name in IMAGES))


def test_texts_of_two_versions_are_never_mixed(mirror, repo, server, keys):
    """The keys of the next version come with the index of the last one: all are read again."""
    def change(handler):
        del server.always["/keys.asc"]
        server.plan["/keys.asc"] = []
        repo.add("delta", CONTENT)
        repo.sign()
        (repo.folder / "keys.asc").write_text(keys.export("good", "other"))
        server.serve(handler)

    server.plan["/keys.asc"] = [server.serve]  # the one of the trust, before the index
    server.always["/keys.asc"] = change
    done = mirror.run()
    assert "changed while it was copied" in done.stderr
    expect_same(mirror, repo, "index.asc", "keys.asc", "delta.xz")


def mounted(folder, size):
    folder.mkdir()
    if run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder, check=False).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: it is the disk that is full")


def test_too_little_space_is_told_before_anything_is_fetched(mirror, repo, server):
    mounted(mirror.folder, "256k")
    try:
        done = mirror.run(status=1)
        assert "are needed and only" in done.stderr
        assert not [path for path in asked(server) if path not in LOG_TEXTS]
    finally:
        run("umount", mirror.folder)


def test_a_disk_that_fills_up_keeps_the_old_version(mirror, repo, server):
    mounted(mirror.folder, "2m")
    try:
        mirror.run()
        before = mirror.read("index.asc")
        repo.add("huge", make_content(size=8 << 20, noise=4 << 20), compressed_size=None)  # its size is not known before
        repo.sign()
        done = mirror.run(status=1)
        assert "No space left" in done.stderr and done.report["missing"][0].startswith("huge")
        assert mirror.read("index.asc") == before
        expect = {name: (repo.folder / f"{name}.xz").read_bytes() for name in IMAGES}
        assert {name: mirror.read(f"{name}.xz") for name in IMAGES} == expect
    finally:
        run("umount", mirror.folder)


def test_an_endless_file_is_cut_off(mirror, repo, server):
    server.always["/beta.xz"] = server.sends_endlessly
    done = mirror.run(status=3)
    assert "allowed" in done.report["missing"][0] or "states" in done.report["missing"][0]
    assert mirror.version() == 0

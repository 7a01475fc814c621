# SPDX-License-Identifier: Apache-2.0
"""repo remove, sign, check, prune and rollback: what readers find afterwards, and what survives a kill."""

import json
import os
import re
import shutil
import time

import pytest

from conftest import BIN, run
from repo_helpers import Repository, add, can_strace, gpg, listed, make_image, run_and_die


@pytest.fixture
def repo(depot, home):
    """A repository with the images one, two and three: versions 1 to 4."""
    folder = home / "repo"
    depot("repo", "init", folder)
    for seed, name in enumerate(("one", "two", "three")):
        add(depot, folder, make_image(home / f"{name}.raw", seed=seed), name)
    return Repository(folder, home)


def refused(done, status, *words):
    assert done.returncode == status, done.stderr
    for word in words:
        assert word in done.stderr


def versions(repo):
    return sorted(int(path.name) for path in (repo.folder / "gen").iterdir())


def blobs(repo):
    return sorted(str(path.relative_to(repo.folder)) for path in (repo.folder / "blobs").rglob("*") if path.is_file())


def referenced(repo):
    """Every blob that the current index names, whatever the field."""
    return sorted(set(re.findall(r"blobs/sha512/\S+", (repo.folder / "index").read_text())))


def check(depot, repo, *options, status=0):
    done = depot("repo", "check", "--json", *options, repo.folder, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def age(repo, days):
    """As if everything had been written @days ago."""
    then = time.time() - days * 86400
    for path in repo.folder.rglob("*"):
        os.utime(path, (then, then), follow_symlinks=False)


# ---- remove ----


def test_removed_images_are_gone_for_clients_and_their_files_stay(depot, repo):
    before = blobs(repo)
    done = depot("repo", "remove", repo.folder, "one", "three")
    assert "removed one (x86_64) revision 1" in done.stdout and "prune" in done.stderr
    assert set(repo.check()) == {"two"} and repo.version() == 5
    assert blobs(repo) == before


def test_an_architecture_is_chosen_where_there_are_several(depot, repo, home):
    depot("repo", "add", repo.folder, home / "one.raw", "--name", "one", "--no-inspect", "--arch", "aarch64")
    refused(depot("repo", "remove", repo.folder, "one", check=False), 2, "x86_64, aarch64", "--arch")
    told = json.loads(depot("repo", "remove", "--json", repo.folder, "one", "--arch", "arm64").stdout)
    assert told["removed"] == [{"name": "one", "arch": "aarch64", "revision": 1}] and told["version"] == 6
    assert {(i["name"], i["arch"]) for i in listed(depot, repo.folder)["images"]} == {
        ("one", "x86_64"), ("two", "x86_64"), ("three", "x86_64")}


def test_a_removed_image_that_comes_back_goes_on_with_its_revisions(depot, repo, home):
    add(depot, repo.folder, make_image(home / "one.raw", seed=50), "one")
    depot("repo", "remove", repo.folder, "one")
    refused(add(depot, repo.folder, home / "one.raw", "one", "--revision", "2", check=False), 2, "not above 2")
    add(depot, repo.folder, home / "one.raw", "one")
    assert repo.check()["one"]["revision"] == "3"


@pytest.mark.parametrize("names", [["four"], ["one", "four"]])
def test_an_unknown_image_removes_nothing(depot, repo, names):
    refused(depot("repo", "remove", repo.folder, *names, check=False), 1, "no image 'four'")
    assert repo.version() == 4 and len(repo.check()) == 3


# ---- sign ----


def test_signing_again_renews_the_expiry_and_nothing_else(depot, repo):
    before = repo.entries()
    told = json.loads(depot("repo", "sign", "--json", "--valid-days", "30", repo.folder).stdout)
    assert told["version"] == repo.version() == 5
    assert abs(told["expires"] - time.time() - 30 * 86400) < 120
    assert repo.check() == before
    status = gpg(repo.gpg_home, "--status-fd", "1", "--verify", repo.folder / "index.asc").stdout
    expiry = int(re.search(r"VALIDSIG \S+ \S+ \d+ (\d+)", status).group(1))
    assert abs(expiry - told["expires"]) < 120


def test_a_daily_timer_does_not_fill_the_disk(depot, repo):
    for _ in range(8):
        depot("repo", "sign", repo.folder)
    assert versions(repo) == [1, 2, 3, 10, 11, 12]  # each other content once, and the last three
    repo.check()


def sign_for_a_second(repo, home):
    """The current index, signed by its own key so that it expires at once."""
    key_home, = (home / "keys").iterdir()
    folder = repo.folder / "current"
    for name, how in (("index.sig", "--detach-sign"), ("index.asc", "--clear-sign")):
        run("gpg", "--homedir", key_home, "--batch", "--yes", "--digest-algo", "SHA512", "--default-sig-expire",
            "seconds=1", "--output", folder / name, how, folder / "index")
    run("gpgconf", "--homedir", key_home, "--kill", "all")
    deadline = time.monotonic() + 30
    while "EXPSIG" not in gpg(repo.gpg_home, "--status-fd", "1", "--verify", folder / "index.asc", check=False).stdout:
        assert time.monotonic() < deadline


def test_an_expired_signature_is_found_and_renewed(depot, home, repo):
    repo.check_signatures()
    sign_for_a_second(repo, home)
    told = check(depot, repo, status=3)
    assert {f["path"] for f in told["findings"]} == {"index.sig", "index.asc"}
    assert "expired" in told["findings"][0]["message"]
    depot("repo", "sign", repo.folder)
    assert check(depot, repo)["findings"] == [] and repo.version() == 5


# ---- check ----


def test_a_whole_repository_passes(depot, repo):
    told = check(depot, repo)
    assert told["findings"] == [] and told["trusted"] and told["images"] == 3
    assert told["files"] == len(referenced(repo)) == len(blobs(repo))
    assert "as they should be" in depot("repo", "check", repo.folder).stdout


def test_the_key_need_not_be_here(depot, repo, home):
    shutil.rmtree(home / "keys")
    check(depot, repo)


def damage_blob(repo):
    path = repo.folder / repo.entries()["two"]["file"]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def shorten_blob(repo):
    path = repo.folder / repo.entries()["two"]["file"]
    os.truncate(path, path.stat().st_size - 1)


def remove_blob(repo):
    (repo.folder / repo.entries()["two"]["file"]).unlink()


def line_of(repo, name):
    return (repo.folder / "index").read_text().splitlines().index(f"[{name}]") + 1


@pytest.mark.parametrize("harm,words", [(damage_blob, "damaged"), (shorten_blob, "compressed_size"),
                                        (remove_blob, "missing")])
def test_each_harmed_file_is_a_finding_with_its_line(depot, repo, harm, words):
    harm(repo)
    findings = [f for f in check(depot, repo, status=1)["findings"] if f["severity"] == "error"]
    assert [(f["path"], f["line"]) for f in findings] == [("index", line_of(repo, "two"))]
    assert words in findings[0]["message"]
    text = depot("repo", "check", repo.folder, check=False).stdout
    assert f"index:{line_of(repo, 'two')}: two: " in text


def test_a_quick_check_reads_no_file(depot, repo):
    damage_blob(repo)
    assert check(depot, repo, "--quick")["findings"] == []


@pytest.mark.parametrize("name", ["index", "index.asc", "index.sig", "keys.asc"])
def test_a_changed_or_missing_text_is_not_trusted(depot, repo, name):
    path = (repo.folder / name).resolve()
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + b"x" + content[middle + 1:])
    assert not check(depot, repo, status=3)["trusted"]
    path.unlink()
    told = check(depot, repo, status=3)
    assert not told["trusted"] and name in json.dumps(told["findings"])
    path.write_bytes(content)
    check(depot, repo)


def test_an_index_asc_of_another_version_is_found(depot, repo):
    shutil.copyfile(repo.folder / "gen/3/index.asc", (repo.folder / "index.asc").resolve())
    told = check(depot, repo, status=3)
    assert "something else" in told["findings"][0]["message"]


def give_trust(depot, repo, home):
    """A first version of trust, which one root key has signed."""
    depot("key", "create", home / "root", "--user-id", "Root <root@example.org>")
    (home / "root.asc").write_text(depot("key", "export", home / "root").stdout)
    depot("trust", "draft", repo.folder, "--root", home / "root.asc", "--threshold", "1", "-o", home / "t1")
    depot("trust", "sign", home / "t1", "--home", home / "root")
    depot("trust", "publish", repo.folder, home / "t1")


def test_the_trust_is_checked_too(depot, repo, home):
    give_trust(depot, repo, home)
    assert check(depot, repo)["findings"] == []
    path = (repo.folder / "trust").resolve()
    content = path.read_text()
    path.write_text(content.replace("threshold: 1", "threshold: 2"))
    assert [f["path"] for f in check(depot, repo, status=1)["findings"]] == ["trust"]
    path.write_text(re.sub(r"^expires: (\d{4})", "expires: 9999", content, flags=re.M))
    assert "signed by 0 of its own root keys" in check(depot, repo, status=1)["findings"][0]["message"]
    path.write_text(content)
    (repo.folder / "trust.sig").resolve().unlink()
    assert {f["path"] for f in check(depot, repo, status=1)["findings"]} == {"trust.sig"}


def test_fix_mends_links_and_removes_what_nothing_needs(depot, repo):
    stray = repo.folder / "blobs/sha512/00" / ("0" * 128)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"left by a killed run")
    (repo.folder / "index").unlink()
    os.symlink("gen/2/keys.asc", repo.folder / "keys.asc.new")
    os.rename(repo.folder / "keys.asc.new", repo.folder / "keys.asc")
    told = check(depot, repo, status=1)
    assert {f["path"] for f in told["findings"]} == {"index", "keys.asc", f"blobs/sha512/00/{'0' * 128}"}
    assert len(check(depot, repo, "--fix")["fixed"]) == 3
    assert not stray.exists() and check(depot, repo)["findings"] == []
    assert len(repo.check()) == 3


def test_fix_keeps_what_an_older_version_needs(depot, repo):
    depot("repo", "remove", repo.folder, "one", "two", "three")
    before = blobs(repo)
    check(depot, repo, "--fix")
    assert blobs(repo) == before


def test_fix_removes_nothing_under_an_index_that_is_not_trusted(depot, repo):
    stray = repo.folder / "blobs/sha512/00" / ("0" * 128)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"?")
    (repo.folder / "index.sig").resolve().write_bytes(b"nothing")
    check(depot, repo, "--fix", status=3)
    assert stray.exists()


# ---- prune ----


def test_prune_keeps_the_newest_and_the_young(depot, repo):
    told = json.loads(depot("repo", "prune", "--json", "--keep", "1", repo.folder).stdout)
    assert told["versions_removed"] == 0 and versions(repo) == [1, 2, 3, 4]
    age(repo, 20)
    depot("repo", "prune", "--keep", "2", repo.folder)
    assert versions(repo) == [3, 4]
    assert len(repo.check()) == 3


def test_prune_removes_the_files_of_forgotten_versions(depot, repo):
    depot("repo", "remove", repo.folder, "one")
    age(repo, 20)
    would = json.loads(depot("repo", "prune", "--json", "--keep", "1", "--dry-run", repo.folder).stdout)
    assert versions(repo) == [1, 2, 3, 4, 5]
    told = json.loads(depot("repo", "prune", "--json", "--keep", "1", repo.folder).stdout)
    assert {**would, "dry_run": False} == told and told["versions_removed"] == 4 and told["bytes_removed"] > 0
    assert blobs(repo) == referenced(repo)
    assert set(repo.check()) == {"two", "three"}
    assert check(depot, repo)["findings"] == []


def test_a_file_that_was_stored_lately_stays(depot, repo):
    depot("repo", "remove", repo.folder, "one")
    age(repo, 20)
    young = repo.folder / repo_file(repo, 4, "one")
    os.utime(young)
    depot("repo", "prune", "--keep", "1", repo.folder)
    assert young.exists()
    depot("repo", "prune", "--keep", "1", "--older-than", "0", repo.folder)
    assert not young.exists()


def repo_file(repo, version, name):
    text = (repo.folder / f"gen/{version}/index").read_text()
    return re.search(rf"^\[{name}\]\n(?:.+\n)*?file=(\S+)", text, re.M).group(1)


@pytest.mark.parametrize("options", [["--keep", "0"], ["--keep", "-1"], ["--older-than", "soon"], ["--older-than", "5"]])
def test_wrong_usage_of_prune(depot, repo, options):
    refused(depot("repo", "prune", *options, repo.folder, check=False), 2, options[0])


# ---- rollback ----


def test_a_rollback_publishes_old_content_under_new_numbers(depot, repo, home):
    add(depot, repo.folder, make_image(home / "one.raw", seed=77), "one")
    depot("repo", "remove", repo.folder, "two")
    told = json.loads(depot("repo", "rollback", "--json", repo.folder, "4").stdout)
    assert told["version"] == repo.version() == 7
    entries = repo.check()
    assert {name: entry["revision"] for name, entry in entries.items()} == {"one": "3", "two": "1", "three": "1"}
    assert entries["one"]["file"] == repo_file(repo, 4, "one")


def test_a_rollback_without_its_files_is_refused(depot, repo):
    (repo.folder / repo_file(repo, 2, "one")).unlink()
    refused(depot("repo", "rollback", repo.folder, "2", check=False), 1, "is gone")
    assert repo.version() == 4


@pytest.mark.parametrize("version,status,words", [("4", 2, "not older"), ("9", 2, "not older"), ("0", 2, "not a version"),
                                                  ("x", 2, "not a version")])
def test_wrong_versions_are_refused(depot, repo, version, status, words):
    refused(depot("repo", "rollback", repo.folder, version, check=False), status, words)


def test_a_version_that_was_pruned_names_those_that_are_kept(depot, repo):
    shutil.rmtree(repo.folder / "gen/2")
    refused(depot("repo", "rollback", repo.folder, "2", check=False), 1, "version 2 is not kept; there are 1, 3, 4")


def test_a_version_that_somebody_changed_is_never_signed(depot, repo):
    path = repo.folder / "gen/3/index"
    path.write_text(path.read_text().replace("[one]", "[own]"))
    refused(depot("repo", "rollback", repo.folder, "3", check=False), 3, "version 3")
    assert repo.version() == 4


# ---- dry run, locks, kills ----


@pytest.mark.parametrize("verb", [["remove", "one"], ["rollback", "3"], ["prune"]])
def test_dry_run_changes_nothing(depot, repo, verb):
    age(repo, 30)
    before = sorted(str(p) for p in repo.folder.rglob("*"))
    depot("repo", verb[0], "--dry-run", repo.folder, *verb[1:])
    assert sorted(str(p) for p in repo.folder.rglob("*")) == before


CALLS = ["rename,renameat,renameat2", "symlink,symlinkat", "unlink,unlinkat", "fsync"]
KILLS = 0 if os.environ.get("VIRT_DEPOT_LONG") else 3  # for each verb and kind of call; 0: at every call


def points(total):
    """Which calls to die at: all, or some of them with the last ones, where the switch is made."""
    if KILLS == 0 or total <= KILLS:
        return range(1, total + 1)
    return sorted({1 + (total - 1) * i // (KILLS - 1) for i in range(KILLS)})


def count_calls(home, copy, calls, *arguments):
    """How many of @calls the verb makes, counted in a copy of everything."""
    shutil.copytree(home, copy, symlinks=True)
    trace = home / "trace"
    run("strace", "-o", trace, "-e", f"trace={calls}", BIN / "virt-depot", *arguments, env={"VIRT_DEPOT_HOME": str(copy)})
    shutil.rmtree(copy)
    return sum("(" in line and not line.startswith(("---", "+++")) for line in trace.read_text().splitlines())


@pytest.mark.killed
@pytest.mark.skipif(not can_strace(), reason="strace is missing or may not trace here")
@pytest.mark.parametrize("calls", CALLS)
@pytest.mark.parametrize("verb", [["remove", "one"], ["sign"], ["rollback", "2"], ["prune", "--keep=1", "--older-than=0"],
                                  ["check", "--fix"]])
def test_killed_at_any_step_a_valid_index_is_left(depot, repo, home, verb, calls):
    def litter_and_rest():
        stray = repo.folder / "blobs/sha512/00" / ("0" * 128)
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"?")
        if verb[0] == "remove":
            add(depot, repo.folder, home / "one.raw", "one")

    litter_and_rest()
    copy = home.with_name(home.name + "c")
    total = count_calls(home, copy, calls, "repo", verb[0], copy / "repo", *verb[1:])
    assert total > 0 or (verb[0], calls[:4]) in {("check", "rena"), ("check", "syml"), ("prune", "rena"), ("prune", "syml"),
                                                 ("prune", "fsyn")}
    for nth in points(total):
        litter_and_rest()
        run_and_die(home, calls, nth, "repo", verb[0], repo.folder, *verb[1:])
        left = check(depot, repo, "--fix")
        assert all(f["severity"] == "warning" for f in left["findings"])
        assert check(depot, repo)["findings"] == [] and repo.litter() == []
    litter_and_rest()
    depot("repo", verb[0], repo.folder, *verb[1:])
    repo.check()

# SPDX-License-Identifier: Apache-2.0
"""repo init, add and list: what a reader finds, what is refused, and what survives when things go wrong."""

import json
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BIN, run
from repo_helpers import Repository, add, can_strace, listed, make_image, run_and_die, sha256


@pytest.fixture
def repo(depot, home):
    """An initialised repository."""
    folder = home / "repo"
    depot("repo", "init", folder)
    return Repository(folder, home)


@pytest.fixture
def image(home):
    return make_image(home / "tiny.raw")


def refused(done, status, *words):
    assert done.returncode == status, done.stderr
    for word in words:
        assert word in done.stderr
    assert done.stdout == ""


# ---- what is made ----


def test_init_makes_a_signed_empty_repository(depot, home):
    done = depot("repo", "init", home / "repo")
    fingerprint = done.stdout.strip()
    assert re.fullmatch(r"[0-9A-F]{40}", fingerprint)
    assert f"--fingerprint {fingerprint}" in done.stderr
    repo = Repository(home / "repo", home)
    assert repo.check() == {} and repo.version() == 1
    assert listed(depot, repo.folder)["fingerprint"] == fingerprint


def test_init_prints_json_for_scripts(depot, home):
    told = json.loads(depot("repo", "init", "--json", "--key-type", "rsa", "--user-id", "Me <me@example.org>",
                            home / "repo").stdout)
    keys = run("gpg", "--homedir", told["key_home"], "--no-autostart", "--with-colons", "--list-keys").stdout
    assert told["fingerprint"] in keys and "Me <me@example.org>" in keys and ":3072:1:" in keys
    assert (home / "keys") == __import__("pathlib").Path(told["key_home"]).parent


def test_the_secret_key_stays_out_of_the_repository(repo, home):
    inside = [p for p in repo.folder.rglob("*") if "private" in p.name or p.suffix == ".key"]
    assert inside == []
    for path in repo.folder.rglob("*"):
        assert not path.is_file() or b"PRIVATE" not in path.read_bytes()
    for key in (home / "keys").iterdir():
        assert key.stat().st_mode & 0o777 == 0o700


def agents_of(home):
    lines = run("ps", "-eo", "args").stdout.splitlines()
    return [line for line in lines if "gpg-agent" in line and str(home) in line]


def test_no_agent_outlives_a_verb(repo, depot, home, image):
    add(depot, repo.folder, image)
    deadline = time.monotonic() + 30  # it was told to go, and does so in its own time
    while agents_of(home):
        assert time.monotonic() < deadline


@pytest.mark.parametrize("content", ["file", "repository"])
def test_init_refuses_a_folder_in_use(depot, home, content):
    folder = home / "repo"
    if content == "file":
        folder.mkdir()
        (folder / "letter").write_text("dear")
    else:
        depot("repo", "init", folder)
    before = sorted(p.name for p in folder.iterdir())
    refused(depot("repo", "init", folder, check=False), 1, str(folder))
    assert sorted(p.name for p in folder.iterdir()) == before


def test_add_publishes_what_other_programs_can_check(repo, depot, image):
    before = sha256(image), image.stat().st_mtime_ns
    done = add(depot, repo.folder, image, "tiny", "--title", "A tiny disk", "--osinfo", "debian12", "--expand",
               "/dev/sda1", "--lvexpand", "/dev/v/l", "--notes", "One.\n\nTwo.", "--hidden")
    assert "tiny (x86_64) revision 1" in done.stdout
    entry = repo.check()["tiny"]
    assert repo.version() == 2
    assert (entry["name"], entry["osinfo"], entry["arch"]) == ("A tiny disk", "debian12", "x86_64")
    assert (entry["format"], entry["size"], entry["revision"]) == ("raw", str(1 << 20), "1")
    assert (entry["expand"], entry["lvexpand"], entry["hidden"]) == ("/dev/sda1", "/dev/v/l", "true")
    assert "\nnotes=One.\n \n Two.\n" in (repo.folder / "index.asc").read_text()
    assert repo.content("tiny") == image.read_bytes()
    assert (sha256(image), image.stat().st_mtime_ns) == before
    assert repo.litter() == []


def test_a_qcow2_image_is_published_as_it_is(repo, depot, home, image):
    qcow2 = home / "tiny.qcow2"
    run("qemu-img", "convert", "-O", "qcow2", image, qcow2)
    add(depot, repo.folder, qcow2)
    entry = repo.check()["tiny"]
    assert (entry["format"], entry["size"]) == ("qcow2", str(1 << 20))
    assert repo.content("tiny") == qcow2.read_bytes()


def test_notes_come_from_a_file_too(repo, depot, home, image):
    (home / "notes").write_text("From a file.\n")
    add(depot, repo.folder, image, "tiny", "--notes-file", home / "notes")
    assert repo.check()["tiny"]["notes"] == "From a file."


def test_a_changed_image_gets_the_next_revision(repo, depot, home, image):
    told = json.loads(add(depot, repo.folder, image, "tiny", "--json", "--title", "Kept").stdout)
    assert (told["revision"], told["version"]) == (1, 2)
    same = json.loads(add(depot, repo.folder, image, "tiny", "--json").stdout)
    assert (same["revision"], same["version"], same["file"]) == (1, 3, told["file"])
    make_image(image, seed=2)
    new = json.loads(add(depot, repo.folder, image, "tiny", "--json").stdout)
    assert (new["revision"], new["version"], new["title"]) == (2, 4, "Kept")
    assert new["file"] != told["file"]
    other = json.loads(add(depot, repo.folder, image, "other", "--json", "--revision", "7").stdout)
    assert (other["revision"], other["file"]) == (7, new["file"])
    assert sorted(repo.check()) == ["other", "tiny"]
    make_image(image, seed=3)
    refused(add(depot, repo.folder, image, "other", "--revision", "7", check=False), 2, "not above 7")


def test_the_same_name_may_exist_for_several_architectures(repo, depot, image):
    for arch in ("x86_64", "aarch64"):
        depot("repo", "add", repo.folder, image, "--name", "tiny", "--no-inspect", "--arch", arch)
    assert [(i["name"], i["arch"]) for i in listed(depot, repo.folder)["images"]] == [("tiny", "x86_64"),
                                                                                    ("tiny", "aarch64")]


def test_list_shows_hidden_images_and_json(repo, depot, image):
    add(depot, repo.folder, image, "tiny", "--hidden", "--title", "T")
    assert "T (hidden)" in depot("repo", "list", repo.folder).stdout
    told = listed(depot, repo.folder)
    assert told["version"] == 2 and told["expired"] is False
    assert told["expires"] - told["created"] == 14 * 24 * 60 * 60
    assert told["images"][0]["hidden"] is True and told["images"][0]["size"] == 1 << 20


def test_valid_days_bound_the_signature(repo, depot, home, image):
    add(depot, repo.folder, image, "tiny", "--valid-days", "3")
    told = listed(depot, repo.folder)
    assert told["expires"] - told["created"] == 3 * 24 * 60 * 60
    packets = run("gpg", "--list-packets", repo.folder / "index.sig", env={"GNUPGHOME": str(repo.gpg_home)}).stdout
    assert "sig expires after 3d0h0m" in packets


def test_dry_run_changes_nothing(repo, depot, image):
    before = sorted(str(p) for p in repo.folder.rglob("*"))
    assert "would publish tiny (x86_64) revision 1" in add(depot, repo.folder, image, "tiny", "--dry-run").stdout
    assert sorted(str(p) for p in repo.folder.rglob("*")) == before
    assert repo.version() == 1


def test_older_versions_are_kept_until_they_are_pruned(repo, depot, image):
    for _ in range(11):
        add(depot, repo.folder, image)
    assert sorted(int(p.name) for p in (repo.folder / "gen").iterdir()) == list(range(1, 13))
    repo.check()


# ---- what is refused ----


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", ".a", "-a", "a b", "ä", "a\nb"])
def test_a_name_that_is_no_name_is_wrong_usage(repo, depot, image, name):
    done = depot("repo", "add", repo.folder, image, f"--name={name}", "--no-inspect", "--arch", "x86_64", check=False)
    refused(done, 2, "no image name")
    assert repo.version() == 1


@pytest.mark.parametrize("options", [
    [], ["--name", "a"], ["--name", "a", "--arch", "x/y"], ["--name", "a", "--arch", "x", "--valid-days", "0"],
    ["--name", "a", "--arch", "x", "--threads", "-1"], ["--name", "a", "--arch", "x", "--title", "a\nb"],
    ["--name", "a", "--arch", "x", "--notes", "a", "--notes-file", "b"], ["--name", "a", "--arch", "x", "--accel", "x"],
    ["--name", "a", "--arch", "x", "--revision", "-3"], ["--name", "a", "--arch", "x", "--bogus"],
])
def test_wrong_usage_is_status_2(repo, depot, image, options):
    refused(depot("repo", "add", repo.folder, image, "--no-inspect", *options, check=False), 2)
    assert repo.version() == 1 and repo.litter() == []


def test_wrong_usage_of_init_leaves_no_folder(depot, home):
    for options in (["--key-type", "dsa"], ["--user-id", "a\nb c d"]):
        refused(depot("repo", "init", home / "repo", *options, check=False), 2)
        assert not (home / "repo").exists() and not (home / "keys").exists()


def test_images_that_cannot_be_published_are_refused(repo, depot, home, image):
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "raw", home / "overlay.qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={home}/data.raw", home / "outside.qcow2", "1M")
    run("qemu-img", "convert", "-O", "parallels", image, home / "a.hdd")
    run("sh", "-c", 'xz -c < "$0" > "$1"', image, home / "a.xz")
    run("sh", "-c", 'gzip -c < "$0" > "$1"', image, home / "a.gz")
    (home / "empty").write_bytes(b"")
    for name, words in {
        "overlay.qcow2": "backing file", "outside.qcow2": "another file", "a.hdd": "Parallels", "a.xz": "xz",
        "a.gz": "gzip", "empty": "empty", "absent": "No such file", "keys": "neither a file",
    }.items():
        refused(add(depot, repo.folder, home / name, check=False), 1, words)
    assert repo.version() == 1 and repo.litter() == [] and not (repo.folder / "blobs").exists()


def test_what_is_no_repository_is_refused(depot, home, image):
    for folder in (home / "absent", home):
        refused(add(depot, folder, image, check=False), 1, "no repository there")
        refused(depot("repo", "list", folder, check=False), 1, "no repository there")
    assert not (home / "absent").exists()


def test_a_repository_whose_key_is_elsewhere_is_refused(repo, depot, home, image):
    (home / "keys").rename(home / "moved")
    refused(add(depot, repo.folder, image, check=False), 1, "its signing key is not on this host")


@pytest.mark.parametrize("change", ["text", "signature", "foreign", "missing"])
def test_an_index_that_somebody_changed_is_never_signed_again(repo, depot, home, image, change):
    add(depot, repo.folder, image)
    text, signature = repo.folder / "gen/2/index", repo.folder / "gen/2/index.sig"
    if change == "text":
        text.write_text(text.read_text().replace("[tiny]", "[evil]"))
    elif change == "signature":
        signature.write_text("nonsense")
    elif change == "missing":
        signature.unlink()
    else:
        depot("repo", "init", home / "other")
        for path in (text, signature):
            shutil.copy(home / "other/current" / path.name, path)
    status = 1 if change == "missing" else 3
    refused(add(depot, repo.folder, image, "more", check=False), status)
    refused(depot("repo", "list", repo.folder, check=False), status)
    assert os.readlink(repo.folder / "current") == "gen/2"
    assert repo.litter() == []


def test_an_older_index_is_never_signed_again(repo, depot, home, image):
    for seed in range(2):
        add(depot, repo.folder, make_image(image, seed=seed))
    (repo.folder / "current").unlink()
    (repo.folder / "current").symlink_to("gen/2")
    refused(add(depot, repo.folder, image, check=False), 3, "version 3 was published from here")
    shutil.rmtree(repo.folder / "gen/3")
    next((home / "keys").glob("*/last-version")).unlink()
    add(depot, repo.folder, image)
    assert repo.version() == 3


def test_an_image_that_changes_while_it_is_read_is_not_published(repo, depot, home):
    image = make_image(home / "big.raw", 6 << 20, 6 << 20)
    process = start_add(home, repo, image)
    wait_for_upload(repo, process)
    with open(image, "r+b") as file:
        file.write(b"changed")
    _, problems = process.communicate(timeout=120)
    assert process.returncode == 1 and "changed while it was read" in problems
    assert repo.version() == 1 and repo.litter() == [] and not (repo.folder / "blobs").exists()


# ---- what goes wrong ----


def start_add(home, repo, image, name="tiny"):
    return subprocess.Popen([BIN / "virt-depot", "repo", "add", repo.folder, image, "--name", name, "--no-inspect",
                             "--arch", "x86_64"], env={**os.environ, "VIRT_DEPOT_HOME": str(home)}, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_upload(repo, process):
    deadline = time.monotonic() + 60
    while not repo.litter():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        select.select([], [], [], 0.005)


def test_several_images_can_be_added_at_once(repo, home):
    images = [make_image(home / f"{i}.raw", seed=i) for i in range(4)]
    started = [start_add(home, repo, image, f"image-{i}") for i, image in enumerate(images)]
    for process in started:
        _, problems = process.communicate(timeout=120)
        assert process.returncode == 0, problems
    entries = repo.check()
    assert sorted(entries) == [f"image-{i}" for i in range(4)]
    assert repo.version() == 5 and repo.litter() == []


def test_two_inits_of_one_folder_give_one_repository(home):
    started = [subprocess.Popen([BIN / "virt-depot", "repo", "init", home / "repo"], text=True,
                                env={**os.environ, "VIRT_DEPOT_HOME": str(home)}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    told = [process.communicate(timeout=60) for process in started]
    assert sorted(process.returncode for process in started) == [0, 1], told
    Repository(home / "repo", home).check()
    assert len(list((home / "keys").iterdir())) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_add_that_is_stopped_leaves_the_old_index(repo, depot, home, number, image):
    add(depot, repo.folder, image)
    before = sorted(str(p) for p in repo.folder.rglob("*"))
    process = start_add(home, repo, make_image(home / "big.raw", 40 << 20, 40 << 20), "big")
    wait_for_upload(repo, process)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    if number != signal.SIGKILL:
        assert sorted(str(p) for p in repo.folder.rglob("*")) == before
    assert list(repo.check()) == ["tiny"]
    add(depot, repo.folder, image, "after")
    assert repo.litter() == [] and sorted(repo.check()) == ["after", "tiny"]


KILLING = pytest.mark.skipif(not can_strace(), reason="strace is missing or may not trace here")
CALLS = ["mkdir,rename,symlink", "fsync"]


@pytest.mark.killed
@KILLING
@pytest.mark.parametrize("calls", CALLS)
def test_an_add_killed_at_any_step_leaves_a_valid_index(repo, depot, home, image, calls):
    add(depot, repo.folder, image)
    kills = 0
    for nth in range(1, 60):
        make_image(image, seed=nth)
        version = repo.version()
        if not run_and_die(home, calls, nth, "repo", "add", repo.folder, image, "--name", "tiny", "--no-inspect",
                           "--arch", "x86_64"):
            break
        kills += 1
        assert repo.version() in (version, version + 1)
        repo.check_signatures()
    else:
        pytest.fail("never got through")
    assert kills > 0
    assert repo.litter() == [] and list(repo.check()) == ["tiny"] and repo.content("tiny") == image.read_bytes()


@pytest.mark.killed
@KILLING
@pytest.mark.parametrize("calls", CALLS)
def test_an_init_killed_at_any_step_can_be_repeated(depot, home, calls):
    kills = 0
    for nth in range(1, 60):
        folder = home / f"repo{nth}"
        if not run_and_die(home, calls, nth, "repo", "init", folder):
            break
        kills += 1
        done = depot("repo", "init", folder, check=False)
        if done.returncode != 0:  # killed after the switch: it is complete
            assert "is a repository already" in done.stderr
        repo = Repository(folder, home)
        repo.check_signatures()
        assert repo.version() == 1
    assert kills > 0
    add(depot, folder, make_image(home / "tiny.raw"))
    assert repo.litter() == []
    assert [p.name for p in (home / "keys").iterdir() if p.name.startswith(".")] == []


def no_large_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, 256 << 10))


def test_a_file_that_cannot_grow_is_an_error_that_leaves_nothing(repo, depot, home, image):
    large = make_image(home / "large.raw", 1 << 20, 1 << 20)
    refused(add(depot, repo.folder, large, check=False, preexec_fn=no_large_files), 1, "File too large")
    assert repo.check() == {} and repo.litter() == []
    add(depot, repo.folder, image)
    assert list(repo.check()) == ["tiny"]


def test_a_full_disk_leaves_the_old_index(depot, home, image):
    folder = home / "full"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        depot("repo", "init", folder)
        repo = Repository(folder, home)
        large = make_image(home / "large.raw", 2 << 20, 2 << 20)
        refused(add(depot, folder, large, check=False), 1, "No space left on device")
        assert repo.check() == {} and repo.litter() == []
        add(depot, folder, image)
        # And at the very end, when only the signed texts have no room any more.
        with open(folder / "ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                pass
        refused(add(depot, folder, image, "more", check=False), 1, "No space left on device")
        assert list(repo.check()) == ["tiny"] and repo.litter() == []
    finally:
        run("umount", folder)


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def test_a_folder_that_cannot_be_written_to_is_an_error(repo, depot, home, image):
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    run("chown", "-R", "65534", home / "keys")
    os.chown(home, 65534, -1)
    refused(add(depot, repo.folder, image, check=False, preexec_fn=as_nobody), 1, "Permission denied")
    (home / "closed").mkdir(mode=0o555)
    refused(depot("repo", "init", home / "closed/repo", check=False, preexec_fn=as_nobody), 1, "Permission denied")
    refused(depot("repo", "init", home / "closed", check=False, preexec_fn=as_nobody), 1, "Permission denied")
    run("chown", "-R", "0", home / "keys")
    assert repo.check() == {}

# SPDX-License-Identifier: Apache-2.0
"""Sources and pulling, against repositories written by hand and a server that misbehaves."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import BIN, run
from fetch_helpers import QUICK, Keys, Repository, Server, cache_files, compress, make_content, wait_for
from repo_helpers import can_strace

CONTENT = make_content()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(Path(tmp_path_factory.mktemp("k")) / "g")
    made.make("good", time="20200101T000000")
    made.make("other")
    made.make("old", expires="2020-06-01", time="20200101T000000")
    yield made
    made.close()


@pytest.fixture
def repo(tmp_path, keys):
    return Repository(tmp_path / "repo", keys)


@pytest.fixture
def server(repo):
    made = Server(repo.folder)
    yield made
    made.close()


@pytest.fixture
def quick(home):
    """virt-depot with short retries; check=False by default."""

    def call(*arguments, check=False, env=None, **more):
        return run(BIN / "virt-depot", *arguments, check=check,
                   env={"VIRT_DEPOT_HOME": str(home), **QUICK, **(env or {})}, **more)

    return call


@pytest.fixture
def add(quick, keys, server):
    def call(*more, name="src", url=None, key="good"):
        return quick("source", "add", name, url or server.url, "--fingerprint", keys.fingerprints[key], *more)

    return call


def start(home, *arguments, **env):
    return subprocess.Popen([BIN / "virt-depot", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "VIRT_DEPOT_HOME": str(home), **QUICK, **env})


def image_name(packed, suffix="raw"):
    return f"images/{hashlib.sha512(packed).hexdigest()}.{suffix}"


def good(done, status=0):
    assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


# Sources

def test_a_source_is_added_listed_and_removed(repo, add, quick, keys, home):
    repo.add("tiny", CONTENT)
    repo.sign()
    assert "1 image" in good(add()).stderr
    listed = json.loads(good(quick("source", "list", "--json")).stdout)
    assert [(s["name"], s["fingerprints"]) for s in listed] == [("src", [keys.fingerprints["good"]])]
    assert "already" in good(add(), 1).stderr
    good(quick("source", "remove", "src"))
    assert json.loads(quick("source", "list", "--json").stdout) == []
    assert list((home / "config/sources.d").iterdir()) == []
    assert "no source" in good(quick("source", "remove", "src"), 1).stderr


def test_a_source_needs_a_fingerprint_or_the_word_unsigned(repo, quick, server):
    repo.sign()
    done = good(quick("source", "add", "src", server.url), 2)
    assert "--fingerprint" in done.stderr and "gpg --show-keys" in done.stderr
    assert server.log == []


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "-x", "", "x y"])
def test_a_sources_name_is_plain(quick, name):
    good(quick("source", "add", "--unsigned", "--", name, "http://127.0.0.1:1/"), 2)


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "http://u:p@127.0.0.1/", "http://x/?q", "http://x/ y"])
def test_a_sources_url_is_one_that_can_be_fetched(quick, url):
    good(quick("source", "add", "--unsigned", "x", url), 2)


def test_a_wrong_fingerprint_stores_nothing(repo, add, home):
    repo.sign()
    good(add(key="other"), 3)
    assert not (home / "config/sources.d").exists() or not list((home / "config/sources.d").iterdir())
    assert not (home / "cache/index").exists()


def test_an_old_repository_without_keys_works_with_a_key_file(repo, add, quick, keys, tmp_path):
    repo.add("tiny", CONTENT)
    repo.sign()
    (repo.folder / "keys.asc").unlink()
    assert "--key" in good(add(), 1).stderr
    key = tmp_path / "key.asc"
    key.write_text(keys.export("good", "other"))
    good(add("--key", key))
    good(quick("pull", "tiny"))


@pytest.mark.parametrize("form", ["{}", "{}/", "{}/index.asc", "{}/index", "file://{}", "file://{}/index.asc"])
def test_a_folder_on_this_host_is_a_source_too(repo, quick, keys, form):
    packed = repo.add("tiny", CONTENT)
    repo.sign(detached=True)
    good(quick("source", "add", "src", form.format(repo.folder), "--fingerprint", keys.fingerprints["good"]))
    path = Path(good(quick("pull", "tiny")).stdout.strip())
    assert path.read_bytes() == CONTENT and path.stem == hashlib.sha512(packed).hexdigest()


def test_an_unsigned_source_is_used_only_when_asked_for(repo, quick, server):
    repo.add("tiny", CONTENT)
    repo.sign(detached=True)
    for name in ("index.asc", "index.sig", "keys.asc"):
        (repo.folder / name).unlink()
    good(quick("source", "add", "src", server.url, "--unsigned"))
    good(quick("pull", "tiny"))
    assert "unsigned" in quick("info", "tiny").stdout


# Trust in the index

def tampered(text):
    return text.replace("Image tiny", "Image evil")


@pytest.mark.parametrize("what", ["unsigned", "tampered", "wrong-key", "expired-key", "expired-signature", "empty"])
@pytest.mark.parametrize("detached", [False, True])
def test_an_index_that_is_not_rightly_signed_is_refused(repo, add, quick, keys, home, what, detached):
    repo.add("tiny", CONTENT)
    repo.sign(detached=detached)
    good(add())
    shutil.rmtree(home / "cache")
    clear = repo.folder / "index.asc"
    if what == "unsigned":
        clear.write_text(repo.text())
        (repo.folder / "index.sig").unlink(missing_ok=True)
    elif what == "tampered":
        clear.write_text(tampered(clear.read_text()))
        if detached:
            (repo.folder / "index").write_text(tampered(repo.text()))
    elif what == "empty":
        clear.write_text("")
        (repo.folder / "index").write_text("")
    elif what == "expired-signature":
        repo.sign(detached=detached, time="20200201T000000", extra=("--default-sig-expire", "1d"))
    else:
        repo.signer = {"wrong-key": "other", "expired-key": "old"}[what]
        repo.sign(detached=detached, time="20200201T000000" if what == "expired-key" else None)
    for verb in (("pull", "tiny"), ("list",), ("info", "tiny")):
        done = good(quick(*verb), 3)
        assert done.stdout == ""
    assert not (home / "cache/images").exists() and not (home / "cache/index").exists()


def test_an_expired_key_cannot_be_pinned_either(repo, keys, quick, server):
    repo.signer = "old"
    repo.add("tiny", CONTENT)
    repo.sign(time="20200201T000000")
    good(quick("source", "add", "src", server.url, "--fingerprint", keys.fingerprints["old"]), 3)


def test_detached_halves_of_an_update_are_asked_for_again(repo, add, quick, server):
    repo.add("tiny", CONTENT)
    repo.sign(detached=True)
    old = (repo.folder / "index.sig").read_bytes()
    good(add())
    repo.add("second", CONTENT)
    repo.sign(detached=True)
    server.plan["/index.sig"] = [server.status(200, old)]
    assert {i["name"] for i in json.loads(good(quick("list", "--json")).stdout)} == {"tiny", "second"}
    # And where they go on disagreeing, the clear-signed index counts.
    (repo.folder / "index.sig").write_bytes(old)
    before = len(server.requests("/index.asc"))
    good(quick("list"))
    assert len(server.requests("/index.asc")) == before + 1


HEADER = "# virt-depot: 1\n# repo-id: 0f8fad5b-d9cb-469f-a165-70867728950e\n# version: {}\n# expires: {}\n"


def test_an_expired_index_lists_with_a_warning_and_pulls_nothing(repo, add, quick):
    repo.header = HEADER.format(1, "2100-01-01T00:00:00Z")
    repo.add("tiny", CONTENT)
    repo.sign(detached=True)
    good(add())
    repo.header = HEADER.format(2, "2020-01-01T00:00:00Z")
    repo.sign(detached=True)
    done = good(quick("list"))
    assert "tiny" in done.stdout and "expired" in done.stderr
    assert "expired" in good(quick("pull", "tiny"), 3).stderr


def test_a_rolled_back_index_is_refused(repo, add, quick, home):
    repo.header = HEADER.format(7, "2100-01-01T00:00:00Z")
    repo.add("tiny", CONTENT)
    repo.sign(detached=True)
    good(add())
    repo.header = HEADER.format(6, "2100-01-01T00:00:00Z")
    repo.sign(detached=True)
    done = good(quick("list"))
    assert "rolled back" in done.stderr and "tiny" in done.stdout
    assert "rolled back" in good(quick("pull", "tiny"), 3).stderr
    assert cache_files(home) == []
    repo.header = HEADER.format(8, "2100-01-01T00:00:00Z")
    repo.sign(detached=True)
    good(quick("pull", "tiny"))


def test_another_repository_by_the_same_key_is_refused(repo, add, quick):
    repo.header = HEADER.format(7, "2100-01-01T00:00:00Z")
    repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    repo.header = repo.header.replace("0f8fad5b", "11111111")
    repo.sign()
    good(quick("pull", "tiny"), 3)


# Catalogues

def test_a_dead_source_is_a_warning_and_the_others_go_on(repo, add, quick, server, tmp_path, keys):
    repo.add("tiny", CONTENT)
    repo.sign()
    second = Repository(tmp_path / "second", keys)
    second.add("other", make_content(seed=5))
    second.sign()
    good(add(name="near", url=str(second.folder)))
    good(add(name="far"))
    server.close()
    done = good(quick("list", "--json"))
    assert {i["name"] for i in json.loads(done.stdout)} == {"tiny", "other"}  # far's last index is still known
    assert "far" in done.stderr and "near" not in done.stderr
    good(quick("pull", "other"))
    good(quick("pull", "tiny"), 1)
    assert good(quick("list", "--offline")).stderr == ""


def test_a_source_that_lies_hides_no_other(repo, add, quick, server, tmp_path, keys):
    repo.add("tiny", CONTENT)
    repo.sign()
    second = Repository(tmp_path / "second", keys)
    second.add("other", CONTENT)
    second.sign()
    good(add(name="near", url=str(second.folder)))
    good(add(name="far"))
    (repo.folder / "index.asc").write_text("<html>")
    done = good(quick("list"))
    assert "other" in done.stdout and "tiny" not in done.stdout and "far" in done.stderr
    good(quick("pull", "other"))
    good(quick("pull", "tiny"), 3)


def test_an_unchanged_index_is_not_transferred_again(repo, add, quick, server):
    repo.add("tiny", CONTENT)
    repo.sign(detached=True)
    good(add())
    sent = dict(server.sent)
    good(quick("list"))
    assert server.sent == sent


def test_one_bad_entry_hides_no_other(repo, add, quick):
    repo.add("bad", CONTENT, size="-4")
    repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    done = good(quick("list"))
    assert "tiny" in done.stdout and "bad" not in done.stdout and "'size'" in done.stderr


def test_the_highest_revision_wins_and_an_alias_shadows_no_name(repo, add, quick, keys, tmp_path):
    repo.add("tiny", CONTENT, revision="2")
    repo.sign()
    second = Repository(tmp_path / "second", keys)
    newer = make_content(seed=2)
    second.add("tiny", newer, revision="7")
    second.add("evil", make_content(seed=3), aliases="tiny", revision="9")
    second.sign()
    good(add(name="a"))
    good(add(name="b", url=str(second.folder)))
    assert Path(good(quick("pull", "tiny")).stdout.strip()).read_bytes() == newer
    assert Path(good(quick("pull", "a/tiny")).stdout.strip()).read_bytes() == CONTENT
    good(quick("pull", "a/evil"), 1)


def test_terminal_escapes_are_not_printed(repo, add, quick):
    repo.add("tiny", CONTENT, name="T\x1b]0;owned\x07", notes="one\x1b[2J\n \n two", x_y="\x1b[31m")
    repo.sign()
    good(add())
    for verb in (("list",), ("info", "tiny"), ("list", "--json"), ("info", "tiny", "--json")):
        done = good(quick(*verb))
        assert "\x1b" not in done.stdout + done.stderr and "\x07" not in done.stdout
    assert "one\\x1b[2J\n\ntwo" in quick("info", "tiny").stdout


@pytest.mark.parametrize("name", ["../x", "a/../b", "/etc/passwd", "src/", "/tiny", "a/b/c", "x y", "", "%2e%2e"])
def test_an_images_name_is_no_path(quick, name):
    good(quick("pull", "--", name), 2)


def test_an_image_of_another_architecture_must_be_asked_for(repo, add, quick):
    repo.add("tiny", CONTENT, arch="arm64")
    repo.sign()
    good(add())
    good(quick("pull", "--arch", "x86_64", "tiny"), 1)
    good(quick("pull", "--arch", "aarch64", "tiny"))


# Pulling

def test_a_good_pull(repo, add, quick, server, home):
    packed = repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    plan = good(quick("pull", "--dry-run", "tiny"))
    assert "would download" in plan.stdout and cache_files(home) == []
    path = Path(good(quick("pull", "tiny")).stdout.strip())
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.stat().st_blocks * 512 < len(CONTENT)  # holes stay holes
    assert cache_files(home) == [image_name(packed)]
    assert Path(json.loads(good(quick("pull", "tiny", "--json")).stdout)[0]["path"]) == path
    assert len(server.requests("/tiny.xz")) == 1
    assert json.loads(good(quick("info", "tiny", "--json")).stdout)["cached"] == str(path)


@pytest.mark.parametrize("value", ["../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "blobs/sha512/ab/cdef",
                                   f"blobs/sha512/bb/{'a' * 128}", f"blobs/sha512/aa/{'g' * 128}"])
def test_what_cannot_name_a_manifest_is_not_asked_for(repo, add, quick, server, home, value):
    packed = repo.add("tiny", CONTENT, x_manifest=value)
    repo.sign()
    good(add())
    assert Path(good(quick("pull", "tiny")).stdout.strip()).read_bytes() == CONTENT
    assert cache_files(home) == [image_name(packed)]
    assert {path for path, _ in server.log} <= {"/index", "/index.sig", "/index.asc", "/keys.asc", "/trust", "/tiny.xz"}


def test_a_signed_manifest_that_is_of_no_use_is_said_and_does_no_harm(repo, add, quick):
    blob = b"written by a newer program"
    digest = hashlib.sha512(blob).hexdigest()
    repo.add("tiny", CONTENT, x_manifest=f"blobs/sha512/{digest[:2]}/{digest}")
    (repo.folder / f"blobs/sha512/{digest[:2]}").mkdir(parents=True)
    (repo.folder / f"blobs/sha512/{digest[:2]}/{digest}").write_bytes(blob)
    repo.sign()
    good(add())
    done = good(quick("pull", "tiny"))
    assert "not a manifest; the image is fetched without it" in done.stderr
    assert Path(done.stdout.strip()).read_bytes() == CONTENT


def test_images_that_are_not_compressed(repo, add, quick, tmp_path, home):
    disk = tmp_path / "disk.qcow2"
    run("qemu-img", "create", "-f", "qcow2", disk, "1M")
    repo.add("plain", CONTENT, packed=CONTENT)
    repo.add("qcow2", CONTENT, packed=disk.read_bytes(), format="qcow2")
    repo.add("packed", CONTENT, packed=compress(disk.read_bytes()), format="qcow2")
    repo.add("unsaid", CONTENT, packed=compress(disk.read_bytes() + bytes(512)), format=None)
    repo.sign()
    good(add())
    done = good(quick("pull", "plain", "qcow2", "packed", "unsaid"))
    assert [Path(line).suffix for line in done.stdout.split()] == [".raw", ".qcow2", ".qcow2", ".qcow2"]


def test_a_sha256_is_enough_and_no_checksum_is_not(repo, add, quick, home):
    packed = compress(CONTENT)
    repo.add("tiny", CONTENT, **{"checksum[sha512]": None, "checksum[sha256]": hashlib.sha256(packed).hexdigest()})
    repo.add("none", CONTENT, **{"checksum[sha512]": None})
    repo.sign()
    good(add())
    good(quick("pull", "tiny"))
    good(quick("pull", "none"), 3)


@pytest.mark.parametrize("what", ["corrupt", "truncated", "longer", "endless"])
def test_a_wrong_image_is_refused_and_not_kept(repo, add, quick, server, home, what):
    packed = repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    wrong = {"corrupt": packed[:5000] + b"XXXX" + packed[5004:], "truncated": packed[:-100],
             "longer": packed + b"x"}.get(what)
    if wrong is None:
        server.plan["/tiny.xz"] = [server.sends_endlessly] * 2
    else:
        (repo.folder / "tiny.xz").write_bytes(wrong)
    good(quick("pull", "tiny"), 3)
    assert [name for name in cache_files(home) if name.startswith("images")] == []
    assert server.sent.get("/tiny.xz", 0) <= 2 * len(packed) + (8 << 20)
    (repo.folder / "tiny.xz").write_bytes(packed)
    server.plan.clear()
    good(quick("pull", "tiny"))
    assert cache_files(home) == [image_name(packed)]


@pytest.mark.parametrize("what", ["backing", "size", "format", "bomb", "data-file"])
def test_an_image_that_is_not_what_the_index_says_is_refused(repo, add, quick, home, tmp_path, what):
    disk = tmp_path / "disk.qcow2"
    fields = {"format": "qcow2"}
    if what == "backing":
        run("qemu-img", "create", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", disk, "1M")
    elif what == "data-file":
        run("qemu-img", "create", "-f", "qcow2", "-o", f"data_file={tmp_path}/data,data_file_raw=on", disk, "1M")
    else:
        run("qemu-img", "create", "-f", "qcow2", disk, "2M" if what == "size" else "1M")
    if what in ("format", "bomb"):
        fields = {"format": "raw"}
    content = bytes(200 << 20) if what == "bomb" else disk.read_bytes()
    repo.add("tiny", CONTENT, packed=compress(content), **fields)
    repo.sign()
    good(add())
    done = quick("pull", "tiny")
    assert done.returncode in (1, 3) and done.stdout == ""
    assert what == "bomb" or done.returncode == 3
    assert [name for name in cache_files(home) if name.startswith("images")] == []


def test_a_server_that_dies_is_asked_for_the_rest_only(repo, add, quick, server, home):
    packed = repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    server.plan["/tiny.xz"] = [server.dies_after(50000), server.dies_after(70000)]
    good(quick("pull", "tiny"))
    requests = server.requests("/tiny.xz")
    assert [r.get("Range") for r in requests] == [None, "bytes=50000-", "bytes=120000-"]
    assert requests[1]["If-Range"] == requests[2]["If-Range"]
    assert all(r["Accept-Encoding"] == "identity" for r in requests)
    assert server.sent["/tiny.xz"] == len(packed)


def test_a_later_pull_goes_on_where_a_dead_server_left_off(repo, add, quick, server, home):
    packed = repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    server.plan["/tiny.xz"] = [server.dies_after(50000)] + [server.status(503)] * 6
    assert "503" in good(quick("pull", "tiny"), 1).stderr
    assert cache_files(home) == [image_name(packed, "part").replace("images", "partial")]
    server.log.clear()
    good(quick("pull", "tiny"))
    assert [r.get("Range") for r in server.requests("/tiny.xz")] == ["bytes=50000-"]
    assert cache_files(home) == [image_name(packed)]


@pytest.mark.parametrize("what", ["ignores_range", "lies_about_range"])
def test_a_server_without_honest_ranges_starts_over(repo, add, quick, server, what):
    repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    server.plan["/tiny.xz"] = [server.dies_after(50000), getattr(server, what)]
    assert Path(good(quick("pull", "tiny")).stdout.strip()).read_bytes() == CONTENT


def test_a_partial_download_of_other_bytes_is_fetched_again(repo, add, quick, server, home):
    packed = repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    (home / "cache/partial").mkdir(parents=True)
    (home / "cache" / image_name(packed, "part").replace("images", "partial")).write_bytes(b"x" * 1000)
    assert Path(good(quick("pull", "tiny")).stdout.strip()).read_bytes() == CONTENT
    assert [r.get("Range") for r in server.requests("/tiny.xz")] == ["bytes=1000-", None]


def test_a_stalling_server_is_given_up_and_resumed(repo, add, quick, server):
    repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    server.plan["/tiny.xz"] = [server.stalls_after(50000)]
    good(quick("pull", "tiny"))
    assert [r.get("Range") for r in server.requests("/tiny.xz")] == [None, "bytes=50000-"]


@pytest.mark.parametrize("status", [404, 403, 500, 301, 204])
def test_an_error_page_is_never_stored(repo, add, quick, server, home, status):
    repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    server.plan["/tiny.xz"] = [server.status(status, b"" if status == 204 else b"page")] * 7
    done = good(quick("pull", "tiny"), 1)
    assert "/tiny.xz" in done.stderr and str(status) in done.stderr
    assert cache_files(home) == []
    assert len(server.requests("/tiny.xz")) == (6 if status == 500 else 1)


def test_a_redirect_is_followed_but_not_for_ever(repo, add, quick, server, home):
    repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    (repo.folder / "real.xz").write_bytes((repo.folder / "tiny.xz").read_bytes())
    server.plan["/tiny.xz"] = [server.status(302, b"", [("Location", "/real.xz")])]
    good(quick("pull", "tiny"))
    shutil.rmtree(home / "cache")
    server.plan["/tiny.xz"] = [server.status(302, b"", [("Location", "/tiny.xz")])] * 50
    good(quick("pull", "tiny"), 1)
    server.plan["/tiny.xz"] = [server.status(302, b"", [("Location", "file:///etc/passwd")])]
    good(quick("pull", "tiny"), 1)


def test_kill_9_during_the_download_loses_nothing(repo, add, server, home, quick):
    packed = repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    server.plan["/tiny.xz"] = [server.stalls_after(60000)]
    partial = home / "cache" / image_name(packed, "part").replace("images", "partial")
    process = start(home, "pull", "tiny", VIRT_DEPOT_STALL_SECONDS="60")
    wait_for(lambda: partial.exists() and partial.stat().st_size == 60000, "the partial download")
    process.kill()
    process.communicate()
    good(quick("pull", "tiny"))
    assert [r.get("Range") for r in server.requests("/tiny.xz")] == [None, "bytes=60000-"]
    assert cache_files(home) == [image_name(packed)]


def test_ctrl_c_keeps_the_partial_download(repo, add, server, home, quick):
    packed = repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    server.plan["/tiny.xz"] = [server.stalls_after(60000)]
    partial = home / "cache" / image_name(packed, "part").replace("images", "partial")
    process = start(home, "pull", "tiny", VIRT_DEPOT_STALL_SECONDS="60")
    wait_for(lambda: partial.exists() and partial.stat().st_size == 60000, "the partial download")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert cache_files(home) == [str(partial.relative_to(home / "cache"))]
    good(quick("pull", "tiny"))


def killed_at(home, call, *arguments):
    """Run virt-depot, killed at its first system call of that kind."""
    if not can_strace():
        pytest.skip("strace is missing or may not trace here: it delivers the signal at the right system call")
    done = run("strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when=1",
               BIN / "virt-depot", *arguments, env={"VIRT_DEPOT_HOME": str(home), **QUICK}, check=False)
    assert done.returncode in (-9, 137), done.stderr


def test_kill_9_while_unpacking_leaves_no_litter_after_the_next_pull(repo, add, home, quick, server):
    other = repo.add("other", make_content(seed=9))
    packed = repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    partial = image_name(packed, "part").replace("images", "partial")
    # memfd_create() makes what the unpacking process is given; the first fchmod() follows when it is done.
    for call in ("memfd_create", "fchmod"):
        killed_at(home, call, "pull", "tiny")
        left = cache_files(home)
        assert partial in left and image_name(packed) not in left
        assert any("/.tmp-" in name for name in left), left
    # The next pull of any image clears the temporary files away; the download stays for this image's own.
    good(quick("pull", "other"))
    assert not any("/.tmp-" in name for name in cache_files(home))
    assert Path(good(quick("pull", "tiny")).stdout.strip()).read_bytes() == CONTENT
    assert cache_files(home) == sorted([image_name(packed), image_name(other)])
    assert server.sent["/tiny.xz"] == len(packed)


def test_a_full_disk_is_said_and_leaves_only_the_partial_download(repo, add, home, quick):
    content = b"\x5a" * (64 << 20)
    packed = repo.add("tiny", content)
    repo.sign()
    good(add())
    cache = home / "cache"
    shutil.rmtree(cache)
    cache.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", cache, check=False).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: it is the disk that fills up")
    try:
        assert "o space left" in good(quick("pull", "tiny"), 1).stderr
        assert cache_files(home) == [image_name(packed, "part").replace("images", "partial")]
        run("mount", "-o", "remount,size=128m", cache)
        good(quick("pull", "tiny"))
        assert cache_files(home) == [image_name(packed)]
    finally:
        run("umount", cache)


def test_what_cannot_fit_is_refused_before_the_download(repo, add, home, quick, server):
    repo.add("tiny", CONTENT, compressed_size=str(1 << 60))
    repo.sign()
    good(add())
    assert "are free" in good(quick("pull", "tiny"), 1).stderr
    assert server.requests("/tiny.xz") == []


def test_parallel_pulls_of_one_image_download_it_once(repo, add, home, server):
    packed = repo.add("tiny", CONTENT)
    repo.sign()
    good(add())
    server.plan["/tiny.xz"] = [server.stalls_after(60000)]
    env = {"VIRT_DEPOT_STALL_SECONDS": "60"}
    pulls = [start(home, "pull", "tiny", **env) for _ in range(4)]
    wait_for(lambda: len(server.requests("/index.asc")) >= 5 and server.sent.get("/tiny.xz"), "all of them")
    server.released.set()
    outs = {process.communicate(timeout=60)[0] for process in pulls}
    assert [process.returncode for process in pulls] == [0] * 4 and len(outs) == 1
    assert server.sent["/tiny.xz"] == len(packed)
    assert cache_files(home) == [image_name(packed)]

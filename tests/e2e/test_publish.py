# SPDX-License-Identifier: Apache-2.0
"""repo add beyond one raw image: several at once, other formats, standard input, the manifest, and reuse of blocks."""

import hashlib
import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess

import pytest

from conftest import BIN, run
from repo_helpers import Repository, add, can_strace, listed, make_image, run_and_die, sha256
from test_repo import refused, wait_for_upload

BLOCK = 16 << 20
NO_LOOK = ("--no-inspect", "--arch", "x86_64")


@pytest.fixture
def repo(depot, home):
    folder = home / "repo"
    depot("repo", "init", folder)
    return Repository(folder, home)


def add_many(depot, repo, *arguments, **more):
    return depot("repo", "add", repo.folder, *NO_LOOK, *arguments, **more)


def convert(image, form, name, *options):
    path = image.parent / name
    run("qemu-img", "convert", "-f", "raw", "-O", form, *options, image, path)
    return path


def read_manifest(repo, name):
    """Parse a manifest by its description in disk/manifest.c alone."""
    entry = repo.entries()[name]
    path = repo.folder / entry["x_manifest"]
    data = path.read_bytes()
    assert hashlib.sha512(data).hexdigest() == path.name and len(data) == int(entry["x_manifest_size"])
    magic, version, digest, compression, check, grain, packed, raw = struct.unpack_from("<8sHBBIQQQ", data)
    assert (magic, version, digest, compression) == (b"\x89vdm\r\n\x1a\n", 1, 1, 1)
    assert (check, grain, packed) == (4, 4096, int(entry["compressed_size"]))
    pieces = [struct.unpack_from("<I32s", data, at) for at in (40, 76)]
    at, sections = 112, {}
    while at < len(data):
        number, zero, size = struct.unpack_from("<IIQ", data, at)
        sections[number] = data[at + 16:at + 16 + size]
        at += 16 + size
    blocks = list(struct.iter_unpack("<II32s32s", sections[1]))
    runs, value, shift = [], 0, 0
    for byte in sections[2]:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            runs.append(value)
            value = shift = 0
    return raw, pieces, blocks, runs


# ---- formats ----


@pytest.mark.parametrize("form,options", [
    ("vmdk", []), ("vmdk", ["-o", "subformat=streamOptimized"]), ("vhdx", []), ("vdi", []),
    ("vpc", ["-o", "force_size=on"]), ("vpc", ["-o", "subformat=fixed,force_size=on"]),
])
def test_other_formats_are_published_as_raw(repo, depot, home, form, options):
    image = make_image(home / "tiny.raw", size=8 << 20)
    other = convert(image, form, f"tiny.{form}", *options)
    before = sha256(other), other.stat().st_mtime_ns
    add(depot, repo.folder, other, "tiny", "--format", form)
    assert repo.check()["tiny"]["format"] == "raw" and repo.content("tiny") == image.read_bytes()
    assert (sha256(other), other.stat().st_mtime_ns) == before and repo.litter() == []


def test_images_that_would_lead_to_other_files_are_refused(repo, depot, home):
    image = make_image(home / "tiny.raw")
    vmdk = convert(image, "vmdk", "a.vmdk")
    convert(image, "vmdk", "flat.vmdk", "-o", "subformat=monolithicFlat")
    convert(image, "vmdk", "split.vmdk", "-o", "subformat=twoGbMaxExtentSparse")
    run("qemu-img", "create", "-q", "-f", "vmdk", "-b", vmdk, "-F", "vmdk", home / "child.vmdk")
    # A sparse header without a capacity: qemu would open what the description inside names.
    header = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 0, 128, 1, 1).ljust(512, b"\0")
    (home / "trap.vmdk").write_bytes(header + f'RW 8 FLAT "{image}" 0\n'.encode().ljust(65536, b"\0"))
    # A disk inside that starts like a qcow2 image with a backing file.
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "raw", home / "inner")
    convert(home / "inner", "vmdk", "inner.vmdk")
    for name, words in {"flat.vmdk": "describes other files", "split.vmdk": "describes other files",
                        "child.vmdk": "needs its parent", "trap.vmdk": "describes other files",
                        "inner.vmdk": "backing file"}.items():
        refused(add(depot, repo.folder, home / name, check=False), 1, words)
    assert repo.version() == 1 and repo.litter() == [] and not (repo.folder / "blobs").exists()


def test_a_format_that_is_not_as_stated_is_refused(repo, depot, home):
    image = make_image(home / "tiny.raw")
    qcow2 = convert(image, "qcow2", "tiny.qcow2")
    refused(add(depot, repo.folder, qcow2, "tiny", "--format", "raw", check=False), 1, "is in qcow2 format, not raw")
    refused(add(depot, repo.folder, image, "tiny", "--format", "vmdk", check=False), 1, "is not in vmdk format")
    refused(add(depot, repo.folder, image, "tiny", "--format", "nbd", check=False), 2, "--format")
    add(depot, repo.folder, qcow2, "tiny", "--format", "qcow2")


def test_a_damaged_foreign_image_is_an_error_with_qemus_reason(repo, depot, home):
    other = convert(make_image(home / "tiny.raw"), "vhdx", "a.vhdx")
    with open(other, "r+b") as file:
        file.truncate(300 << 10)
    refused(add(depot, repo.folder, other, check=False), 1, "qemu-img cannot convert it")
    assert repo.litter() == [] and repo.version() == 1


def test_a_file_name_is_never_taken_for_a_protocol(repo, depot, home):
    image = make_image(home / "tiny.raw")
    names = ["json:{}.vmdk", "nbd:x.vmdk", "-x.vmdk", "a,b.vmdk"]
    for name in names:
        convert(image, "vmdk", "plain.vmdk").rename(home / name)
        depot("repo", "add", *NO_LOOK, "--name", "tiny", "--", repo.folder, name, cwd=home)
        assert repo.content("tiny") == image.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_conversion_ends_with_the_run(repo, depot, home, number):
    other = convert(make_image(home / "tiny.raw"), "vmdk", "a.vmdk")
    os.mkfifo(home / "wait")
    (home / "bin").mkdir()
    (home / "bin/qemu-img").write_text(f'#!/bin/sh\necho $$ >"{home}/pid"\nexec cat "{home}/wait"\n')
    (home / "bin/qemu-img").chmod(0o755)
    process = subprocess.Popen([BIN / "virt-depot", "repo", "add", repo.folder, other, "--name", "a", *NO_LOOK],
                               env={**os.environ, "VIRT_DEPOT_HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}"},
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with open(home / "wait", "wb"):  # opens once the child reads
        child = int((home / "pid").read_text())
        process.send_signal(number)
        assert process.wait(timeout=60) == -number
        watch = os.pidfd_open(child) if os.path.exists(f"/proc/{child}") else None
        if watch is not None:  # a zombie until init reaps it, or gone by now
            assert select.select([watch], [], [], 60)[0]
            os.close(watch)
    assert (repo.litter() == []) == (number == signal.SIGTERM)
    add(depot, repo.folder, other, "a")
    assert repo.litter() == [] and list(repo.check()) == ["a"]


# ---- standard input ----


@pytest.mark.parametrize("form", ["raw", "qcow2", "vmdk"])
def test_an_image_comes_from_standard_input(repo, home, form):
    image = make_image(home / "tiny.raw", size=40 << 20)
    given = image if form == "raw" else convert(image, form, "given")
    with subprocess.Popen(["cat", given], stdout=subprocess.PIPE) as cat:
        done = subprocess.run([BIN / "virt-depot", "repo", "add", repo.folder, "-", "--name", "tiny", *NO_LOOK],
                              stdin=cat.stdout, env={**os.environ, "VIRT_DEPOT_HOME": str(home)}, capture_output=True,
                              text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert repo.content("tiny") == (given if form == "qcow2" else image).read_bytes()
    repo.check()
    assert repo.litter() == []


def test_an_empty_standard_input_is_refused(repo, depot):
    refused(add(depot, repo.folder, "-", check=False), 1, "standard input: is empty")
    refused(add_many(depot, repo, "-", check=False), 2, "name is missing")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_leaves_no_spooled_file(repo, depot, home, number):
    process = subprocess.Popen([BIN / "virt-depot", "repo", "add", repo.folder, "-", "--name", "tiny", *NO_LOOK],
                               env={**os.environ, "VIRT_DEPOT_HOME": str(home)}, text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_upload(repo, process)
    process.send_signal(number)
    process.wait(timeout=60)
    process.stdin.close()
    assert process.returncode == -number, process.stderr.read()
    add(depot, repo.folder, make_image(home / "tiny.raw"))
    assert repo.litter() == [] and list(repo.check()) == ["tiny"]


# ---- several ----


def test_several_images_are_one_version(repo, depot, home):
    make_image(home / "one.raw", seed=1)
    convert(make_image(home / "x", seed=2), "qcow2", "two.qcow2")
    convert(make_image(home / "y", seed=3), "vmdk", "y.vmdk")
    told = json.loads(add_many(depot, repo, home / "one.raw", home / "two.qcow2", f"three={home}/y.vmdk",
                               "--notes", "For all.", "--json").stdout)
    assert [i["name"] for i in told["images"]] == ["one", "two", "three"] and told["failed"] == []
    entries = repo.check()
    assert repo.version() == told["version"] == 2 and sorted(entries) == ["one", "three", "two"]
    assert {e["notes"] for e in entries.values()} == {"For all."}
    assert repo.content("three") == (home / "y").read_bytes()


def test_one_bad_image_stops_all_unless_told_to_keep_going(repo, depot, home):
    make_image(home / "good.raw")
    (home / "bad.raw").write_bytes(b"PK\3\4" + bytes(1 << 20))
    arguments = home / "good.raw", home / "bad.raw", f"gone={home}/absent"
    done = add_many(depot, repo, *arguments, check=False)
    refused(done, 1, "warning: bad: ", "zip format", "warning: gone: ", "2 of 3 images cannot be published",
            "--keep-going")
    assert repo.version() == 1 and repo.litter() == []
    done = add_many(depot, repo, *arguments, "--keep-going", "--json", check=False)
    told = json.loads(done.stdout)
    assert done.returncode == 1 and "2 of 3 images were not published" in done.stderr
    assert [i["name"] for i in told["images"]] == ["good"] and [f["name"] for f in told["failed"]] == ["bad", "gone"]
    assert list(repo.check()) == ["good"]


def test_wrong_usage_of_several_images(repo, depot, home):
    image = make_image(home / "a.raw")
    for words in (["--name", "x", image, image], ["--title", "x", image, f"b={image}"],
                  ["--revision", "3", image, f"b={image}"], [image, f"a={image}"], ["a=-", "b=-"],
                  ["a b.raw", image], [image]):
        refused(add_many(depot, repo, *words, check=False), 2)
    refused(add_many(depot, repo, *[f"n{i}={image}" for i in range(201)], check=False), 2, "at most 200")
    assert repo.version() == 1 and repo.litter() == []


def publish_by_hand(repo, home, text):
    """@text as the next version, signed with the repository's own key."""
    key_home, = (home / "keys").iterdir()
    folder = repo.folder / f"gen/{repo.version() + 1}"
    shutil.copytree(repo.folder / "current", folder)
    (folder / "index").write_text(re.sub(r"(?m)^# version: .*", f"# version: {repo.version() + 1}", text))
    for name, how in (("index.sig", "--detach-sign"), ("index.asc", "--clear-sign")):
        run("gpg", "--homedir", key_home, "--batch", "--yes", "--digest-algo", "SHA512", "--output", folder / name, how, folder / "index")
    run("gpgconf", "--homedir", key_home, "--kill", "all")
    (repo.folder / "current").unlink()
    (repo.folder / "current").symlink_to(f"gen/{folder.name}")


def test_more_than_stock_clients_can_read_is_refused_before_the_work(repo, depot, home):
    image = make_image(home / "a.raw", 512, 512)
    add_many(depot, repo, f"n0000={image}")
    text = (repo.folder / "index").read_text()
    section = text[text.index("[n0000]"):].strip() + "\n\n"
    publish_by_hand(repo, home, text[:text.index("[n0000]")] + "".join(section.replace("[n0000]", f"[n{i:04}]") for i in range(2400)))
    version = repo.version()
    refused(add_many(depot, repo, f"more={make_image(image, seed=2)}", check=False), 1,
            "stock virt-builder cannot read more than 2400")
    assert repo.version() == version and len(list((repo.folder / "blobs").rglob("*/*/*"))) == 2
    add_many(depot, repo, f"n0007={image}")  # in place of another
    assert len(repo.entries()) == 2400


# ---- the manifest and reuse ----


def test_the_manifest_covers_every_byte_of_the_file(repo, depot, home):
    image = make_image(home / "a.raw", 100 << 10, 2 * BLOCK + 5000)
    with open(image, "r+b") as file:
        file.seek(BLOCK + 8192)
        file.write(b"data")
    add(depot, repo.folder, image, "a")
    blob = (repo.folder / repo.entries()["a"]["file"]).read_bytes()
    raw, pieces, blocks, runs = read_manifest(repo, "a")
    content = image.read_bytes()
    assert raw == len(content) and [b[1] for b in blocks] == [BLOCK, BLOCK, 5000]
    at = raw_at = 0
    size, digest = pieces[0]
    assert hashlib.sha256(blob[:size]).digest() == digest
    at = size
    for packed, size, packed_digest, raw_digest in blocks:
        assert hashlib.sha256(blob[at:at + packed]).digest() == packed_digest
        assert hashlib.sha256(content[raw_at:raw_at + size]).digest() == raw_digest
        at, raw_at = at + packed, raw_at + size
    assert hashlib.sha256(blob[at:]).digest() == pieces[1][1] and len(blob) - at == pieces[1][0]
    assert runs == [25, 4096 - 25 + 2, 1, 4096 - 3 + 2] and sum(runs) == -(-raw // 4096)


def test_the_next_revision_reuses_unchanged_blocks(repo, depot, home):
    image = make_image(home / "a.raw", 1000, 4 * BLOCK)
    with open(image, "r+b") as file:
        for block in (1, 3):
            file.seek(block * BLOCK)
            file.write(os.urandom(1000))
    first = json.loads(add(depot, repo.folder, image, "a", "--json").stdout)
    with open(image, "r+b") as file:
        file.seek(5)
        file.write(b"changed")
    second = json.loads(add(depot, repo.folder, image, "a", "--json").stdout)
    assert (first["reused_bytes"], second["reused_bytes"], second["revision"]) == (0, 2 * BLOCK, 2)
    assert second["extensions"]["x_manifest"] != first["extensions"]["x_manifest"]
    assert repo.check() and repo.content("a") == image.read_bytes()
    depot("repo", "init", home / "fresh")
    fresh = json.loads(add(depot, home / "fresh", image, "a", "--json").stdout)
    assert fresh["sha512"] == second["sha512"] and fresh["reused_bytes"] == 0


@pytest.mark.parametrize("damage", ["manifest", "image", "no manifest", "no image"])
def test_a_damaged_revision_before_only_costs_time(repo, depot, home, damage):
    image = make_image(home / "a.raw", 100 << 10, 2 * BLOCK)
    told = json.loads(add(depot, repo.folder, image, "a", "--json").stdout)
    path = repo.folder / (told["extensions"]["x_manifest"] if "manifest" in damage else told["file"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    if not damage.startswith("no"):
        path.write_bytes(content)
    with open(image, "r+b") as file:
        file.seek(BLOCK + 5)
        file.write(b"changed")
    done = add(depot, repo.folder, image, "a", "--json")
    assert json.loads(done.stdout)["reused_bytes"] == 0
    assert ("cannot be reused" in done.stderr) == (damage != "image")
    repo.check()
    assert repo.content("a") == image.read_bytes()


def deltas_of(told):
    return {delta["from_revision"]: delta["size"] for delta in told["deltas"]}


def test_deltas_from_the_last_revisions_are_published(repo, depot, home):
    image = make_image(home / "a.raw", 4 << 20, BLOCK)
    told = [json.loads(add(depot, repo.folder, image, "a", "--json").stdout)]
    for number in range(4):
        with open(image, "r+b") as file:
            file.seek(number << 20)
            file.write(os.urandom(100 << 10))
        told.append(json.loads(add(depot, repo.folder, image, "a", "--json").stdout))
    assert [sorted(deltas_of(one)) for one in told] == [[], [1], [1, 2], [1, 2, 3], [2, 3, 4]]
    assert all(100 << 10 < size < 400 << 10 for one in told for size in deltas_of(one).values())
    fields = repo.check()["a"]
    for delta in told[4]["deltas"]:
        revision = delta["from_revision"]
        assert fields[f"x_delta_{revision}"] == delta["file"] and int(fields[f"x_delta_{revision}_size"]) == delta["size"]
        assert fields[f"x_delta_{revision}_base"] == told[revision - 1]["sha512"]
        assert (repo.folder / delta["file"]).stat().st_size == delta["size"]
    # Only what the next revision can need is kept, and where it is lost the base is unpacked again.
    kept = sorted(path.name for path in (repo.folder / ".virt-depot").glob("grains-*"))
    assert kept == sorted(f"grains-{one['sha512'][:32]}" for one in told[1:])
    for name in kept:
        (repo.folder / ".virt-depot" / name).unlink()
    with open(image, "r+b") as file:
        file.write(b"changed")
    assert sorted(deltas_of(json.loads(add(depot, repo.folder, image, "a", "--json").stdout))) == [3, 4, 5]
    again = json.loads(add(depot, repo.folder, image, "a", "--json").stdout)
    assert again["revision"] == 6 and not again["deltas"]
    assert "x_delta_5" in repo.check()["a"]  # the same content keeps its deltas


def test_a_delta_that_would_not_pay_is_not_made_and_said_so(repo, depot, home):
    add(depot, repo.folder, make_image(home / "a.raw", 1 << 20, seed=1), "a")
    done = add(depot, repo.folder, make_image(home / "a.raw", 1 << 20, seed=2), "a")
    assert "a: no delta from revision 1: 100 % of the data is in no 4 KiB piece of that revision" in done.stderr
    assert not [field for field in repo.check()["a"] if field.startswith("x_delta")]
    done = json.loads(add(depot, repo.folder, make_image(home / "a.raw", 1 << 20, seed=2), "b", "--deltas", "0", "--json").stdout)
    assert not done["deltas"]


def test_options_state_what_nobody_looked_for(repo, depot, home):
    image = make_image(home / "a.raw")
    options = {"--os": "debian", "--os-version": "12", "--root": "/dev/sda2", "--root-fs": "xfs", "--firmware": "uefi"}
    add(depot, repo.folder, image, "a", *[word for pair in options.items() for word in pair])
    fields = [repo.check()["a"][key] for key in ("x_os", "x_os_version", "x_root", "x_root_fs", "x_firmware")]
    assert fields == list(options.values())
    told = listed(depot, repo.folder)["images"][0]
    assert told["extensions"]["x_os"] == "debian" and told["extensions"]["x_manifest"].startswith("blobs/sha512/")
    add(depot, repo.folder, make_image(image, seed=2), "a", "--os-version", "13")
    entry = repo.check()["a"]
    assert (entry["x_os"], entry["x_os_version"], entry["x_root_fs"]) == ("debian", "13", "xfs")
    refused(add(depot, repo.folder, image, "a", "--firmware", "coreboot", check=False), 2, "--firmware")


# ---- killed ----


@pytest.mark.killed
@pytest.mark.skipif(not can_strace(), reason="strace is missing or may not trace here")
@pytest.mark.parametrize("calls", ["mkdir,rename,symlink", "fsync", "openat"])
def test_adding_several_killed_at_any_step_leaves_a_valid_index(repo, depot, home, calls):
    images = [make_image(home / f"{name}.raw") for name in ("one", "two")]
    add_many(depot, repo, *images)
    vmdk = convert(images[1], "vmdk", "two.vmdk")
    kills, nth = 0, 1
    while True:
        make_image(images[0], seed=nth + 1)
        version = repo.version()
        if not run_and_die(home, calls, nth, "repo", "add", repo.folder, images[0], vmdk, *NO_LOOK):
            break
        kills += 1
        # Opening files is done some hundred times, most of them by the loader: every third is tried.
        nth += 3 if calls == "openat" else 1
        assert nth < 600, "never got through"
        assert repo.version() in (version, version + 1)
        repo.check_signatures()
    assert kills > 0 and repo.litter() == [] and sorted(repo.check()) == ["one", "two"]
    assert repo.content("one") == images[0].read_bytes() and read_manifest(repo, "one")[0] == 1 << 20

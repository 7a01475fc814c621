# SPDX-License-Identifier: Apache-2.0
"""The zstd twin: the same blocks once more, for clients whose link is faster than their cores unpack xz."""

import hashlib
import json
import random
import struct
import subprocess

import pytest

from conftest import run
from push_helpers import Server as PushServer
from push_helpers import fingerprint_of
from repo_helpers import Repository, add, make_image

BLOCK = 16 << 20


@pytest.fixture
def repo(depot, home):
    depot("repo", "init", home / "repo")
    return Repository(home / "repo", home)


def write(path, at, size, seed):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(random.Random(seed).randbytes(size))


def blocks_of(manifest):
    """[(packed size, raw size, packed digest, raw digest)], and the hole map."""
    length = struct.unpack_from("<Q", manifest, 120)[0]
    return ([(*struct.unpack_from("<II", manifest, at), manifest[at + 8:at + 40], manifest[at + 40:at + 72])
             for at in range(128, 128 + length, 72)], manifest[128 + length:])


# ---- published ----


def test_the_twin_is_the_same_image_block_by_block_and_any_zstd_reads_it(repo, depot, home):
    image = make_image(home / "a.raw", 700 << 10, 3 * BLOCK + 5000)
    write(image, 2 * BLOCK + 4096, 100 << 10, 2)
    done = add(depot, repo.folder, image, "a", "--zstd", "--json")
    told, fields = json.loads(done.stdout), repo.check()["a"]
    blob, manifest = repo.folder / fields["x_zstd"], repo.folder / fields["x_zstd_manifest"]
    for path, key in ((blob, "x_zstd"), (manifest, "x_zstd_manifest")):
        assert hashlib.sha512(path.read_bytes()).hexdigest() == path.name and path.stat().st_size == int(fields[f"{key}_size"])
    assert told["zstd_size"] == blob.stat().st_size
    assert subprocess.run(["zstd", "-dc"], stdin=open(blob, "rb"), stdout=subprocess.PIPE, check=True).stdout == image.read_bytes()
    assert repo.content("a") == image.read_bytes()  # xz stays what everybody sees
    (own, own_map), (other, other_map) = blocks_of(manifest.read_bytes()), blocks_of((repo.folder / fields["x_manifest"]).read_bytes())
    assert manifest.read_bytes()[11] == 2 and own_map == other_map
    assert [block[1::2] for block in own] == [block[1::2] for block in other]
    at = 0
    for packed, size, digest, _ in own:
        frame = blob.read_bytes()[at:at + packed]
        assert hashlib.sha256(frame).digest() == digest
        assert len(subprocess.run(["zstd", "-dc"], input=frame, stdout=subprocess.PIPE, check=True).stdout) == size
        at += packed
    assert at == blob.stat().st_size
    depot("repo", "check", repo.folder)
    assert "a: the same as zstd: " in add(depot, repo.folder, image, "a", "--zstd").stderr


def test_the_next_revisions_have_one_too_and_reuse_its_frames(repo, depot, home):
    image = make_image(home / "a.raw", 1000, 4 * BLOCK)
    for block in (1, 3):
        write(image, block * BLOCK, 1000, block)
    first = json.loads(add(depot, repo.folder, image, "a", "--zstd", "--json").stdout)
    assert first["zstd_reused_bytes"] is None
    write(image, 5, 100, 9)
    second = json.loads(add(depot, repo.folder, image, "a", "--json").stdout)
    assert second["zstd_reused_bytes"] == second["reused_bytes"] == 2 * BLOCK
    depot("repo", "init", home / "fresh")
    fresh = json.loads(add(depot, home / "fresh", image, "a", "--zstd", "--json").stdout)
    assert fresh["extensions"]["x_zstd"] == second["extensions"]["x_zstd"] != first["extensions"]["x_zstd"]
    third = json.loads(add(depot, repo.folder, image, "a", "--no-zstd", "--json").stdout)  # the same content
    assert not [key for key in third["extensions"] if key.startswith("x_zstd")]
    write(image, 5, 100, 10)
    assert not [key for key in json.loads(add(depot, repo.folder, image, "a", "--json").stdout)["extensions"] if "zstd" in key]
    assert add(depot, repo.folder, image, "a", "--zstd", "--no-zstd", check=False).returncode == 2


@pytest.mark.parametrize("damage", ["x_zstd", "x_zstd_manifest"])
def test_a_damaged_twin_is_found_and_only_costs_time(repo, depot, home, damage):
    image = make_image(home / "a.raw", 100 << 10, 2 * BLOCK)
    told = json.loads(add(depot, repo.folder, image, "a", "--zstd", "--json").stdout)
    path = repo.folder / told["extensions"][damage]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    assert "damaged" in depot("repo", "check", repo.folder, check=False).stdout
    write(image, BLOCK + 5, 100, 3)
    again = json.loads(add(depot, repo.folder, image, "a", "--json").stdout)
    assert again["zstd_reused_bytes"] is None
    depot("repo", "check", repo.folder)


def test_the_twin_is_pushed_pruned_and_removed_with_its_image(repo, depot, home, tmp_path):
    image = make_image(home / "a.raw", 100 << 10, 2 * BLOCK)
    first = json.loads(add(depot, repo.folder, image, "a", "--zstd", "--json").stdout)
    with PushServer(tmp_path, fingerprint=fingerprint_of(repo.folder)) as server:
        depot("push", repo.folder, server.url, "--token-file", server.token_file("push:a"))
        for key in ("x_zstd", "x_zstd_manifest"):
            assert (server.folder / first["extensions"][key]).read_bytes() == (repo.folder / first["extensions"][key]).read_bytes()
    write(image, 0, 100, 4)
    second = json.loads(add(depot, repo.folder, image, "a", "--json").stdout)
    depot("repo", "prune", repo.folder, "--keep", "1", "--older-than", "0")
    for key in ("x_zstd", "x_zstd_manifest"):
        assert not (repo.folder / first["extensions"][key]).exists() and (repo.folder / second["extensions"][key]).exists()
    depot("repo", "remove", repo.folder, "a")
    depot("repo", "prune", repo.folder, "--keep", "1", "--older-than", "0")
    assert not [path for path in (repo.folder / "blobs").rglob("*") if path.is_file()]

# SPDX-License-Identifier: Apache-2.0
"""The next revision over deltas and equal blocks: few bytes come over the wire, and nothing that is wrong gets in."""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import BIN, run
from push_helpers import fingerprint_of
from repo_helpers import add, make_image
from repod_helpers import Repod, request, wait_until

BLOCK = 16 << 20
DATA = 3 << 20


class Site:
    """A published image, a host that has one revision of it, and the bytes that each file of the server cost."""

    def __init__(self, depot, home, work):
        self.depot, self.home, self.folder = depot, home, home / "repo"
        self.image = make_image(home / "image.raw", DATA, 2 * BLOCK)
        self.log, self.calls = work / "access", 0
        depot("repo", "init", self.folder)
        self.add()
        self.repod = Repod(self.folder, work, "--access-log", self.log, threads=1)
        depot("source", "add", "here", f"http://127.0.0.1:{self.repod.ports[0]}/", "--fingerprint", fingerprint_of(self.folder))

    def add(self, *options):
        return json.loads(add(self.depot, self.folder, self.image, "image", "--json", *options).stdout)

    def change(self, at, size, seed):
        with open(self.image, "r+b") as file:
            file.seek(at)
            file.write(random.Random(seed).randbytes(size))

    def pull(self, check=True):
        done = self.depot("pull", "image", "--json", check=check)
        return json.loads(done.stdout)[0] if done.returncode == 0 else None, done

    def check(self, told):
        path = Path(told["path"])
        assert path.read_bytes() == self.image.read_bytes()
        assert path.stat().st_blocks * 512 < DATA + (3 << 20)  # holes stay holes
        return path

    def sent(self):
        """Bytes of blobs that were sent since the last call: {path: bytes}."""
        self.calls += 1
        mark = f"/mark-{self.calls}"
        self.repod.ask(request(mark))
        wait_until(lambda: mark in self.log.read_text())  # the log is written some moments later
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        bytes_of = {}
        for line in lines:
            if "/blobs/" in line:
                words = line.split()
                path = next(word for word in words if word.startswith("/blobs/"))
                bytes_of[path[1:]] = bytes_of.get(path[1:], 0) + int(words[words.index(path) + 2])
        return bytes_of

    def files(self):
        return {path.name for folder in ("partial", "images") for path in (self.home / "cache" / folder).iterdir()}


@pytest.fixture
def site(depot, home, tmp_path):
    made = Site(depot, home, tmp_path)
    with made.repod:
        yield made


def test_a_new_revision_costs_its_delta(site):
    site.check(site.pull()[0])
    site.sent()
    for number in range(3):
        site.change(number << 20, 200 << 10, 90 + number)
        told = site.add()
        delta = told["deltas"][0]
        before = json.loads(site.depot("info", "image", "--refresh", "--json").stdout)
        assert (before["delta_size"], before["delta_from_revision"], before["cached"]) == (delta["size"], told["revision"] - 1, None)
        assert f"from revision {told['revision'] - 1}, which is here" in site.depot("info", "image").stdout
        path = site.check(site.pull()[0])
        after = json.loads(site.depot("info", "image", "--json").stdout)
        assert after["delta_size"] is None and after["cached"] == str(path) and after["on_disk"] == path.stat().st_blocks * 512
        sent = site.sent()
        assert sent.pop(delta["file"]) == delta["size"]
        assert told["file"] not in sent and sum(sent.values()) < 10 << 10  # the manifest
    assert not [name for name in site.files() if name.endswith((".delta", ".blocks", ".part"))]


def test_a_host_that_was_away_takes_a_chain_of_deltas(site):
    """With deltas from one revision back only: 1 -> 2 -> 3 -> 4, of which the first two were made for earlier versions."""
    site.pull()
    told = []
    for number in range(3):
        site.change(number << 20, 100 << 10, 90 + number)
        told.append(site.add("--deltas", "1"))
    assert [[delta["from_revision"] for delta in one["deltas"]] for one in told] == [[1], [2], [3]]
    fields, chain = told[2]["extensions"], [one["deltas"][0]["file"] for one in told]
    assert [fields["x_step_1"], fields["x_step_2"], fields["x_delta_3"]] == chain and "x_step_3" not in fields
    site.depot("repo", "prune", site.folder, "--keep", "1", "--older-than", "0")
    site.depot("repo", "check", site.folder)
    size = sum(one["deltas"][0]["size"] for one in told)
    before = json.loads(site.depot("info", "image", "--refresh", "--json").stdout)
    assert (before["delta_size"], before["delta_from_revision"]) == (size, 1)
    site.sent()
    site.check(site.pull()[0])
    sent = site.sent()
    assert sum(sent.get(file, 0) for file in chain) == size and told[2]["file"] not in sent
    assert not [name for name in site.files() if name.endswith((".delta", ".blocks", ".part")) or name.startswith(".tmp-")]


def test_a_chain_with_a_damaged_step_is_done_without(site):
    site.pull()
    for number in range(2):
        site.change(number << 20, 100 << 10, 90 + number)
        told = site.add("--deltas", "1")
    spoil(site.folder / told["extensions"]["x_step_1"], 5000)
    pulled, done = site.pull()
    site.check(pulled)
    assert "the delta from revision 1 cannot be used" in done.stderr and told["file"] in site.sent()


def test_an_older_revision_takes_its_own_delta_and_the_oldest_none(site):
    site.pull()
    for number in range(3):
        site.change(number << 20, 100 << 10, 90 + number)
        told = site.add()
    site.sent()
    site.check(site.pull()[0])
    assert {delta["file"] for delta in told["deltas"] if delta["from_revision"] == 1} <= set(site.sent())
    shutil.rmtree(site.home / "cache/images")
    site.check(site.pull()[0])
    assert told["file"] in site.sent()


def test_equal_blocks_of_any_image_are_not_fetched(site):
    """A copy of the image with one block changed, under another name: there is no delta between them."""
    site.change(BLOCK, 300 << 10, 5)
    site.add()
    site.pull()
    site.sent()
    site.change(BLOCK, 300 << 10, 6)
    other = json.loads(add(site.depot, site.folder, site.image, "other", "--json").stdout)
    told = json.loads(site.depot("pull", "other", "--json").stdout)[0]
    site.check(told)
    assert 300 << 10 < site.sent()[other["file"]] < 400 << 10


def spoil(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_damaged_delta_is_refused_and_the_blocks_are_fetched(site):
    site.pull()
    site.change(0, 200 << 10, 99)
    told = site.add()
    spoil(site.folder / told["deltas"][0]["file"], 5000)
    site.sent()
    pulled, done = site.pull()
    site.check(pulled)
    assert "the delta from revision 1 cannot be used" in done.stderr and "digest" in done.stderr
    assert told["file"] in site.sent() and not [name for name in site.files() if name.endswith(".delta")]


def test_a_damaged_base_only_costs_the_blocks_that_came_from_it(site):
    site.change(BLOCK, 300 << 10, 5)
    site.add()
    base = Path(site.pull()[0]["path"])
    spoil(base, BLOCK + 1000)
    site.change(0, 200 << 10, 99)
    told = site.add()
    site.sent()
    site.check(site.pull()[0])
    sent = site.sent()
    assert sent[told["deltas"][0]["file"]] == told["deltas"][0]["size"]
    assert 300 << 10 < sent[told["file"]] < 400 << 10  # the second block alone


def test_a_delta_that_is_not_there_is_done_without(site):
    site.pull()
    site.change(0, 200 << 10, 99)
    told = site.add()
    (site.folder / told["deltas"][0]["file"]).unlink()
    pulled, done = site.pull()
    site.check(pulled)
    assert "the delta from revision 1 cannot be used" in done.stderr


@pytest.mark.killed
@pytest.mark.parametrize("syscalls", ["pwrite64", "copy_file_range", "unlink,rename", "openat"])
def test_killed_over_a_delta_the_next_pull_goes_on(site, syscalls):
    site.pull()
    cached = site.home / "cache"
    site.change(0, 200 << 10, 99)
    told = site.add()
    run("cp", "-a", cached, site.home / "before")
    for nth in range(1, 40, 3):
        shutil.rmtree(cached)
        run("cp", "-a", site.home / "before", cached)
        site.sent()
        done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={syscalls}", "-e",
                               f"inject={syscalls}:signal=KILL:when={nth}", BIN / "virt-depot", "pull", "image"],
                              env={**os.environ, "VIRT_DEPOT_HOME": str(site.home)}, capture_output=True, timeout=120)
        site.check(site.pull()[0])
        sent = site.sent()
        assert sent.get(told["deltas"][0]["file"], 0) <= told["deltas"][0]["size"] + (256 << 10)
        assert told["file"] not in sent
        if done.returncode == 0:
            break

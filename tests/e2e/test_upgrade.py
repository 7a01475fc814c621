# SPDX-License-Identifier: Apache-2.0
"""`outdated` and `upgrade`: what was pulled and has a newer revision at its own source."""

import json

import pytest

from push_helpers import fingerprint_of
from repo_helpers import add, make_image
from repod_helpers import Repod


@pytest.fixture
def site(depot, home, tmp_path):
    folder = home / "repo"
    depot("repo", "init", folder)
    for name in ("one", "two", "three"):
        add(depot, folder, make_image(home / name, seed=len(name)), name)
    with Repod(folder, tmp_path) as repod:
        depot("source", "add", "here", f"http://127.0.0.1:{repod.ports[0]}/", "--fingerprint", fingerprint_of(folder))
        yield folder


def listed(depot, *words):
    return {(image["name"], image["have_revision"], image["revision"]) for image in json.loads(depot(*words, "--json").stdout)}


def test_what_was_pulled_and_is_newer_elsewhere_is_listed_and_pulled(depot, home, site):
    assert listed(depot, "outdated") == set()
    depot("pull", "one", "two")
    assert listed(depot, "outdated") == set()
    assert "nothing that was pulled has a newer revision" in depot("upgrade").stderr
    for name in ("one", "three"):
        add(depot, site, make_image(home / name, seed=50), name)
    add(depot, site, make_image(home / "one", seed=51), "one")
    assert listed(depot, "outdated", "--offline") == set()
    assert listed(depot, "outdated") == {("one", 1, 3)} == listed(depot, "outdated", "--offline")
    table = depot("outdated").stdout.splitlines()
    assert table[0].split() == ["NAME", "ARCH", "HAVE", "NEW", "DOWNLOAD", "SOURCE"] and table[1].split()[:4] == ["one", "x86_64", "1", "3"]
    assert listed(depot, "upgrade", "--dry-run") == {("one", 1, 3)}
    assert listed(depot, "outdated") == {("one", 1, 3)}
    done = json.loads(depot("upgrade", "--json").stdout)
    assert len(done) == 1 and open(done[0]["path"], "rb").read() == (home / "one").read_bytes()
    assert listed(depot, "outdated") == set()


def test_only_what_is_named_is_upgraded(depot, home, site):
    depot("pull", "one", "two")
    for name in ("one", "two"):
        add(depot, site, make_image(home / name, seed=60 + len(name)), name)
    for bad in ("three", "nowhere/one"):
        done = depot("upgrade", bad, check=False)
        assert done.returncode == 1 and f"{bad}: no such image was pulled on this host" in done.stderr
    assert depot("upgrade", "a/b/c", check=False).returncode == 2
    assert len(depot("upgrade", "here/two").stdout.splitlines()) == 1
    assert listed(depot, "outdated") == {("one", 1, 2)}


def test_all_images_of_the_architecture_are_pulled_at_once(depot, home, site):
    add(depot, site, make_image(home / "secret", seed=90), "secret", "--hidden")
    depot("repo", "add", site, make_image(home / "other", seed=91), "--name", "other", "--no-inspect", "--arch", "aarch64")
    done = json.loads(depot("pull", "--all", "--arch", "x86_64", "--json").stdout)
    assert {image["name"] for image in done} == {"one", "two", "three"}
    assert all(open(image["path"], "rb").read() == (home / image["name"]).read_bytes() for image in done)
    for words in (["--all", "one"], []):
        assert depot("pull", *words, check=False).returncode == 2


def test_images_with_the_same_content_are_told_apart(depot, home, site):
    """Each has revisions of its own, though the cache holds the content once."""
    for name in ("one", "two"):
        add(depot, site, make_image(home / "same", seed=80), name)
    depot("pull", "one", "two")
    add(depot, site, make_image(home / "one", seed=81), "one")
    add(depot, site, make_image(home / "two", seed=82), "two")
    assert listed(depot, "outdated") == {("one", 2, 3), ("two", 2, 3)}


def test_a_source_that_is_gone_offers_nothing(depot, home, site):
    depot("pull", "one")
    add(depot, site, make_image(home / "one", seed=70), "one")
    depot("source", "remove", "here")
    assert listed(depot, "outdated") == set()

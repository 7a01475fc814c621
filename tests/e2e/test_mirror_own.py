# SPDX-License-Identifier: Apache-2.0
"""Mirrors of chosen images, signed with a key of their own; and those of simplestreams."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from conftest import run
from fetch_helpers import Keys, Repository, Server, Streams, compress, make_content
from mirror_helpers import LOG_TEXTS, Mirror, asked
from real import STOCK, Repod
from repo_helpers import Repository as Reader
from repo_helpers import add, listed, make_image

SYSTEMS = {"debian-11": "debian11", "debian-12": "debian12", "fedora-39": "fedora39", "fedora-40": "fedora40",
           "ubuntu-22.04": "ubuntu22.04", "ubuntu-4.10": "ubuntu4.10", "rescue": None}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(Path(tmp_path_factory.mktemp("k")) / "g")
    made.make("good")
    yield made
    made.close()


@pytest.fixture
def repo(tmp_path, keys):
    made = Repository(tmp_path / "upstream", keys)
    for number, (name, osinfo) in enumerate(SYSTEMS.items()):
        made.add(name, make_content(seed=number, size=1 << 18, noise=20 << 10), osinfo=osinfo,
                 notes=f"Notes of {name}.\n \n Second paragraph.", x_other="kept")
    return made.sign()


@pytest.fixture
def server(repo):
    made = Server(repo.folder)
    yield made
    made.close()


class Own(Mirror):
    """A mirror in a repository of its own."""

    def __init__(self, home, folder):
        super().__init__(home, folder)
        self.fingerprint = self.depot("repo", "init", self.folder).stdout.strip()

    def names(self):
        return [image["name"] for image in listed(self.depot, self.folder)["images"]]


@pytest.fixture
def own(home, tmp_path, keys, server):
    (tmp_path / "key").write_text(keys.export("good"))
    made = Own(home, tmp_path / "own")
    made.add_source(f"{server.url}/index.asc", keys.fingerprints["good"], tmp_path / "key")
    asked(server)
    return made


def entries(own, tmp_path):
    """As gpg, sha512sum and xz see the copy."""
    return Reader(own.folder, tmp_path).check()


@pytest.mark.parametrize("options,expected", [
    (("--image", "debian-*"), ["debian-11", "debian-12"]),
    (("--image", "debian-12", "--image", "fedora-4?"), ["debian-12", "fedora-40"]),
    (("--os-info", "fedora*"), ["fedora-39", "fedora-40"]),
    (("--newest", "1"), ["debian-12", "fedora-40", "ubuntu-22.04", "rescue"]),
    (("--newest", "2", "--os-info", "ubuntu*"), ["ubuntu-22.04", "ubuntu-4.10"]),
    (("--newest", "1", "--image", "debian-1?", "--arch", "amd64"), ["debian-12"]),
    (("--resign",), list(SYSTEMS)),
])
def test_what_is_chosen_is_signed_with_the_key_of_the_copy(own, repo, server, tmp_path, options, expected):
    report = own.run(*options).report
    assert sorted(own.names()) == sorted(expected) and report["images"] == len(expected)
    fetched = {path for path, _ in server.log if path not in LOG_TEXTS}
    assert fetched == {f"/{name}.xz" for name in expected}
    for name, entry in entries(own, tmp_path).items():
        assert (own.folder / entry["file"]).read_bytes() == (repo.folder / f"{name}.xz").read_bytes()
        assert entry["x_mirror"] == "up" and entry["x_other"] == "kept"
    text = own.read("index").decode()
    assert all(f"notes=Notes of {name}.\n \n Second paragraph." in text for name in expected)


def test_nothing_is_published_where_nothing_is_new(own, server):
    own.run("--image", "debian-*")
    version = own.version()
    asked(server)
    report = own.run("--image", "debian-*").report
    assert (report["changed"], report["fetched"]["files"], report["bytes_received"]) == (False, 0, 0)
    assert own.version() == version and set(asked(server)) <= set(LOG_TEXTS)


def test_changes_of_the_source_come_with_higher_revisions(own, repo, server, tmp_path):
    own.run("--image", "debian-*")
    repo.entries = [entry for entry in repo.entries if "debian" not in entry]
    repo.add("debian-12", make_content(seed=50, size=1 << 18, noise=20 << 10), osinfo="debian12")  # revision 1 as before
    repo.sign()
    asked(server)
    report = own.run("--image", "debian-*").report
    found = entries(own, tmp_path)
    assert list(found) == ["debian-12"] and found["debian-12"]["revision"] == "2" and report["fetched"]["files"] == 1
    # What comes back goes on from where it was.
    repo.add("debian-11", make_content(seed=51, size=1 << 18, noise=20 << 10), osinfo="debian11")
    repo.sign()
    own.run("--image", "debian-*")
    assert entries(own, tmp_path)["debian-11"]["revision"] == "2"


def test_images_of_one_s_own_stay_and_are_never_replaced(own, tmp_path):
    add(own.depot, own.folder, make_image(tmp_path / "mine.raw"), "mine")
    own.run("--image", "fedora-*")
    assert sorted(own.names()) == ["fedora-39", "fedora-40", "mine"]
    own.run("--image", "fedora-40")
    assert sorted(own.names()) == ["fedora-40", "mine"]
    add(own.depot, own.folder, tmp_path / "mine.raw", "debian-12")
    done = own.run("--image", "debian-*", status=1)
    assert "does not come from 'up'" in done.stderr and sorted(own.names()) == ["debian-12", "fedora-40", "mine"]


def test_the_past_of_images_of_one_s_own_is_kept_unless_asked_otherwise(own, repo, tmp_path):
    def change(seed):
        repo.entries = [entry for entry in repo.entries if "rescue" not in entry]
        repo.add("rescue", make_content(seed=seed, size=1 << 18, noise=20 << 10))
        repo.sign()
        return own.run("--image", "rescue", "--grace", "0").report["versions_removed"]

    assert [change(seed) for seed in (80, 81, 82)] == [0, 1, 1]  # versions of what was mirrored, and the empty one
    for seed in (1, 2, 3):
        add(own.depot, own.folder, make_image(tmp_path / "mine.raw", seed=seed), "mine")
    before = set(own.blobs())
    assert change(83) == 0 and before < set(own.blobs())
    own.depot("repo", "remove", own.folder, "mine")
    assert change(84) == 0 and before < set(own.blobs())
    kept = sorted(own.folder.glob("gen/*"))
    assert own.run("--image", "rescue", "--grace", "0", "--keep", "1").report["versions_removed"] == len(kept) - 1
    assert not before & set(own.blobs())


def test_two_sources_share_a_repository(own, repo, server, keys, tmp_path):
    own.run("--image", "fedora-*")
    own.add_source(f"{server.url}/index.asc", keys.fingerprints["good"], tmp_path / "key", name="second")
    own.depot("mirror", "--image", "debian-12", "second", own.folder)
    assert sorted(own.names()) == ["debian-12", "fedora-39", "fedora-40"]


def test_a_choice_of_nothing_changes_nothing(own):
    own.run("--image", "fedora-*")
    before = own.read("index")
    assert "no image is chosen" in own.run("--image", "solaris-*", status=1).stderr
    assert own.read("index") == before


def test_one_image_s_failure_leaves_the_others_and_its_last_version(own, repo, server, tmp_path):
    own.run("--image", "debian-*")
    repo.entries = [entry for entry in repo.entries if "debian" not in entry]
    for number, name in enumerate(("debian-11", "debian-12")):
        repo.add(name, make_content(seed=60 + number, size=1 << 18, noise=20 << 10), osinfo="debian12", revision="5")
    repo.sign()
    server.always["/debian-11.xz"] = server.status(200, b"x" * (repo.folder / "debian-11.xz").stat().st_size)
    done = own.run("--image", "debian-*", status=1)
    assert done.report["missing"][0].startswith("debian-11: ") and "checksum" in done.report["missing"][0]
    assert {name: entry["revision"] for name, entry in entries(own, tmp_path).items()} == {"debian-11": "1", "debian-12": "5"}
    del server.always["/debian-11.xz"]
    own.run("--image", "debian-*")
    assert entries(own, tmp_path)["debian-11"]["revision"] == "5"


def test_a_dry_run_changes_nothing(own):
    before = sorted(str(path) for path in own.folder.rglob("*"))
    report = own.run("--newest", "1", "--dry-run").report
    assert report["fetched"]["files"] == 4 and report["dry_run"]
    assert sorted(str(path) for path in own.folder.rglob("*")) == before


def test_the_folder_has_to_be_a_repository_with_its_key_here(own, tmp_path):
    assert "repo init" in own.depot("mirror", "--resign", "up", tmp_path / "nothing", status=1).stderr
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("options", [("--newest", "0"), ("--newest", "-1"), ("--newest", "-3"), ("--newest", "x")])
def test_senseless_choices_are_wrong_usage(own, options):
    own.run(*options, status=2)


def test_manifests_and_deltas_of_another_virt_depot_come_along_and_clients_use_the_copy_s_key(home, tmp_path):
    publisher, folder = Mirror(home, tmp_path), tmp_path / "repo"
    fingerprint = publisher.depot("repo", "init", folder).stdout.strip()
    image = make_image(tmp_path / "one.raw", random_bytes=900 << 10, size=4 << 20)
    add(publisher.depot, folder, image, "one")
    content = bytearray(image.read_bytes())
    content[1000:1100] = bytes(100)
    image.write_bytes(content)
    add(publisher.depot, folder, image, "one")
    add(publisher.depot, folder, make_image(tmp_path / "two.raw", seed=2), "two")
    (tmp_path / "ch").mkdir()
    own = Own(home, tmp_path / "own")
    upstream = Repod(folder, tmp_path)
    try:
        own.add_source(upstream.url, fingerprint, folder / "keys.asc")
        own.run("--image", "one")
        found = entries(own, tmp_path)
        theirs = Reader(folder, tmp_path).entries()["one"]
        for field in ("file", "checksum[sha512]", "x_manifest", "x_delta_1", "x_delta_1_base", "revision"):
            assert found["one"][field] == theirs[field], field
        assert list(found) == ["one"] and all(own.blobs().values())
        own.depot("repo", "check", own.folder)
    finally:
        upstream.stop()
    served = Repod(own.folder, tmp_path)
    try:
        client = Mirror(tmp_path / "ch", tmp_path)
        client.add_source(served.url, own.fingerprint, own.folder / "keys.asc")
        path = Path(client.depot("pull", "one").stdout.strip())
        assert path.read_bytes() == image.read_bytes()
    finally:
        served.stop()


def test_an_image_is_published_without_a_manifest_that_cannot_be_had(own, repo, server, tmp_path):
    digest = hashlib.sha512(b"gone").hexdigest()
    repo.add("extra", make_content(seed=70), x_manifest=f"blobs/sha512/{digest[:2]}/{digest}", x_manifest_size="4")
    repo.sign()
    done = own.run("--image", "extra")
    entry = entries(own, tmp_path)["extra"]
    assert "without 'x_manifest'" in done.stderr and "x_manifest" not in entry and "x_manifest_size" not in entry


def test_fields_with_a_subkey_that_name_files_come_along_or_are_left_out(own, repo, server, tmp_path):
    content = b"a part of an image"
    there, gone = (hashlib.sha512(text).hexdigest() for text in (content, b"gone"))
    (repo.folder / f"blobs/sha512/{there[:2]}").mkdir(parents=True)
    (repo.folder / f"blobs/sha512/{there[:2]}/{there}").write_bytes(content)
    repo.add("extra", make_content(seed=70), **{"x_part[a]": f"blobs/sha512/{there[:2]}/{there}", "x_part[b]": "text",
                                                "x_gone[a]": f"blobs/sha512/{gone[:2]}/{gone}", "x_gone_note": "kept"})
    repo.sign()
    done = own.run("--image", "extra", timeout=120)
    entry = entries(own, tmp_path)["extra"]
    assert "without 'x_gone'" in done.stderr and "x_gone[a]" not in entry and entry["x_gone_note"] == "kept"
    assert entry["x_part[a]"].endswith(there) and entry["x_part[b]"] == "text" and own.blobs()[there] is True


# ---- simplestreams ----

@pytest.fixture
def streams(tmp_path, keys):
    made = Streams(tmp_path / "streams", keys)
    made.path = made.add("com.example:tiny:1:x86_64", "3M", "20240102", pubname="tiny-1")
    run("qemu-io", "-f", "qcow2", "-c", "write -P 77 1M 64k", made.path)
    item = made.products["com.example:tiny:1:x86_64"]["versions"]["20240102"]["items"]["disk.img"]
    content = made.path.read_bytes()
    item.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    return made.publish("good")


@pytest.fixture
def streamed(streams, home, keys, tmp_path):
    server = Server(streams.folder)
    (tmp_path / "key").write_text(keys.export("good"))
    own = Own(home, tmp_path / "own")
    own.depot("source", "add", "up", server.url, "--format", "simplestreams", "--fingerprint", keys.fingerprints["good"],
              "--key", tmp_path / "key")
    asked(server)
    own.server, own.streams = server, streams
    yield own
    server.close()


def test_images_of_simplestreams_are_packed_into_our_layout(streamed, tmp_path):
    streamed.run("--resign")
    (name, entry), = entries(streamed, tmp_path).items()
    assert name == "com.example-tiny-1" and entry["format"] == "qcow2" and entry["size"] == str(3 << 20)
    assert "x_manifest" in entry and entry["arch"] == "x86_64"
    unpacked = subprocess.run(["xz", "-dc"], stdin=open(streamed.folder / entry["file"], "rb"), stdout=subprocess.PIPE,
                              check=True).stdout
    assert unpacked == streamed.streams.path.read_bytes()
    # Nothing but what the index names is left.
    named = {value.split("/")[-1] for value in re.findall(r"=(blobs/\S+)", streamed.read("index").decode())}
    assert set(streamed.blobs()) == named


def test_a_digest_in_upper_case_is_the_same_digest(streamed, tmp_path):
    item = streamed.streams.products["com.example:tiny:1:x86_64"]["versions"]["20240102"]["items"]["disk.img"]
    item["sha256"] = item["sha256"].upper()
    streamed.streams.publish("good")
    assert streamed.run("--resign").report["images"] == 1 and streamed.names() == ["com.example-tiny-1"]
    asked(streamed.server)
    item["sha256"] = item["sha256"].lower()
    streamed.streams.publish("good")
    streamed.run("--resign")
    assert not [path for path in asked(streamed.server) if path.startswith("/files")]


def test_a_file_that_another_version_has_as_an_image_is_not_removed(streamed, keys, tmp_path):
    """The same bytes from a repository that has them as they are, without packing."""
    content = streamed.streams.path.read_bytes()
    plain = Repository(tmp_path / "plain", keys)
    plain.add("same", content, packed=content, format="qcow2", size=str(3 << 20))
    plain.sign()
    server = Server(plain.folder)
    try:
        streamed.add_source(f"{server.url}/index.asc", keys.fingerprints["good"], tmp_path / "key", name="plain")
        streamed.depot("mirror", "--resign", "plain", streamed.folder)
    finally:
        server.close()
    digest = hashlib.sha512(content).hexdigest()
    assert streamed.blobs() == {digest: True}
    streamed.run("--resign")
    assert sorted(streamed.names()) == ["com.example-tiny-1", "same"] and streamed.blobs()[digest] is True
    streamed.depot("repo", "check", streamed.folder)


def test_what_was_packed_is_not_fetched_again(streamed, tmp_path):
    streamed.run("--resign")
    version = streamed.version()
    asked(streamed.server)
    report = streamed.run("--resign").report
    assert not [path for path in asked(streamed.server) if path.startswith("/files")]
    assert report["changed"] is False and streamed.version() == version
    streamed.streams.add("com.example:tiny:1:x86_64", "4M", "20240202")
    streamed.streams.publish("good")
    streamed.run("--resign")
    entry = entries(streamed, tmp_path)["com.example-tiny-1"]
    assert entry["size"] == str(4 << 20) and int(entry["revision"]) == 202402020000


def test_our_client_and_virt_builder_read_the_copy_of_simplestreams(streamed, tmp_path):
    streamed.run("--resign")
    served = Repod(streamed.folder, tmp_path)
    try:
        (tmp_path / "ch").mkdir()
        client = Mirror(tmp_path / "ch", tmp_path)
        client.add_source(served.url, streamed.fingerprint, streamed.folder / "keys.asc")
        path = Path(client.depot("pull", "com.example-tiny-1").stdout.strip())
        assert path.read_bytes() == streamed.streams.path.read_bytes()
        home = tmp_path / "ch"
        config = home / "c/virt-builder/repos.d"
        config.mkdir(parents=True)
        (config / "m.conf").write_text(f"[m]\nuri={served.url}/index.asc\ngpgkey=file://{streamed.folder}/keys.asc\n")
        env = {**STOCK, "XDG_CONFIG_HOME": str(home / "c"), "XDG_CACHE_HOME": str(home / "v"), "HOME": str(home),
               "VIRT_BUILDER_DIRS": str(home / "none")}
        told = json.loads(run("virt-builder", "--list", "--list-format", "json", env=env).stdout)
        assert [t["os-version"] for t in told["templates"]] == ["com.example-tiny-1"]
    finally:
        served.stop()


def test_simplestreams_cannot_be_copied_as_they_are(streamed, tmp_path):
    done = streamed.depot("mirror", "up", tmp_path / "verbatim", status=2)
    assert "--resign" in done.stderr


def test_a_wrong_image_of_simplestreams_is_not_packed(streamed, tmp_path):
    size = streamed.streams.path.stat().st_size
    streamed.server.always["/files/" + streamed.streams.path.name] = streamed.server.status(200, b"x" * size)
    done = streamed.run("--resign", status=1)
    assert "checksum" in done.report["missing"][0] and streamed.names() == [] and streamed.blobs() == {}

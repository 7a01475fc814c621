# SPDX-License-Identifier: Apache-2.0
"""build: virt-builder's command line, as far as it needs no appliance; what is listed is compared with virt-builder itself."""

import json
import os
import shutil
import stat
import subprocess

import pytest

from conftest import BIN, run
from fetch_helpers import Keys, Repository, Server, make_content, wait_for
from repo_helpers import can_strace, run_and_die

SMALL = make_content(seed=1)
LARGE = make_content(size=3 << 20, seed=2)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Images as a publisher writes them by hand for virt-builder."""
    top = tmp_path_factory.mktemp("build")
    keys = Keys(top / "gpg")
    keys.make("good")
    keys.make("other")
    made = Repository(top / "repo", keys)
    made.add("small", SMALL, osinfo="debian12", expand="/dev/sda1", aliases="tiny little",
             **{"notes": "First paragraph.\n \n Second one.", "notes[de]": "Auf Deutsch."})
    made.add("large", LARGE, arch="aarch64", name=None, compressed_size=None)
    made.add("large", LARGE, name='A "large" one', revision="3")
    made.add("secret", SMALL, hidden="true")
    made.sign()
    made.url, made.top = f"file://{made.folder}/index.asc", top
    made.fingerprint = keys.fingerprints["good"]
    made.source = ("--source", made.url, "--fingerprint", made.fingerprint)
    yield made
    keys.close()


class Builder:
    def __init__(self, repository, home, folder):
        self.repository, self.home, self.folder = repository, home, folder
        self.env = {"VIRT_DEPOT_HOME": str(home), "GNUPGHOME": str(repository.keys.home), "LC_ALL": "C.UTF-8"}

    def run(self, *words, source=None, **more):
        more = {"check": False, "cwd": self.folder, **more}
        more["env"] = {**self.env, **more.pop("env", {})}
        return run(BIN / "virt-depot", "build", *(self.repository.source if source is None else source), *words, **more)

    def good(self, *words, **more):
        done = self.run(*words, **more)
        assert done.returncode == 0, done.stderr
        return done

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())

    def cached(self):
        return sorted(path.suffix for path in (self.home / "cache/images").glob("*") if "manifest" not in path.suffix)


@pytest.fixture
def builder(repository, home, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return Builder(repository, home, folder)


def stock(repository, home, *words):
    env = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home), "VIRT_BUILDER_DIRS": str(home),
           "GNUPGHOME": str(repository.keys.home), "LC_ALL": "C.UTF-8"}
    return run("virt-builder", *repository.source, *words, env=env)


@pytest.mark.parametrize("words", [
    ["--list"], ["-l", "--long"], ["--list", "--list-format", "json"], ["--list", "--list-format", "short"],
    ["--list", "--list-format=long", "small"], ["--list", "large"], ["--list", "tiny"], ["--list", "secret"],
    ["--list", "--arch", "aarch64", "large"], ["--notes", "small"], ["--notes", "large"], ["--machine-readable"],
], ids=" ".join)
def test_what_is_printed_is_what_virt_builder_prints(builder, repository, home, words):
    assert builder.good(*words).stdout == stock(repository, home, *words).stdout


def test_one_image_as_json_means_the_same(builder, repository, home):
    """Byte by byte it differs: virt-builder writes an empty list over two lines."""
    words = ("--list", "--list-format", "json", "small")
    assert json.loads(builder.good(*words).stdout) == json.loads(stock(repository, home, *words).stdout)


def test_two_sources_are_listed_in_their_order_and_each_image_once(builder, repository, home, tmp_path):
    other = Repository(tmp_path / "other", repository.keys)
    other.add("third", SMALL)
    other.add("small", SMALL, name="The same name")
    other.sign()
    words = ("--source", f"file://{other.folder}/index.asc", "--list", "--long")
    ours, theirs = builder.good(*words).stdout, stock(repository, home, *words).stdout
    assert ours == theirs and ours.count("Source URI:") == 2 and "The same name" not in ours


def test_the_cache_is_printed_filled_and_emptied(builder, repository, home):
    def printed(words, prefix):
        lines = words.stdout.splitlines()
        assert lines[0].startswith("cache directory: ") and str(prefix) in lines[0]
        return lines[1:]

    assert printed(builder.good("--print-cache"), home) == printed(stock(repository, home, "--print-cache"), home)
    assert builder.good("--cache-all-templates").stdout == ""
    listed = printed(builder.good("--print-cache"), home)
    assert len(listed) == 3 and all(line.endswith(" cached") for line in listed)
    keep = home / "cache" / "somebody-elses"
    keep.write_text("x")
    builder.good("--delete-cache")
    assert builder.cached() == [] and keep.read_text() == "x"
    assert builder.good("--no-cache", "--print-cache").stdout == "no cache directory\n"


def test_the_cache_is_the_folder_that_is_said(builder, home):
    elsewhere = builder.folder / "cache"
    builder.good("--cache", elsewhere, "--cache-all-templates")
    assert len(list((elsewhere / "images").glob("*.raw"))) == 2 and builder.cached() == []


def test_default_names_are_virt_builders(builder):
    assert builder.good("small", "--no-customize").stdout.endswith("/small.img\n")
    builder.good("tiny", "--no-customize", "--format", "qcow2")
    assert builder.files() == ["small.img", "tiny.qcow2"]
    assert (builder.folder / "small.img").read_bytes() == SMALL
    info = json.loads(run("qemu-img", "info", "--output=json", builder.folder / "tiny.qcow2").stdout)
    assert info["format"] == "qcow2" and info["virtual-size"] == len(SMALL)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in builder.folder.iterdir())


@pytest.mark.parametrize("more", [[], ["--no-cache"]], ids=["cached", "uncached"])
def test_a_disk_that_is_not_grown_has_the_bytes_that_were_published(builder, more):
    builder.good("large", "--no-customize", "-o", "big.img", *more)
    assert (builder.folder / "big.img").read_bytes() == LARGE and builder.files() == ["big.img"]
    if more:
        assert builder.cached() == []


def test_standard_output_gets_the_disk(builder):
    done = subprocess.run([BIN / "virt-depot", "build", *builder.repository.source, "small", "--no-customize", "-o", "-"],
                          cwd=builder.folder, env={**os.environ, **builder.env}, capture_output=True)
    assert done.returncode == 0 and done.stdout == SMALL and builder.files() == []


def test_a_device_gets_the_disk(builder):
    disk = builder.folder / "disk"
    disk.write_bytes(bytes(len(LARGE)))
    device = run("losetup", "--find", "--show", disk).stdout.strip()
    try:
        builder.good("large", "--no-customize", "-o", device)
    finally:
        run("losetup", "--detach", device)
    assert disk.read_bytes() == LARGE


def test_an_existing_file_is_left_alone_unless_forced(builder):
    target = builder.folder / "small.img"
    target.write_text("precious")
    done = builder.run("small", "--no-customize")
    assert done.returncode == 1 and "exists already; --force replaces it" in done.stderr
    assert target.read_text() == "precious"
    assert not (builder.home / "cache").exists()  # nothing was asked for
    builder.good("small", "--no-customize", "--force")
    assert target.read_bytes() == SMALL and builder.files() == ["small.img"]


OTHER = "0123456789ABCDEF0123456789ABCDEF01234567"


@pytest.mark.parametrize("status, text, words", [
    (2, "which image?", []),
    (2, "only one of", ["--list", "--notes", "small"]),
    (2, "is expected", ["small", "--format", "vmdk"]),
    (2, "not a size", ["small", "--size", "8GB"]),
    (2, "is less than the image's 3.0 MiB", ["large", "--size", "1M"]),
    (2, "--no-customize excludes", ["small", "--no-customize", "--hostname", "x"]),
    (2, "--list-format 'xml'", ["--list", "--list-format", "xml"]),
    (2, "more than 0", ["small", "--smp", "-1"]),
    (2, "both write to standard output", ["small", "--json", "-o", "-"]),
    (2, "2 sources and 3 fingerprints", ["--list", "--source", "file:///x", "--fingerprint", OTHER, "--fingerprint", OTHER]),
    (1, "no source has such an image for x86_64", ["nosuch", "--arch", "x86_64"]),
    (1, "no source has such an image for s390x", ["small", "--arch", "s390x"]),
    (1, "is a folder", ["small", "-o", "/var/tmp"]),
    (1, "neither a regular file nor a block device", ["small", "-o", "/dev/null"]),
    (1, "No such file", ["small", "--attach", "nosuch.iso"]),
    (1, "No such file", ["--get-kernel", "nosuch.img"]),
], ids=lambda value: value if isinstance(value, str) else None)
def test_what_is_refused_makes_nothing(builder, status, text, words):
    done = builder.run(*words)
    assert done.returncode == status and text in done.stderr and done.stdout == "", f"{done.returncode} {done.stderr}"
    assert len(done.stderr.splitlines()) == 1 and builder.files() == []


@pytest.mark.parametrize("status, text, source", [
    (2, "say with --fingerprint", ("--source", "file:///x")),
    (2, "--fingerprint goes with --source", ("--fingerprint", OTHER)),
    (2, "fingerprint", ("--source", "file:///x", "--fingerprint", "DEADBEEF")),
    (1, "publishes no keys", ("--source", "file:///nosuch/index.asc", "--fingerprint", OTHER)),
])
def test_sources_that_do_not_fit(builder, status, text, source):
    done = builder.run("--list", source=source)
    assert done.returncode == status and text in done.stderr, done.stderr


def test_another_key_is_not_trusted(builder, repository):
    other = repository.keys.fingerprints["other"]
    done = builder.run("--list", source=("--source", repository.url, "--fingerprint", other))
    assert done.returncode == 3 and done.stdout == ""


def test_the_key_may_be_in_the_users_keyring(builder, repository, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(repository.folder, bare)
    (bare / "keys.asc").unlink()
    source = ("--source", f"file://{bare}/index.asc", "--fingerprint", repository.fingerprint)
    assert "small" in builder.good("--list", source=source).stdout
    done = builder.run("--list", source=source, env={"GNUPGHOME": str(tmp_path / "none")})
    assert done.returncode == 1 and "gpg --import" in done.stderr


def test_an_index_that_was_changed_is_refused_unless_nobody_is_to_look(builder, repository, tmp_path):
    forged = tmp_path / "forged"
    shutil.copytree(repository.folder, forged)
    text = (forged / "index.asc").read_text()
    (forged / "index.asc").write_text(text.replace("Image small", "Image sma11"))
    source = ("--source", f"file://{forged}/index.asc")
    signed = builder.run("--list", source=(*source, "--fingerprint", repository.fingerprint))
    assert signed.returncode == 3 and signed.stdout == ""
    for word in ("--no-check-signature", "--no-check-signatures"):
        done = builder.good("--list", word, source=source)
        assert "Image sma11" in done.stdout and "no signature is verified" in done.stderr


def test_a_named_source_comes_before_the_added_ones(builder, repository, depot, tmp_path):
    newer = Repository(tmp_path / "newer", repository.keys)
    newer.add("small", LARGE, revision="99")
    newer.sign()
    depot("source", "add", "newer", newer.folder, "--fingerprint", repository.fingerprint)
    builder.good("small", "--no-customize")
    assert (builder.folder / "small.img").read_bytes() == SMALL
    builder.good("small", "--no-customize", "--force", source=())
    assert (builder.folder / "small.img").read_bytes() == LARGE
    assert [line.split()[0] for line in builder.good("--list").stdout.splitlines()] == ["small", "large", "large"]


def test_what_has_no_meaning_here_is_accepted(builder):
    done = builder.good("--list", "--curl", "curl --insecure", "--gpg", "gpg2", "--color", "--wrap", "--check-signature",
                        "--password-crypto", "sha512", "--no-selinux-relabel")
    assert done.stderr.count("is ignored") == 4 and "small" in done.stdout
    assert builder.good("--version").stdout.startswith("virt-depot ")


def test_machine_readable_goes_where_it_is_said(builder):
    builder.good("--machine-readable=file:features")
    assert "json-list\n" in (builder.folder / "features").read_text()
    assert builder.run("--machine-readable=file:").returncode == 2


def test_a_dry_run_tells_and_makes_nothing(builder):
    done = builder.good("small", "--dry-run", "--size", "10G", "--format", "qcow2", "--hostname", "x")
    assert "small.qcow2, qcow2, 10.0 GiB" in done.stdout and builder.files() == [] and builder.cached() == []
    told = json.loads(builder.good("small", "--dry-run", "--json").stdout)
    assert told["image"] == "small" and told["revision"] == 1 and told["size"] == len(SMALL) and told["passwords"] == {}


SCRIPT = """
set -e
virt-builder() { "$BIN/virt-depot" build --dry-run --source "$URL" --fingerprint "$FPR" "$@"; }
virt-builder small
virt-builder small -o mydisk.img
virt-builder small --format qcow2
virt-builder small --size 20G
virt-builder small --arch x86_64
virt-builder small --root-password file:rootpw
virt-builder small --hostname virt.example.com
virt-builder small --install "inkscape,@Xfce Desktop"
virt-builder small --update
virt-builder small --update --selinux-relabel --no-logfile
virt-builder small --firstboot update.sh
virt-builder small --firstboot-command 'dnf -y --best update'
virt-builder small --edit '/etc/dnf/dnf.conf:
    s/gpgcheck=1/gpgcheck=0/'
virt-builder small --output=/tmp/out.img --size=6G --format=raw --root-password=password:123456 --timezone Europe/London \\
    --write /etc/motd:hello --run-command 'useradd -m -p "" rjones ; chage -d 0 rjones' --no-network -m 2048 --smp 4
virt-builder small --password 'root:disabled' --mkdir /srv/x --upload update.sh:/srv/x --delete '/var/log/*' -v -x -q
"""


def test_the_command_lines_of_virt_builders_manual_work(builder, repository):
    (builder.folder / "rootpw").write_text("secret\n")
    (builder.folder / "rootpw").chmod(0o600)
    (builder.folder / "update.sh").write_text("#!/bin/sh\ndnf -y --best update\n")
    done = run("bash", "-c", SCRIPT, cwd=builder.folder,
               env={**builder.env, "BIN": str(BIN), "URL": repository.url, "FPR": repository.fingerprint})
    assert len(done.stdout.splitlines()) == 15, done.stdout


@pytest.mark.killed
def test_what_a_killed_build_leaves_goes_in_the_next_one(builder, repository):
    if not can_strace():
        pytest.skip("strace cannot trace here")
    target = builder.folder / "small.img"
    words = ("build", *repository.source, "small", "--no-customize", "--no-cache", "-o", target)
    left = 0
    for nth in range(1, 12):
        if not run_and_die(builder.home, "renameat2", nth, *words):
            break
        left += any(name.startswith(".virt-depot-build-") for name in builder.files())
        assert not target.exists()
    assert left > 0 and target.read_bytes() == SMALL
    assert builder.files() == ["small.img"]


def test_ctrl_c_leaves_nothing(builder, repository):
    server = Server(repository.folder)
    try:
        server.always["/small.xz"] = server.stalls_after(1000)
        process = subprocess.Popen(
            [BIN / "virt-depot", "build", "--source", server.url, "--fingerprint", repository.fingerprint, "small"],
            cwd=builder.folder, env={**os.environ, **builder.env}, stderr=subprocess.PIPE)
        wait_for(lambda: server.sent.get("/small.xz"), "the download to begin")
        process.send_signal(2)
        process.communicate(timeout=30)
        assert process.returncode == -2 and builder.files() == []
    finally:
        server.close()

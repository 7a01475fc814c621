# SPDX-License-Identifier: Apache-2.0
"""Other people's programs: Debian's virt-builder against repod, and our client against a repository written by hand
for virt-builder and served by nginx."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import BIN, run
from real import STOCK, wait_file
from repo_helpers import add, make_image

@pytest.fixture(scope="module")
def stock(host, published):
    """virt-builder with a configuration that knows repod and nothing else, and the key as a file."""
    top = host.top / "stock"
    repos = top / "config/virt-builder/repos.d"
    repos.mkdir(parents=True)
    (top / "gpg").mkdir(mode=0o700)
    key = top / "key.asc"
    key.write_bytes((published.folder / "keys.asc").read_bytes())
    (repos / "depot.conf").write_text(f"[depot]\nuri={published.url}/index.asc\ngpgkey=file://{key}\n")
    env = {**STOCK, "XDG_CONFIG_HOME": str(top / "config"), "XDG_CACHE_HOME": str(top / "cache"),
           "VIRT_BUILDER_DIRS": str(top / "none"), "HOME": str(top), "GNUPGHOME": str(top / "gpg")}

    def call(*arguments, **more):
        return run("virt-builder", *arguments, env=env, timeout=1200, **more)

    return call


def test_virt_builder_lists_our_repository(stock):
    listed = stock("--list").stdout.split()
    assert listed[:2] == ["debian-12", "x86_64"]
    told = json.loads(stock("--list", "--list-format", "json").stdout)
    assert [t["os-version"] for t in told["templates"]] == ["debian-12"]
    assert told["sources"][0]["uri"].endswith("/index.asc")


def test_virt_builder_shows_our_notes_with_their_paragraphs(stock):
    assert "First paragraph.\n\nSecond one." in stock("--notes", "debian-12").stdout


def test_virt_builder_builds_our_image(stock, host):
    output = host.top / "stock.img"
    stock("debian-12", "--size", "3G", "--format", "qcow2", "--output", output, "--hostname", "stock",
          "--root-password", "password:x")
    try:
        info = json.loads(run("qemu-img", "info", "--output=json", output).stdout)
        assert info["format"] == "qcow2" and info["virtual-size"] == 3 << 30
        assert run("virt-cat", "-a", output, "/etc/hostname", env=STOCK, timeout=300).stdout == "stock\n"
    finally:
        output.unlink()


@pytest.fixture(scope="module")
def fifty(published, host):
    """The real guest among 49 other images, all with extension fields."""
    small = host.top / "small"
    small.mkdir()
    names = [f"small-{i:02}" for i in range(49)]
    for name in names:
        (small / f"{name}.raw").write_bytes(name.encode() * 512 + bytes(1 << 16))
    publisher = {"VIRT_DEPOT_HOME": str(host.home)}
    run(BIN / "virt-depot", "repo", "add", published.folder, *[small / f"{name}.raw" for name in names], "--no-inspect",
        "--arch", "x86_64", "--os", "none", "--notes", "Small.", env=publisher)
    yield names
    run(BIN / "virt-depot", "repo", "remove", published.folder, *names, env=publisher)


def test_virt_builder_reads_fifty_images_with_fields_that_it_does_not_know(stock, fifty, published):
    text = (published.folder / "index").read_text()
    assert text.count("\nx_manifest=blobs/") == 50 and text.count("\nx_os=") == 50
    told = json.loads(stock("--list", "--list-format", "json").stdout)
    assert sorted(t["os-version"] for t in told["templates"]) == sorted(["debian-12", *fifty])
    assert "Small." in stock("--notes", "small-07").stdout
    assert stock("--get-kernel", "small-07", check=False).returncode != 0  # it was fetched, verified, and holds no guest


def test_virt_builder_builds_from_a_repository_of_fifty(stock, fifty, host):
    output = host.top / "fifty.img"
    stock("debian-12", "--output", output, "--hostname", "fifty")
    try:
        assert run("virt-cat", "-a", output, "/etc/hostname", env=STOCK, timeout=300).stdout == "fifty\n"
    finally:
        output.unlink()


@pytest.fixture
def nginx():
    """A folder served by Debian's nginx on a Unix-free loopback port of its own."""
    top = Path(tempfile.mkdtemp(prefix="vdn", dir="/tmp"))
    top.chmod(0o755)
    (top / "www").mkdir()
    # Port 0 is no port for nginx: ask the kernel for a free one and hand the open socket over, as systemd would.
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        port = listener.getsockname()[1]
        (top / "conf").write_text(
            f"daemon off; pid {top}/pid; error_log {top}/error.log; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {top}/b; proxy_temp_path {top}/p; "
            f"fastcgi_temp_path {top}/f; uwsgi_temp_path {top}/u; scgi_temp_path {top}/s;\n"
            f"server {{ listen 127.0.0.1:{port}; root {top}/www; }} }}\n")
        os.set_inheritable(listener.fileno(), True)
        process = subprocess.Popen(["/usr/sbin/nginx", "-e", f"{top}/error.log", "-c", f"{top}/conf"], close_fds=False,
                                   env={"NGINX": f"{listener.fileno()};", "PATH": "/usr/sbin:/usr/bin"})
    wait_file(top / "pid", process)
    yield top / "www", f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=30)
    shutil.rmtree(top)


def write_by_hand(www, gpg_home):
    """What the virt-builder manual tells a publisher to do, with gpg, xz and sha512sum."""
    gpg_home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", gpg_home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    run(*gpg, "--quick-gen-key", "By Hand <hand@example.org>", "rsa3072", "sign", "never")
    listing = run(*gpg, "--with-colons", "--list-secret-keys").stdout
    key = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))
    raw = www / "tiny.img"
    raw.write_bytes(os.urandom(1 << 20) + bytes(63 << 20))
    size = raw.stat().st_size
    run("xz", "--best", "--block-size=16777216", raw)
    packed = www / "tiny.img.xz"
    digest = run("sha512sum", packed).stdout.split()[0]
    (www / "index").write_text(
        f"[tiny]\nname=A tiny disk\narch=x86_64\nfile=tiny.img.xz\nchecksum[sha512]={digest}\nformat=raw\n"
        f"size={size}\ncompressed_size={packed.stat().st_size}\nnotes=One.\n \n Two.\n\n"
        f"[tiny-old]\nname=hidden\nhidden=true\narch=x86_64\nfile=tiny.img.xz\nchecksum={digest}\nsize={size}\n\n")
    run(*gpg, "--clearsign", "--output", www / "index.asc", www / "index")
    (www / "index").unlink()  # such repositories publish index.asc alone
    run(*gpg, "--armor", "--output", www / "hand.gpg", "--export", key)
    run("gpgconf", "--homedir", gpg_home, "--kill", "all")
    return key


def test_our_client_uses_a_hand_written_repository_behind_nginx(nginx, depot, home):
    www, url = nginx
    key = write_by_hand(www, home / "g")
    depot("source", "add", "hand", f"{url}/index.asc", "--fingerprint", key, "--key", www / "hand.gpg")
    listed = json.loads(depot("list", "--json").stdout)
    assert [image["name"] for image in listed] == ["tiny"]
    assert "Two." in depot("info", "hand/tiny").stdout
    path = Path(depot("pull", "tiny").stdout.strip())
    with open(path, "rb") as pulled:
        head = pulled.read(1 << 20)
    want = subprocess.run(["xz", "-dc", www / "tiny.img.xz"], stdout=subprocess.PIPE, check=True).stdout
    assert head == want[: 1 << 20] and path.stat().st_size == 64 << 20
    assert path.stat().st_blocks * 512 < 2 << 20


def test_both_clients_agree_on_the_hand_written_repository(nginx, depot, home):
    www, url = nginx
    key = write_by_hand(www, home / "g")
    config = home / "c/virt-builder/repos.d"
    config.mkdir(parents=True)
    (config / "hand.conf").write_text(f"[hand]\nuri={url}/index.asc\ngpgkey=file://{www}/hand.gpg\n")
    env = {**STOCK, "XDG_CONFIG_HOME": str(home / "c"), "XDG_CACHE_HOME": str(home / "v"), "HOME": str(home),
           "VIRT_BUILDER_DIRS": str(home / "none")}
    stock = run("virt-builder", "--list", "--list-format", "json", env=env)
    depot("source", "add", "hand", url, "--fingerprint", key, "--key", www / "hand.gpg")
    ours = json.loads(depot("list", "--json").stdout)
    theirs = [t for t in json.loads(stock.stdout)["templates"] if not t["hidden"]]
    assert [(i["name"], i["arch"], i["size"]) for i in ours] == [(t["os-version"], t["arch"], t["size"]) for t in theirs]


def test_virt_builder_follows_a_subkey_that_its_key_file_holds(nginx, depot, home):
    """It takes the last key of a file, so keys.asc of a repository with root keys ends with the one that signs."""
    www, url = nginx
    folder, config = www / "repo", home / "c/virt-builder/repos.d"
    depot("repo", "init", folder)
    add(depot, folder, make_image(home / "tiny.raw"))
    depot("key", "create", home / "root", "--user-id", "Root <root@example.org>")
    depot("key", "export", home / "root", "--output", home / "root.asc")
    depot("trust", "draft", folder, "--root", home / "root.asc", "--output", home / "t1")
    depot("trust", "sign", home / "t1", "--home", home / "root")
    depot("trust", "publish", folder, home / "t1")
    config.mkdir(parents=True)
    (home / "gpg").mkdir(mode=0o700)

    def listed(key_file):
        (config / "depot.conf").write_text(f"[depot]\nuri={url}/repo/index.asc\ngpgkey=file://{key_file}\n")
        env = {**STOCK, "XDG_CONFIG_HOME": str(home / "c"), "XDG_CACHE_HOME": str(home / "v"), "HOME": str(home),
               "VIRT_BUILDER_DIRS": str(home / "none"), "GNUPGHOME": str(home / "gpg")}
        return run("virt-builder", "--list", env=env, check=False)

    depot("key", "rotate", folder, "--next-only")
    depot("key", "export", folder, "--output", home / "with-next.asc")
    shutil.copy(folder / "keys.asc", home / "all.asc")
    before = home / "without.asc"
    before.write_bytes((folder / "gen/1/keys.asc").read_bytes())
    for key_file in (home / "with-next.asc", home / "all.asc", before):
        assert listed(key_file).stdout.split()[:1] == ["tiny"], key_file
    depot("key", "rotate", folder)
    for key_file in (home / "with-next.asc", home / "all.asc"):
        assert listed(key_file).stdout.split()[:1] == ["tiny"], key_file
    assert listed(before).returncode != 0  # which is why the next subkey travels ahead

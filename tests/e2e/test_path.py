# SPDX-License-Identifier: Apache-2.0
"""The whole path on a real image: publish, serve, pull, verify, customize, import, clone, boot."""

import hashlib
import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from conftest import ROOT, run
from real import STOCK, Console, real_guest

PASSWORD = "correct horse"


def sha512(path):
    digest = hashlib.sha512()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def base(host, published):
    """The verified image in the cache, and its digest before any VM was made from it."""
    path = host.depot("pull", "debian-12").stdout.strip()
    return path, sha512(path)


@pytest.fixture(scope="module")
def clones(host, base):
    """Two linked clones, grown and customized in one go, the serial consoles logged."""
    secret = host.top / "password"
    secret.write_text(PASSWORD + "\n")
    key = host.top / "key"
    if not key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", key)
    serial = host.top / "serial"
    serial.mkdir(exist_ok=True)
    done = host.depot("deploy", "debian-12", "pair", "--count", "2", "--linked", "--size", "5G", "--hostname", "node",
                      "--ssh-key", f"{key}.pub", "--root-password", f"file:{secret}", "--start", "--json",
                      "--serial-log", serial)
    yield json.loads(done.stdout), done.stderr, serial
    host.remove("pair-1", "pair-2")


def test_the_guest_boots_to_a_login_prompt_as_it_was_made():
    told = run(ROOT / "examples/boot-guest", real_guest(), timeout=400)
    assert "login:" in told.stdout + told.stderr


def test_inspection_filled_in_what_was_not_given(host, published):
    info = json.loads(host.depot("info", "--json", "debian-12").stdout)
    assert info["arch"] == "x86_64" and info["osinfo"] == "debian12"
    assert info["expand"] == "/dev/sda1" and info["format"] == "raw" and info["revision"] == 1
    assert info["title"].startswith("Debian GNU/Linux 12")
    assert info["size"] == 2 << 30 and 0 < info["compressed_size"] < info["size"]
    assert "Second one." in host.depot("info", "debian-12").stdout


def published_blob(host, published, field):
    info = json.loads(host.depot("info", "--json", "debian-12").stdout)
    return published.folder / (info[field] if field in info else info["extensions"][field])


def test_inspection_filled_in_the_fields_that_older_clients_ignore(host, published):
    found = json.loads(host.depot("info", "--json", "debian-12").stdout)["extensions"]
    assert (found["x_os"], found["x_os_version"]) == ("debian", "12")
    assert (found["x_root"], found["x_root_fs"], found["x_firmware"]) == ("/dev/sda1", "ext4", "bios")
    for field in ("x_manifest", "x_packages"):
        blob = published.folder / found[field]
        assert blob.name == sha512(blob) and blob.stat().st_size == int(found[f"{field}_size"])


def test_the_package_list_is_an_spdx_document_of_what_dpkg_says(host, published):
    document = json.loads(published_blob(host, published, "x_packages").read_text())
    image = published_blob(host, published, "file")
    assert (document["spdxVersion"], document["dataLicense"]) == ("SPDX-2.3", "CC0-1.0")
    assert document["documentNamespace"].endswith(image.name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["creationInfo"]["created"])
    described, *packages = document["packages"]
    assert described["checksums"] == [{"algorithm": "SHA512", "checksumValue": image.name}]
    status = run("virt-cat", "-a", real_guest(), "/var/lib/dpkg/status", timeout=300, env=STOCK).stdout
    installed = {}
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Status|Architecture): (.*)$", paragraph, re.M))
        if fields.get("Status", "").endswith(" installed"):
            installed[fields["Package"]] = fields
    assert "bash" in installed and {p["name"]: p["versionInfo"] for p in packages} == {
        name: fields["Version"] for name, fields in installed.items()}
    bash = next(p for p in packages if p["name"] == "bash")
    version = installed["bash"]["Version"].replace("+", "%2B")
    assert bash["externalRefs"] == [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                                     "referenceLocator": f"pkg:deb/debian/bash@{version}?arch=amd64&distro=debian-12"}]
    ids = [p["SPDXID"] for p in document["packages"]]
    assert len(set(ids)) == len(ids)
    assert {r["relatedSpdxElement"] for r in document["relationships"]} == set(ids)


def test_the_published_file_is_an_ordinary_block_xz(host, published):
    blobs = [p for p in (published.folder / "blobs").rglob("*") if p.is_file()]
    assert len(blobs) == 3 and all(blob.name == sha512(blob) for blob in blobs)
    image = published_blob(host, published, "file")
    run("xz", "-t", "-F", "xz", "-c", image, timeout=300)
    listing = run("xz", "--robot", "-lvv", "-F", "xz", image, check=False).stdout
    blocks = [line.split("\t") for line in listing.splitlines() if line.startswith("block\t")]
    assert len(blocks) == 128 and {row[9] for row in blocks} == {"CRC64"}


def test_the_pulled_base_is_sealed_sparse_and_what_was_published(host, base, published):
    path, digest = base
    mode = run("stat", "-c", "%a %b %B %s", path).stdout.split()
    assert mode[0] == "444" and int(mode[1]) * int(mode[2]) < int(mode[3]) / 2
    blob = published_blob(host, published, "file")
    pipe = subprocess.run(f"xz -dc <'{blob}' | sha512sum", shell=True, capture_output=True, text=True, check=True)
    assert pipe.stdout.split()[0] == digest


def test_a_second_pull_costs_nothing(host, base, published):
    before = published.log.read_text().count("/blobs/")
    assert host.depot("pull", "debian-12").stdout.strip() == base[0]
    assert published.log.read_text().count("/blobs/") == before


def test_each_clone_has_its_own_uuid_mac_and_name(host, clones):
    made, _, _ = clones
    xml = [ElementTree.fromstring(host.virsh("dumpxml", name)) for name in ("pair-1", "pair-2")]
    assert [x.findtext("name") for x in xml] == ["pair-1", "pair-2"]
    assert xml[0].findtext("uuid") != xml[1].findtext("uuid")
    assert xml[0].find(".//mac").get("address") != xml[1].find(".//mac").get("address")
    assert {vm["name"] for vm in made} == {"pair-1", "pair-2"}


def test_linked_disks_are_small_grown_overlays_of_the_sealed_base(host, base, clones):
    for name in ("pair-1", "pair-2"):
        disk = host.home / "disks" / f"{name}.qcow2"
        info = json.loads(run("qemu-img", "info", "-U", "--output=json", disk).stdout)
        assert info["virtual-size"] == 5 << 30 and info["full-backing-filename"] == base[0]
        assert info["backing-filename-format"] == "raw"
        assert info["actual-size"] < 100 << 20


def test_acceleration_that_does_not_work_is_one_warning(host, clones):
    _, stderr, _ = clones
    probe = json.loads((host.home / "state/accel.json").read_text())
    warnings = [line for line in stderr.splitlines() if "warning:" in line and "kvm" in line.lower()]
    xml = host.virsh("dumpxml", "pair-1")
    if "tcg" in json.dumps(probe).lower():
        assert len(warnings) <= 1 and "<domain type='qemu'" in xml
    else:
        assert warnings == [] and "<domain type='kvm'" in xml


def test_both_clones_boot_to_their_own_identity(host, base, clones):
    _, _, serial = clones
    seen = {}
    for name, hostname in (("pair-1", "node-1"), ("pair-2", "node-2")):
        console = Console(host, name, serial / f"{name}.log")
        console.expect(rf"{hostname} login:")
        console.at = 0
        console.login(PASSWORD)
        assert console.ask("hostname") == hostname
        assert int(console.ask("df --output=size -BM / | tail -n1 | tr -d ' M'")) > 4500
        assert re.match(r"ssh-ed25519 AAAA\S+ tests$", console.ask("cat /root/.ssh/authorized_keys"))
        assert console.ask("grep -c node /etc/hosts") != "0"
        console.ask("until systemctl is-active -q ssh; do systemctl start ssh; done")
        seen[name] = (console.ask("cat /etc/machine-id"), console.ask("cat /etc/ssh/ssh_host_ed25519_key.pub"))
        console.close()
    assert re.fullmatch(r"[0-9a-f]{32}", seen["pair-1"][0])
    assert seen["pair-1"][0] != seen["pair-2"][0]
    assert seen["pair-1"][1].startswith("ssh-ed25519 ") and seen["pair-1"][1] != seen["pair-2"][1]
    assert sha512(base[0]) == base[1], "running linked clones changed their base"


def test_a_full_clone_stands_alone(host, base):
    host.depot("deploy", "debian-12", "alone", "--full", "--hostname", "alone.example.org")
    try:
        disk = next((host.home / "disks").glob("alone.*"))
        info = json.loads(run("qemu-img", "info", "--output=json", disk).stdout)
        assert "backing-filename" not in info and info["virtual-size"] == 2 << 30
        assert "alone.example.org" in run("virt-cat", "-a", disk, "/etc/hostname", timeout=300,
                                          env=STOCK).stdout
    finally:
        host.remove("alone")
    assert sha512(base[0]) == base[1]


def test_a_dry_run_says_what_would_be_and_makes_nothing(host, base):
    before = sorted(p for p in host.home.rglob("*"))
    done = host.depot("deploy", "debian-12", "ghost", "--count", "3", "--dry-run")
    assert "ghost-3" in done.stdout
    assert sorted(p for p in host.home.rglob("*")) == before and not host.domains() & {"ghost-1"}


def test_an_appliance_that_fails_under_kvm_is_relaunched_without(host, base):
    """A probe's verdict that went stale: KVM is said to work, and the appliance finds out that it does not."""
    memory = host.home / "state/accel.json"
    kept = memory.read_text()
    if '"accel": "tcg"' not in kept:
        return  # KVM works here: there is nothing to fall back from
    memory.write_text(json.dumps({**json.loads(kept), "accel": "kvm", "reason": None}))
    try:
        done = host.depot("deploy", "debian-12", "stale", "--linked", "--hostname", "stale")
        assert done.stderr.count("did not start under KVM") == 1
        assert "stale" in host.domains()
        host.remove("stale")
    finally:
        memory.write_text(kept)


def test_accel_overrides_what_the_probe_found(host, base):
    done = host.depot("deploy", "debian-12", "forced", "--linked", "--no-customize", "--accel", "tcg")
    assert "warning" not in done.stderr
    assert "<domain type='qemu'" in host.virsh("dumpxml", "forced")
    host.remove("forced")

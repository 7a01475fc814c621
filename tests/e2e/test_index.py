# SPDX-License-Identifier: Apache-2.0
"""index validate: findings with their line, signatures, and every file of the test data as its README says."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from conftest import BIN, ROOT, run
from fetch_helpers import Keys

DATA = Path(os.environ.get("VIRT_DEPOT_DATA", ROOT / "../shared/data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"there is no test data in {DATA} (VIRT_DEPOT_DATA)")

SUM = "a" * 128
GOOD = f"[a]\narch=x86_64\nfile=a.xz\nsize=1048576\nchecksum[sha512]={SUM}\n"
HEADER = "# virt-depot: 1\n# repo-id: 0f8fad5b-d9cb-469f-a165-70867728950e\n# version: 1\n# expires: {}\n\n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(Path(tmp_path_factory.mktemp("k")) / "g")
    made.make("good")
    made.make("other")
    yield made
    made.close()


@pytest.fixture
def key_files(keys, tmp_path):
    for name in ("good", "other"):
        (tmp_path / f"{name}.asc").write_text(keys.export(name))
    return {name: tmp_path / f"{name}.asc" for name in ("good", "other")}


@pytest.fixture
def index(tmp_path):
    path = tmp_path / "index"

    def write(text):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def validate(*arguments, stdin=None, status=0):
    if stdin is None:
        done = run(BIN / "virt-depot", "index", "validate", *arguments, check=False)
    else:
        with open(stdin, "rb") as file:
            done = subprocess.run([BIN / "virt-depot", "index", "validate", *map(str, arguments)], stdin=file,
                                  capture_output=True, text=True, timeout=60)
    assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def test_a_good_index_has_no_findings(index):
    done = validate(index(GOOD), "--strict")
    assert done.stdout == "" and "1 entry, no problem" in done.stderr


def test_each_finding_has_its_line_and_one_bad_entry_hides_no_other(index):
    path = index(GOOD + "\n[b]\narch=x86_64\nfile=../b\nsize=1\n\nrubbish\n[c]\narch=x86_64\nfile=c\nsize=-1\n")
    done = validate(path, status=1)
    assert done.stdout.splitlines() == [
        f"{path}:7: entry 'b': file must not contain '..'",
        f"{path}:12: neither a section, a field nor a comment, so the line is skipped",
        f"{path}:16: entry 'c': field 'size' is not a plain decimal number below 2^63",
    ]
    assert "3 problems; 1 good entry" in done.stderr


def test_strict_adds_what_stock_clients_refuse(index):
    path = index(GOOD + "[b]" + GOOD[3:].replace(SUM, SUM.upper()).rstrip("\n"))
    assert validate(path).stdout == ""
    done = validate("--strict", path, status=1)
    assert [line.split(": ")[0].rsplit(":", 1)[1] for line in done.stdout.splitlines()] == ["6", "10", "10"]
    assert all(": warning: " in line for line in done.stdout.splitlines())


def test_json_has_everything(index):
    path = index("[a]\n")
    result = json.loads(validate("--json", path, status=1).stdout)
    assert result["entries"] == 0 and result["signature"] == "none" and result["fingerprint"] is None
    assert result["findings"] == [{"path": str(path), "line": 1, "severity": "error",
                                   "message": "entry 'a': no field 'arch'"}]


def test_standard_input_is_a_file_too(index):
    assert "-:1: entry 'a': no field 'arch'" in validate("-", stdin=index("[a]\n"), status=1).stdout


def test_an_expired_index_is_a_finding(index):
    assert "expired" in validate(index(HEADER.format("2020-01-01T00:00:00Z") + GOOD), status=1).stdout
    validate(index(HEADER.format("2100-01-01T00:00:00Z") + GOOD))


def test_a_signature_is_checked_against_the_keys_that_are_given(index, keys, key_files):
    path = index(GOOD + "notes=one\n \n two\n")
    clear = keys.sign("good", path)
    assert "signature not checked" in validate(clear, "--strict").stderr
    assert json.loads(validate(clear, "--json").stdout)["signature"] == "not checked"
    assert "not checked" not in validate(clear, "--key", key_files["good"], "--strict").stderr
    validate(clear, "--key", key_files["other"], "--key", key_files["good"])
    result = json.loads(validate(clear, "--json", "--key", key_files["good"]).stdout)
    assert (result["signature"], result["fingerprint"]) == ("good", keys.fingerprints["good"])
    assert validate(clear, "--key", key_files["other"], status=3).stdout == ""
    clear.write_text(clear.read_text().replace("a.xz", "b.xz"))
    result = json.loads(validate(clear, "--json", "--key", key_files["good"], status=3).stdout)
    assert result["signature"] == "bad" and "changed" in result["signature_problem"]


def test_a_plain_file_needs_its_detached_signature_when_a_key_is_given(index, keys, key_files):
    path = index(GOOD)
    assert "not signed" in validate(path, "--key", key_files["good"], status=3).stderr
    keys.sign("good", path, mode="--detach-sign")
    validate(path, "--key", key_files["good"])
    path.write_text(GOOD.replace("a.xz", "b.xz"))
    validate(path, "--key", key_files["good"], status=3)


def test_findings_of_a_signed_file_have_the_lines_of_that_file(index, keys, key_files):
    clear = keys.sign("good", index(GOOD + "\n[b]\narch=x86_64\n"))
    line = clear.read_text().splitlines().index("[b]") + 1
    for options in ((), ("--key", key_files["good"])):
        assert validate(clear, *options, status=1).stdout == f"{clear}:{line}: entry 'b': no field 'file'\n"


def test_what_cannot_be_read_is_an_error_and_no_finding(tmp_path, index):
    assert validate(tmp_path / "none", status=1).stdout == ""
    no_key = tmp_path / "no-key"
    no_key.write_text("text")
    assert str(no_key) in validate(index(GOOD), "--key", no_key, status=1).stderr
    assert "NUL" in validate(index(b"[a]\0\n"), status=1).stdout


def test_more_images_than_old_clients_read_is_a_strict_finding(index):
    many = "\n".join(GOOD.replace("[a]", f"[a{i}]") for i in range(2401))
    path = index(many)
    validate(path)
    assert ":14401: warning: more sections" in validate("--strict", path, status=1).stdout


# The test data, a folder each.

@needs_data
@pytest.mark.parametrize("path", sorted((DATA / "official-index").glob("*")), ids=lambda path: path.name[:8])
def test_official_indexes_verify_but_for_the_damaged_one(path):
    key = DATA / "keys/libguestfs.gpg"
    is_damaged = path.name.startswith("20151027-180045")
    is_before_arch = path.name < "2014"
    done = validate("--allow-weak-digest", "--key", key, path, status=3 if is_damaged else 1 if is_before_arch else 0)
    assert all("no field 'arch'" in line for line in done.stdout.splitlines())
    if is_damaged:
        assert "changed after" in done.stderr
    elif path.name < "2019":
        assert "SHA1" in validate("--key", key, path, status=3).stderr
    else:
        validate("--key", key, path)


@needs_data
def test_the_third_party_index_is_refused_for_its_expired_key():
    for path in sorted((DATA / "third-party").glob("index.asc*")):
        assert "expired" in validate("--key", DATA / "third-party/ubuntu20.gpg", path, status=3).stderr
    validate("--strict", DATA / "third-party/index.asc")


@needs_data
@pytest.mark.parametrize("path", sorted((DATA / "validate").glob("*")), ids=lambda path: path.name)
def test_the_small_files_are_as_named(path):
    """They are good and bad syntax; most entries in them lack fields."""
    is_bad = "bad" in path.name
    done = run(BIN / "virt-depot", "index", "validate", "--json", path, check=False)
    syntax = [f for f in json.loads(done.stdout)["findings"] if not f["message"].startswith("entry ")]
    assert bool(syntax) == is_bad, done.stdout


@needs_data
def test_strict_findings_agree_with_the_recorded_results_of_the_old_grammar():
    results, name = {}, None
    for line in (DATA / "parser-cases/RESULTS.txt").read_text(errors="replace").splitlines():
        if not line[:1].isspace() and ":" in line:
            name, rest = line.split(":", 1)
            results[name] = rest.strip().startswith("OK") if rest.strip() else None
        elif line.strip().startswith("old:"):
            results[name] = "old: OK" in line
    for path in sorted((DATA / "parser-cases").glob("[0-9]*")):
        done = run(BIN / "virt-depot", "index", "validate", "--strict", "--json", path, check=False)
        syntax = [f["message"] for f in json.loads(done.stdout)["findings"]
                  if not f["message"].startswith(("entry ", "no SHA-512", "not UTF-8", "a signed index without"))]
        if results[path.name]:
            assert syntax == [], path.name
        else:
            assert syntax != [] or "appears twice" in done.stdout, path.name

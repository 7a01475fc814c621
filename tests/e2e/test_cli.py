# SPDX-License-Identifier: Apache-2.0
"""The command line as a whole: help, completion and manual agree; wrong usage is status 2 and changes nothing."""

import re
import subprocess

import pytest

from conftest import BIN, ROOT, run

VERBS = [
    "repo init", "repo add", "repo list", "repo remove", "repo sign", "repo check", "repo prune", "repo rollback",
    "push", "mirror", "source add", "source list", "source remove",
    "key create", "key show", "key export", "key rotate", "key revoke", "trust draft", "trust sign", "trust publish",
    "token create", "token list", "token revoke",
    "list", "info", "pull", "outdated", "upgrade", "cache list", "cache verify", "cache prune", "index validate", "build", "customize", "seal", "deploy",
    "guest ls", "guest cat", "guest edit", "guest copy-in", "guest copy-out", "guest filesystems", "guest df", "guest shell",
    "guest rescue", "guest sparsify",
]


def complete(*words):
    return run(BIN / "virt-depot", "--complete", *words).stdout.split()


def manual(name):
    pages = list(ROOT.glob(f"*/{name}"))
    assert len(pages) == 1, f"{name}: {len(pages)} pages"
    return pages[0].read_text()


def test_help_names_every_verb():
    text = run(BIN / "virt-depot", "--help").stdout
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", text, re.M), verb
    listed = re.findall(r"^  ([a-z-]+(?: [a-z-]+)?)  ", text, re.M)
    assert sorted(listed) == sorted(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_completion_and_manual_name_the_same_options(verb):
    shown = set(re.findall(r"--([a-z][a-z-]+)", run(BIN / "virt-depot", *verb.split(), "--help").stdout))
    offered = {option.strip("-=") for option in complete(*verb.split())}
    page = manual(f"virt-depot-{verb.replace(' ', '-')}.1")
    documented = set(re.findall(r"--([a-z][a-z-]+)", page.replace("\\-", "-")))
    assert offered <= shown
    assert offered - {"help", "quiet"} <= documented
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES"):
        assert re.search(rf'^\.SH "?{section}"?$', page, re.M), section


def test_the_programs_have_pages_of_their_own():
    overview = manual("virt-depot.1").replace("\\-", "-")
    for verb in VERBS:
        assert f"virt-depot-{verb.replace(' ', '-')}" in overview
    page = manual("repod.8").replace("\\-", "-")
    for option in re.findall(r"--([a-z][a-z-]+)", run(BIN / "repod", "--help").stdout):
        assert f"--{option}" in page, option


@pytest.mark.parametrize("page", sorted(p.name for p in ROOT.glob("*/*.[18]")))
def test_every_page_is_good_troff(page):
    path = next(ROOT.glob(f"*/{page}"))
    done = subprocess.run(["man", "--warnings", "-l", str(path)], capture_output=True, text=True,
                          env={"LC_ALL": "C.UTF-8", "MANPAGER": "cat", "MANWIDTH": "80", "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout) > 400


def test_completion_offers_words_then_options():
    assert "repo" in complete() and "deploy" in complete()
    assert sorted(complete("repo")) == ["add", "check", "init", "list", "prune", "remove", "rollback", "sign"]
    assert "--linked" in complete("deploy") and "--size=" in complete("deploy")


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["frobnicate"], ["repo"], ["repo", "frobnicate"], ["pull"], ["pull", "--frobnicate", "x"],
        ["deploy", "only-image"], ["repo", "init"], ["source", "add", "name-only"],
        ["deploy", "--linked", "--full", "image", "name"], ["deploy", "--count", "0", "image", "name"],
        ["deploy", "--size", "8GB", "image", "name"], ["deploy", "--accel", "warp", "image", "name"],
        ["deploy", "image", "../name"], ["deploy", "image", "a/b"], ["pull", "../../etc/passwd"],
        ["info", "a/b/c"], ["source", "add", "../x", "http://127.0.0.1:1/", "--fingerprint", "0" * 40],
        ["source", "add", "x", "http://127.0.0.1:1/", "--fingerprint", "1234"],
    ],
)
def test_wrong_usage_is_status_2_and_makes_nothing(depot, home, arguments):
    done = depot(*arguments, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stdout == "" and done.stderr.strip()
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("unit", sorted(p.name for p in ROOT.glob("examples/systemd/virt-depot-*.service")))
def test_the_units_call_verbs_and_options_that_there_are(unit):
    text = (ROOT / "examples/systemd" / unit).read_text()
    command, = re.findall(r"^ExecStart=virt-depot (.*)$", text, re.M)
    assert "Usage" in run(BIN / "virt-depot", *command.split(), "--help").stdout


def test_version_is_printed_by_both_programs():
    assert re.fullmatch(r"virt-depot \d+\.\d+\.\d+\n", run(BIN / "virt-depot", "--version").stdout)
    assert re.fullmatch(r"repod \d+\.\d+\.\d+\n", run(BIN / "repod", "--version").stdout)


def test_one_libcurl_is_in_the_process():
    libraries = run("ldd", BIN / "virt-depot").stdout
    assert set(re.findall(r"libcurl[^ ]*", libraries.split("=>")[0] + libraries)) - {""} != set()
    assert len({m for m in re.findall(r"^\s*(libcurl\S*) =>", libraries, re.M)}) == 1


def test_a_full_stdout_is_an_error():
    with open("/dev/full", "w") as full:
        done = subprocess.run([BIN / "virt-depot", "source", "list", "--json"], stdout=full, stderr=subprocess.PIPE,
                              env={"VIRT_DEPOT_HOME": "/nonexistent", "PATH": "/usr/bin:/bin"})
    assert done.returncode == 1 and b"stdout" in done.stderr


def test_a_verb_that_is_none_is_told_what_there_is():
    for words, expected in ((["repo", "fly"], "'repo fly': no such verb; after 'repo' comes one of: init, add"),
                            (["repo"], "'repo': no such verb; after 'repo' comes one of: init"),
                            (["fly"], "'fly': no such verb; 'virt-depot --help'")):
        done = run(BIN / "virt-depot", *words, check=False)
        assert done.returncode == 2 and expected in done.stderr and len(done.stderr.splitlines()) == 1

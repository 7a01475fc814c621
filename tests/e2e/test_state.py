# SPDX-License-Identifier: Apache-2.0
"""What the client remembers of a source: verdicts, versions, revisions."""

import re
from pathlib import Path

import pytest

from conftest import BIN, run
from fetch_helpers import QUICK, Keys, Repository, Server, make_content
from repo_helpers import can_strace

CONTENT = make_content()
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
HEADER = f"# virt-depot: 1\n# repo-id: {ID}\n# version: {{}}\n# expires: 2100-01-01T00:00:00Z\n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(Path(tmp_path_factory.mktemp("k")) / "g")
    made.make("good")
    made.make("next")
    yield made
    made.close()


@pytest.fixture
def repo(tmp_path, keys):
    made = Repository(tmp_path / "repo", keys, header=HEADER.format(7))
    made.add("tiny", CONTENT)
    return made.sign(detached=True)


@pytest.fixture
def server(repo):
    made = Server(repo.folder)
    yield made
    made.close()


@pytest.fixture
def client(home, server, keys):
    """virt-depot with the source 'src' added; status=N is what is expected."""

    def call(*arguments, status=0, strace=(), env=None):
        done = run(*strace, BIN / "virt-depot", *arguments, check=False,
                   env={"VIRT_DEPOT_HOME": str(home), **QUICK, **(env or {})})
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    call("source", "add", "src", server.url, "--fingerprint", keys.fingerprints["good"])
    return call


def programs(client, trace, *arguments, **more):
    """The programs that virt-depot runs for a command."""
    if not can_strace():
        pytest.skip("strace is missing or may not trace here: it tells which programs are run")
    client(*arguments, strace=("strace", "-f", "-o", trace, "-e", "trace=execve,execveat"),
           env={"ASAN_OPTIONS": "detect_leaks=0"}, **more)
    found = re.findall(r'execve\("([^"]+)"', trace.read_text())
    return [name for name in found if not name.endswith("/virt-depot")]


@pytest.mark.parametrize("detached", [True, False])
def test_a_second_list_runs_no_gpg(repo, client, home, tmp_path, detached):
    if not detached:
        (repo.folder / "index.sig").unlink()
    client("list")
    assert programs(client, tmp_path / "trace", "list") == []
    assert programs(client, tmp_path / "trace", "list", "--offline") == []
    verdict = home / "state/trust/src/verdict"
    assert verdict.stat().st_mode & 0o777 == 0o600 and verdict.parent.stat().st_mode & 0o777 == 0o700
    verdict.unlink()
    assert "/usr/bin/gpg" in programs(client, tmp_path / "trace", "list")
    client("source", "remove", "src")
    assert not (home / "state/trust/src").exists()


def test_a_changed_text_gains_nothing_by_the_verdict(repo, client):
    client("list")
    index = repo.folder / "index"
    index.write_text(index.read_text().replace("Image tiny", "Image evil"))
    (repo.folder / "index.asc").unlink()
    assert "was changed after" in client("list", status=3).stderr


def test_a_verdict_ends_with_the_signature(repo, client, home):
    client("list")
    verdict = home / "state/trust/src/verdict"
    line, rest = verdict.read_text().split("\n", 1)
    fields = line.split(" ")
    verdict.write_text(" ".join(fields[:4] + ["1", fields[5]]) + "\n" + rest)  # as if the signature had expired
    client("list")  # gpg is asked again, and knows better
    assert verdict.read_text().startswith(line)


def test_the_same_version_with_other_content_is_an_alarm(repo, client, home):
    client("pull", "tiny")
    before = (home / "cache/index/src/index").read_bytes()
    repo.entries.clear()
    repo.add("evil", make_content(seed=2))
    repo.sign(detached=True)
    done = client("list")
    assert "version 7 as before, but with other content" in done.stderr
    assert "other content" in client("pull", "evil", status=3).stderr
    assert (home / "cache/index/src/index").read_bytes() == before
    repo.header = HEADER.format(8)
    repo.sign(detached=True)
    client("pull", "evil")


def test_both_forms_of_one_version_are_the_same_content(repo, client):
    repo.entries.clear()
    repo.header = HEADER.format(8)
    repo.add("tiny", CONTENT, notes="One.\n \n Two.  ")
    repo.sign(detached=True)
    assert client("list").stderr == ""
    (repo.folder / "index.sig").unlink()
    assert client("list").stderr == ""


def test_a_lower_revision_than_was_pulled_needs_a_word(repo, client, home):
    repo.entries.clear()
    repo.header = HEADER.format(8)
    repo.add("tiny", CONTENT, revision="5")
    repo.sign(detached=True)
    new = client("pull", "tiny").stdout
    old_content = make_content(seed=3)
    repo.entries.clear()
    repo.header = HEADER.format(9)
    repo.add("tiny", old_content, revision="4")
    repo.sign(detached=True)
    for arguments in (["pull", "tiny"], ["pull", "--dry-run", "tiny"]):
        assert "revision 5 was pulled before; 'virt-depot pull --allow-downgrade'" in client(*arguments, status=3).stderr
    old = client("pull", "--allow-downgrade", "tiny").stdout
    assert old != new and Path(old.strip()).read_bytes() == old_content
    assert client("pull", "tiny").stdout == old  # the word holds


def test_another_source_of_the_same_repository_does_not_lower_a_revision(repo, client, server, keys):
    repo.entries.clear()
    repo.header = HEADER.format(8)
    repo.add("tiny", CONTENT, revision="5")
    repo.sign(detached=True)
    client("pull", "src/tiny")
    repo.entries.clear()
    repo.header = HEADER.format(9)
    repo.add("tiny", make_content(seed=3), revision="4")
    repo.sign(detached=True)
    client("source", "add", "again", server.url, "--fingerprint", keys.fingerprints["good"])
    client("pull", "again/tiny", status=3)


def test_an_older_index_by_a_key_that_was_pinned_before_is_refused(repo, client, server, keys, home):
    old = {path.name: path.read_bytes() for path in repo.folder.iterdir()}
    repo.signer, repo.header = "next", HEADER.format(8)
    repo.sign(detached=True)
    client("source", "remove", "src")
    both = ["--fingerprint", keys.fingerprints["good"], "--fingerprint", keys.fingerprints["next"]]
    (repo.folder / "keys.asc").write_text(keys.export("good", "next"))
    client("source", "add", "src", server.url, *both)
    for name, content in old.items():
        (repo.folder / name).write_bytes(content)
    assert "version 8 was seen before" in client("pull", "tiny", status=3).stderr

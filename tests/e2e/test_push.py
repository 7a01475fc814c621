# SPDX-License-Identifier: Apache-2.0
"""Tokens, uploads and pushes: real repod, real virt-depot, and curl as a foreign client."""

import json
import os
import re
import subprocess
import time

import pytest

from conftest import BIN, ROOT, run
from push_helpers import PATCH_TYPE, Server, bearer, blob_path, check, curl, fingerprint_of, published
from repo_helpers import Repository, add, make_image
from repod_helpers import Answer, is_at_end, request, wait_until
from repod_tls import Authority

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path / "server") as running:
        yield running


@pytest.fixture
def token(server):
    return server.token("push:a")


def put(server, token, content, *options, path=None):
    return curl("-X", "PUT", "--data-binary", "@-", *bearer(token), *options, server.url + (path or blob_path(content)), data=content)


def patch(server, token, whole, offset, content, *options):
    return curl("-X", "PATCH", "--data-binary", "@-", *bearer(token), "-H", PATCH_TYPE, "-H", f"Upload-Offset: {offset}",
                *options, server.url + blob_path(whole), data=content)


def head(server, token, content):
    return curl("--head", *bearer(token), server.url + blob_path(content))


# Access

def test_only_the_hash_of_a_secret_is_on_disk(server):
    secret = server.token("push:a", "--note", "build host")
    assert re.fullmatch(r"vdt_[a-z2-7]{12}_[A-Za-z0-9_-]{43}", secret)
    text = (server.state / "tokens").read_text()
    assert secret[17:] not in text and "secret:" in text
    listed = json.loads(run(BIN / "virt-depot", "token", "list", "--state", server.state, "--json").stdout)
    assert listed[0]["scopes"] == ["push:a"] and listed[0]["note"] == "build host"
    assert (server.state / "tokens").stat().st_mode & 0o777 == 0o600


def test_a_secret_goes_to_a_new_private_file(server, tmp_path):
    path = tmp_path / "secret"
    run(BIN / "virt-depot", "token", "create", "--config", server.config, "read:*", "-o", path)
    assert path.stat().st_mode & 0o777 == 0o600 and path.read_text().startswith("vdt_")
    done = run(BIN / "virt-depot", "token", "create", "--config", server.config, "read:*", "-o", path, check=False)
    assert done.returncode == 1 and "exists" in done.stderr
    assert len(json.loads(run(BIN / "virt-depot", "token", "list", "--config", server.config, "--json").stdout)) == 1


@pytest.mark.parametrize("arguments", [["write:a"], ["push"], ["push:../a"], ["push:a", "--valid", "x"],
                                       ["push:a", "--certificate", "abcd"], ["push:a", "--note", "two\nlines"]])
def test_wrong_tokens_are_not_made(server, arguments):
    done = run(BIN / "virt-depot", "token", "create", "--state", server.state, *arguments, check=False)
    assert done.returncode == 2 and not (server.state / "tokens").exists()


def test_a_revoked_token_is_refused_within_seconds(server, token):
    assert put(server, token, CONTENT)[0] == 201
    run(BIN / "virt-depot", "token", "revoke", "--state", server.state, token.split("_")[1])
    wait_until(lambda: put(server, token, b"more")[0] == 401)
    done = run(BIN / "virt-depot", "token", "revoke", "--state", server.state, token.split("_")[1], check=False)
    assert done.returncode == 1 and "no token" in done.stderr


def test_a_write_needs_a_token_with_that_right(server):
    reader, other, expired = server.token("read:a"), server.token("push:b"), server.token("push:a", "--valid", "1s")
    status, fields, _ = curl("-X", "PUT", "--data-binary", "@-", server.url + blob_path(CONTENT), data=CONTENT)
    assert status == 401 and fields["www-authenticate"].startswith("bearer")
    assert put(server, reader, CONTENT)[0] == 403
    assert put(server, other, CONTENT)[0] == 403
    assert not (server.folder / "blobs").exists()
    wait_until(lambda: put(server, expired, b"until it expires")[0] in (401, 429))


def test_a_private_repository_tells_nothing_without_a_token(tmp_path):
    server = Server(tmp_path / "server", public="no")
    (server.folder / "there").write_text("x")
    with server:
        reader, other = server.token("read:a"), server.token("read:b")
        for path in ("there", "not-there", "", "blobs/"):
            assert curl(server.url + path)[0] == 401, path
            assert curl(*bearer(other), server.url + path)[0] == 404, path
        assert curl(*bearer(reader), server.url + "there")[2] == b"x"
        assert curl(*bearer(reader), server.url + "not-there")[0] == 404
        assert curl("--user", f"anybody:{reader}", server.url + "there")[2] == b"x"  # stock clients know passwords alone
        assert put(server, reader, b"x")[0] == 403
        assert put(server, other, b"x")[0] == 404


def test_a_wrong_token_does_not_take_away_what_is_public(server):
    (server.folder / "there").write_text("x")
    assert curl(*bearer("vdt_wrong"), server.url + "there")[0] == 200


def test_wrong_tokens_have_to_wait_and_the_right_one_then_works(server, token):
    statuses = [put(server, "vdt_wrong", b"x")[0] for _ in range(5)]
    assert statuses == [401, 401, 401, 401, 429]
    status, fields, _ = put(server, token, b"x")
    assert status == 429 and 1 <= int(fields["retry-after"]) <= 60
    wait_until(lambda: put(server, token, b"x")[0] == 201)


def test_a_broken_file_of_tokens_gives_no_rights(server, token):
    assert put(server, token, b"one")[0] == 201
    with open(server.state / "tokens", "a") as tokens:
        tokens.write("what is this\n")
    wait_until(lambda: put(server, token, b"two")[0] in (401, 429))
    assert "no token is accepted" in server.running.stderr() and ":3: " in server.running.stderr()


def test_every_change_is_audited(server, token):
    put(server, token, CONTENT)
    put(server, token, b"x", path=blob_path(b"y"))
    patch(server, token, b"cancelled", 0, b"can", "-H", "Upload-Complete: ?0")
    curl("-X", "DELETE", *bearer(token), server.url + blob_path(b"cancelled"))
    lines = server.audited()
    assert [(line["action"], line["result"]) for line in lines] == [
        ("upload", "done"), ("upload", "its sha512 is another one"), ("cancel", "done")]
    for line in lines:
        assert line["token"] == token.split("_")[1] and line["repository"] == "a" and line["peer"].startswith("127.0.0.1:")
    assert lines[0]["digest"] == blob_path(CONTENT)[-128:] and lines[0]["bytes"] == len(CONTENT)


def test_a_line_that_the_audit_log_does_not_take_is_told_elsewhere(tmp_path):
    server = Server(tmp_path / "server")
    server.config.write_text(server.config.read_text().replace(f"audit-log={server.audit}", "audit-log=/dev/full"))
    with server:
        assert put(server, server.token("push:a"), CONTENT)[0] == 201
        assert "No space left on device" in server.running.stderr()
        assert blob_path(CONTENT)[-128:] in server.running.stderr() and '"action":"upload"' in server.running.stderr()


# Uploads

def test_a_whole_file_is_stored_under_its_digest(server, token):
    status, _, body = put(server, token, CONTENT)
    assert (status, body) == (201, b"stored\n")
    blob = server.folder / blob_path(CONTENT)
    assert blob.read_bytes() == CONTENT and blob.stat().st_mode & 0o777 == 0o644
    assert put(server, token, CONTENT)[0] == 200
    assert curl(server.url + blob_path(CONTENT))[2] == CONTENT


def test_chunked_and_empty_files_are_stored(server, token):
    for content in (CONTENT, b""):
        assert put(server, token, content, "-H", "Transfer-Encoding: chunked")[0] == 201
    assert (server.folder / blob_path(b"")).read_bytes() == b""


def test_a_request_right_behind_an_upload_that_need_not_be_is_answered_too(server, token):
    path = "/" + blob_path(b"")
    put_nothing = f"PUT {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n".encode()
    with server.running.connect() as client:
        stream = client.makefile("rb")
        client.sendall(put_nothing + put_nothing + request(path))
        assert [Answer(stream).status for _ in range(3)] == [201, 200, 200]


@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_content_with_another_digest_leaves_nothing(server, token, kind):
    more = ["-H", "Transfer-Encoding: chunked"] if kind == "chunked" else []
    status, _, body = put(server, token, CONTENT, *more, path=blob_path(b"another"))
    assert status == 422 and b"sha512" in body
    assert not [path for path in server.folder.rglob("*") if path.is_file()]


def test_an_upload_goes_on_where_it_was(server, token):
    cut = 300_000
    status, fields, _ = head(server, token, CONTENT)
    assert (status, fields["upload-offset"], fields["upload-complete"]) == (404, "0", "?0")
    status, fields, _ = put(server, token, CONTENT[:cut], "-H", "Upload-Complete: ?0", path=blob_path(CONTENT))
    assert (status, fields["upload-offset"]) == (201, str(cut))
    status, fields, _ = head(server, token, CONTENT)
    assert (status, fields["upload-offset"], fields["upload-complete"]) == (204, str(cut), "?0")
    assert curl("--head", server.url + blob_path(CONTENT))[1].get("upload-offset") is None  # not for everybody
    status, fields, _ = patch(server, token, CONTENT, 5, CONTENT[5:])
    assert (status, fields["upload-offset"]) == (409, str(cut))
    assert patch(server, token, CONTENT, cut, CONTENT[cut:], "-H", "Upload-Complete: ?1")[0] == 201
    assert head(server, token, CONTENT)[0] == 200


def test_a_tus_client_is_understood(server, token):
    options = ["-H", "Content-Type: application/offset+octet-stream", "-H", f"Upload-Length: {len(CONTENT)}"]
    path = server.url + blob_path(CONTENT)
    for offset, expect in ((0, "400000"), (400_000, "800000"), (800_000, None)):
        status, fields, _ = curl("-X", "PATCH", "--data-binary", "@-", *bearer(token), *options, "-H",
                                 f"Upload-Offset: {offset}", path, data=CONTENT[offset:offset + 400_000])
        assert status == 201 and fields.get("upload-offset") == expect
    assert (server.folder / blob_path(CONTENT)).read_bytes() == CONTENT


@pytest.mark.parametrize("fields, status", [
    (["Upload-Offset: x", PATCH_TYPE], 400), ([PATCH_TYPE], 400), (["Upload-Offset: 0"], 415),
    (["Upload-Offset: 0", "Content-Type: text/plain"], 415), (["Upload-Offset: 0", PATCH_TYPE, "Upload-Complete: yes"], 400),
    (["Upload-Offset: 0", PATCH_TYPE, "Upload-Complete: ?1", "Upload-Length: 5"], 400),
    (["Upload-Offset: 9223372036854775807", PATCH_TYPE, "Upload-Complete: ?1"], 413),
])
def test_appends_that_make_no_sense_are_refused(server, token, fields, status):
    options = [item for field in fields for item in ("-H", field)]
    if not any(field.startswith("Content-Type") for field in fields):
        options += ["-H", "Content-Type:"]
    assert curl("-X", "PATCH", "--data-binary", "@-", *bearer(token), *options, server.url + blob_path(b"x"), data=b"x")[0] == status


def test_an_upload_survives_a_restart_and_is_hashed_again(tmp_path):
    server = Server(tmp_path / "server")
    token = server.token("push:a")
    with server:
        put(server, token, CONTENT[:500_000], "-H", "Upload-Complete: ?0", path=blob_path(CONTENT))
    with server:
        assert head(server, token, CONTENT)[1]["upload-offset"] == "500000"
        assert patch(server, token, CONTENT, 500_000, CONTENT[500_000:], "-H", "Upload-Complete: ?1")[0] == 201
    with server:  # what was changed on the disk meanwhile is found out
        put(server, token, b"abc", "-H", "Upload-Complete: ?0", path=blob_path(b"abcdef"))
    next((server.folder / ".virt-depot/uploads").iterdir()).write_bytes(b"xyz")
    with server:
        assert patch(server, token, b"abcdef", 3, b"def", "-H", "Upload-Complete: ?1")[0] == 422


def test_a_given_up_upload_is_gone(server, token):
    put(server, token, CONTENT[:5], "-H", "Upload-Complete: ?0", path=blob_path(CONTENT))
    assert curl("-X", "DELETE", *bearer(token), server.url + blob_path(CONTENT))[0] == 200
    assert head(server, token, CONTENT)[0] == 404
    assert not list((server.folder / ".virt-depot/uploads").iterdir())


def begin(server, token, content, send, *fields):
    """The beginning of a PUT on a plain socket."""
    client = server.running.connect()
    lines = [f"PUT /{blob_path(content)} HTTP/1.1", "Host: h", f"Authorization: Bearer {token}",
             f"Content-Length: {len(content)}", *fields]
    client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + send)
    return client


def part_size(server):
    parts = list((server.folder / ".virt-depot/uploads").glob("*"))
    return parts[0].stat().st_size if parts else -1


def test_two_uploads_of_one_file_do_not_mix_and_a_silent_one_is_replaced(server, token):
    with begin(server, token, CONTENT, CONTENT[:600_000]) as first:
        wait_until(lambda: part_size(server) > 0)
        assert put(server, token, CONTENT)[0] == 409
        wait_until(lambda: put(server, token, CONTENT)[0] == 201)  # after some seconds of silence
        first.sendall(CONTENT[600_000:])
        assert Answer(first.makefile("rb")).status == 409
    assert (server.folder / blob_path(CONTENT)).read_bytes() == CONTENT


def test_a_connection_that_breaks_leaves_what_came(server, token):
    with begin(server, token, CONTENT, CONTENT[:700_000]):
        wait_until(lambda: part_size(server) >= 256 << 10)
    wait_until(lambda: head(server, token, CONTENT)[0] == 204)
    offset = int(head(server, token, CONTENT)[1]["upload-offset"])
    assert 256 << 10 <= offset <= 700_000
    wait_until(lambda: patch(server, token, CONTENT, offset, CONTENT[offset:], "-H", "Upload-Complete: ?1")[0] == 201)


def test_a_stated_length_that_is_too_small_ends_the_file_there(server, token):
    content, rest = b"abc", b"def\r\n\r\n"
    with begin(server, token, content, content + rest) as client, client.makefile("rb") as stream:
        assert Answer(stream).status == 201
        assert Answer(stream).status == 400  # the rest is no request
        assert is_at_end(client)


def test_leave_to_send_comes_only_after_the_checks(tmp_path):
    server = Server(tmp_path / "server", max_upload="512K", quota="600K")
    big, fits, over = bytes(600_000), bytes(400_000), bytes(500_000)
    with server:
        token = server.token("push:a")
        for content, who, status in ((big, token, 413), (fits, "vdt_wrong", 401)):
            with begin(server, who, content, b"", "Expect: 100-continue") as client, client.makefile("rb") as stream:
                answer = Answer(stream)
                assert answer.status == status and answer.fields["connection"] == "close"
        assert put(server, token, fits)[0] == 201
        with begin(server, token, over, b"", "Expect: 100-continue") as client, client.makefile("rb") as stream:
            assert Answer(stream).status == 507
        with begin(server, token, b"small", b"", "Expect: 100-continue") as client, client.makefile("rb") as stream:
            assert Answer(stream).status == 100
            client.sendall(b"small")
            assert Answer(stream).status == 201


def test_a_chunked_upload_stops_at_the_limits(tmp_path):
    server = Server(tmp_path / "server", max_upload="512K", quota="1M")
    with server:
        token = server.token("push:a")
        chunked = ["-H", "Transfer-Encoding: chunked"]
        assert put(server, token, bytes(600_000), *chunked)[0] == 413
        assert put(server, token, bytes(500_000), *chunked)[0] == 201
        assert put(server, token, bytes(520_000), *chunked)[0] == 201
        assert put(server, token, bytes(100_000), *chunked)[0] == 507


def test_a_token_has_its_share_of_a_day(server):
    small = server.token("push:a", "--daily", "1M")
    assert put(server, small, bytes(700_000))[0] == 201
    assert put(server, small, bytes(700_001))[0] == 413
    assert put(server, small, bytes(100_000))[0] == 201
    server.running.stop()
    with server:  # and a restart does not give it another
        assert put(server, small, bytes(700_002))[0] == 413


def test_what_nobody_went_on_with_is_swept(server, token):
    put(server, token, CONTENT[:5], "-H", "Upload-Complete: ?0", path=blob_path(CONTENT))
    put(server, token, b"ab", "-H", "Upload-Complete: ?0", path=blob_path(b"abc"))
    old = server.folder / f".virt-depot/uploads/{blob_path(CONTENT)[-128:]}.part"
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    assert put(server, token, b"another")[0] == 201
    assert [path.name[:128] for path in old.parent.iterdir()] == [blob_path(b"abc")[-128:]]


@pytest.mark.parametrize("method, path", [("PUT", "index.asc"), ("PUT", "keys.asc"), ("PUT", ".virt-depot/repo.json"), ("PUT", "gen/1/index"),
                                          ("PUT", "blobs/sha512/ab/short"), ("PATCH", "index"), ("DELETE", "index"), ("POST", "")])
def test_nothing_but_blobs_and_the_index_can_be_written(server, token, method, path):
    assert curl("-X", method, *bearer(token), "-H", "Content-Type:", server.url + path)[0] == 405
    assert not [path for path in server.folder.rglob("*") if path.is_file()]


def test_a_repository_that_takes_no_pushes_asks_for_no_token(tmp_path):
    with Server(tmp_path / "server", push="no") as server:
        token = server.token("push:a")
        assert put(server, token, b"x")[0] == 405


# Pushes

@pytest.fixture
def publisher(depot, home):
    folder = home / "repo"
    published(depot, home, folder)
    return folder


@pytest.fixture
def target(tmp_path, publisher):
    with Server(tmp_path / "target", fingerprint_of(publisher)) as running:
        yield running


def push(depot, folder, server, token_file, *options, **more):
    return depot("push", "--token-file", token_file, folder, server.url, *options, **more)


def test_a_push_makes_the_server_s_repository_the_publisher_s(depot, home, publisher, target):
    token = target.token_file("push:a")
    dry = json.loads(push(depot, publisher, target, token, "--dry-run", "--json").stdout)
    assert dry["dry_run"] and not dry["published"] and len(dry["files_sent"]) == dry["files"] > 0
    assert not (target.folder / "current").exists()
    done = json.loads(push(depot, publisher, target, token, "--json").stdout)
    assert done["published"] and done["version_before"] == 0 and len(done["files_sent"]) == done["files"]
    Repository(target.folder, home).check()
    assert check(depot, target.folder)["findings"] == []
    assert "already" in push(depot, publisher, target, token).stdout
    assert target.audited()[-1]["action"] == "publish" and target.audited()[-1]["version"] == done["version"]


def test_only_what_is_missing_is_sent(depot, home, publisher, target):
    token = target.token_file("push:a")
    push(depot, publisher, target, token)
    add(depot, publisher, make_image(home / "third.raw", seed=33), "third")
    done = json.loads(push(depot, publisher, target, token, "--json").stdout)
    assert 0 < len(done["files_sent"]) < done["files"]
    assert set(Repository(target.folder, home).check()) == {"tiny0", "tiny1", "third"}
    uploads = [line for line in target.audited() if line["action"] == "upload"]
    assert len(uploads) == len({line["digest"] for line in uploads})


def test_who_loses_a_race_changes_nothing(depot, home, publisher, target, tmp_path):
    """Two publishers with the same key and the same start."""
    token = target.token_file("push:a")
    push(depot, publisher, target, token)
    other = home / "other"
    run("cp", "-a", publisher, other)
    add(depot, publisher, make_image(home / "mine.raw", seed=7), "mine")
    push(depot, publisher, target, token)
    os.remove(next(home.rglob("last-version")))  # the other one does not know of this version
    add(depot, other, make_image(home / "theirs.raw", seed=8), "theirs")
    before = (target.folder / "index").read_bytes()
    done = push(depot, other, target, token, check=False)
    assert done.returncode == 1 and "another version" in done.stderr
    assert (target.folder / "index").read_bytes() == before


def texts(folder):
    names = ["index", "index.asc", "index.sig", "keys.asc"]
    names += [name for name in ("trust", "trust.sig") if (folder / name).exists()]
    message = b"virt-depot-texts 1\n"
    for name in names:
        content = (folder / name).read_bytes()
        message += f"{name} {len(content)}\n".encode() + content + b"\n"
    return message


def put_index(server, token, message, *fields):
    options = [item for field in fields for item in ("-H", field)]
    return curl("-X", "PUT", "--data-binary", "@-", *bearer(token), "-H", "Content-Type: application/vnd.virt-depot.texts",
                *options, server.url + "index", data=message)


def test_an_index_is_taken_only_as_a_compare_and_swap(depot, home, publisher, target):
    token = target.token("push:a")
    first = texts(publisher)
    assert put_index(target, token, first)[0] == 428
    assert put_index(target, token, first, "If-Match: *")[0] == 428
    assert put_index(target, token, first, 'If-Match: "x"')[0] == 412
    status, _, body = put_index(target, token, first, "If-None-Match: *")
    assert status == 422 and b"has not been uploaded" in body
    push(depot, publisher, target, target.token_file("push:a"))
    etag = curl("--head", target.url + "index")[1]["etag"]
    add(depot, publisher, home / "image0.raw", "again")
    second = texts(publisher)
    for condition in ("If-None-Match: *", 'If-Match: "stale"'):
        status, _, body = put_index(target, token, second, condition)
        assert status == 412 and body
    assert put_index(target, token, first, f"If-Match: {etag}")[0] == 409  # not newer
    depot("push", "--token-file", target.token_file("push:a"), publisher, target.url)
    assert put_index(target, token, second, f"If-Match: {etag}")[0] == 412
    check(depot, target.folder)


def test_bad_indexes_are_refused_and_change_nothing(depot, home, publisher, target):
    token = target.token("push:a")
    push(depot, publisher, target, target.token_file("push:a"))
    etag = curl("--head", target.url + "index")[1]["etag"]
    add(depot, publisher, home / "image0.raw", "again")
    good = texts(publisher)
    stranger = home / "stranger"
    published(depot, home, stranger, images=1)
    index = (publisher / "index").read_bytes()
    tampered = texts(publisher).replace(index, index.replace(b"again", b"agaim"), 1)
    mixed = good.replace((publisher / "index.asc").read_bytes(), (publisher / "gen/1/index.asc").read_bytes())
    mixed = re.sub(rb"index\.asc \d+\n", b"index.asc %d\n" % len((publisher / "gen/1/index.asc").read_bytes()), mixed, count=1)
    rows = [
        (b"", 400), (b"nonsense", 400), (good[:-5], 400), (good + b"x", 400), (tampered, 422), (texts(stranger), 422), (mixed, 422),
    ]
    before = os.readlink(target.folder / "current")
    for number, (message, expected) in enumerate(rows):
        status, _, body = put_index(target, token, message, f"If-Match: {etag}")
        assert status == expected, (number, body)
        assert os.readlink(target.folder / "current") == before
    status, _, _ = curl("-X", "PUT", *bearer(token), "-H", "Content-Type: text/plain", "-H", f"If-Match: {etag}",
                        "--data-binary", "@-", target.url + "index", data=good)
    assert status == 415
    check(depot, target.folder)


def test_a_server_without_a_pin_takes_no_first_index(depot, publisher, server):
    done = push(depot, publisher, server, server.token_file("push:a"), check=False)
    assert done.returncode == 1 and "fingerprints" in done.stderr
    assert not (server.folder / "current").exists()


def test_the_server_holds_no_secret_key(depot, publisher, target):
    push(depot, publisher, target, target.token_file("push:a"))
    for path in [*target.folder.rglob("*"), *target.state.rglob("*")]:
        if path.is_file():
            assert b"PRIVATE KEY" not in path.read_bytes()
    assert not [path for path in target.top.rglob("*") if "private-keys" in path.name]


def test_a_push_without_the_right_says_so(depot, publisher, target):
    done = push(depot, publisher, target, target.token_file("read:a"), check=False)
    assert done.returncode == 1 and "does not allow" in done.stderr
    done = depot("push", publisher, target.url, check=False)
    assert done.returncode == 1 and "token is needed" in done.stderr


def test_a_token_is_not_sent_in_the_clear(depot, publisher, tmp_path, target):
    done = depot("push", "--token-file", target.token_file("push:a"), publisher, "http://images.example.org/", check=False)
    assert done.returncode == 2 and "in the clear" in done.stderr
    readable = tmp_path / "readable"
    readable.write_text("vdt_x")
    readable.chmod(0o644)
    done = depot("push", "--token-file", readable, publisher, target.url, check=False)
    assert done.returncode == 1 and "chmod 600" in done.stderr


def test_pull_gets_what_was_pushed(depot, publisher, target):
    push(depot, publisher, target, target.token_file("push:a"))
    depot("source", "add", "pushed", target.url, "--fingerprint", fingerprint_of(publisher))
    assert "tiny1" in depot("list").stdout
    depot("pull", "tiny1")


# Client certificates

def test_a_client_certificate_can_be_a_token(tmp_path):
    authority = Authority(tmp_path / "ca")
    authority.issue("server")
    authority.issue("builder", extensions="extendedKeyUsage=clientAuth")
    authority.issue("stranger", extensions="extendedKeyUsage=clientAuth")
    ca = authority.folder
    server = Server(tmp_path / "server", listen=(), server=f"tls-listen=127.0.0.1:0\ntls-certificate={ca}/server.pem\n"
                    f"tls-key={ca}/server.key\ntls-client-ca={ca}/ca.pem")
    fingerprint = authority.openssl("x509", "-in", "builder.pem", "-noout", "-fingerprint", "-sha256").strip().split("=")[1]
    identity = server.token("push:a", "--certificate", fingerprint)
    with server:
        url = server.url.replace("http:", "https:") + blob_path(b"x")

        def put_as(name):
            return curl("--cacert", ca / "ca.pem", "--cert", ca / f"{name}.pem", "--key", ca / f"{name}.key", "-X", "PUT",
                        "--data-binary", "@-", url, data=b"x")[0]

        assert put_as("stranger") == 401
        assert put_as("builder") == 201
    assert server.audited()[-1]["token"] == identity


def test_a_push_over_tls_believes_the_given_authority_alone(depot, publisher, tmp_path):
    authority = Authority(tmp_path / "ca")
    authority.issue("server")
    ca = authority.folder
    server = Server(tmp_path / "server", fingerprint_of(publisher), listen=(),
                    server=f"tls-listen=127.0.0.1:0\ntls-certificate={ca}/server.pem\ntls-key={ca}/server.key")
    token = server.token_file("push:a")
    with server:
        url = server.url.replace("http:", "https:")
        done = depot("push", "--token-file", token, publisher, url, check=False)
        assert done.returncode == 1 and not (server.folder / "current").exists()
        depot("push", "--token-file", token, "--ca", ca / "ca.pem", publisher, url)
    check(depot, server.folder)


# Trust

def test_a_repository_with_root_keys_follows_its_trust(depot, home, publisher, target):
    """The trust comes with a push, grows by its own rules, and cannot be left out again."""
    for name in ("jo", "kim"):
        depot("key", "create", home / name, "--user-id", f"{name} <{name}@example.org>")
        depot("key", "export", home / name, "--output", home / f"{name}.asc")
    token = target.token_file("push:a")
    push(depot, publisher, target, token)
    plain = texts(publisher)

    def publish_trust(number, *words):
        draft = home / f"trust-{number}"
        depot("trust", "draft", publisher, *words, "--output", draft)
        for name in ("jo", "kim"):
            depot("trust", "sign", draft, "--home", home / name)
        depot("trust", "publish", publisher, draft)

    publish_trust(1, "--root", home / "jo.asc", "--root", home / "kim.asc", "--threshold", "2")
    push(depot, publisher, target, token)
    assert (target.folder / "trust").read_bytes() == (publisher / "trust").read_bytes()
    etag = curl("--head", target.url + "index")[1]["etag"]
    depot("repo", "sign", publisher)
    whole = texts(publisher)
    without = whole[:whole.index(b"\ntrust ") + 1]
    status, _, body = put_index(target, target.token("push:a"), without, f"If-Match: {etag}")
    assert status == 422 and b"trust: is missing" in body
    assert put_index(target, target.token("push:a"), plain, f"If-Match: {etag}")[0] == 422
    push(depot, publisher, target, token)
    check(depot, target.folder)


def test_the_walk_through_works_as_it_stands(home):
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/push.md").read_text(), re.S)
    assert len(blocks) >= 5
    (home / "work").mkdir()
    done = subprocess.run(["bash", "-euxo", "pipefail", "-c", "\n".join(blocks)], cwd=home / "work", capture_output=True,
                          text=True, env={"PATH": f"{BIN}:/usr/bin:/bin", "VIRT_DEPOT_HOME": str(home / "h")}, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

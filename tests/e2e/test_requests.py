# SPDX-License-Identifier: Apache-2.0
"""Requests that two servers could understand in two ways, one row each: heads and, as the repository takes pushes,
bodies. Each is refused or taken in the one right way, and what follows on the connection is never taken for a request."""

import pytest

from push_helpers import Server, bearer, blob_path, curl
from repod_helpers import Answer, is_at_end, request

CONTENT = b"hello"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("requests")) as running:
        yield running


@pytest.fixture(scope="module")
def token(server):
    return server.token("push:a")


def put(token, *fields, path=None):
    return request(f"/{path or blob_path(CONTENT)}", "PUT", f"Authorization: Bearer {token}", *fields)


def chunked(token, *fields):
    return put(token, "Transfer-Encoding: chunked", *fields)


def upload(server, token, content):
    assert curl("-X", "PUT", "--data-binary", "@-", *bearer(token), server.url + blob_path(content), data=content)[0] == 201


LENGTHS = [
    (["Content-Length: 5", "Content-Length: 5"], 400),
    (["Content-Length: 5", "Content-Length: 6"], 400),
    (["Content-Length : 5"], 400),
    (["Content-Length: +5"], 400),
    (["Content-Length: -5"], 400),
    (["Content-Length: 0x5"], 400),
    (["Content-Length: 5, 5"], 400),
    (["Content-Length: 5 5"], 400),
    (["Content-Length: "], 400),
    (["Content-Length: 9223372036854775808"], 400),
    (["Content-Length: 18446744073709551621"], 400),
    (["Content-Length: 5", "Transfer-Encoding: chunked"], 400),
    (["Transfer-Encoding: chunked", "Content-Length: 5"], 400),
    (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400),
    (["Transfer-Encoding: gzip"], 501),
    (["Transfer-Encoding: gzip, chunked"], 501),
    (["Transfer-Encoding: chunked, identity"], 501),
    (["Transfer-Encoding: \"chunked\""], 501),
    (["Transfer-Encoding: x chunked"], 501),
    (["Transfer-Encoding:"], 501),
    (["Transfer-Encoding : chunked"], 400),
]


@pytest.mark.parametrize("fields, status", LENGTHS)
def test_a_length_that_can_be_read_in_two_ways_ends_the_connection(server, token, fields, status):
    with server.running.connect() as client, client.makefile("rb") as stream:
        client.sendall(put(token, *fields) + b"5\r\nhello\r\n0\r\n\r\n" + SMUGGLED)
        answer = Answer(stream)
        assert answer.status == status and answer.fields["connection"] == "close"
        assert stream.read() == b""
    assert not (server.folder / blob_path(CONTENT)).exists()


HEADS = [
    (b"X: a\0b", 400),
    (b"X: a\x01b", 400),
    (b"X: a\x7fb", 400),
    (b"X: a\rb", 400),
    (b"X: a\nY: b", 400),
    (b"X: a\r\n folded", 400),
    (b"X: a\r\n\tfolded", 400),
    (b" X: a", 400),
    (b": a", 400),
    (b"X Y: a", 400),
    (b"X(: a", 400),
    (b"X", 400),
    (b"Host: h", 400),
    (b"Host: other", 400),
]


@pytest.mark.parametrize("line, status", HEADS)
def test_a_header_that_is_none_ends_the_connection(server, line, status):
    with server.running.connect() as client, client.makefile("rb") as stream:
        client.sendall(b"GET /index HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n\r\n" + SMUGGLED)
        answer = Answer(stream)
        assert answer.status == status and answer.fields["connection"] == "close"
        assert stream.read() == b""


BODIES = [
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"\r\nhello\r\n0\r\n\r\n",
    b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhelloX\r\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhello\r\n0\n\r\n",
    b"5\r\nhello\r\n0\r\n\n",
    b"5;a=\nb\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX\r\n\r\n",
]


@pytest.mark.parametrize("body", BODIES)
def test_chunks_that_can_be_read_in_two_ways_end_the_connection(server, token, body):
    with server.running.connect() as client, client.makefile("rb") as stream:
        client.sendall(chunked(token) + body + SMUGGLED)
        answer = Answer(stream)
        assert answer.status == 400 and answer.fields["connection"] == "close"
        assert stream.read() == b""
    assert not (server.folder / blob_path(CONTENT)).exists()


@pytest.mark.parametrize("body", [
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;a=b\r\nhello\r\n0\r\n\r\n",
    b"5;a=\"b;c\"\r\nhello\r\n0;last\r\n\r\n",
    b"0005\r\nhello\r\n000\r\n\r\n",
    b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nTrailer: ignored\r\n\r\n",
])
def test_legal_chunks_are_taken_and_the_next_request_is_answered(server, token, body):
    with server.running.connect() as client, client.makefile("rb") as stream:
        client.sendall(chunked(token) + body + request("/healthz"))
        assert Answer(stream).status in (200, 201)
        assert Answer(stream).status == 200
    (server.folder / blob_path(CONTENT)).unlink()


@pytest.mark.parametrize("value", ["close", "close, foo", "foo, close", "keep-alive, CLOSE"])
def test_close_among_other_options_closes(server, value):
    with server.running.connect() as client, client.makefile("rb") as stream:
        client.sendall(request("/healthz", "GET", f"Connection: {value}") + SMUGGLED)
        answer = Answer(stream)
        assert answer.status == 200 and answer.fields["connection"] == "close"
        assert stream.read() == b"" and is_at_end(client)


def test_another_host_in_the_target_is_refused(server):
    with server.running.connect() as client, client.makefile("rb") as stream:
        client.sendall(request("http://other/index") + SMUGGLED)
        assert Answer(stream).status == 400 and stream.read() == b""


def test_what_never_has_a_body_has_none(server, token):
    """HEAD, 204 and 304: what comes next on the connection is the next answer."""
    upload(server, token, b"makes it a repository")
    (server.folder / "index.asc").write_text("text")
    with server.running.connect() as client, client.makefile("rb") as stream:
        client.sendall(request("/index.asc"))
        got = Answer(stream)
        client.sendall(request("/index.asc", "HEAD") + request("/index.asc", "GET", f"If-None-Match: {got.fields['etag']}")
                       + request("/healthz", "HEAD") + request("/nothing", "HEAD") + request("/index.asc"))
        same = ("content-length", "etag", "last-modified", "content-type", "cache-control")
        head = Answer(stream, method=b"HEAD")
        assert head.status == 200 and all(head.fields.get(name) == got.fields.get(name) for name in same)
        assert Answer(stream).status == 304
        assert Answer(stream, method=b"HEAD").status == 200
        assert Answer(stream, method=b"HEAD").status == 404
        assert Answer(stream).body == b"text"
    (server.folder / "index.asc").unlink()
    content = b"begun"
    with server.running.connect() as client, client.makefile("rb") as stream:
        client.sendall(request(f"/{blob_path(content)}", "PATCH", f"Authorization: Bearer {token}", "Upload-Offset: 0",
                               "Content-Type: application/partial-upload", "Upload-Complete: ?0", "Content-Length: 3") + b"beg"
                       + request(f"/{blob_path(content)}", "HEAD", f"Authorization: Bearer {token}") + request("/healthz"))
        assert Answer(stream).status in (201, 204)
        head = Answer(stream, method=b"HEAD")
        assert (head.status, head.fields["upload-offset"]) == (204, "3")
        assert Answer(stream).status == 200

# SPDX-License-Identifier: Apache-2.0
"""An index whose publisher means ill, or knows no better: in the browser it is text, all of it, and nothing but text."""

import contextlib
import json
import re
from pathlib import Path

import pytest

from browser import Browser
from fetch_helpers import Keys
from repod_helpers import Repod, request
from web_helpers import HandMade, ask, ask_json, entry, parse_page

MAX_TEXT = 4000  # PAGE_MAX_TEXT

SCRIPTS = [
    "<script>window.pwned=1</script>", "\"><img src=x onerror=window.pwned=1>", "' onmouseover='window.pwned=1", "</style><script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>", "<!--<script>", "]]><svg onload=window.pwned=1>", "javascript:window.pwned=1",
    "&lt;script&gt;&#60;b&#62;", "<a href=javascript:window.pwned=1>x</a>", "{{constructor.constructor('window.pwned=1')()}}",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>", "</title><body onload=window.pwned=1>", "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example/'>", "$(touch /tmp/x); `id` && \\\" '",
]
ODD = ["שלום עולם", "日本語 🖥️ é", "a\tb", "gpj.\u202eexe", "zero\u200bwidth\ufeff", "\u2066isolated", "bell\x07\x1b[31m", "\x7f\u009b31m"]


def shown(text):
    """What is to be seen of a text: what would hide or turn something is U+FFFD."""
    return re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]", "\ufffd", text)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(tmp_path_factory.mktemp("k") / "g")
    made.make("good")
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


def serve(made, work):
    conf = work / "conf"
    conf.write_text(f"[repository default]\ndir={made.folder}\nfingerprints={made.keys.fingerprints['good']}\n")
    return Repod(None, work, "--config", conf)


@pytest.mark.parametrize("texts", [SCRIPTS, ODD], ids=["scripts", "odd"])
def test_texts_of_an_index_stay_texts(browser, keys, tmp_path, texts):
    sections = [entry(f"image-{n}", name=text, osinfo=text, x_os=text, x_os_version=text, x_firmware=text,
                      notes=text + "\n" + text, file="./" + text, x_manifest="blobs/" + text, x_packages=text)
                for n, text in enumerate(t.replace("://", ":/") for t in texts)]
    made = HandMade(tmp_path / "repo", keys).publish(b"".join(sections))
    with serve(made, tmp_path) as server:
        index = ask_json(server, "/api/v1/index")["images"]
        url = f"http://127.0.0.1:{server.ports[0]}/"
        browser.open(url)
        titles = browser.run("[...document.querySelectorAll('h3 bdi')].map((e) => e.textContent)")
        notes = browser.run("[...document.querySelectorAll('.notes')].map((e) => e.textContent)")
        systems = browser.run("[...document.querySelectorAll('.facts dt')].filter((e) => e.textContent === 'System')"
                              ".map((e) => e.nextSibling.textContent)")
        # What the index says is what the document says: each of them, whole.
        assert len(index) > len(texts) // 2
        assert titles == [shown(image["title"]) for image in index]
        assert notes == [shown(image["notes"][""]) for image in index]
        assert systems == [shown(f"{i['extensions']['x_os']} {i['extensions']['x_os_version']}") for i in index]
        # The filters work with these texts, too.
        for image in index:
            browser.choose("#os", shown(image["os"]))
            assert browser.run("[...document.querySelectorAll('article')].filter((e) => e.checkVisibility()).length") == 1
        browser.type("#words", texts[0])
        browser.run("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
        browser.run("document.querySelectorAll('article').forEach((e) => e.dispatchEvent(new Event('mouseover', {bubbles: true})))")
        assert browser.run("document.getElementById('words').offsetWidth") >= 150  # however long a choice is
        # Nothing became markup: no element, attribute or address that our own page has not.
        tags = set(browser.run("[...document.querySelectorAll('body *')].map((e) => e.tagName)"))
        assert not tags & {"IMG", "SVG", "IFRAME", "BASE", "META", "STYLE", "B"}
        assert browser.run("document.scripts.length") == 1
        assert not [a for a in browser.run("[...document.querySelectorAll('*')].flatMap((e) => e.getAttributeNames())")
                    if a.startswith("on") or a in ("style", "src", "srcdoc")]
        links = browser.run("[...document.links].map((e) => e.href)")
        assert all(link.startswith(url) for link in links), links
        assert browser.run("window.pwned") is None
        assert browser.complaints == [] and [a for a in browser.requested if not a.startswith("data:")] == [url]
        assert server.stop() == 0


def test_every_title_of_the_list_arrives(keys, tmp_path):
    """The test above compares with what the API says; here, with what was written."""
    sections = [entry(f"image-{n}", name=text) for n, text in enumerate(SCRIPTS)]
    made = HandMade(tmp_path / "repo", keys).publish(b"".join(sections))
    with serve(made, tmp_path) as server:
        assert [i["title"] for i in ask_json(server, "/api/v1/index")["images"]] == SCRIPTS
        page = parse_page(ask(server, "/").body)
        assert [e.text for e in page.all("h3")][2:] == SCRIPTS
        assert server.stop() == 0


def test_bytes_that_are_no_text_are_marked(browser, keys, tmp_path):
    made = HandMade(tmp_path / "repo", keys).publish(entry("image", name=b"\xff\xfe caf\xe9 \xe2\x82", notes=b"\xc0\xaf<script>"))
    with serve(made, tmp_path) as server:
        body = ask(server, "/").body
        body.decode()  # valid, whatever the index was
        browser.open(f"http://127.0.0.1:{server.ports[0]}/")
        assert browser.run("document.querySelector('article h3').textContent") == "\ufffd\ufffd caf\ufffd \ufffd\ufffd"
        assert browser.run("document.querySelector('.notes').textContent") == "\ufffd\ufffd<script>"
        (image,) = ask_json(server, "/api/v1/index")["images"]
        assert image["name"] == "image"
        assert browser.complaints == [] and server.stop() == 0


def test_a_novel_is_cut_on_the_page_and_whole_in_the_api(browser, keys, tmp_path):
    novel = "\n".join(f"<i>line</i> {n} é" for n in range(60000))  # 1 MB
    title = "wide " * 2000
    made = HandMade(tmp_path / "repo", keys).publish(entry("image", name=title.strip(), notes=novel, x_os="o" * 5000))
    with serve(made, tmp_path) as server:
        body = ask(server, "/").body
        assert len(body) < 60000
        note = parse_page(body).first("div", class_="notes").text
        assert note.endswith("…") and novel.startswith(note[:-1]) and MAX_TEXT - 4 <= len(note[:-1].encode()) <= MAX_TEXT
        (image,) = ask_json(server, "/api/v1/index")["images"]
        assert image["notes"][""] == novel and image["title"] == title.strip()
        for width in (390, 1280):
            browser.set_width(width)
            browser.open(f"http://127.0.0.1:{server.ports[0]}/")
            browser.run("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
            assert browser.run("document.documentElement.scrollWidth") == width
        assert browser.complaints == [] and server.stop() == 0


def test_three_thousand_images_are_shown_as_far_as_old_clients_read_them(browser, keys, tmp_path):
    sections = [entry(f"image-{n}", name=f"Image {n}", x_os=f"system{n % 100}", notes="note " * 20) for n in range(3000)]
    made = HandMade(tmp_path / "repo", keys).publish(b"".join(sections))
    with serve(made, tmp_path) as server:
        assert len(ask_json(server, "/api/v1/index")["images"]) == 3000
        browser.set_width(1280, 900)
        browser.open(f"http://127.0.0.1:{server.ports[0]}/")
        assert browser.run("document.querySelectorAll('article').length") == 2400
        assert "600 more are not on this page; the API has all of them." in browser.run("document.body.textContent")
        assert browser.run("document.querySelectorAll('#os option').length") == 1 + 64  # that many choices can be looked through
        browser.type("#words", "image 2399")
        assert browser.run("document.getElementById('count').textContent") == "1 of 2400 images"
        milliseconds = browser.run("(() => { const from = performance.now(); const w = document.getElementById('words');"
                                   "w.value = '7'; w.dispatchEvent(new Event('input', {bubbles: true}));"
                                   "document.body.offsetHeight; return performance.now() - from; })()")
        print(f"2400 images: {len(ask(server, '/').body) >> 10} KiB, a key stroke in the search {milliseconds:.0f} ms")
        assert milliseconds < 1000
        assert browser.complaints == [] and server.stop() == 0


def test_a_page_is_not_copied_for_each_client_that_reads_it_slowly(keys, tmp_path):
    """Nor for each name of the server that they make up."""
    sections = [entry(f"image-{n}", name=f"Image {n}", notes="note " * 100) for n in range(2400)]
    made = HandMade(tmp_path / "repo", keys).publish(b"".join(sections))
    with serve(made, tmp_path) as server, contextlib.ExitStack() as stack:
        def resident_kib():
            return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text())[1])

        whole = ask(server, "/", host="first").body
        assert whole.count(b"http://first/") == 3 and whole.endswith(b"</html>\n")
        assert ask(server, "/", host="second").body == whole.replace(b"http://first/", b"http://second/")
        before = resident_kib()
        for n in range(100):
            client = stack.enter_context(server.connect(receive_buffer=4096))
            client.sendall(request("/").replace(b"Host: h", f"Host: h{n}".encode()))
            assert client.recv(8) == b"HTTP/1.1"
        grown = resident_kib() - before
        print(f"100 slow readers of a page of {len(whole) >> 10} KiB: {grown} KiB")
        assert grown < 100 * len(whole) / 1024 / 10


def test_an_index_that_does_not_verify_shows_nothing_of_itself(keys, tmp_path):
    made = HandMade(tmp_path / "repo", keys).publish(entry("image", name="Forged"))
    index = made.folder / "current/index"
    index.write_bytes(index.read_bytes() + entry("evil", name="<script>"))
    with serve(made, tmp_path) as server:
        answer = ask(server, "/")
        assert answer.status == 503 and "content-security-policy" in answer.fields
        text = parse_page(answer.body).text
        assert "There is no catalogue to show" in text and "Forged" not in text and str(tmp_path) not in text
        for path in ("index", "history", "images/image"):
            problem = ask_json(server, f"/api/v1/{path}", status=503)
            assert set(problem) == {"error"} and json.dumps(problem).count(str(tmp_path)) == 0
        # Readers get the files all the same: they verify for themselves.
        assert ask(server, "/index").status == 200
        made.publish(entry("image", name="Good again"))
        assert ask_json(server, "/api/v1/index")["version"] == 2
        assert server.stop() == 0

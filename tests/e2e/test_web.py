# SPDX-License-Identifier: Apache-2.0
"""The page for people and its API: over HTTP, and as a real headless Chromium shows them."""

import base64
import hashlib
import json
import re
import subprocess

import pytest

from browser import Browser
from conftest import BIN, ROOT, run
from repod_helpers import Repod
from web_helpers import Publisher, ask, ask_json, parse_page

SHOTS = ROOT / "build/screenshots"  # left there to be looked at


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five images, one of them in two revisions, one hidden."""
    top = tmp_path_factory.mktemp("w")
    publisher = Publisher(top)
    made = publisher.init(top / "repo")
    notes = "Minimal server.\n\nThe root password is locked: use --ssh-key.\nUpdated each month."
    debian = ["--title", "Debian 12 (bookworm)", "--os", "debian", "--os-version", "12", "--osinfo", "debian12"]
    publisher.add(made, "debian-12", *debian, "--firmware", "bios,uefi", "--notes", notes)
    publisher.add(made, "debian-12", *debian, "--firmware", "bios,uefi", "--notes", notes)
    publisher.add(made, "debian-12", *debian, arch="aarch64")
    publisher.add(made, "rocky-9", "--title", "Rocky Linux 9.4, with LVM", "--os", "rocky", "--os-version", "9.4")
    publisher.add(made, "opensuse-leap-15.6-with-a-rather-long-name", "--osinfo", "opensuse15.6", size=3 << 20)
    publisher.add(made, "secret-project", "--hidden")
    return made


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    with Repod(folder, tmp_path_factory.mktemp("s")) as running:
        yield running
        assert running.stop() == 0 and "Sanitizer" not in running.stderr(), running.stderr()


@pytest.fixture(scope="module")
def url(server):
    return f"http://127.0.0.1:{server.ports[0]}/"


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


@pytest.fixture
def tab(browser):
    """The browser with nothing of the test before."""
    browser.set_script(True)
    browser.set_media("light")
    browser.set_width(1280)
    return browser


# ---- over HTTP ----


def sources(policy, directive):
    return dict(part.strip().split(" ", 1) for part in policy.split(";"))[directive].split()


def test_the_page_allows_its_own_style_and_script_and_nothing_else(server):
    answer = ask(server, "/")
    assert answer.status == 200 and answer.fields["content-type"] == "text/html; charset=utf-8"
    assert answer.fields["x-content-type-options"] == "nosniff" and answer.fields["referrer-policy"] == "no-referrer"
    assert answer.fields["cache-control"] == "no-cache"
    policy = answer.fields["content-security-policy"]
    assert "unsafe" not in policy and "*" not in policy
    assert sources(policy, "default-src") == ["'none'"] and sources(policy, "frame-ancestors") == ["'none'"]
    assert sources(policy, "base-uri") == sources(policy, "form-action") == ["'none'"]
    page = parse_page(answer.body)
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (element,) = page.all(tag)
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert sources(policy, directive) == [f"'sha256-{digest}'"] and element.attributes == {}
    text = answer.body.decode()
    assert not re.search(r"<[^>]+\s(on\w+|style|src|srcset|formaction)\s*=", text)
    assert [e.attributes["href"][:5] for e in page.all("link")] == ["data:"]
    assert all(e.attributes["href"].startswith("./") for e in page.all("a"))


def test_head_and_conditional_requests_fit_the_page(server):
    for path in ("/", "/api/v1/", "/api/v1/index", "/api/v1/history", "/api/v1/images/rocky-9"):
        got, head = ask(server, path), ask(server, path, method="HEAD")
        same = {k: v for k, v in got.fields.items() if k != "date"}
        assert (got.status, head.status, head.body) == (200, 200, b"")
        assert {k: v for k, v in head.fields.items() if k != "date"} == same
        assert len(got.body) == int(same["content-length"])
        again = ask(server, path, f"If-None-Match: {same['etag']}")
        assert (again.status, again.body) == (304, b"") and again.fields["etag"] == same["etag"]
        assert ask(server, path, 'If-None-Match: "other"').status == 200
        assert ask(server, path, method="POST").status == 405


def test_the_page_has_everything_without_a_script(server):
    page = parse_page(ask(server, "/").body)
    shown = [article.first("p", class_="name").text for article in page.all("article")]
    assert sorted(shown) == ["debian-12", "debian-12", "opensuse-leap-15.6-with-a-rather-long-name", "rocky-9"]
    assert "hidden" in page.first("form").attributes  # without a script it would do nothing
    article = next(page.all("article"))
    assert article.first("div", class_="notes").text.startswith("Minimal server.\n\nThe root password is locked")
    assert len(article.first("pre").text) > 0 and not any("hidden" in e.attributes for e in page.all("article"))



def test_every_value_of_the_page_is_in_the_api(server):
    page, index = parse_page(ask(server, "/").body), ask_json(server, "/api/v1/index")
    history = {(i["name"], i["arch"]): i["revisions"] for i in ask_json(server, "/api/v1/history")["images"]}
    facts = page.facts()
    assert facts.pop("Signed by key").replace(" ", "") == index["fingerprint"]
    assert facts == {"Version": str(index["version"]), "Signed": index["signed"], "Valid until": index["expires"]}
    commands = [e.text for e in page.first("section", class_="use").all("pre")]
    assert f"--fingerprint {index['fingerprint']}" in commands[0] and "http://h/ " in commands[0]
    assert "uri=http://h/index.asc\n" in commands[1] and "http://h/keys.asc" in commands[1]

    listed = [image for image in index["images"] if not image["hidden"]]
    assert len(index["images"]) == len(listed) + 1
    for article, image in zip(page.all("article"), listed, strict=True):
        extensions, revisions = image["extensions"], history[(image["name"], image["arch"])]
        assert article.first("h3").text == (image["title"] or image["name"])
        assert article.first("p", class_="name").text == image["name"]
        system = " ".join(filter(None, (extensions.get("x_os"), extensions.get("x_os_version")))) or image["osinfo"]
        expected = {"System": system, "Architecture": image["arch"], "Revision": str(image["revision"]),
                    "Download": str(image["compressed_size"]), "Disk": str(image["size"]), "Format": image["format"],
                    "Firmware": extensions.get("x_firmware"), "Published": revisions[0]["created"]}
        assert article.facts() == {k: v for k, v in expected.items() if v}
        assert (article.attributes["data-os"] or None, article.attributes["data-arch"]) == (image["os"], image["arch"])
        texts = [e.text for e in article.all("pre")]
        assert texts == [f"virt-depot pull images/{image['name']} --arch {image['arch']}",
                         f"virt-builder {image['name']} --arch {image['arch']}", image["sha512"]]
        assert [e.text for e in article.all("div", class_="notes")] == list(image["notes"].values())
        links = {a.text: a.attributes["href"] for a in article.all("a")}
        assert links["Image, compressed"] == "./" + image["file"]
        assert links["Block manifest"] == "./" + extensions["x_manifest"]
        assert all(ask(server, link[1:], method="HEAD").status == 200 for link in links.values())
        rows = [[cell for cell in row.all("td")] for row in article.first("tbody").all("tr")]
        for cells, revision in zip(rows, revisions, strict=True):
            assert cells[0].text == str(revision["revision"])
            assert cells[1].first("time").attributes["datetime"] == revision["created"]
            assert cells[2].first("data").attributes["value"] == str(revision["compressed_size"])
            assert cells[3].first("data").attributes["value"] == str(revision["size"])
            assert revision["sha512"].startswith(cells[4].text.rstrip("…")) and len(cells[4].text) == 13
        (alone,) = [i for i in ask_json(server, f"/api/v1/images/{image['name']}") if i["arch"] == image["arch"]]
        assert alone.pop("revisions") == revisions and alone == image
    assert [r["revision"] for r in history[("debian-12", "x86_64")]] == [2, 1]


def test_the_commands_of_the_page_work_as_they_stand(server, home):
    """Pasted into a shell: with virt-depot, and with Debian's virt-builder, which asks nobody else here."""
    page = parse_page(ask(server, "/", host=f"127.0.0.1:{server.ports[0]}").body)
    depot, builder = [e.text for e in page.first("section", class_="use").all("pre")]
    pull = next(e.text for e in page.all("pre") if e.text.startswith("virt-depot pull images/rocky-9 "))
    (home / "gpg").mkdir(mode=0o700)
    env = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(home), "VIRT_DEPOT_HOME": str(home / "depot"), "XDG_CONFIG_DIRS": str(home),
           "VIRT_BUILDER_DIRS": str(home), "GNUPGHOME": str(home / "gpg"), "LC_ALL": "C.UTF-8"}
    for script in (f"{depot}\n{pull}", builder):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=env, cwd=home, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("rocky-9" in done.stdout) and "secret-project" not in done.stdout


def test_the_api_says_where_things_are_and_what_is_not_there(server):
    start = ask_json(server, "/api/v1/")
    assert ask_json(server, "/" + start["index"])["images"] and ask_json(server, "/" + start["history"])["versions"]
    assert ask_json(server, "/" + start["image"].replace("{name}", "rocky-9"))[0]["name"] == "rocky-9"
    for name in ("none", "", "debian-12/x", "debian", "%3Cscript%3E", "debian-12%00"):
        answer = ask(server, f"/api/v1/images/{name}")
        if "%00" in name:
            assert answer.status == 400
            continue
        assert answer.status == 404 and json.loads(answer.body) == {"error": "there is no image of this name"}
    assert ask(server, "/api/v1/other").status == 404 and ask(server, "/api/v2/index").status == 404


def test_what_a_client_calls_the_server_cannot_become_markup(server):
    for host in ("\"><script>alert(1)</script>", "a'b", "a b", "h<", "h;rm -rf", "$(id)", "-oProxy"):
        with server.connect() as client:
            client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            text = client.makefile("rb").read().decode()
        assert text.startswith("HTTP/1.1 400 ") or "source add images http://SERVER/ " in text, (host, text[:200])
        assert host not in text
    assert "source add images http://[::1]:80/ " in parse_page(ask(server, "/", host="[::1]:80").body).text


def test_a_private_repository_shows_nothing_of_itself(folder, tmp_path):
    conf = tmp_path / "conf"
    conf.write_text(f"[server]\nstate={tmp_path}\n[repository hush]\ndir={folder}\npath=/x/\npublic=no\n")
    token = run(BIN / "virt-depot", "token", "create", "--state", tmp_path, "read:hush").stdout.strip()
    with Repod(None, tmp_path, "--config", conf) as server:
        for path in ("/x/", "/x/api/v1/", "/x/api/v1/index", "/x/api/v1/history", "/x/api/v1/images/debian-12", "/x/nothing"):
            answer = ask(server, path)
            assert answer.status == 401 and b"hush" not in answer.body and b"debian" not in answer.body
            assert "etag" not in answer.fields and "content-security-policy" not in answer.fields
            assert ask(server, path, 'If-None-Match: *').status == 401
        assert ask(server, "/").status == 404  # no list either
        assert ask(server, "/x/", f"Authorization: Bearer {token}").status == 200
        assert ask_json(server, "/x/api/v1/index", f"Authorization: Bearer {token}")["repository"] == "hush"
        assert server.stop() == 0


# ---- in a browser ----


def shot(tab, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    return tab.screenshot(SHOTS / f"{name}.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_a_page_in_light_and_dark_on_a_desk_and_a_phone(tab, url, width, scheme):
    tab.set_width(width)
    tab.set_media(scheme)
    tab.open(url)
    picture = shot(tab, f"{scheme}-{width}")
    assert picture.width == width // 4 + (width % 4 > 0)
    assert abs(picture.height - tab.run("document.querySelector('footer').getBoundingClientRect().bottom") / 4) < 20
    assert len(picture.colours()) > 100, "blank"
    assert (sum(picture.pixel(0, 0)) > 600) == (scheme == "light")
    assert tab.run("document.documentElement.scrollWidth") == width  # nothing sticks out
    # Each command is seen whole, and each text has a contrast of 4.5 to what is behind it (WCAG 2.1, 1.4.3).
    assert tab.run("[...document.querySelectorAll('pre')].every((e) => e.scrollWidth <= e.clientWidth && e.offsetHeight > 20)")
    assert tab.run(CONTRAST) == []
    assert tab.complaints == []
    assert [address for address in tab.requested if not address.startswith("data:")] == [url]


CONTRAST = """(() => {
  const level = (text) => { const [r, g, b] = text.match(/[\\d.]+/g).map((v) => { v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (c !== 'rgba(0, 0, 0, 0)') return c; } return 'rgb(255, 255, 255)'; };
  return [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && e.tagName !== 'OPTION' &&
      [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== '')).filter((e) => {
    const [a, b] = [level(getComputedStyle(e).color), level(ground(e))].sort(); return (b + 0.05) / (a + 0.05) < 4.5;
  }).map((e) => e.outerHTML.slice(0, 80));
})()"""


def test_it_reads_well_without_a_script(tab, url):
    tab.set_script(False)
    tab.open(url)
    assert len(shot(tab, "no-script").colours()) > 100
    shown = parse_page(tab.source().encode())
    assert len(list(shown.all("article"))) == 4 and not list(shown.all("button"))
    assert not tab.run("document.querySelector('form').checkVisibility()")
    # The details open without a script, too.
    tab.click("article summary")
    assert tab.run("document.querySelector('article details').open")
    assert tab.complaints == []


NAMES = "[...document.querySelectorAll('article')].filter((e) => e.checkVisibility()).map((e) => " \
        "e.querySelector('.name').textContent + '/' + e.dataset.arch).sort()"
ALL = ["debian-12/aarch64", "debian-12/x86_64", "opensuse-leap-15.6-with-a-rather-long-name/x86_64", "rocky-9/x86_64"]


@pytest.mark.parametrize("words, os, arch, expected", [
    ("", "", "", [0, 1, 2, 3]), ("bookworm", "", "", [0, 1]), ("LVM", "", "", [3]), ("root password", "", "", [1]),
    ("password  ROCKY", "", "", []), ("", "debian", "", [0, 1]), ("", "", "aarch64", [0]), ("", "opensuse", "x86_64", [2]),
    ("bookworm", "debian", "aarch64", [0]), ("lvm", "debian", "", []), ("<b>", "", "", []),
])
def test_search_and_filters(tab, url, words, os, arch, expected):
    tab.open(url)
    tab.type("#words", words)
    tab.choose("#os", os)
    tab.choose("#arch", arch)
    assert tab.run(NAMES) == [ALL[i] for i in expected]
    count = tab.run("document.getElementById('count').textContent")
    assert count == ("4 images" if len(expected) == 4 else f"{len(expected)} of 4 images")
    assert tab.complaints == []


def test_the_filters_offer_what_is_there(tab, url):
    tab.open(url)
    options = "[...document.querySelectorAll('#{} option')].map((o) => o.value)"
    assert tab.run(options.format("os")) == ["", "debian", "opensuse", "rocky"]
    assert tab.run(options.format("arch")) == ["", "aarch64", "x86_64"]


def test_a_search_can_be_sent_to_somebody(tab, url):
    tab.open(url + "#q=rocky%20lvm")
    assert tab.run("document.getElementById('words').value") == "rocky lvm" and tab.run(NAMES) == [ALL[3]]
    tab.open(url + "#q=<img src=x onerror=window.pwned=1>")
    assert tab.run(NAMES) == [] and tab.run("window.pwned") is None and tab.complaints == []


def test_the_history_of_revisions_opens(tab, url):
    tab.open(url)
    table = "[...document.querySelectorAll('article')].find((e) => e.dataset.arch === 'x86_64').querySelector('table')"
    assert not tab.run(f"{table}.checkVisibility()")
    tab.run(f"{table}.closest('details').querySelector('summary').click()")
    assert tab.run(f"{table}.checkVisibility()")
    assert tab.run(f"[...{table}.tBodies[0].rows].map((row) => row.cells[0].textContent)") == ["2", "1"]
    assert tab.run(f"{table}.parentElement.scrollWidth <= {table}.parentElement.clientWidth")
    tab.run("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    assert len(shot(tab, "open").colours()) > 100
    tab.set_width(390)
    assert tab.run("document.documentElement.scrollWidth") == 390
    assert len(shot(tab, "open-390").colours()) > 100


COPY = "[...document.querySelectorAll('article button')][0]"
COMMAND = "document.querySelector('article pre').textContent"


def permit(tab, url, setting):
    for name in ("clipboard-write", "clipboard-read"):
        tab.call("Browser.setPermission", permission={"name": name}, setting=setting, origin=url.rstrip("/"))


def test_a_command_is_copied_with_one_click(tab, url):
    tab.open(url)
    assert tab.run("document.querySelectorAll('button').length") == tab.run("document.querySelectorAll('pre').length") == 14
    permit(tab, url, "granted")
    tab.click("article button")
    tab.wait(f"{COPY}.textContent === 'Copied'")
    assert tab.run("navigator.clipboard.readText()") == tab.run(COMMAND)
    tab.wait(f"{COPY}.textContent === 'Copy'")  # and again after two seconds


def test_without_tls_a_command_is_copied_by_the_old_way(tab, url):
    """To the browser, this host and https are safe places and others are not: they have no clipboard."""
    tab.open(url.replace("127.0.0.1", "images.example.org"))
    assert tab.run("navigator.clipboard === undefined")
    tab.click("article button")
    tab.wait(f"{COPY}.textContent === 'Copied'")
    command = tab.run(COMMAND)
    assert tab.run("getSelection().toString()") == command and tab.complaints == []
    tab.open(url)
    permit(tab, url, "granted")
    assert tab.run("navigator.clipboard.readText()") == command


def test_where_the_clipboard_is_denied_the_text_is_selected(tab, url):
    """A user may have denied it, or the browser the old way too: then the command is selected for Ctrl+C."""
    permit(tab, url, "denied")
    tab.open(url)
    tab.click("article button")
    tab.wait(f"{COPY}.textContent !== 'Copy'")
    assert tab.run("getSelection().toString()") == tab.run(COMMAND)
    for deny in ("navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError'))",
                 "Object.defineProperty(navigator, 'clipboard', {value: undefined})"):
        for works in ("true", "false"):
            tab.open(url)
            tab.run(f"{deny}; document.execCommand = (what) => {{ window.asked = what; return {works}; }}; 0")
            tab.click("article button")
            tab.wait(f"{COPY}.textContent === '{'Copied' if works == 'true' else 'Press Ctrl+C'}'")
            assert tab.run("window.asked") == "copy"
            assert tab.run("getSelection().toString()") == tab.run(COMMAND)
            assert tab.complaints == []

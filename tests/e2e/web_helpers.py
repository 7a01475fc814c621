# SPDX-License-Identifier: Apache-2.0
"""What the tests of the page, the API and the metrics share: repositories to show, questions over HTTP, and readers of answers."""

import html.parser
import json
import os

from conftest import BIN, run
from repo_helpers import make_image
from repod_helpers import Answer, request


def ask(server, path, *fields, method="GET", host="h"):
    """One request on a connection of its own."""
    text = request(path, method, *fields, "Connection: close").replace(b"Host: h\r\n", f"Host: {host}\r\n".encode())
    with server.connect() as client:
        client.sendall(text)
        return Answer(client.makefile("rb"), method.encode())


def ask_json(server, path, *fields, status=200):
    answer = ask(server, path, *fields)
    assert (answer.status, answer.fields["content-type"]) == (status, "application/json"), answer.body
    return json.loads(answer.body)


class Publisher:
    """virt-depot with a home of its own, publishing small images."""

    def __init__(self, top):
        self.top = top
        self.environment = {"VIRT_DEPOT_HOME": str(top / "publisher")}
        self.seed = 0

    def depot(self, *words, **more):
        return run(BIN / "virt-depot", *words, env=self.environment, **more)

    def init(self, folder):
        self.depot("repo", "init", folder)
        return folder

    def add(self, folder, name, *options, arch="x86_64", size=1 << 20):
        """A new content each time, so a new revision of what is there."""
        self.seed += 1
        image = make_image(self.top / f"{name}.raw", random_bytes=20 << 10, size=size, seed=self.seed)
        self.depot("repo", "add", folder, image, "--name", name, "--no-inspect", "--arch", arch, *options)


class HandMade:
    """A repository whose index says whatever the test wants, signed by gpg."""

    def __init__(self, folder, keys, signer="good"):
        self.folder, self.keys, self.signer, self.version = folder, keys, signer, 0
        folder.mkdir(parents=True)
        for name in ("index", "index.asc", "index.sig", "keys.asc"):
            (folder / name).symlink_to(f"current/{name}")

    def publish(self, entries, header="", extra=()):
        """@entries: bytes of an index; becomes the next version, with the further texts @extra: (name, content)."""
        self.version += 1
        generation = self.folder / f"gen/{self.version}"
        generation.mkdir(parents=True)
        index = generation / "index"
        index.write_bytes(f"# virt-depot: 1\n# version: {self.version}\n{header}\n".encode() + entries)
        for mode in ("--clearsign", "--detach-sign"):
            self.keys.sign(self.signer, index, mode=mode)
        (generation / "keys.asc").write_text(self.keys.export(*self.keys.fingerprints))
        for name, content in extra:
            (generation / name).write_text(content)
        switch = self.folder / "next"
        switch.symlink_to(f"gen/{self.version}")
        os.rename(switch, self.folder / "current")
        return self


def entry(section, /, **fields):
    """One section of an index; values are text or bytes, and a line end in a note goes on in the next line."""
    fields = {"arch": "x86_64", "file": f"{section}.xz", "revision": "1", "size": "1048576", "compressed_size": "4096",
              "checksum[sha512]": "a" * 128, **fields}
    raw = {key: value.encode() if isinstance(value, str) else value for key, value in fields.items()}
    return f"[{section}]\n".encode() + b"".join(key.encode() + b"=" + value.replace(b"\n", b"\n ") + b"\n"
                                            for key, value in raw.items()) + b"\n"


class Element:
    """One element of a page: enough of a tree to find things in."""

    VOID = {"meta", "link", "input", "br", "img", "hr"}

    def __init__(self, tag="", attributes=()):
        self.tag, self.attributes, self.children = tag, dict(attributes), []

    def all(self, tag, **attributes):
        """Below it, in order; the attributes as written, "class_" for "class"."""
        for child in self.children:
            if isinstance(child, Element):
                if child.tag == tag and all(child.attributes.get(k.rstrip("_")) == v for k, v in attributes.items()):
                    yield child
                yield from child.all(tag, **attributes)

    def first(self, tag, **attributes):
        return next(self.all(tag, **attributes))

    @property
    def text(self):
        return "".join(c.text if isinstance(c, Element) else c for c in self.children)

    def facts(self):
        """Of the first list of facts: what it is called -> its exact value."""
        facts = {}
        for row in self.first("dl").all("div"):
            value = row.first("dd")
            exact = [e.attributes["value"] for e in value.all("data")] + [e.attributes["datetime"] for e in value.all("time")]
            facts[row.first("dt").text] = exact[0] if exact else value.text
        return facts


class Tree(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = [Element()]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, attrs)
        self.open[-1].children.append(element)
        if tag not in Element.VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, (self.open[-1].tag, tag)  # each end has its start: the page is well formed
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


def parse_page(body):
    tree = Tree()
    tree.feed(body.decode())
    tree.close()
    assert len(tree.open) == 1, "an element has no end"
    return tree.open[0]

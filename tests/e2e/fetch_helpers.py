# SPDX-License-Identifier: Apache-2.0
"""A repository written by hand with gpg and xz, as for virt-builder, and a server that misbehaves on request."""

import hashlib
import http.server
import json
import lzma
import os
import random
import re
import threading
import time
from pathlib import Path

from conftest import run

QUICK = {"VIRT_DEPOT_RETRY_MS": "1", "VIRT_DEPOT_STALL_SECONDS": "1", "VIRT_DEPOT_MAX_AGE": "0"}


def wait_for(fact, what, timeout=30):
    """Wait until fact() holds."""
    end, pause = time.monotonic() + timeout, threading.Event()
    while not fact():
        assert time.monotonic() < end, f"waited in vain for {what}"
        pause.wait(0.002)  # whoever is waited for needs the processor


class Keys:
    """A GnuPG home with signing keys by nickname."""

    def __init__(self, folder):
        self.home = Path(folder)
        self.home.mkdir(mode=0o700)
        self.fingerprints = {}

    def gpg(self, *words, **more):
        return run("gpg", "--homedir", self.home, "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback",
                   "--passphrase", "", *words, **more)

    def make(self, nickname, expires="never", time=None):
        fake = ("--faked-system-time", time) if time else ()
        self.gpg(*fake, "--quick-generate-key", f"{nickname} <{nickname}@example.org>", "ed25519", "sign", expires)
        listing = self.gpg("--with-colons", "--list-keys", f"={nickname} <{nickname}@example.org>").stdout
        self.fingerprints[nickname] = re.search(r"^fpr:+([0-9A-F]{40}):", listing, re.M).group(1)
        return self.fingerprints[nickname]

    def export(self, *nicknames):
        return self.gpg("--armor", "--export", *(self.fingerprints[name] for name in nicknames)).stdout

    def sign(self, nickname, path, mode="--clearsign", time=None, extra=()):
        fake = ("--faked-system-time", time) if time else ()
        out = path.with_name(path.name + (".asc" if mode == "--clearsign" else ".sig"))
        self.gpg(*fake, *extra, "--digest-algo", "SHA512", "-u", self.fingerprints[nickname], "-o", out, mode, path)
        return out

    def close(self):
        run("gpgconf", "--homedir", self.home, "--kill", "all", check=False)


def make_content(size=1 << 20, noise=200 << 10, seed=1):
    """Bytes of a raw image: noise, a hole, and an end that is no hole."""
    return random.Random(seed).randbytes(noise) + bytes(size - noise - 4096) + b"\x5a" * 4096


def compress(content):
    return lzma.compress(content, check=lzma.CHECK_CRC64, preset=0)


class Repository:
    """index, index.asc and images in a folder."""

    def __init__(self, folder, keys, signer="good", header=""):
        self.folder, self.keys, self.signer, self.header = Path(folder), keys, signer, header
        self.folder.mkdir(parents=True)
        self.entries = []

    def add(self, image, content, packed=None, **fields):
        """Publish @packed (default: @content as xz) as @image; fields replace or, with None, remove lines."""
        packed = compress(content) if packed is None else packed
        (self.folder / f"{image}.xz").write_bytes(packed)
        lines = {"name": f"Image {image}", "arch": "x86_64", "file": f"{image}.xz",
                 "checksum[sha512]": hashlib.sha512(packed).hexdigest(), "revision": "1", "format": "raw",
                 "size": str(len(content)), "compressed_size": str(len(packed)), **fields}
        self.entries.append(f"[{image}]\n" + "".join(f"{k}={v}\n" for k, v in lines.items() if v is not None))
        return packed

    def text(self):
        return self.header + ("\n" if self.header else "") + "\n".join(self.entries) + "\n"

    def sign(self, detached=False, **more):
        """Write and sign the index; only the clear-signed one unless @detached."""
        index = self.folder / "index"
        index.write_text(self.text())
        self.keys.sign(self.signer, index, **more)
        if detached:
            self.keys.sign(self.signer, index, mode="--detach-sign", **more)
        else:
            index.unlink()
        (self.folder / "keys.asc").write_text(self.keys.export(self.signer))
        return self


class Streams:
    """A repository like that of cirros, or with @incus like that of incus: qcow2 files that are not compressed."""

    def __init__(self, folder, keys=None, incus=False):
        self.folder, self.keys, self.products = Path(folder), keys, {}
        self.incus = incus
        (self.folder / "streams/v1").mkdir(parents=True)

    def add(self, product, size="1M", version="20240101", item=None, arch="x86_64", **fields):
        leaf = f"{product.replace(':', '-')}-{version}.qcow2"
        path = self.folder / "files" / leaf
        path.parent.mkdir(exist_ok=True)
        run("qemu-img", "create", "-q", "-f", "qcow2", path, size)
        content = path.read_bytes()
        item = item or ("disk-kvm.img" if self.incus else "disk.img")
        data = {"ftype": item, "path": f"files/{leaf}", "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest()}
        entry = self.products.setdefault(product, {"arch": arch, "versions": {}, **fields})
        entry["versions"].setdefault(version, {"items": {}})["items"][item] = data
        return path

    def publish(self, signer=None):
        suffix = "sjson" if signer else "json"
        products = f"streams/v1/images.{suffix}"
        index = {"format": "index:1.0", "index": {"images": {
            "datatype": "image-downloads", "format": "products:1.0", "path": products, "products": list(self.products)}}}
        for path, value in (("streams/v1/index." + suffix, index),
                            (products, {"format": "products:1.0", "products": self.products})):
            file = self.folder / path
            file.write_text(json.dumps(value, indent=1) + "\n")
            if signer:
                signed = self.keys.sign(signer, file)
                signed.rename(file)
        return self


class Server:
    """Serves a folder with ranges and ETags. plan[path] is a list of handlers for the next requests of it, always[path] the
    one for all that follow."""

    def __init__(self, folder):
        self.folder, self.log, self.plan, self.always = Path(folder), [], {}, {}
        self.sent = {}
        self.on_sent = lambda handler: None  # called while a body is sent
        self.released = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.log.append((self.path, dict(self.headers)))
                steps = outer.plan.get(self.path)
                try:
                    (steps.pop(0) if steps else outer.always.get(self.path, outer.serve))(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except ConnectionResetError:
                    self.close_connection = True

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def close(self):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def requests(self, path):
        return [headers for name, headers in self.log if name == path]

    def read(self, handler):
        path = self.folder / handler.path.lstrip("/")
        return path.read_bytes() if path.is_file() else None

    def write(self, handler, data):
        for at in range(0, len(data), 1 << 16):
            handler.wfile.write(data[at:at + (1 << 16)])
            self.sent[handler.path] = self.sent.get(handler.path, 0) + len(data[at:at + (1 << 16)])
            self.on_sent(handler)

    def serve(self, handler, limit=None, wait=False, body=None):
        """The file as a good server gives it; with @limit only that many bytes of the body; @body: instead of the file's."""
        body = self.read(handler) if body is None else body
        if body is None:
            return self.status(404)(handler)
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        if wanted and handler.headers.get("If-Range", tag) != tag:
            wanted = None
        first = int(wanted.group(1)) if wanted else 0
        end = min(int(wanted.group(2)) + 1, len(body)) if wanted and wanted.group(2) else len(body)
        if handler.headers.get("If-None-Match") == tag:
            handler.send_response(304)
            handler.send_header("ETag", tag)
            handler.end_headers()
            return None
        if wanted and first >= len(body):
            return self.status(416)(handler)
        handler.send_response(206 if wanted else 200)
        if wanted:
            handler.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(body)}")
        handler.send_header("Content-Length", str(end - first))
        handler.send_header("ETag", tag)
        handler.end_headers()
        self.write(handler, body[first:end] if limit is None else body[first:min(first + limit, end)])
        if wait:
            handler.wfile.flush()
            self.released.wait(60)
        if limit is not None:
            handler.close_connection = True
        return None

    # Handlers for plan[path].
    def dies_after(self, n):
        return lambda handler: self.serve(handler, limit=n)

    def stalls_after(self, n):
        return lambda handler: self.serve(handler, limit=n, wait=True)

    def status(self, code, body=b"<html>error page</html>", headers=()):
        def handle(handler):
            handler.send_response(code)
            handler.send_header("Content-Length", str(len(body)))
            for name, value in headers:
                handler.send_header(name, value)
            handler.end_headers()
            self.write(handler, body)
        return handle

    def ignores_range(self, handler):
        if "Range" in handler.headers:
            del handler.headers["Range"]
        self.serve(handler)

    def lies_about_range(self, handler):
        body = self.read(handler)
        self.status(206, body[:100], [("Content-Range", f"bytes 0-99/{len(body)}")])(handler)

    def sends_endlessly(self, handler):
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        while True:
            self.write(handler, bytes(65536))


def cache_files(home):
    """Every file of the cache but the indexes, and but the manifests that were made here."""
    cache = Path(home) / "cache"
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*")
                  if path.is_file() and path.relative_to(cache).parts[0] != "index" and path.suffix != ".local-manifest")

# SPDX-License-Identifier: Apache-2.0
"""A real headless Chromium, driven over its debugging pipe (Chrome DevTools Protocol: JSON, each message ended by NUL)."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
import zlib

PROGRAM = "chromium"
TIMEOUT = 60  # for any one answer; long, since machines are shared


class Browser:
    """One tab; use it in a with statement. What the console would show in red is in .complaints."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="vdc", dir="/tmp")
        self.buffer, self.number, self.session, self.events = b"", 0, None, []
        commands, self.transmit = os.pipe()
        self.receive, answers = os.pipe()
        # Chromium reads from 3 and writes to 4, which may be numbers of these very pipes: moved up, then copied by a shell.
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (commands, answers)]
        os.close(commands)
        os.close(answers)
        # Who is root has no sandbox to offer; what it opens is ours. QUIC, updates and the like would want a network.
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{ends[0]} 4>&{ends[1]}', PROGRAM, "--headless=new", "--no-sandbox",
             "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-background-networking",
             "--disable-component-update", "--no-first-run", "--host-resolver-rules=MAP *.example.org 127.0.0.1",
             "--remote-debugging-pipe", f"--user-data-dir={self.profile}",
             "about:blank"],
            pass_fds=ends, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        for fd in ends:
            os.close(fd)
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Audits"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()
        os.close(self.receive)
        os.close(self.transmit)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _message(self):
        end = time.monotonic() + TIMEOUT
        while b"\0" not in self.buffer:
            ready = select.select([self.receive], [], [], max(0, end - time.monotonic()))[0]
            assert ready, "Chromium says nothing"
            piece = os.read(self.receive, 1 << 20)
            assert piece, "Chromium ended"
            self.buffer += piece
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.transmit, data):]
        while (answer := self._message()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def open(self, url):
        """Until it is loaded."""
        self.call("Page.navigate", url="about:blank")  # from an address to itself with another fragment nothing is loaded
        self.events.clear()
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, answer["errorText"]
        is_end = lambda e: e.get("method") == "Page.lifecycleEvent" and e["params"]["name"] == "load" and \
            e["params"]["loaderId"] == answer["loaderId"]
        seen = 0
        while not any(is_end(e) for e in self.events[seen:]):
            seen = len(self.events)
            self.events.append(self._message())

    def set_media(self, scheme):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def set_width(self, width, height=6000):
        """So high that all of a page is in sight, and laid out; a user's window would be 900."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def set_script(self, is_on):
        self.call("Emulation.setScriptExecutionDisabled", value=not is_on)

    def run(self, script):
        """The value of a JavaScript expression; promises are awaited. It counts as a user's own action."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def click(self, selector):
        """A real click in the middle of the first element that fits."""
        where = self.run(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
                         "const r = e.getBoundingClientRect(); return {x: r.x + r.width / 2, y: r.y + r.height / 2}; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    def type(self, selector, text):
        """Replaces the text of a field, as if by hand."""
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        if text:
            self.call("Input.insertText", text=text)
        else:
            for kind in ("keyDown", "keyUp"):
                self.call("Input.dispatchKeyEvent", type=kind, key="Delete", code="Delete", windowsVirtualKeyCode=46)

    def choose(self, selector, value):
        """What a user's choice in a select does: the browser's own list is not part of the document."""
        self.run(f"(() => {{ const s = document.querySelector({json.dumps(selector)}); s.value = {json.dumps(value)};"
                 "s.dispatchEvent(new Event('input', {bubbles: true})); })()")

    def wait(self, condition):
        """Until a JavaScript expression holds."""
        end = time.monotonic() + TIMEOUT
        while not self.run(condition):
            assert time.monotonic() < end, f"waited in vain for {condition}"

    def source(self):
        """The document as it is now; with scripts switched off too."""
        root = self.call("DOM.getDocument", depth=0)["root"]["nodeId"]
        return self.call("DOM.getOuterHTML", nodeId=root)["outerHTML"]

    def _capture(self, size, scale):
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": scale}
        return base64.b64decode(self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"])

    def screenshot(self, path):
        """The whole page, as far as it is in sight, as a file; returns a quarter of its size as a Picture."""
        self._capture({"width": 1, "height": 1}, 1)  # a frame: what came into sight is laid out by now
        size = self.run("({width: document.documentElement.scrollWidth, height: document.body.offsetHeight})")
        with open(path, "wb") as file:
            file.write(self._capture(size, 1))
        return Picture(self._capture(size, 0.25))

    @property
    def complaints(self):
        """Console errors, exceptions, and what the security policy blocked."""
        self.call("Runtime.getHeapUsage")  # what came before it has arrived by now
        texts = []
        for event in self.events:
            parameters = event.get("params", {})
            if event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                texts.append(parameters["entry"]["text"])
            elif event.get("method") == "Runtime.exceptionThrown":
                texts.append(parameters["exceptionDetails"]["text"])
            elif event.get("method") == "Audits.issueAdded" and "contentSecurityPolicy" in json.dumps(parameters):
                texts.append(json.dumps(parameters["issue"]))
        return texts

    @property
    def requested(self):
        """Each address that was asked for since open()."""
        return [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]


class Picture:
    """What a test wants to know of a PNG of 8 bits a channel, which is what Chromium writes: is it there, or blank?"""

    def __init__(self, data):
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        packed, at = b"", 8
        while at < len(data):
            size, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
            body = data[at + 8:at + 8 + size]
            if kind == b"IHDR":
                self.width, self.height = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
                assert body[8] == 8 and body[9] in (2, 6) and body[12] == 0
                self.channels = 3 if body[9] == 2 else 4
            elif kind == b"IDAT":
                packed += body
            at += size + 12
        self.rows = self._unfilter(zlib.decompress(packed))

    def _unfilter(self, raw):
        """PNG, 9.2; a row each."""
        n, stride, rows = self.channels, self.width * self.channels, []
        above = bytearray(stride)
        for y in range(self.height):
            start = y * (stride + 1)
            kind, row = raw[start], bytearray(raw[start + 1:start + 1 + stride])
            for i in range(stride if kind else 0):
                left, up, corner = (row[i - n] if i >= n else 0), above[i], (above[i - n] if i >= n else 0)
                if kind == 4:
                    p = left + up - corner
                    guess = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))[2]
                else:
                    guess = (0, left, up, (left + up) // 2)[kind]
                row[i] = (row[i] + guess) & 255
            rows.append(row)
            above = row
        return rows

    def pixel(self, x, y):
        return tuple(self.rows[y][x * self.channels:x * self.channels + 3])

    def colours(self, step=3):
        return {self.pixel(x, y) for y in range(0, self.height, step) for x in range(0, self.width, step)}

# SPDX-License-Identifier: Apache-2.0
"""The rules that no compiler checks: which folder may include what. Each check yields "file:line: reason"."""

import re
from pathlib import Path

# Lowest first: an include may only point to the same folder or to one further left (DESIGN: folders).
FOLDERS = ["base", "net", "disk", "index", "sign", "store", "fetch", "guest", "publish", "mirror", "repod", "deploy", "cli"]

# Third-party header prefix -> the files that wall it in. A folder name ends in "/".
WALLS = {
    "openssl/": ["base/digest.c", "repod/tls.c"],
    "jansson.h": ["base/json.c"],
    "curl/": ["net/curl.h"],
    "lzma.h": ["disk/xz.h"],
    "zstd.h": ["disk/zstd.c"],
    "gpgme.h": ["sign/gpg.c", "sign/gpg_context.h", "sign/gpg_edit.c"],
    "seccomp.h": ["fetch/sandbox.c"],
    "guestfs.h": ["guest/"],
    "crypt.h": ["guest/"],
    "archive.h": ["guest/", "deploy/"],
    "archive_entry.h": ["guest/", "deploy/"],
    "event2/": ["repod/"],
    "libvirt/": ["deploy/"],
    "libxml/": ["deploy/xml.c"],
    "osinfo/": ["deploy/"],
    "cmocka.h": ["tests/"],
}

# Part of the C library, the kernel or GLib's core: allowed everywhere.
SYSTEM = set(
    "assert ctype dirent dlfcn errno fcntl fnmatch ftw getopt glob grp inttypes langinfo limits locale math netdb "
    "poll pthread pwd sched setjmp signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib string "
    "strings syslog termios time unistd wchar glib glib-unix".split()
)
SYSTEM_PREFIXES = ("sys/", "linux/", "netinet/", "arpa/", "net/", "glib/")

MAX_LINES = 600
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def sources(root):
    for folder in FOLDERS + ["tests"]:
        for path in sorted(Path(root, folder).rglob("*.[ch]")):
            yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def _local(name, folder, target):
    parts = target.split("/")
    if folder == "tests" and len(parts) == 1:
        return None  # a fixture beside the test
    if len(parts) != 2 or parts[0] not in FOLDERS:
        return f'"{target}": includes start at the project root with a folder\'s name'
    to, header = parts
    if folder == "tests" or to == folder:
        return None
    if FOLDERS.index(to) > FOLDERS.index(folder):
        return f"wrong arrow: {folder}/ must not depend on {to}/, which stands above it"
    if to != "base" and header != f"{to}.h":
        return f'"{target}" is private to {to}/; its public header is {to}/{to}.h'
    return None


def _foreign(name, target):
    for prefix, allowed in WALLS.items():
        if target == prefix or (prefix.endswith("/") and target.startswith(prefix)):
            # A folder's unit tests stand inside its wall.
            inside = name.removeprefix("tests/unit/")
            if any(inside == a or (a.endswith("/") and (inside.startswith(a) or name.startswith(a))) for a in allowed):
                return None
            return f"<{target}> is walled in by {', '.join(allowed)}"
    if target.startswith(SYSTEM_PREFIXES) or (target.endswith(".h") and target[:-2] in SYSTEM):
        return None
    return f"<{target}> is a third-party header that no wall names"


def check_includes(root):
    for name, text in sources(root):
        folder = name.split("/")[0]
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, target = match.groups()
            reason = _local(name, folder, target) if quote == '"' else _foreign(name, target)
            if reason:
                yield f"{name}:{number}: {reason}"


def check_files(root):
    for name, text in sources(root):
        lines = text.splitlines()
        spdx = lines[1] if lines and lines[0].startswith("// fuzz: ") and len(lines) > 1 else (lines or [""])[0]
        if "SPDX-License-Identifier: Apache-2.0" not in spdx:
            yield f"{name}:1: no SPDX line"
        if len(lines) > MAX_LINES:
            yield f"{name}: {len(lines)} lines: two rooms in one"
        for number, line in enumerate(lines, 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line) and not re.search(r"issue \d+", line):
                yield f"{name}:{number}: a mark that names no issue"
            if re.search(r"\b(strcpy|strcat|sprintf|gets|atoi|system|popen|sleep|usleep)\s*\(", line):
                yield f"{name}:{number}: banned function"
            if not name.startswith(("tests/", "base/pool.c")) and "pthread_create" in line:
                yield f"{name}:{number}: threads are made by base/pool alone"

# SPDX-License-Identifier: Apache-2.0
"""The tree obeys its rules, and the rules do catch what they are for."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import rules

ROOT = Path(__file__).resolve().parents[2]


def test_every_include_points_down_and_stays_inside_its_wall():
    assert list(rules.check_includes(ROOT)) == []


def test_every_file_is_in_order():
    assert list(rules.check_files(ROOT)) == []


@pytest.mark.parametrize(
    "name, text, reason",
    [
        ("base/a.c", '#include "net/net.h"', "wrong arrow: base/ must not depend on net/"),
        ("guest/a.c", '#include "deploy/deploy.h"', "wrong arrow"),
        ("fetch/a.c", '#include "disk/header.h"', "private to disk/"),
        ("fetch/a.c", '#include "header.h"', "includes start at the project root"),
        ("fetch/a.c", "#include <curl/curl.h>", "walled in by net/curl.h"),
        ("sign/other.c", "#include <gpgme.h>", "walled in by sign/gpg.c"),
        ("deploy/a.c", "#include <libxml/tree.h>", "walled in by deploy/xml.c"),
        ("base/a.c", "#include <gio/gio.h>", "third-party header that no wall names"),
        ("disk/a.c", "#  include  <zlib.h>", "third-party header that no wall names"),
    ],
)
def test_a_wrong_include_is_caught(tmp_path, name, text, reason):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(f"// SPDX-License-Identifier: Apache-2.0\n\n{text}\n")
    found = list(rules.check_includes(tmp_path))
    assert len(found) == 1 and found[0].startswith(f"{name}:3: ") and reason in found[0]


@pytest.mark.parametrize(
    "text, reason",
    [
        ("int a;\n", "no SPDX line"),
        ("// SPDX-License-Identifier: Apache-2.0\n/* TODO: later */\n", "names no issue"),
        ("// SPDX-License-Identifier: Apache-2.0\n" + "int a;\n" * 600, "two rooms in one"),
        ("// SPDX-License-Identifier: Apache-2.0\nvoid f(void) { sprintf(b, c); }\n", "banned function"),
        ("// SPDX-License-Identifier: Apache-2.0\npthread_create(a, b, c, d);\n", "base/pool alone"),
    ],
)
def test_a_file_out_of_order_is_caught(tmp_path, text, reason):
    path = tmp_path / "disk" / "a.c"
    path.parent.mkdir()
    path.write_text(text)
    assert any(reason in finding for finding in rules.check_files(tmp_path))


def test_clang_format_has_nothing_to_change():
    assert shutil.which("clang-format"), "clang-format is installed by ./check"
    files = [name for name, _ in rules.sources(ROOT)]
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]


def test_every_script_parses_and_says_its_licence():
    scripts = [ROOT / name for name in ("quickstart", "check", ".ci/run")]
    scripts += [path for path in (ROOT / "examples").iterdir() if path.is_file() and os.access(path, os.X_OK)]
    scripts += [path for path in (ROOT / "bench").iterdir() if path.is_file() and os.access(path, os.X_OK)]
    for path in scripts:
        text = path.read_text()
        assert "SPDX-License-Identifier: Apache-2.0" in text, path
        if text.startswith(("#!/bin/bash", "#!/usr/bin/env bash")):
            subprocess.run(["bash", "-n", path], check=True)


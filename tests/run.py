# SPDX-License-Identifier: Apache-2.0
"""Runs the compiled tests and the pytest suites, adds up their cases and prints one last line.

    run.py [--compiled BUILD]... [--suite BIN:PYTEST-ARGUMENTS]...

--compiled: every unit program and fuzz replay of a build folder.
--suite:    pytest with VIRT_DEPOT_BIN=BIN.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 300


class Count:
    passed = failed = skipped = 0

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def run_program(command, env):
    """Returns (passed, failed, skipped)."""
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S)
        text, code = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired:
        text, code = f"no end after {TIMEOUT_S} s", -1
    lines = text.splitlines()
    cases = [line for line in lines if line.startswith(("ok ", "not ok "))]
    skipped = sum("# SKIP" in line for line in cases)  # cmocka says "not ok" of a skipped case as well
    passed = sum(line.startswith("ok ") and "# SKIP" not in line for line in cases)
    failed = len(cases) - passed - skipped
    if passed + skipped + failed == 0:  # a fuzz replay speaks no TAP
        passed = 1 if code == 0 else 0
    if code != 0 and failed == 0:
        failed = 1
    if failed:
        print(f"FAILED {command[0]}\n{text}", flush=True)
    return passed, failed, skipped


def run_compiled(build, count):
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP")
    build = ROOT / build
    units = sorted((build / "tests").glob("unit_*"))
    replays = sorted((build / "fuzz").glob("fuzz_*"))
    start = time.monotonic()
    before = (count.passed, count.failed)
    commands = [[program] for program in units]
    commands += [[p, ROOT / "tests/fuzz/corpus" / p.name.removeprefix("fuzz_")] for p in replays]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(lambda command: run_program(command, env), commands):
            count.add(*result)
    if not units or not replays:
        print(f"FAILED {build}: no compiled tests")
        count.add(0, 1, 0)
    print(f"{build.name}: {len(units)} unit programs, {len(replays)} fuzz replays, {count.passed - before[0]} passed, "
          f"{count.failed - before[1]} failed in {time.monotonic() - start:.0f} s", flush=True)


def run_suite(spec, count):
    binaries, arguments = spec.split(":", 1)
    env = dict(os.environ, VIRT_DEPOT_BIN=str(ROOT / binaries), PYTHONDONTWRITEBYTECODE="1")
    if "san/" in binaries:  # the sanitizers see what GLib allocates, and when another thread gets the same piece
        env["G_SLICE"] = "always-malloc"
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = ["/usr/bin/python3", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--durations=5",
                   f"--junitxml={report.name}", *shlex.split(arguments)]
        print(f"+ {binaries}: pytest {arguments}", flush=True)
        code = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode
        try:
            suite = ElementTree.parse(report.name).getroot().find("testsuite")
            total, failed, errors, skipped = (int(suite.get(k)) for k in ("tests", "failures", "errors", "skipped"))
        except ElementTree.ParseError:
            total = failed = errors = skipped = 0
    bad = failed + errors
    count.add(total - bad - skipped, bad + (1 if code != 0 and bad == 0 else 0), skipped)


def main(arguments):
    count = Count()
    for option, value in zip(arguments[::2], arguments[1::2]):
        if option == "--compiled":
            run_compiled(value, count)
        elif option == "--suite":
            run_suite(value, count)
        else:
            sys.exit(f"run.py: {option}?")
    print(f"{count.passed} passed, {count.failed} failed, {count.skipped} skipped")
    return 1 if count.failed or count.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: Apache-2.0
"""repod as a daemon: checked and reloaded configurations, Unix sockets, what a service manager gives and is told, fewer rights."""
import fcntl
import os
import re
import signal
import socket
import subprocess

import pytest

from repod_helpers import ROOT, TIMEOUT, Answer, Repod, program, request, wait_until


@pytest.fixture
def site(home):
    """A short path that anybody may enter, with a small file and one that no pair of socket buffers holds."""
    (home / "a").mkdir()
    (home / "a/file").write_text("a")
    with open(home / "a/big", "wb") as file:
        file.truncate(2**26)
    (home / "b").mkdir()
    (home / "b/file").write_text("b")
    return home


def write_conf(path, *server, sites=("a",)):
    path.write_text("\n".join(["[server]", *server]) + "\n" + "".join(
        f"[repository {name}]\ndir={path.parent / name}\npath=/{name if n else ''}\n" for n, name in enumerate(sites)))
    return path


class Manager:
    """A service manager's side of sd_notify."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(TIMEOUT)
        self.socket.bind(address)
        self.environment = {"NOTIFY_SOCKET": address.replace("\0", "@")}

    def next(self, but=None):
        while (state := self.socket.recv(4096).decode()) == but:
            pass
        return state


class UnixRepod(Repod):
    def __init__(self, path, *arguments):
        self.path = path
        super().__init__(*arguments, listen=())

    def connect(self, **_):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(TIMEOUT)
        client.connect(str(self.path))
        return client


def get(client, path="/file"):
    client.sendall(request(path))
    return Answer(client.makefile("rb"))


def check(conf):
    return subprocess.run([program(), "--check-config", "--config", conf], capture_output=True, text=True, timeout=TIMEOUT)


def test_a_configuration_can_be_checked(site):
    conf = write_conf(site / "conf", f"access-log={site}/log", f"listen=unix:{site}/s 127.0.0.1:1")
    done = check(conf)
    assert (done.returncode, done.stdout) == (0, f"{conf}: can be served\n"), done.stderr
    assert not (site / "log").exists() and not (site / "s").exists()
    for line, status, message in (
        ("color=red", 2, f"{conf}: [server]: 'color' is no key there"),
        ("threads=many", 2, "threads: 'many': a number from 1 to 256"),
        ("listen=somewhere", 2, "'somewhere': not a numeric address"),
        ("listen=unix:run", 2, "'unix:run': an absolute path"),
        ("user=nobody-at-all", 2, "user 'nobody-at-all'"),
        (f"tls-certificate={site}/c\ntls-key={site}/k", 1, f"{site}/c: "),
    ):
        done = check(write_conf(conf, line))
        assert (done.returncode, done.stdout) == (status, "") and message in done.stderr, done.stderr
    done = check(write_conf(conf, sites=("missing",)))
    assert done.returncode == 1 and f"{site}/missing: No such file" in done.stderr


def test_a_reload_takes_over_a_new_configuration_and_drops_nobody(site, tmp_path):
    manager = Manager(str(site / "notify"))
    conf = write_conf(site / "conf", f"access-log={site}/log")
    os.environ.update(manager.environment)
    try:
        server = Repod(None, tmp_path, "--config", conf)
    finally:
        del os.environ["NOTIFY_SOCKET"]
    with server, server.connect() as idle, server.connect(receive_buffer=4096) as busy:
        assert manager.next() == "READY=1"
        assert get(idle, "/b/file").status == 404
        busy.sendall(request("/big"))
        assert busy.recv(1) == b"H"
        wait_until(lambda: b"/b/file" in (site / "log").read_bytes())
        os.rename(site / "log", site / "log.1")

        write_conf(conf, f"access-log={site}/log", "max-connections=9", sites=("a", "b"))
        server.process.send_signal(signal.SIGHUP)
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", manager.next())
        assert manager.next() == "READY=1"
        assert "repod: reloaded\n" in server.stderr()
        wait_until(lambda: get(idle, "/b/file").body == b"b")
        wait_until(lambda: b"/b/file" in (site / "log").read_bytes())  # the log was opened afresh

        write_conf(conf, "color=red", sites=("a",))
        server.process.send_signal(signal.SIGHUP)
        assert manager.next().startswith("RELOADING=1") and manager.next() == "READY=1"
        assert f"repod: not reloaded: {conf}: [server]: 'color' is no key there\n" in server.stderr()
        assert get(idle, "/b/file").body == b"b"

        write_conf(conf, "threads=7", "user=nobody", sites=("a",))
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.stderr().count("repod: reloaded\n") == 2)
        assert "warning: another number of threads needs a restart" not in server.stderr()  # --threads outweighs it
        assert "warning: another user needs a restart" in server.stderr()
        wait_until(lambda: get(idle, "/b/file").status == 404)

        n = 1  # the download began under the first configuration
        while data := busy.recv(2**20):
            n += len(data)
            if n > 2**26:
                break
        assert n > 2**26
        server.process.send_signal(signal.SIGTERM)
        while manager.next() != "STOPPING=1":  # after what the last reload said
            pass
        assert server.wait() == 0


def test_a_hundred_reloads_under_load_lose_no_request(site, tmp_path):
    conf = write_conf(site / "conf")
    with Repod(None, tmp_path, "--config", conf) as server, server.connect() as client, client.makefile("rb") as stream:
        for _ in range(100):
            server.process.send_signal(signal.SIGHUP)
            client.sendall(request("/file") * 10)
            for _ in range(10):
                assert Answer(stream).body == b"a"
        assert server.stop() == 0


def test_a_unix_socket_is_served_and_removed(site, tmp_path):
    path = site / "socket"
    with UnixRepod(path, None, tmp_path, "--config",
                   write_conf(site / "conf", f"listen=unix:{path}", "socket-mode=0640", f"access-log={site}/log")) as server:
        assert server.stderr() == f"repod: serving {site}/conf on unix:{path}\n"
        assert path.stat().st_mode & 0o7777 == 0o640
        with server.connect() as client:
            assert get(client).body == b"a"
        wait_until(lambda: (site / "log").read_text().split(" ")[1:4] == ["unix", "GET", "/file"])
        with pytest.raises(RuntimeError, match="another server listens there"):
            UnixRepod(path, site / "a", tmp_path, "--listen", f"unix:{path}")
        assert server.stop() == 0
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced_and_nothing_else(site, tmp_path):
    path = site / "socket"
    with UnixRepod(path, site / "a", tmp_path, "--listen", f"unix:{path}") as server:
        server.process.kill()
    assert path.exists()
    with UnixRepod(path, site / "a", tmp_path, "--listen", f"unix:{path}") as server:
        with server.connect() as client:
            assert get(client).body == b"a"
        assert server.stop() == 0
    path.write_text("mine")
    with pytest.raises(RuntimeError, match="is there already, and no socket"):
        UnixRepod(path, site / "a", tmp_path, "--listen", f"unix:{path}")
    assert path.read_text() == "mine"


def activated(sockets, names, *arguments, environment=()):
    """Start repod as a service manager does: sockets as descriptors 3 and up, and LISTEN_PID of the very process."""
    numbers = [s.fileno() for s in sockets]
    moves = " ".join(f"{3 + n}<&{number}" for n, number in enumerate(numbers))
    return subprocess.Popen(
        ["bash", "-c", f'export LISTEN_PID=$$; exec "$0" "$@" {moves}', program(), *arguments], pass_fds=numbers,
        stderr=subprocess.PIPE, text=True,
        env={**os.environ, "LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names, **dict(environment)})


def test_sockets_of_a_service_manager_are_used(site):
    tcp, unix = socket.socket(), socket.socket(socket.AF_UNIX)
    tcp.bind(("127.0.0.1", 0))
    unix.bind(str(site / "socket"))
    for s in (tcp, unix):
        s.listen()
    early = socket.create_connection(tcp.getsockname(), TIMEOUT)  # before there is a daemon
    with activated((tcp, unix), "http:local", "--threads", "2", "--listen", "127.0.0.1:1", site / "a") as process:
        try:
            line = process.stderr.readline()
            assert line.endswith(f" on http://127.0.0.1:{tcp.getsockname()[1]} unix:local\n"), line
            assert get(early).body == b"a"
            for _ in range(20):  # by whichever worker
                with socket.create_connection(tcp.getsockname(), TIMEOUT) as client:
                    assert get(client).body == b"a"
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(str(site / "socket"))
                    assert get(client).body == b"a"
            early.close()
            process.terminate()
            assert process.wait(TIMEOUT) == 0
            # The sockets are the manager's: they still listen, and their path is still there.
            socket.create_connection(tcp.getsockname(), TIMEOUT).close()
            assert (site / "socket").exists()
        finally:
            process.kill()


def test_clients_of_ipv4_on_a_socket_for_both_are_what_they_are(site, tmp_path):
    """systemd's ListenStream=PORT is one socket for IPv4 and IPv6, whose IPv4 clients come as ::ffff:ADDRESS."""
    both = socket.socket(socket.AF_INET6)
    both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    both.bind(("::", 0))
    both.listen()
    with activated((both,), "http", "--access-log", tmp_path / "log", site / "a") as process:
        try:
            process.stderr.readline()
            with socket.create_connection(("127.0.0.1", both.getsockname()[1]), TIMEOUT) as client:
                client.sendall(request("/metrics"))
                assert Answer(client.makefile("rb")).status == 200  # is for this host alone
            process.terminate()
            assert process.wait(TIMEOUT) == 0
            assert " 127.0.0.1:" in (tmp_path / "log").read_text()
        finally:
            process.kill()


def test_sockets_for_another_process_or_of_another_kind_are_not_taken(site):
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with activated((datagram,), "x", site / "a") as process:
        assert process.wait(TIMEOUT) == 1
        assert "socket 3 ('x') of the service manager: not a stream socket that listens" in process.stderr.read()
    done = subprocess.run([program(), "--listen", "bad", site / "a"], capture_output=True, text=True, timeout=TIMEOUT,
                          env={**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert done.returncode == 2 and "'bad': not a numeric address" in done.stderr


@pytest.mark.parametrize("abstract", [False, True])
def test_the_watchdog_hears_of_loops_that_turn_and_of_no_others(site, tmp_path, abstract):
    """A loop hangs when nobody reads the pipe that it logs to. Then the manager hears nothing, until it goes on."""
    manager = Manager(f"\0vd-notify-{os.getpid()}" if abstract else str(site / "notify"))
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)  # full after some 50 lines
    with subprocess.Popen([program(), "--threads", "2", "--listen", "127.0.0.1:0", "--port-file", tmp_path / "port",
                           "--access-log", "-", site / "a"], stdout=write_end, stderr=subprocess.DEVNULL,
                          env={**os.environ, **manager.environment, "WATCHDOG_USEC": "400000"}) as process:
        try:
            os.close(write_end)
            assert manager.next() == "READY=1"
            for _ in range(4):
                assert manager.next() == "WATCHDOG=1"
            port = int((tmp_path / "port").read_text())
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
                client.sendall(request("/file") * 200)
                manager.socket.settimeout(1)  # of silence, in which at least ten messages were due
                with pytest.raises(TimeoutError):
                    while True:
                        manager.next()
                manager.socket.settimeout(TIMEOUT)
                os.set_blocking(read_end, False)

                def drain():
                    try:
                        os.read(read_end, 65536)
                    except BlockingIOError:
                        pass
                    manager.socket.setblocking(False)
                    try:
                        return manager.next() == "WATCHDOG=1"
                    except BlockingIOError:
                        return False

                wait_until(drain)
                manager.socket.settimeout(TIMEOUT)
            process.terminate()
            assert manager.next(but="WATCHDOG=1") == "STOPPING=1"
            os.set_blocking(read_end, True)
            while os.read(read_end, 65536):
                pass
            assert process.wait(TIMEOUT) == 0
        finally:
            process.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_rights_are_given_up_after_the_sockets_are_bound(site, tmp_path):
    tmp_path.chmod(0o777)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    conf = write_conf(site / "conf", "user=nobody", f"listen=127.0.0.1:0 unix:{site}/socket")
    (site / "a/root-only").write_text("secret")
    (site / "a/root-only").chmod(0o600)
    with Repod(None, tmp_path, "--config", conf, listen=()) as server:
        status = open(f"/proc/{server.process.pid}/status").read()
        nobody = 65534
        assert f"Uid:\t{nobody}\t{nobody}\t{nobody}\t{nobody}\n" in status
        assert f"Gid:\t{nobody}\t{nobody}\t{nobody}\t{nobody}\n" in status
        assert re.search(rf"Groups:\t{nobody} ?\n", status)
        assert "NoNewPrivs:\t1\n" in status and "CapEff:\t0000000000000000\n" in status
        with server.connect() as client:
            assert get(client).body == b"a"
            assert get(client, "/root-only").status == 403
        assert server.stop() == 0


def manual(name):
    """Its text as a reader sees it; a mistake in it is a warning of groff."""
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", ROOT / "repod" / name], capture_output=True, text=True,
                          env={**os.environ, "MANWIDTH": "200", "MAN_KEEP_FORMATTING": "", "LC_ALL": "C.UTF-8"}, timeout=TIMEOUT)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def test_the_manual_of_the_configuration_has_each_key_and_no_other():
    code = (ROOT / "repod/config.c").read_text()
    keys = set(re.findall(r'^    \{"([a-z-]+)", [A-Z]', code, re.M)) | set(re.findall(r'strcmp\(\*key, "([a-z-]+)"\)', code))
    assert {"listen", "tls-listen", "access-log-format", "dir", "user"} <= keys
    page = (ROOT / "repod/repod.conf.5").read_text().split(".SH [server]")[1].split(".SH EXAMPLES")[0].replace("\\-", "-")
    lines = [line for before, line in zip(page.splitlines(), page.splitlines()[1:]) if before == ".TP"]
    named = set(re.findall(r"[a-z][a-z-]+", " ".join(line.split(" ", 1)[1] for line in lines)))
    assert named == keys
    assert "repod.conf" in manual("repod.conf.5")


def test_the_manual_has_each_option():
    help_text = subprocess.run([program(), "--help"], capture_output=True, text=True, check=True, timeout=TIMEOUT).stdout
    assert set(re.findall(r"--[a-z-]+", help_text)) <= set(re.findall(r"--[a-z-]+", manual("repod.8").replace("‐", "-")))


def test_the_units_are_sound():
    units = [*(ROOT / "examples/systemd").glob("repod.*"), *(ROOT / "examples/systemd").glob("virt-depot-mirror@.*")]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units],
                          capture_output=True, text=True, timeout=TIMEOUT)
    lines = [line for line in done.stderr.splitlines() if ("repod." in line or "virt-depot-mirror@" in line) and "not executable" not in line]
    assert lines == []

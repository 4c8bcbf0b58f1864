"""`proxyctl reload` and `upgrade` against a running hubgate."""

import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.cli.running import DROP_IN, FILE, PROXYCTL, TOKEN, Proxy, run, running

pytestmark = pytest.mark.processes


def operate(proxy: Proxy, *args: str, token: str = "s3cret") -> CompletedProcess[str]:
    env = {"HUBGATE_TOKEN": token, "HUBGATE_API_URL": proxy.api_url}
    return run(PROXYCTL, *args, env=env)


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_reload_of_nothing_new(proxy: Proxy) -> None:
    done = operate(proxy, "reload")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "reloaded: nothing has changed\n",
        "",
    )


def test_reload_takes_over_and_says_what_needs_a_restart(proxy: Proxy, tmp_path: Path) -> None:
    changed = FILE.replace("/fixed", "/other") + "workers: 2\n"
    (tmp_path / "routes.yaml").write_text(changed)
    done = operate(proxy, "reload")
    assert done.returncode == 0, done.stderr
    # The watching of files may have been faster with the routes.
    assert done.stdout in [
        f"reloaded: {what}\nchanged, and needs a restart: workers\n"
        for what in ("routes", "nothing has changed")
    ]
    assert [status(f"{proxy.url}/{name}") for name in ("fixed", "other")] == [404, 503]


def test_every_mistake_is_a_line(proxy: Proxy, tmp_path: Path) -> None:
    broken = FILE.replace("http://127.0.0.1:1", "ftp://127.0.0.1:1") + "wrong: 1\n"
    (tmp_path / "routes.yaml").write_text(broken)
    done = operate(proxy, "reload")
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert all(line.startswith("proxyctl: ") and "routes.yaml" in line for line in lines)
    assert status(f"{proxy.url}/fixed") == 503


def test_reload_needs_the_token(proxy: Proxy) -> None:
    done = operate(proxy, "reload", token="guess")
    assert done.returncode == 1
    assert "needs another token" in done.stderr


def test_where_there_is_no_file_there_is_nothing_to_reload(tmp_path: Path) -> None:
    flags = ("--ip", "127.0.0.1", "--port", "0", "--api-ip", "127.0.0.1", "--api-port", "0")
    token = {"CONFIGPROXY_AUTH_TOKEN": "s3cret"}
    with running(tmp_path, DROP_IN, *flags, env=token) as proxy:
        done = operate(proxy, "reload")
    assert done.returncode == 1
    assert "it has no files to read again" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_refused_upgrade_is_one_line_without_what_a_start_only_warns_of(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(FILE)
    with running(tmp_path, PROXYCTL, "serve", env={**TOKEN, "HUBGATE_PROT": "1"}) as proxy:
        assert "HUBGATE_PROT" in proxy.wait_for(r"(?s).*Proxy API at ")
        (tmp_path / "routes.yaml").write_text(f"{FILE}wrong: 1\n")
        done = operate(proxy, "upgrade")
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert "routes.yaml, line " in line
        assert "HUBGATE_PROT" not in line


def test_an_upgrade_that_ends_hubgate_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as api:
        answers = threading.Thread(target=begin_and_end, args=(api,))
        answers.start()
        url = f"http://127.0.0.1:{api.getsockname()[1]}"
        done = run(PROXYCTL, "upgrade", "--api-url", url, env={"HUBGATE_TOKEN": "any"})
        answers.join()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"proxyctl: {url}: not upgraded, it has ended; see its log\n"


def begin_and_end(api: socket.socket) -> None:
    """Say that an upgrade has begun, and listen no longer."""
    with api.accept()[0] as client:
        client.recv(65536)
        api.close()
        body = b'{"generation": 1, "version": "1"}'
        client.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

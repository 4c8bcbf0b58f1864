"""The drop-in command as a real process."""

import json
import os
import re
import signal
import socket
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from hubgate import __version__
from tests.certificates.made import make_files
from tests.cli.running import BIN, DROP_IN, PATIENCE, run, running

ANY_PORT = ("--ip", "127.0.0.1", "--port", "0", "--api-ip", "127.0.0.1", "--api-port", "0")


def get(url: str, token: str | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"token {token}")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize("command", [DROP_IN, (str(BIN / "configurable-http-proxy"),)])
def test_it_says_its_version_and_its_options(command: tuple[str, ...]) -> None:
    for flag in ("-V", "--version"):
        said = run(command, flag)
        assert (said.returncode, said.stdout, said.stderr) == (0, f"{__version__}\n", "")
    for flag in ("-h", "--help"):
        said = run(command, flag)
        assert said.returncode == 0
        assert "--ssl-key" in said.stdout


def test_it_has_every_option_of_chp() -> None:
    said = run(DROP_IN, "--help").stdout
    sides = [f"{side}ssl-{name}" for side in ("", "api-", "client-") for name in SSL]
    offered = set(re.findall(r"--([a-z0-9-]+)", said))
    missing = {*OPTIONS.split(), *sides} - offered
    assert missing == set()


SSL = ("key", "cert", "ca", "request-cert", "reject-unauthorized")
OPTIONS = """
ip port socket ssl-protocol ssl-ciphers ssl-allow-rc4 ssl-dhparam api-ip api-port api-socket
default-target error-target error-path redirect-port redirect-to pid-file no-x-forward
no-prepend-path no-include-prefix auto-rewrite change-origin protocol-rewrite custom-header
insecure host-routing metrics-ip metrics-port metrics-socket log-level timeout proxy-timeout
storage-backend keep-alive-timeout
"""


def test_a_mistake_leaves_no_traceback() -> None:
    said = run(DROP_IN, "--no-such-option")
    assert said.returncode == 1
    assert said.stderr == "configurable-http-proxy: No such option '--no-such-option'.\n"


@pytest.mark.processes
def test_it_serves_until_sigterm_and_removes_its_pid_file(tmp_path: Path) -> None:
    args = (*ANY_PORT, "--default-target", "http://127.0.0.1:1", "--pid-file", "pid")
    with running(tmp_path, DROP_IN, *args, env={"CONFIGPROXY_AUTH_TOKEN": "s3cret"}) as proxy:
        assert get(proxy.url + "/_chp_healthz") == (200, b'{"status": "OK"}')
        assert get(proxy.api_url + "/api/routes")[0] == 403
        status, table = get(proxy.api_url + "/api/routes", "s3cret")
        assert status == 200
        assert json.loads(table)["/"]["target"] == "http://127.0.0.1:1"
        proxy.wait_for("Writing pid")
        assert (tmp_path / "pid").read_text() == str(proxy.process.pid)
        assert proxy.stop() == 0
        assert not (tmp_path / "pid").exists()
        assert "s3cret" not in proxy.log


@pytest.mark.processes
def test_it_warns_and_serves_all_the_same(tmp_path: Path) -> None:
    with running(tmp_path, DROP_IN, *ANY_PORT, "--ip", "*") as proxy:
        port = proxy.url.rpartition(":")[2]
        assert get(f"http://127.0.0.1:{port}/_chp_healthz")[0] == 200
        assert get(proxy.api_url + "/api/routes") == (200, b"{}")
        assert "REST API is not authenticated." in proxy.log
        assert "No TLS on the public address *:0" in proxy.log
        assert proxy.stop(signal.SIGINT) == 0


@pytest.mark.processes
def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with running(tmp_path, DROP_IN, *ANY_PORT) as proxy:
        taken = proxy.url.rpartition(":")[2]
        args = [*ANY_PORT, "--port", taken]
        said = run(DROP_IN, *args, env={"CONFIGPROXY_AUTH_TOKEN": "t"})
    assert said.returncode == 1
    last = said.stderr.splitlines()[-1]
    assert last.startswith("configurable-http-proxy: ")
    assert taken in last
    assert "Traceback" not in said.stderr


@pytest.mark.processes
def test_it_speaks_tls_with_the_certificate_given(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    args = (*ANY_PORT, "--ssl-cert", files.cert, "--ssl-key", files.key, "--workers", "2")
    with running(tmp_path, DROP_IN, *args) as proxy:
        assert proxy.url.startswith("https://")
        trusting = ssl.create_default_context(cafile=files.ca)
        with urllib.request.urlopen(
            proxy.url + "/_chp_healthz", timeout=PATIENCE, context=trusting
        ) as response:
            assert response.status == 200


def test_it_can_be_run_by_its_path_alone(tmp_path: Path) -> None:
    # A hub starts it without a virtual environment's PATH.
    said = run((str(BIN / "configurable-http-proxy"),), "-V", env={"PATH": "/usr/bin:/bin"})
    assert said.stdout.strip() == __version__
    assert sys.executable.startswith(str(BIN))


@pytest.mark.processes
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without an account")
def test_a_user_without_account_and_home_is_told_what_is_missing(tmp_path: Path) -> None:
    """As in a container, where any number may be the user."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        api_port = str(free.getsockname()[1])
    # Without root's rights, but with its access to this installation, wherever that is.
    user = ["setpriv", "--reuid=54321", "--ambient-caps=+dac_override", "--inh-caps=+dac_override"]
    command = [*user, "env", "-u", "HOME", "-u", "XDG_STATE_HOME", *DROP_IN]
    args = ("--ip", "127.0.0.1", "--port", "0", "--api-port", api_port)
    with running(tmp_path, command, *args, env={"CONFIGPROXY_AUTH_TOKEN": "s3cret"}) as proxy:
        assert proxy.api_url
        assert proxy.log.count("HOME: this user has no home folder for the recovery file;") == 1
        assert proxy.stop() == 0

"""Whole starts where something is missing that they do not need; upgrades and reloads there."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.running import DROP_IN, PROXYCTL, Proxy, run
from tests.environment import clean_environment

pytestmark = pytest.mark.processes

SERVE = (*PROXYCTL, "serve", "--port", "0", "--api-port", "0")
DROP = (*DROP_IN, "--ip", "127.0.0.1", "--port", "0", "--api-port", "0")
TOKEN = {"HUBGATE_TOKEN": "s3cret", "CONFIGPROXY_AUTH_TOKEN": "s3cret"}
COMMANDS = {"serve": SERVE, "drop-in": DROP}


@contextmanager
def started(
    folder: Path, command: tuple[str, ...], script: str = 'exec "$0" "$@"', **env: str
) -> Iterator[Proxy]:
    """Run a proxy by a shell's script in a folder `here`, whose log is beside it."""
    (folder / "here").mkdir(exist_ok=True)
    log = folder / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", script, *command],
            cwd=folder / "here",
            env=clean_environment({**TOKEN, **env}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Proxy(process, log)
    finally:
        process.kill()
        process.wait()


def upgrade(proxy: Proxy) -> subprocess.CompletedProcess[str]:
    return run(PROXYCTL, "upgrade", "--api-url", proxy.api_url, env=TOKEN)


@pytest.mark.parametrize("name", COMMANDS)
def test_in_a_folder_that_was_deleted(tmp_path: Path, name: str) -> None:
    with started(tmp_path, COMMANDS[name], 'rmdir "$PWD"; unset PWD; exec "$0" "$@"') as proxy:
        done = upgrade(proxy)
        assert (done.returncode, done.stderr) == (0, "")
        assert proxy.stop() == 0
        assert "Traceback" not in proxy.log


@pytest.mark.parametrize("name", COMMANDS)
def test_without_a_place_for_temporary_files(tmp_path: Path, name: str) -> None:

    with started(tmp_path, COMMANDS[name], TMPDIR="/nonexistent") as proxy:
        assert upgrade(proxy).returncode == 0
        assert proxy.stop() == 0


def test_a_file_means_the_same_when_its_folder_is_back(tmp_path: Path) -> None:
    file = tmp_path / "here" / "routes.yaml"
    file.parent.mkdir()
    file.write_text("routes: {/one: 'http://127.0.0.1:9'}\n")
    with started(tmp_path, SERVE) as proxy:
        url = proxy.api_url
        file.unlink()
        file.parent.rmdir()
        done = run(PROXYCTL, "reload", "--api-url", url, env=TOKEN)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "routes.yaml: no such file" in done.stderr
        done = upgrade(proxy)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert f"{file}: no such file; put it back" in done.stderr
        file.parent.mkdir()
        file.write_text("routes: {/two: 'http://127.0.0.1:9'}\n")
        assert run(PROXYCTL, "reload", "--api-url", url, env=TOKEN).returncode == 0
        assert upgrade(proxy).returncode == 0
        assert "/two\t" in run(PROXYCTL, "list", "--api-url", url, env=TOKEN).stdout
        assert proxy.stop() == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_a_standard_stream_that_is_closed(tmp_path: Path, closed: str) -> None:
    with started(tmp_path, SERVE, f'exec "$0" "$@" {closed}') as proxy:
        assert proxy.api_url
        # A socket in its place would be inherited, and written to.
        number = 0 if closed == "<&-" else 1
        assert os.readlink(f"/proc/{proxy.process.pid}/fd/{number}") == os.devnull
        assert proxy.stop(signal.SIGTERM) == 0

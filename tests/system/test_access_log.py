"""The access log of a running proxy: shared, rotated, stuck, changed, and whole at the end."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.cli.running import DROP_IN, run
from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.control.waiting import until
from tests.environment import clean_environment
from tests.system.load import Load, Tunnels, echo_target
from tests.system.served import PROXYCTL, Served, serving

JSON = ("--access-log", "access.log", "--access-log-format", "json")


@pytest.fixture
async def target() -> AsyncIterator[str]:
    async with echo_target() as url:
        yield url


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return what stands in all the files that there were, each line of which must be whole."""
    texts = [path.read_text() for path in sorted(folder.glob("access.log*"))]
    assert all(text.endswith("\n") for text in texts if text)
    return [json.loads(line) for text in texts for line in text.splitlines()]


def rotate(folder: Path, number: int) -> None:
    (folder / "access.log").rename(folder / f"access.log.{number}")


def stop(served: Served) -> None:
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 0


def ask(port: int, path: str, count: int = 1) -> None:
    """Send as many requests on one connection; all must be answered."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        for _ in range(count):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            assert response.status == 200


async def command(served: Served, name: str) -> tuple[int, str]:
    """Run a command of proxyctl; return its exit code and what it said."""
    url = f"http://127.0.0.1:{served.api_port}"
    done = await asyncio.to_thread(
        run, [PROXYCTL], name, "--api-url", url, env={"HUBGATE_TOKEN": served.token}
    )
    return done.returncode, done.stdout + done.stderr


async def test_workers_share_a_file_that_is_rotated_under_load(target: str, tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2", *JSON) as served:
        served.add("/", target)
        load = Load(served.port)
        load.start()
        for number in range(4):
            await load.more(200)
            await until((tmp_path / "access.log").exists)
            rotate(tmp_path, number)
        await load.more(200)
        await load.stop()
        stop(served)
        assert load.failures == []
    found = lines(tmp_path)
    assert len(found) == load.answered
    assert {line["status"] for line in found} == {200}
    # Each client had its own path, on connections of both workers.
    assert len(Counter(line["path"] for line in found)) == 6


@contextmanager
def piped(folder: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Run the drop-in with its standard output in a pipe; yield also the end to read."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [*DROP_IN, *flags],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=clean_environment(),
    )
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as pipe:
            yield process, pipe
    finally:
        process.kill()
        process.wait()


async def test_a_stuck_pipe_holds_up_no_request_and_no_end(target: str, tmp_path: Path) -> None:
    (port, api_port), (metrics_port, _) = free_ports(), free_ports()
    places = ["--ip", "127.0.0.1", "--port", f"{port}", "--api-port", f"{api_port}"]
    metrics = ["--metrics-ip", "127.0.0.1", "--metrics-port", f"{metrics_port}"]
    flags = [*places, *metrics, "--default-target", target, "--access-log", "-"]
    with piped(tmp_path, *flags) as (process, pipe):
        assert await asyncio.to_thread(eventually, lambda: _accepts(port), 60)
        # Far more than pipe and memory take.
        await asyncio.to_thread(ask, port, "/" + "a" * 1200, 5000)
        assert await asyncio.to_thread(eventually, lambda: _dropped(metrics_port) > 0)
        process.terminate()
        assert await asyncio.to_thread(process.wait, 60) == 0
        text = pipe.read()
    assert text.count(b"\n") > 20
    for line in text.splitlines():
        assert line.startswith(b"127.0.0.1 - - [")
        assert line.endswith(b'"')


def _accepts(port: int) -> bool:
    try:
        ask(port, "/")
    except (OSError, AssertionError):
        return False
    return True


def _dropped(port: int) -> float:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    (value,) = [
        line.split()[1]
        for line in text.splitlines()
        if line.startswith("hubgate_access_log_dropped_total ")
    ]
    return float(value)


async def test_reload_turns_it_on_over_and_off(target: str, tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"

    async def reload(text: str, code: int = 0) -> str:
        # In one step: the file is watched as well.
        (tmp_path / "new").write_text(f"routes: {{/: '{target}'}}\n{text}")
        (tmp_path / "new").rename(file)
        ended, said = await command(served, "reload")
        assert ended == code, said
        return said

    file.write_text(f"routes: {{/: '{target}'}}\n")
    with serving(tmp_path, "--workers", "2") as served:
        await asyncio.to_thread(ask, served.port, "/1")
        await reload("access_log: {path: access.log, format: json}")
        await asyncio.to_thread(ask, served.port, "/2")
        await reload("access_log: {path: access.log.other, format: json}")
        await asyncio.to_thread(ask, served.port, "/3")
        # Each worker writes its own lines: the next one may come from the other worker.
        await until(lambda: [line["path"] for line in lines(tmp_path)] == ["/2", "/3"])
        said = await reload("access_log: no/access.log", code=1)
        assert "line 2: access_log.path: " in said
        assert "no such folder; create it or give another" in said
        await asyncio.to_thread(ask, served.port, "/4")
        await reload("")
        await asyncio.to_thread(ask, served.port, "/5")
        stop(served)
    assert [line["path"] for line in lines(tmp_path)] == ["/2", "/3", "/4"]


async def test_a_worker_is_replaced_although_its_log_is_gone(target: str, tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(f"routes: {{/: '{target}'}}\n")
    logs = tmp_path / "logs"
    logs.mkdir()
    with serving(tmp_path, "--access-log", "logs/access.log") as served:
        await asyncio.to_thread(ask, served.port, "/1")
        logs.rename(tmp_path / "gone")
        (worker,) = served.workers
        worker.kill()
        await asyncio.to_thread(ask, served.port, "/2")
        logs.mkdir()
        await asyncio.to_thread(ask, served.port, "/again")
        await until((logs / "access.log").exists)
        stop(served)
    assert '"GET /again HTTP/1.1"' in (logs / "access.log").read_text()
    said = (tmp_path / "serve.log").read_text()
    assert said.count("cannot be opened: No such file or directory; lines are lost until it") == 1
    assert "did not start" not in said


async def test_after_a_reload_nothing_more_goes_to_the_old_file(
    target: str, tmp_path: Path
) -> None:
    (tmp_path / "routes.yaml").write_text(f"routes: {{/: '{target}'}}\n")
    with serving(tmp_path, "--workers", "2", *JSON) as served:
        await asyncio.to_thread(ask, served.port, "/1", 10)
        rotate(tmp_path, 1)
        assert (await command(served, "reload"))[0] == 0
        assert len(lines(tmp_path)) == 10
        before = (tmp_path / "access.log.1").read_bytes()
        assert (tmp_path / "access.log").exists()
        await asyncio.to_thread(ask, served.port, "/2", 10)
        rotate(tmp_path, 2)
        served.process.send_signal(signal.SIGHUP)
        await until((tmp_path / "access.log").exists)
        stop(served)
        assert (tmp_path / "access.log.1").read_bytes() == before
    assert Counter(line["path"] for line in lines(tmp_path)) == {"/1": 10, "/2": 10}


async def test_an_upgrade_loses_no_line(target: str, tmp_path: Path) -> None:
    with serving(tmp_path, *JSON) as served:
        served.add("/", target)
        tunnels, load = Tunnels(), Load(served.port)
        await tunnels.open(served.port, 2)
        load.start()
        await load.more(100)
        code, said = await command(served, "upgrade")
        assert code == 0, said
        await load.more(100)
        await load.stop()
        await tunnels.more()
        await tunnels.close()
        stop(served)
        assert load.failures == []
    found = Counter(line["status"] for line in lines(tmp_path))
    assert found == {200: load.answered, 101: 2}


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    for command, name in (("serve", "proxyctl"), ("check", "error")):
        done = run([PROXYCTL, command], "--access-log", "no/such", cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr == (
            f"{name}: --access-log: {tmp_path}/no: no such folder; create it or give another\n"
        )
    done = run([PROXYCTL, "check"], "--access-log", "access.log", cwd=tmp_path)
    assert f"requests {tmp_path}/access.log, as combined\n" in done.stdout
    assert not (tmp_path / "access.log").exists()

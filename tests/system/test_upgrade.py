"""An upgrade under load: not a request is lost, not a tunnel breaks, nothing is forgotten."""

import asyncio
import errno
import json
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

import hubgate
from hubgate.tasks import spawn
from tests.contract.polling import eventually
from tests.control.serving import ask
from tests.control.waiting import gone, until
from tests.system.dropin import dropin
from tests.system.load import Connection, Load, Tunnels
from tests.system.served import Served, serving
from tests.system.upgrading import MINUTES, Code, upgrade

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(600),
]

Serve = Callable[..., Served]


@pytest.fixture
def serve(code: Code, tmp_path: Path) -> Iterator[Serve]:
    """Run the copy; `settings` are lines of routes.yaml."""
    started: list[Served] = []

    def serve(settings: str = "", *flags: str) -> Served:
        (tmp_path / "routes.yaml").write_text(settings)
        context = serving(tmp_path, *flags)
        contexts.append(context)
        started.append(context.__enter__())
        return started[-1]

    contexts: list[object] = []
    yield serve
    for context in contexts:
        context.__exit__(None, None, None)  # type: ignore[attr-defined]


async def call(served: Served, method: str, path: str, target: str | None = None) -> object:
    body = None if target is None else json.dumps({"target": target}).encode()
    fields = {"Authorization": f"token {served.token}"}
    answer = await asyncio.wait_for(ask(served.api_port, method, path, body, fields), MINUTES)
    assert answer.status in (200, 201, 204), answer
    return json.loads(answer.body) if answer.body else None


async def add(served: Served, path: str, target: str) -> None:
    await call(served, "POST", f"/api/routes{path}", target)


async def routes(served: Served) -> dict[str, dict[str, object]]:
    found = await call(served, "GET", "/api/routes")
    assert isinstance(found, dict)
    return found


def workers(served: Served) -> set[int]:
    return {each.pid for each in served.workers}


class Hub:
    """Adds routes all the time, and goes to each at once, as hubs do."""

    def __init__(self, served: Served, target: str) -> None:
        self.added = 0
        self.longest = 0.0
        self.failures: list[str] = []
        self._ending = False
        self._work = asyncio.ensure_future(self._add(served, target))  # noqa: TID251

    async def stop(self) -> None:
        self._ending = True
        await self._work

    async def _add(self, served: Served, target: str) -> None:
        loop = asyncio.get_running_loop()
        kept = await Connection.open(served.port)
        while not self._ending:
            path = f"/hub/{self.added}"
            begun = loop.time()
            await add(served, path, target)
            self.longest = max(self.longest, loop.time() - begun)
            answer = await kept.get(path)
            if answer != (200, path.encode()):
                self.failures.append(f"{path}: {answer}")
            if kept.last:
                kept.close()
                kept = await Connection.open(served.port)
            self.added += 1
            await asyncio.sleep(0.05)
        kept.close()


async def test_nothing_is_lost_and_no_tunnel_breaks(
    code: Code, serve: Serve, target: str, tunnels: Tunnels
) -> None:
    served = serve("workers: 2\npid_file: hubgate.pid\ntimeouts: {keep_alive: 600}\n")
    await add(served, "/user", target)
    await add(served, "/idle", target)
    before = (await routes(served))["/idle"]
    await tunnels.open(served.port, 100)
    load, hub = Load(served.port), Hub(served, target)
    load.start()
    await load.more()
    idle = await Connection.open(served.port)
    assert (await idle.get("/user/idle"))[0] == 200
    old = workers(served)
    for release, successor in ((hubgate.__version__, "7.7.7"), ("7.7.7", "8.8.8")):
        code.install(successor)
        assert await upgrade(served) == (0, f"upgraded from {release} to {successor}\n")
        await load.more()
        await tunnels.more()
    assert not tunnels.broken
    assert (await idle.get("/user/idle"))[0] == 200
    assert idle.last, "an old worker's connection closes after its next answer"
    idle.close()
    await load.stop()
    await hub.stop()
    assert load.failures == []
    assert hub.failures == []
    print(f"{load.answered} requests, {hub.added} routes; the API waited {hub.longest:.2f} s")
    found = await routes(served)
    assert found["/idle"] == before
    assert set(found) == {"/user", "/idle", *(f"/hub/{number}" for number in range(hub.added))}
    pid_file = Path(served.process.cwd()) / "hubgate.pid"
    assert pid_file.read_text().strip() == str(served.process.pid)
    assert old < workers(served), "tunnels live on in the old workers"
    served.process.send_signal(signal.SIGTERM)
    assert set(await tunnels.ended()) == {1001}
    assert await asyncio.to_thread(served.process.wait, MINUTES) == 0
    assert not pid_file.exists()


async def test_a_tunnel_past_the_limit_is_closed_as_it_should_be(
    serve: Serve, target: str, tunnels: Tunnels
) -> None:
    served = serve("timeouts: {upgrade: 2, keep_alive: 1}\n")
    await add(served, "/user", target)
    await tunnels.open(served.port, 3)
    old = workers(served)
    assert (await upgrade(served))[0] == 0
    assert await tunnels.ended() == [1001] * 3
    await until(lambda: old.isdisjoint(workers(served)))


async def test_a_broken_release_changes_nothing(
    code: Code, serve: Serve, target: str, tunnels: Tunnels
) -> None:
    served = serve("workers: 2\n")
    await add(served, "/user", target)
    await tunnels.open(served.port, 3)
    load = Load(served.port)
    load.start(1)
    await load.more()
    old = workers(served)
    code.damage()
    status, said = await upgrade(served)
    assert status == 1
    assert "SyntaxError" in said
    assert "acceptor.py, line 1" in said
    assert said.count("\n") == 1
    await load.more()
    await tunnels.more()
    await load.stop()
    assert load.failures == []
    assert workers(served) == old
    assert set(await routes(served)) == {"/user"}


async def test_a_file_that_goes_bad_meanwhile_is_waited_for(
    code: Code, serve: Serve, target: str, tunnels: Tunnels, tmp_path: Path
) -> None:
    settings, file = "workers: 2\n", tmp_path / "routes.yaml"
    served = serve(settings)
    await add(served, "/user", target)
    await tunnels.open(served.port, 3)
    load = Load(served.port)
    load.start(1)
    code.spoil(file)
    upgrading = spawn(upgrade(served), "upgrade")
    log = tmp_path / "serve.log"
    await until(lambda: "the upgrade waits until this is fixed" in log.read_text(), MINUTES)
    await load.more()
    await tunnels.more()
    file.write_text(settings)
    assert (await upgrading)[0] == 0
    await load.more()
    await tunnels.more()
    await load.stop()
    assert load.failures == []
    assert not tunnels.broken
    assert set(await routes(served)) == {"/user"}


async def test_what_needs_a_restart_is_no_upgrade(serve: Serve, tmp_path: Path) -> None:
    served = serve()
    (tmp_path / "routes.yaml").write_text("pid_file: hubgate.pid\nmetrics: {port: 0}\n")
    status, said = await upgrade(served)
    assert status == 1
    assert said.endswith(": changed, and needs a restart: metrics, pid_file\n")
    await routes(served)


async def test_more_workers_and_fewer(serve: Serve, target: str, tmp_path: Path) -> None:
    served = serve("workers: 1\ntimeouts: {keep_alive: 20}\n")
    await add(served, "/user", target)
    load = Load(served.port)
    load.start()
    for count in (3, 1, 2):
        (tmp_path / "routes.yaml").write_text(f"workers: {count}\ntimeouts: {{keep_alive: 20}}\n")
        assert (await upgrade(served))[0] == 0
        await load.more()
        await until(lambda count=count: len(workers(served)) == count)
        await load.more()
    await load.stop()
    assert load.failures == []


async def test_killed_after_an_upgrade_nothing_is_left(
    serve: Serve, target: str, tunnels: Tunnels
) -> None:
    served = serve("workers: 2\n")
    await add(served, "/user", target)
    await tunnels.open(served.port, 4)
    old = workers(served)
    assert (await upgrade(served))[0] == 0
    everybody = workers(served)
    assert old & everybody
    served.process.send_signal(signal.SIGKILL)
    # Reaped, not only dead: its last thread lets go of its sockets.
    await asyncio.to_thread(served.process.wait, MINUTES)
    await until(lambda: all(gone(pid) for pid in everybody))
    for port in (served.port, served.api_port):
        with closing(socket.socket()) as visitor:
            assert visitor.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


async def test_told_to_end_meanwhile_it_ends_well(
    serve: Serve, target: str, tmp_path: Path
) -> None:
    served = serve("workers: 2\n")
    await add(served, "/user", target)
    served.process.send_signal(signal.SIGUSR2)
    log = tmp_path / "serve.log"
    await until(lambda: "upgrading from" in log.read_text(), MINUTES)
    served.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(served.process.wait, MINUTES) == 0


def test_the_drop_in_is_upgraded_by_a_signal(code: Code, tmp_path: Path) -> None:
    with dropin(tmp_path) as place:
        running = place.start()
        running.add("/user/alice", "http://127.0.0.1:9", user="alice", jupyterhub=True)
        before = running.routes()
        children = {each.pid for each in psutil.Process(running.process.pid).children()}
        code.install("7.7.7")
        running.process.send_signal(signal.SIGUSR2)
        upgraded = f"upgraded from {hubgate.__version__} to 7.7.7"
        assert eventually(lambda: upgraded in running.output, MINUTES), running.output
        assert running.routes() == before
        now = {each.pid for each in psutil.Process(running.process.pid).children()}
        assert now - children
        assert running.process.poll() is None

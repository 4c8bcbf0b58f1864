"""What docs/jupyterhub.md says to write, in real hubs, with people in a real browser."""

import asyncio
import json
import re
import shlex
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from hubgate.settings.chp.hub_settings import LEFT_OUT, TRAITS
from tests.browser.desk import Desk
from tests.browser.documented import PAGE, Place, blocks, desk, ended, lines_with
from tests.browser.hub import ROOT, START_LIMIT, STOP_LIMIT
from tests.cli.running import PROXYCTL, run
from tests.cli.users import new_users
from tests.contract.harness import accepts
from tests.control.waiting import until
from tests.hub import running
from tests.hub.person import Person, person
from tests.hub.running import Process
from tests.processes import workers_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

SHIPPED = (ROOT / "routes.yaml").read_text()
CHP = "build/chp-5.3.0/node_modules/.bin/configurable-http-proxy"


@pytest_asyncio.fixture(loop_scope="module")
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    one = Place(tmp_path)
    yield one
    await one.end()


async def test_the_hub_starts_the_proxy(place: Place, browser: Browser) -> None:
    place.configure(*blocks("Started by the hub"))
    async with place.hub(), desk(browser, place.site, "alice") as alice:
        await alice.type("A")
    assert "HubgateProxy" in place.log()
    assert not place.tracebacks()


async def outside(place: Place, routes: str) -> Process:
    """Start the proxy that the page describes, on the shipped routes.yaml or a changed one."""
    (place.folder / "token").write_text("documented")
    (place.folder / "routes.yaml").write_text(place.own(routes))
    proxy = await place.shell(blocks("A proxy of its own", "sh")[0])
    await until(lambda: accepts(("127.0.0.1", int(place.ports["8001"]))), START_LIMIT)
    return proxy


async def test_a_proxy_of_its_own_outlives_the_hub(place: Place, browser: Browser) -> None:
    place.configure(*blocks("A proxy of its own"))
    proxy = await outside(place, SHIPPED)
    hub = await place.start_hub()
    async with desk(browser, place.site, "alice") as alice:
        await alice.type("A")
        # Without a hub people work on, and a proxy that starts again knows where.
        await place.leave(hub)
        await alice.type("B")
        await running.stop(proxy)
        await outside(place, SHIPPED)
        status, _ = await place.get(f"{alice.base}api")
        assert status == 200
        hub = await place.start_hub()
        await reopened(alice)
        await place.leave(hub)
    assert lines_with(place.log(), ["route added as routes.yaml has it: '/'"])
    assert "message='route / is set" not in place.log()


async def test_a_conflict_is_one_line_on_both_sides(place: Place) -> None:
    place.configure(*blocks("A proxy of its own"))
    await outside(place, SHIPPED.replace("8081", "9"))
    hub = await place.shell("jupyterhub --config config.py")
    assert await ended(hub, START_LIMIT) == 1
    shown = re.search(r"message='(route / is set .*)', url", PAGE.read_text())
    assert shown
    line = shown[1].replace("8081", "9").replace("8089", place.ports["8081"])
    told = lines_with(place.log(), [line])
    assert sorted("JupyterHub" in each for each in told) == [False, True]
    assert not place.tracebacks()


async def test_workers_metrics_and_access_log_by_traits(place: Place, browser: Browser) -> None:
    place.configure(*blocks("Settings"))
    async with place.hub(), desk(browser, place.site, "alice") as alice:
        await alice.type("A")
        pid = int((place.folder / "jupyterhub-proxy.pid").read_text())
        assert len(workers_of(psutil.Process(pid))) == 2
        status, text = await place.get(f"http://127.0.0.1:{place.ports['8002']}/metrics")
        assert (status, "requests_web" in text) == (200, True)
        lines = (place.folder / "access.log").read_text().splitlines()
        assert "/user/alice" in {json.loads(line)["route"] for line in lines}


async def test_they_apply_to_a_command_of_ones_own(place: Place) -> None:
    own = f"c.HubgateProxy.command = [{running.DROP_IN!r}]\n"
    place.configure(*blocks("Settings"), own)
    async with place.hub():
        status, _ = await place.get(f"http://127.0.0.1:{place.ports['8002']}/metrics")
        assert status == 200
        assert (place.folder / "access.log").exists()
        pid = int((place.folder / "jupyterhub-proxy.pid").read_text())
        assert len(workers_of(psutil.Process(pid))) == 2


async def test_a_wrong_value_ends_the_start_with_one_line(place: Place) -> None:
    text = blocks("Settings")[0].replace("8002", "99999")
    place.configure(text)
    hub = await place.shell("jupyterhub --config config.py")
    assert await ended(hub, START_LIMIT) == 1
    line = re.search(r"`(c\.HubgateProxy\.metrics_port: 99999.*?)`", PAGE.read_text(), re.DOTALL)
    assert line
    assert len(lines_with(place.log(), [" ".join(line[1].split())])) == 1
    assert not place.tracebacks()
    assert not (place.folder / "jupyterhub-proxy.pid").exists()


async def test_proxyctl_finds_the_hubs_proxy_and_its_token(tmp_path: Path) -> None:
    """Of a user with no other hubgate; this one's has as many as there are tests."""
    with new_users(1) as (user,):
        place = Place(user.home)
        place.configure(*blocks("Started by the hub"))
        (typed,) = blocks("proxyctl under a hub", "sh")
        program, *arguments = shlex.split(typed)
        assert program == "proxyctl"
        hub = user.start("-m", "jupyterhub", "--config", "config.py")
        try:
            await until(lambda: accepts(("127.0.0.1", int(place.ports["8001"]))), START_LIMIT)
            await until(lambda: user.run(*arguments).stdout.startswith("/\t"), START_LIMIT)
            log = (user.home / "proxy.log").read_text()
            assert "Generating new CONFIGPROXY_AUTH_TOKEN" in log
            for words in (["upgrade"], arguments):
                done = await asyncio.to_thread(user.run, *words)
                assert (done.returncode, done.stderr) == (0, "")
            # Root finds it too, when told which one.
            asked = ("list", "--api-url", place.at("8001").url)
            assert run(PROXYCTL, *asked, env={"XDG_STATE_HOME": str(tmp_path)}).returncode == 0
        finally:
            hub.terminate()
            await asyncio.to_thread(hub.wait, STOP_LIMIT)
        assert user.run(*arguments).returncode == 1


async def test_tls(place: Place, browser: Browser) -> None:
    certs = await place.shell("proxyctl certs\n")
    assert await ended(certs) == 0
    place.configure(*blocks("TLS"))
    site = place.at("8443", "https")
    async with place.hub(site), desk(browser, site, "alice") as alice:
        await alice.type("A")
        status, _ = await place.get(f"http://127.0.0.1:{place.ports['8080']}/hub/login")
        assert status == 301
        assert alice.base.startswith("https:")


async def test_moving_from_chp_with_servers_running(place: Place, browser: Browser) -> None:
    chp = shutil.which(str(ROOT / CHP))
    if chp is None:
        pytest.skip("no configurable-http-proxy: make parts installs it")
    leave, move = blocks("Moving from CHP")
    place.configure(f"c.ConfigurableHTTPProxy.command = [{chp!r}]\n", leave)
    hub = await place.start_hub()
    async with (
        desk(browser, place.site, "bob") as bob,
        person(place.site, "alice", f"{place.site.url}/user/alice/") as alice,
    ):
        assert "HubgateProxy" not in place.log()
        kernel = await alice.start_kernel()
        await alice.run(kernel, "answer = 6 * 7")
        await place.leave(hub)
        place.configure(leave, move)
        hub = await place.start_hub()
        assert "HubgateProxy" in place.log()
        assert await answer_of(alice, kernel) == "42\n"
        await reopened(bob)
        await place.leave(hub)


async def answer_of(one: Person, kernel: str) -> str:
    """Return what the kernel still knows; the hub adds its server's route in a moment."""
    async with asyncio.timeout(START_LIMIT):
        while True:
            async with one.session.get(f"{one.server}api/status") as answer:
                if answer.status == 200:
                    return await one.run(kernel, "print(answer)")
            await asyncio.sleep(0.2)


async def reopened(one: Desk) -> None:
    """Come back to the page; nobody has to log in or to start a server again."""
    await one.page.goto(f"{one.base}lab")
    await one.page.wait_for_url(f"{one.base}lab**")
    await one.open_notebook()
    await one.type("again")


# --- the page itself ---


async def test_every_trait_on_the_page_is_one_and_what_has_none_is_there() -> None:
    text = PAGE.read_text()
    named = set(re.findall(r"c\.HubgateProxy\.(\w+)", text))
    hubs = {"should_start", "api_url", "auth_token", "log_level", "pid_file", "extra_routes"}
    assert named <= set(TRAITS) | hubs | {"extra_flags", "command"}
    for decides in LEFT_OUT.values():
        if decides.startswith("c.") and not decides.endswith(".recovery"):  # a trait as well
            assert f"`{decides}`" in text

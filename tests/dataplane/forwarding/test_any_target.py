"""Whatever a target is: it is refused when it is added, or works, or is down; never a 500."""

import asyncio
import contextlib
import json
import re
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubgate.control.api.posted_route import posted_route
from hubgate.errors import ConfigError, RouteError
from hubgate.model import ForwardRules, Route, Timeouts
from hubgate.routing.target import parse_target
from hubgate.settings.urls import check_target
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.wire import Wire, response

PLACES = [
    *("127.0.0.1", "[::1]", "localhost", "127.1", "0x7f.1", "%31", "h", "x.invalid", "", "."),
    *("[", "]", "[::1", "::1", "[::1%25lo]", "[1]", "u:p@127.0.0.1", "@", "a b", "\u00e9", "\\"),
    *("%2Ftmp%2Fno.sock", "%2F%00", "%2F" + "a" * 200, "a" * 64, "256.1.1.1", "\u3002", "xn--a"),
]
PORTS = ["", ":", ":1", ":0", ":65535", ":65536", ":-1", ":x", ":\u0661", ":1:1", ": 1", ":PORT"]
PATHS = [
    "",
    "/",
    "/a b",
    "/\u00e9",
    "/\x00",
    "/\r\nX: y",
    "?a b",
    "#f",
    "/%zz",
    "/../.",
    "\\a",
    "/@",
]
BLANKS = ["", " ", "\t", "\r\n", "\x00", "\u00a0"]
SCHEMES = ["http://", "HTTP://", "https://", "ws://", "http+unix://", "http:", "ftp://", "//", ""]
URLS = st.builds(
    lambda *parts: "".join(parts),
    *(st.sampled_from(each) for each in (BLANKS, SCHEMES, PLACES, PORTS, PATHS, BLANKS)),
)
TEXTS = st.text(st.characters() | st.sampled_from(string.punctuation + string.whitespace))
# Requests go nowhere else, whatever may be a target.
HERE = ("127.0.0.1", "::1", "localhost")
CHP, NATIVE = ForwardRules(), ForwardRules(native_routes=True)


@pytest.mark.real_time
async def test_no_target_is_ever_a_500(start_front: StartFront, start_target: StartTarget) -> None:
    async def script(wire: Wire) -> None:
        while True:
            seen = await wire.read_request()
            assert seen.path.isascii()
            assert seen.path.isprintable()
            await wire.send(response(200))

    target = await start_target(script)
    short = Timeouts(ready=0, connect=1, lookup=1, down=0)
    front = await start_front(timeouts=short)
    loop, seen = asyncio.get_running_loop(), set()

    async def use(url: str) -> None:
        with contextlib.suppress(RouteError):
            route = added(url)
            if not stays_here(route.target, {1, target.port}):
                return
            front.table.apply([route], ())
            got = await front.ask("GET", "/a?b")
            seen.add(got.status)
            assert got.status in (200, 503), url

    @settings(
        max_examples=300,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(URLS | TEXTS.map("http://127.0.0.1:PORT/".__add__) | TEXTS.map("http://".__add__))
    def uses(url: str) -> None:
        url = url.replace("PORT", str(target.port))
        asyncio.run_coroutine_threadsafe(use(url), loop).result(60)

    await asyncio.to_thread(uses)
    assert seen == {200, 503}


def stays_here(url: str, ports: set[int]) -> bool:
    """Say whether its requests go to these ports of this machine; check what would be written."""
    found = parse_target(url)
    for part in (found.authority, found.path, found.query):
        assert re.fullmatch(rb"[!-~]*", part)
    return found.peer.unix is not None or (found.peer.host in HERE and found.peer.port in ports)


def added(url: str) -> Route:
    """Return the route that the API adds with this target; raises RouteError with one line."""
    body = json.dumps({"target": url}).encode()
    try:
        return posted_route(body, "/a", CHP)
    except RouteError as error:
        line = str(error)
    assert line.isprintable()
    # What the drop-in refuses, nothing else takes.
    with pytest.raises(RouteError):
        posted_route(body, "/a", NATIVE)
    with pytest.raises(ConfigError):
        check_target(url)
    raise RouteError(line)

"""The error target is asked with what a client sent: neither may harm anybody else."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.contract.harness import Options, launch
from tests.hostile.building import get
from tests.hostile.conversation import Conversation, Port
from tests.hostile.entry import Door, Pause
from tests.hostile.recorder import Recorder
from tests.hostile.reply import Close, Piece, Sending
from tests.hostile.stage import Stage, recording

OK = b"HTTP/1.1 200 OK\r\n"
SECOND = b"HTTP/1.1 200 OK\r\nX-Record: 0\r\nContent-Length: 6\r\n\r\npoison"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

PATHS = (
    b"/nobody",
    b"/nobody?a=1&b=2",
    b"/nobody%0d%0aX:%20y",
    b"/nobody%20HTTP/1.1%0d%0aHost:%20x%0d%0a%0d%0aGET%20/smuggled",
    b"/nobody?url=/other&code=200",
    b"/nobody%00",
    b"/nobody%2fx?y=%23z",
    b"//nobody/x",
    b"/nobody;x='\"<script>",
    b"/" + b"n" * 4000,
)
REPLIES: dict[str, tuple[Piece, ...]] = {
    "a second response": (GOOD + SECOND,),
    "a second response, later": (GOOD, Pause(), SECOND),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 0\r\n\r\nhi" + SECOND,
    ),
    "a length beside chunked": (
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "a bare LF in Content-Type": (
        OK + b"Content-Type: text/html\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "a field that is not for clients": (OK + b"Set-Cookie: a=b\r\nContent-Length: 2\r\n\r\nhi",),
    "101": (b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + SECOND,),
    "103 with a body": (b"HTTP/1.1 103 Early\r\nContent-Length: 2\r\n\r\nhi" + GOOD,),
    "HTTP/0.9": (b"hello", Close.END),
    "nothing": (Close.END,),
    "a short body": (OK + b"Content-Length: 9\r\n\r\nhi", Close.END),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return a proxy with a route for one user only and an error target."""
    with recording() as recorder:
        flags = ("--error-target", recorder.url("hub") + "/hub/error", "--log-level", "error")
        proxy = launch(Options(flags), tmp_path_factory.mktemp("pages"))
        try:
            proxy.add("/user/alice", recorder.url("alice"))
            proxy.add("/hub", recorder.url("hub"))
            yield Stage(recorder, {Door.DROP_IN: Port(proxy.port)})
        finally:
            proxy.kill()


def wanted(path: bytes) -> bytes:
    """Return what the error target has to be asked for."""
    return b"/hub/error/404?url=" + quote(path, safe="").encode()


def ask(stage: Stage, path: bytes) -> tuple[int, bytes]:
    """GET `path` on a connection of its own; return the status and body."""
    talk = Conversation(stage.doors[Door.DROP_IN], 15)
    try:
        talk.send(get(path))
        answer = talk.answer()
    finally:
        talk.close()
    assert answer is not None
    assert not answer.all(b"set-cookie")
    return answer.status, answer.body


def hub_answers(stage: Stage, recorder: Recorder) -> None:
    """Check that others get their own answer from the same server, twice."""
    for number in range(2):
        mark = recorder.mark()
        status, body = ask(stage, b"/hub/%d" % number)
        own = recorder.since(mark).records[-1]
        assert (status, body) == (200, b"this is the answer to request %d of hub" % own.number)


@pytest.mark.parametrize("path", PATHS)
def test_the_error_target_is_asked_once_and_clearly(pages: Stage, path: bytes) -> None:
    mark = pages.recorder.mark()
    assert ask(pages, path)[0] == 404
    sighting = pages.recorder.since(mark)
    assert [record.request.path for record in sighting.records] == [wanted(path)]
    assert not sighting.violations
    assert not sighting.begun


@pytest.mark.parametrize("name", REPLIES)
def test_a_hostile_error_target(pages: Stage, name: str) -> None:
    path = b"/nobody/" + quote(name).encode()
    sending = Sending(REPLIES[name])
    pages.recorder.reply(wanted(path), sending)
    status, body = ask(pages, path)
    assert status == 404
    assert b"poison" not in body
    assert sending.done.wait(15)
    hub_answers(pages, pages.recorder)

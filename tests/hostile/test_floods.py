"""What grows without end is cut off: it may cost a few kilobytes, not a worker's time or memory."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.hostile.building import chunked, get
from tests.hostile.conversation import Conversation
from tests.hostile.entry import Door
from tests.hostile.stage import Stage

PATIENCE = 10.0

# Far above every limit, far below what a bounded reader would mind.
_FLOOD = 8_000_000

_BODY = chunked(body=b"5\r\nhello\r\n")
REQUESTS = {
    "a trailer's value": (_BODY + b"0\r\nX: ", b"y" * 1000),
    "a trailer's name": (_BODY + b"0\r\n", b"y" * 1000),
    "a trailer's blanks": (_BODY + b"0\r\nX:", b" " * 1000),
    "trailers": (_BODY + b"0\r\n", b"X-Name: y\r\n" * 100),
    "a chunk's extension": (_BODY + b"5;", b"y" * 1000),
    "a chunk's quoted extension": (_BODY + b'5;x="', b"y" * 1000),
    "zeros of a chunk's size": (_BODY, b"0" * 1000),
    "a field's value": (get(b"/a")[:-2] + b"X: ", b"y" * 1000),
    "a field's blanks": (get(b"/a")[:-2] + b"X:", b" " * 1000),
    "a field's name": (get(b"/a")[:-2], b"y" * 1000),
    "fields": (get(b"/a")[:-2], b"X-Name: y\r\n" * 100),
    "the path": (b"GET /", b"y" * 1000),
    "the method": (b"", b"G" * 1000),
    "empty lines": (b"", b"\r\n" * 500),
    "behind Connection: close": (get(b"/a", b"Connection: close"), b"y" * 1000),
    "behind a bad request": (b"bad\r\n\r\n", b"y" * 1000),
    "behind a refused upgrade": (
        get(b"/a", b"Connection: Upgrade", b"Upgrade: websocket"),
        b"y" * 1000,
    ),
}


@contextlib.contextmanager
def talking(stage: Stage) -> Iterator[Conversation]:
    """Open a connection until the block ends."""
    talk = Conversation(stage.doors[Door.DROP_IN], PATIENCE)
    try:
        yield talk
    finally:
        talk.close()


def flood(talk: Conversation, part: bytes) -> bool:
    """Send `part` up to _FLOOD bytes; say whether the proxy refused that or closed."""
    talk.socket.settimeout(PATIENCE)
    for _ in range(_FLOOD // len(part)):
        try:
            talk.socket.sendall(part)
        except OSError:
            return True
    while not (talk.ended or talk.timed_out or b"HTTP/1.1 4" in talk.buffer):
        talk.receive()
    return not talk.timed_out


@pytest.mark.parametrize("name", REQUESTS)
def test_an_endless_request_is_cut_off(drop_in: Stage, name: str) -> None:
    start, part = REQUESTS[name]
    with talking(drop_in) as talk, talking(drop_in) as other:
        talk.send(start)
        assert flood(talk, part)
        other.send(get(b"/other"))
        answer = other.answer()
    assert answer is not None
    assert answer.status == 200

"""The port that redirects: whatever is sent, the Location leads to the host that was asked for."""

import re

import pytest

from tests.hostile.answers import Answer
from tests.hostile.building import SMUGGLED, get, lines
from tests.hostile.canonical import NotCanonical
from tests.hostile.conversation import Conversation
from tests.hostile.entry import Door
from tests.hostile.stage import Stage

_LOCATION = re.compile(rb"https://(hub|evil)(:[0-9]+)?/[\x21-\x7e]*")

REQUESTS = {
    "an ordinary one": get(b"/a?b=c"),
    "a path that is a host": get(b"//evil/a"),
    "a path that is a URL": get(b"/http://evil/a"),
    "backslashes": get(b"/\\evil/a"),
    "an encoded line end": get(b"/a%0d%0aSet-Cookie:%20x=y"),
    "absolute form": get(b"http://hub/a"),
    "absolute form, another host": get(b"http://evil/a"),
    "absolute form, only a query": get(b"http://hub?x"),
    "absolute form, only a host": get(b"http://hub"),
    "absolute form, a bad bracket": get(b"http://[::1/a"),
    "no leading slash": get(b".evil/a"),
    "an at sign for a path": get(b"@evil/a"),
    "a port for a path": get(b":443@evil/a"),
    "asterisk": lines(b"OPTIONS * HTTP/1.1", b"Host: hub"),
    "CONNECT": lines(b"CONNECT evil:443 HTTP/1.1", b"Host: hub"),
    "a slash in Host": get(host=b"evil/hub"),
    "a user in Host": get(host=b"hub@evil"),
    "a user and a port in Host": get(host=b"hub:80@evil"),
    "a question mark in Host": get(host=b"evil?hub"),
    "a fragment in Host": get(host=b"evil#hub"),
    "a backslash in Host": get(host=b"evil\\hub"),
    "a blank in Host": get(host=b"evil hub"),
    "a quote in Host": get(host=b'evil">'),
    "an encoded line end in Host": get(host=b"evil%0d%0aX: y"),
    "an empty Host": get(host=b""),
    "two Hosts": get(b"/a", b"Host: evil"),
    "no Host": lines(b"GET /a HTTP/1.1"),
    "a bracket in Host": get(host=b"[evil"),
    "a letter for a port": get(host=b"hub:evil"),
    "a bare LF": b"GET /a HTTP/1.1\nHost: hub\n\n",
    "a bare CR in the path": b"GET /a\rX HTTP/1.1\r\nHost: hub\r\n\r\n",
    "a NUL": b"GET /\0 HTTP/1.1\r\nHost: hub\r\n\r\n",
    "a folded Host": b"GET /a HTTP/1.1\r\nHost:\r\n hub\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a length beside chunked": get(b"/a", b"Content-Length: 5", b"Transfer-Encoding: chunked")
    + b"0\r\n\r\n"
    + SMUGGLED,
    "high bytes in the path": get(b"/\xe9"),
}


def answers(stage: Stage, data: bytes) -> list[Answer]:
    """Return all answers to `data`, of which there has to be one."""
    talk = Conversation(stage.doors[Door.REDIRECT], 15)
    found = []
    try:
        talk.send(data)
        while (answer := talk.answer()) is not None:
            found.append(answer)
            talk.half_close()
    except NotCanonical as error:
        pytest.fail(str(error))
    finally:
        talk.close()
    assert found
    assert talk.ended
    return found


@pytest.mark.parametrize("name", REQUESTS)
def test_redirect(secure: Stage, name: str) -> None:
    mark = secure.recorder.mark()
    for answer in answers(secure, REQUESTS[name]):
        if answer.status == 301:
            # In absolute form, Host does not count (RFC 9112, section 3.2.2).
            asked = b"evil" if REQUESTS[name].startswith(b"GET http://evil/") else b"hub"
            hosts = [_LOCATION.fullmatch(value) for value in answer.all(b"location")]
            assert all(host and host[1] == asked for host in hosts), answer
        else:
            assert 400 <= answer.status < 600
    assert not secure.recorder.since(mark).records

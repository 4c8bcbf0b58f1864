"""A client's bytes: what is read, and what is written to the target for it."""

from typing import cast

from hubgate.dataplane.forwarding.request_writer import forward_path, request_rest
from hubgate.dataplane.forwarding.trust import Trust, forwarded_lines, passed_lines
from hubgate.errors import BadRequestError
from hubgate.http1.fast_path import HeaderBlocks
from hubgate.http1.reader import IncomingRequest, RequestReader
from hubgate.http1.request import RequestHead
from hubgate.model import ForwardRules, Limits, Route, RouteOptions
from hubgate.routing.table import RouteEntry
from hubgate.routing.target import Target
from tests.http1.reading import take_in

LIMITS = Limits(request_line=2048, head=4096, headers=32, body=1 << 20)
RULES = ForwardRules()


# What was learnt from the connections before must not change what is read from the next one.
BLOCKS = HeaderBlocks(LIMITS)


def read(data: bytes, pieces: int) -> list[IncomingRequest]:
    """Return the requests in `data`, fed in as many pieces."""
    reader = RequestReader(LIMITS, BLOCKS)
    size = max(1, len(data) // pieces)
    for start in range(0, len(data), size):
        take_in(reader, data[start : start + size])
    return list(reader.requests)


def seen(request: IncomingRequest) -> tuple[object, ...]:
    """Return what of a request must not depend on how its bytes were cut."""
    head = request.head
    # Which of two mistakes is seen first may depend on the cut; that one is, may not.
    refused = request.error is not None
    if head is None:
        return (refused,)
    line = (head.method, head.target, head.host, head.upgrade, head.body, head.length)
    return (*line, tuple(head.lines), b"".join(request.chunks), request.ended, refused)


def served(requests: list[IncomingRequest]) -> list[tuple[object, ...]]:
    """Return all that is served: the bytes behind a connection's last request are nobody's."""
    found = []
    for each in requests:
        found.append(seen(each))
        if each.head is not None and not each.head.keep_alive:
            break
    return found


def request(data: bytes) -> None:
    """Requests do not depend on cuts, and what is forwarded is one request, the same one."""
    whole = read(data, 1)
    if len(data) <= LIMITS.head:
        assert served(whole) == served(read(data, 7))
    entry = RouteEntry(Route("/a", "http://127.0.0.1:1/base", options=OPTIONS), 1)
    for each in whole:
        if each.head is not None:
            forward(each.head, entry)


OPTIONS = RouteOptions(strip_prefix=True, headers=(("X-Team", "physics"),))


def forward(head: RequestHead, entry: RouteEntry) -> None:
    """Write a request's head anew, read it as a target would, and compare."""
    target = cast(Target, entry.target)
    try:
        path = forward_path(head, entry, target, RULES)
    except BadRequestError:
        return
    rest = request_rest(head, target, RULES, (), entry.header_lines)
    written = b"%b %b%b" % (head.method, path, rest)
    new = read_again(written)
    assert (new.method, new.body, new.length) == (head.method, head.body, head.length), written
    assert new.upgrade == head.upgrade, written
    assert new.target.startswith(b"/base"), written
    assert not new.forwarded, written


def read_again(written: bytes) -> RequestHead:
    """Read a head that we wrote as a target would: it is one request."""
    reader = RequestReader(Limits(request_line=1 << 16, head=1 << 16, headers=256))
    # In two pieces: llhttp is to judge what went past it.
    reader.feed(written[:3])
    reader.feed(written[3:])
    assert len(reader.requests) == 1, written
    only = reader.requests[0]
    assert only.error is None, (only.error, written)
    assert only.head is not None
    return only.head


PEERS = ("", "127.0.0.1", "192.0.2.7", "::1", "fe80::1%eth0", "2001:db8::7")
TRUST = Trust(("127.0.0.0/8", "fe80::/10"))


def forwarding(data: bytes) -> None:
    """What a stranger says of others is never sent on; what a trusted peer says stays first."""
    if not data:
        return
    peer, secure = PEERS[data[0] % len(PEERS)], data[0] >= 128
    trusted = TRUST.trusts(peer)
    for each in read(data[1:], 1):
        if each.head is None:
            continue
        for added in (True, False):
            check_forwarded(each.head, peer, secure, trusted, added)


def check_forwarded(head: RequestHead, peer: str, secure: bool, trusted: bool, added: bool) -> None:
    """Hold the head that goes to the target to what may stand in it."""
    write = forwarded_lines(head, peer, secure, trusted) if added else passed_lines(head, trusted)
    target = cast(Target, RouteEntry(Route("/", "http://127.0.0.1:1"), 1).target)
    rest = request_rest(head, target, RULES, write, ())
    new = read_again(b"%b %b%b" % (head.method, head.target, rest)).forwarded
    before = head.forwarded if trusted else {}
    if not added:
        assert values(new) == values(before)
        return
    names = values(before).get(b"x-forwarded-for", b"")
    if peer:
        names += (b"," if names else b"") + peer.encode()
    assert values(new).get(b"x-forwarded-for", b"") == names
    scheme = new[b"x-forwarded-proto"].rpartition(b",")[2]
    assert scheme == (b"ws" if head.upgrade else b"http") + (b"s" if secure else b"")
    assert trusted or b"forwarded" not in new


def values(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return header values as a list of names is compared: without the white space around."""
    return {
        name: b",".join(each.strip(b" \t") for each in value.split(b","))
        for name, value in fields.items()
    }

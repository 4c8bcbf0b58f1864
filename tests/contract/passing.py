"""What gets through the proxy: requests to a target, and what a target replies."""

from tests.contract.conftest import MakeTarget
from tests.contract.harness import RunningProxy
from tests.contract.target import Target, replying
from tests.contract.wire import Request, Response

Pair = tuple[str, str]


def reached(proxy: RunningProxy, target: Target, path: str) -> bool:
    """Request `path`; say whether `target` got it, or else the answer was 404."""
    before = len(target.requests)
    status = proxy.get(path).status
    assert status in (200, 404)
    assert (len(target.requests) > before) == (status == 200)
    return status == 200


def seen(proxy: RunningProxy, target: Target, *fields: Pair) -> Request:
    """Return what `target` gets of a request to /x with `fields`."""
    assert proxy.get("/x", *fields).status == 200
    return target.last


def relayed(
    proxy: RunningProxy, make_target: MakeTarget, reply: bytes, method: str = "GET"
) -> Response:
    """Return what a client gets for `reply`; its connection has to be of use afterwards."""
    proxy.add("/x", make_target(replying(reply)).url)
    with proxy.connect() as client:
        response = client.ask("/x", method=method)
        assert client.ask("/_chp_healthz").status == 200
        return response

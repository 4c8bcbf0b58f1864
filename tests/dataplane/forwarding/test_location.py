"""Where a target sends its client: redirects to itself point at us."""

import pytest

from tests.dataplane.conftest import StartFront
from tests.dataplane.forwarding.exchanges import GET
from tests.dataplane.peers import Target, exchange
from tests.dataplane.wire import request, response


@pytest.mark.parametrize(
    ("rules", "location", "seen"),
    [
        ({}, "http://{target}/a", "http://{target}/a"),
        ({"auto_rewrite": True}, "http://{target}/a?b#c", "http://hub:8000/a?b#c"),
        ({"auto_rewrite": True}, "http://{target}", "http://hub:8000"),
        ({"auto_rewrite": True}, "http://{target}x/a", "http://{target}x/a"),
        ({"auto_rewrite": True}, "http://other/a", "http://other/a"),
        ({"auto_rewrite": True}, "/a", "/a"),
        ({"auto_rewrite": True}, "//{target}/a", "//{target}/a"),
        ({"auto_rewrite": True}, "http://user@{target}/a", "http://user@{target}/a"),
        ({"protocol_rewrite": "https"}, "http://{target}/a", "https://{target}/a"),
        ({"protocol_rewrite": "https"}, "http://other/a", "http://other/a"),
        (
            {"protocol_rewrite": "https", "auto_rewrite": True},
            "http://{target}/a",
            "https://hub:8000/a",
        ),
    ],
)
async def test_a_location_at_the_target_is_pointed_at_us(
    start_front: StartFront,
    target: Target,
    rules: dict[str, object],
    location: str,
    seen: str,
) -> None:
    front = await start_front(**rules)
    front.route("/", target.url)
    name = f"127.0.0.1:{target.port}"
    answer = response(302, f"location: {location.format(target=name)}")
    _, got = await exchange(front, target, request("GET", "/", host="hub:8000"), answer)

    assert got.get("location") == seen.format(target=name)


@pytest.mark.parametrize(
    ("status", "changed"),
    [(201, True), (301, True), (302, True), (307, True), (308, True), (200, False), (303, False)],
)
async def test_a_location_is_rewritten_in_redirects_only(
    start_front: StartFront, target: Target, status: int, changed: bool
) -> None:
    front = await start_front(auto_rewrite=True)
    front.route("/", target.url)
    location = f"http://127.0.0.1:{target.port}/a"
    _, got = await exchange(front, target, GET, response(status, f"Location: {location}"))

    assert (got.get("location") == "http://hub/a") is changed

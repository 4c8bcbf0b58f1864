import os
from dataclasses import replace

import pytest

from hubgate.control.handover import (
    HandedListener,
    HandedRoutes,
    HandedWorker,
    Handover,
    dumps,
    loads,
)
from hubgate.errors import UpgradeError
from hubgate.model import Route, RouteOptions, Source

ALICE = Route("/user/alice", "http://127.0.0.1:1", {"target": "http://127.0.0.1:1", "user": "ä"})
DOCS = Route(
    "/docs",
    "http://127.0.0.1:2",
    {"target": "http://127.0.0.1:2"},
    RouteOptions(strip_prefix=True, headers=(("X-Team", "physics"),)),
    source=Source.FILE,
)
ALL = Handover(
    release="0.1.0",
    generation=3,
    link_version=1,
    revision=17,
    listeners=(
        HandedListener("--port", "127.0.0.1:0", (5, 6)),
        HandedListener("--api-port", "127.0.0.1:1", (8,), borrowed=True),
    ),
    workers=(HandedWorker(1, 4711, 7, os.urandom(9), True),),
    routes=HandedRoutes((ALICE,), (DOCS,), {"/user/alice": 1.5}),
    counters={"requests_api:200": 3.0},
)


def test_all_that_is_handed_over_arrives() -> None:
    assert loads(dumps(ALL)) == ALL


def test_lost_lines_of_the_log_are_handed_over() -> None:
    assert loads(dumps(replace(ALL, lost_lines=9))).lost_lines == 9
    assert loads(dumps(ALL)).lost_lines == 0


def test_the_text_stays_what_other_releases_read() -> None:
    """Whoever has to change this raises VERSION."""
    worker = HandedWorker(1, 4711, 7, b"\0\xff early", True)
    assert dumps(replace(ALL, workers=(worker,))).decode() == (
        '{"version": 2, "release": "0.1.0", "generation": 3, "link_version": 1, "revision": 17, '
        '"listeners": [["--port", "127.0.0.1:0", [5, 6]], ["--api-port", "127.0.0.1:1", [8]]], '
        '"borrowed": [1], "workers": [[1, 4711, 7, "AP8gZWFybHk=", true]], '
        r'"stored": [["/user/alice", "{\"target\":\"http://127.0.0.1:1\",\"user\":\"\\u00e4\"}", '
        r'"{\"strip_prefix\":false,\"headers\":[]}"]], '
        r'"fixed": [["/docs", "{\"target\":\"http://127.0.0.1:2\"}", '
        r'"{\"strip_prefix\":true,\"headers\":[[\"X-Team\",\"physics\"]]}"]], '
        '"activity": {"/user/alice": 1.5}, "counters": {"requests_api:200": 3.0}}'
    )


def test_every_descriptor_goes_along() -> None:
    assert ALL.fds == [5, 6, 8, 7]


@pytest.mark.parametrize("text", [b"", b"{}", b'{"version": 2}', b"[]", dumps(ALL)[:-9]])
def test_what_cannot_be_read_is_one_line(text: bytes) -> None:
    with pytest.raises(UpgradeError, match=r"^what was handed over [^\n]+$"):
        loads(text)


def test_changes_to_another_table() -> None:
    moved = replace(ALICE, target="http://127.0.0.1:3")
    assert ALL.routes.changes_to([ALICE, DOCS]) == ([], [])
    assert ALL.routes.changes_to([moved]) == ([moved], ["/docs"])

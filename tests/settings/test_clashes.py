"""Two of our own listeners on one place."""

import pytest

from hubgate.model import Address
from hubgate.settings import Settings
from hubgate.settings.listener_clashes import clashes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Address("127.0.0.1", 1), Address("127.0.0.1", 1)),
        (Address("", 1), Address("127.0.0.1", 1)),
        (Address("localhost", 1), Address("127.0.0.1", 1)),
        (Address("::", 1), Address("10.0.0.1", 1)),
        (Address(path="/a"), Address(path="/a")),
    ],
)
def test_the_same_place_twice(one: Address, other: Address) -> None:
    (line,) = clashes(Settings(listen=(one,), api=(other,)))
    assert line.startswith(f"api: {other} is taken by listen; give one of them another ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Address("127.0.0.1", 1), Address("127.0.0.1", 2)),
        (Address("127.0.0.1", 1), Address("127.0.0.2", 1)),
        (Address("127.0.0.1", 0), Address("127.0.0.1", 0)),
        (Address(path="/a"), Address(path="/b")),
        (Address(path="/a"), Address("", 1)),
    ],
)
def test_different_places(one: Address, other: Address) -> None:
    assert clashes(Settings(listen=(one,), api=(other,))) == []


def test_listeners_go_by_the_callers_names() -> None:
    settings = Settings(metrics=(Address("127.0.0.1", 8000),))
    names = ("--port", "--redirect-port", "--api-port", "--metrics-port")
    assert clashes(settings, names) == [
        "--metrics-port: 127.0.0.1:8000 is taken by --port; give one of them another port"
    ]

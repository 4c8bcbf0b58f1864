"""Who may come in, and who has to leave for that."""

import logging
from collections.abc import Iterable

import pytest

from hubgate.model import Limits
from hubgate.transport.admission import (
    Admission,
    Guest,
    PortLimits,
    control_limits,
    port_limits,
)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Visitor:
    """A connection, and a handshake for it, that notes its end."""

    def __init__(self, spare: bool = True, address: str = "192.0.2.1") -> None:
        self.spare = spare
        self.address = address
        self.guest = object()
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Visitors:
    """The connections of a port; counts how often they are searched."""

    def __init__(self, *those: Visitor) -> None:
        self.those = list(those)
        self.searched = 0

    def spares(self, newcomer: object) -> Iterable[Guest]:
        self.searched += 1
        others = [each for each in self.those if each is not newcomer]
        return [each for each in others if each.spare and not each.aborted]


def admission(most: int | None = None, of_one: int | None = None, *guests: Visitor) -> Admission:
    made = Admission("public", PortLimits(most, of_one), Clock())
    made.guests = Visitors(*guests)
    return made


def clock_of(admission: Admission) -> Clock:
    clock = admission._clock
    assert isinstance(clock, Clock)
    return clock


def test_up_to_so_many_may_come_in_at_all() -> None:
    port = admission(2)

    assert port.enter("192.0.2.1") is None
    assert port.enter("192.0.2.2") is None
    refused = port.enter("192.0.2.3")
    assert refused is not None
    assert refused.status == 503
    assert str(refused) == "over 2 connections are open (limits.connections)"

    port.leave("192.0.2.3")
    port.leave("192.0.2.1")
    assert port.enter("192.0.2.4") is None
    assert port.open == 2


def test_up_to_so_many_may_come_from_one_address() -> None:
    port = admission(None, 1)

    assert port.enter("192.0.2.1") is None
    refused = port.enter("192.0.2.1")
    assert "192.0.2.1 has over 1 connections open (limits.address_connections)" in str(refused)
    assert port.enter("192.0.2.2") is None
    port.leave("192.0.2.1")
    port.leave("192.0.2.1")
    assert port.enter("192.0.2.1") is None


def test_clients_of_a_unix_socket_have_no_address_to_count() -> None:
    port = admission(None, 1)

    assert [port.enter("") for _ in range(5)] == [None] * 5


def test_there_need_be_no_limit() -> None:
    port = admission()

    assert not any(port.enter("192.0.2.1") for _ in range(20000))
    assert port.open == 20000


def test_new_limits_hold_from_now_on() -> None:
    port = admission(1)
    port.enter("192.0.2.1")
    port.limits = PortLimits(2)
    assert port.enter("192.0.2.1") is None

    port.limits = PortLimits(1)
    assert port.enter("192.0.2.1") is not None


def test_who_has_left_leaves_nothing_behind() -> None:
    port = admission()
    for number in range(1000):
        port.enter(str(number))
        port.leave(str(number))

    assert port.open == 0
    assert not port._by_address


# --- making room ------------------------------------------------------------------------------


def test_a_full_port_closes_what_it_can_spare_for_a_new_one() -> None:
    first, busy, second = Visitor(), Visitor(spare=False), Visitor()
    port = admission(3, None, first, busy, second)
    for each in (first, busy, second):
        assert port.enter(each.address, each) is None

    for made_room in (first, second):
        assert port.enter("192.0.2.9", Visitor()) is None
        assert made_room.aborted
        port.leave(made_room.address)
    assert port.enter("192.0.2.9", Visitor()) is not None
    assert not busy.aborted


def test_what_could_be_spared_long_ago_is_looked_up_anew() -> None:
    others = [Visitor() for _ in range(3)]
    port = admission(3, None, *others)
    for each in others:
        port.enter(each.address, each)
    port.enter("192.0.2.9", Visitor())
    assert [each.aborted for each in others] == [True, False, False]
    port.leave(others[0].address)

    silent = Visitor()
    port.guests = Visitors(silent, *others)
    clock_of(port).now += 3600
    assert port.enter("192.0.2.9", Visitor()) is None
    assert silent.aborted
    assert not others[1].aborted


def test_a_new_one_is_not_closed_for_itself() -> None:
    newcomer = Visitor()
    port = admission(0, None, newcomer)
    assert port.enter(newcomer.address, newcomer) is not None
    assert not newcomer.aborted


def test_one_that_is_busy_by_now_is_not_closed() -> None:
    first, second = Visitor(), Visitor()
    port = admission(2, None, first, second)
    for each in (first, second, Visitor()):
        assert port.enter(each.address, each) is None
    assert first.aborted
    port.leave(first.address)
    second.spare = False  # it has been found together with the first one
    assert port.enter("192.0.2.9", Visitor()) is not None
    assert not second.aborted


def test_a_full_port_does_not_search_for_each_new_connection() -> None:
    port = admission(10, None, *(Visitor() for _ in range(10)))
    for _ in range(40):
        port.enter("192.0.2.1", Visitor())
    visitors = port.guests
    assert isinstance(visitors, Visitors)
    assert visitors.searched == 2, "those it can spare, and that there are no more"
    clock_of(port).now += 1
    port.enter("192.0.2.1", Visitor())
    assert visitors.searched == 3


def test_most_of_those_refused_are_not_even_answered() -> None:
    port = admission(2)
    refused = [Visitor() for _ in range(40)]
    for each in refused:
        port.enter(each.address, each)
    assert not any(each.aborted for each in refused[:18])
    assert all(each.aborted for each in refused[18:])


# --- handshakes -------------------------------------------------------------------------------


def test_a_handshake_counts_and_counts_once() -> None:
    port = admission(1, 1)
    shaking = Visitor()
    assert port.begin(shaking) is None
    assert (port.open, port.handshakes) == (1, 1)
    assert port.begin(Visitor()) is not None
    assert port.open == 1

    assert port.enter(shaking.address, shaking.guest) is None  # type: ignore[arg-type]
    port.give_up(shaking.guest)
    assert (port.open, port.handshakes) == (1, 0)
    port.leave(shaking.address)
    assert port.open == 0


def test_a_handshake_that_fails_counts_no_more() -> None:
    port = admission(1)
    shaking = Visitor()
    port.begin(shaking)
    port.give_up(shaking.guest)
    port.give_up(shaking.guest)
    assert (port.open, port.handshakes) == (0, 0)


def test_a_slow_handshake_goes_first_a_quick_one_last() -> None:
    slow, idle, quick = Visitor(), Visitor(), Visitor()
    port = admission(3, None, idle)
    port.begin(slow)
    clock_of(port).now += 5
    port.enter(idle.address, idle)
    port.begin(quick)

    gone = []
    for _ in range(3):
        assert port.begin(Visitor(address="192.0.2.9")) is None
        gone.append([each.aborted for each in (slow, idle, quick)])
        if not gone[1:] or gone[-1][1] != gone[-2][1]:
            clock_of(port).now += 0.5
    assert gone == [[True, False, False], [True, True, False], [True, True, True]]


# --- what is said -----------------------------------------------------------------------------


def test_a_full_port_says_so_once_and_counts(caplog: pytest.LogCaptureFixture) -> None:
    counted: list[str] = []
    clock = Clock()
    port = Admission("redirect", PortLimits(1), clock, counted.append)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            port.enter("192.0.2.1")
        clock.now += 60
        port.enter("192.0.2.1")
    assert counted == ["redirect"] * 5
    assert [record.getMessage() for record in caplog.records] == [
        "the redirect port is full: over 1 connections are open (limits.connections): "
        "refusing new ones",
        "the redirect port is full: over 1 connections are open (limits.connections): "
        "refusing new ones (and 3 more since the last such line)",
    ]


def test_a_limit_of_an_address_does_not_say_that_the_port_is_full(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = Admission("API", PortLimits(None, 1), Clock(), lambda _: None)
    with caplog.at_level(logging.WARNING):
        errors = [port.enter("192.0.2.1") for _ in range(2)]
    reason = "192.0.2.1 has over 1 connections open (limits.address_connections)"
    assert [str(error) for error in errors] == ["None", reason]
    assert [record.getMessage() for record in caplog.records] == [
        f"the API port: {reason}: refusing more of its connections"
    ]


# --- limits by settings -----------------------------------------------------------------------


def test_the_lower_limit_holds_and_is_named() -> None:
    settings = Limits(connections=100, address_connections=7)
    assert port_limits(settings, 1000) == PortLimits(100, 7)
    lowered = port_limits(settings, 50)
    assert (lowered.connections, lowered.address_connections) == (50, 7)
    assert "open files" in lowered.reason
    assert port_limits(Limits(connections=None), 50).connections == 50


def test_ports_of_the_supervisor_have_limits_of_their_own() -> None:
    settings = Limits(connections=1, address_connections=1, control_address_connections=9)
    limits = control_limits(settings, 10_000)
    assert (limits.connections, limits.address_connections) == (1024, 9)
    assert limits.reason == "limits.control_connections"
    assert limits.address_reason == "limits.control_address_connections"

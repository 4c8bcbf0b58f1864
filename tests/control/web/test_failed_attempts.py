"""Who is slowed, and how much: counted by peer, forgiven in time, bounded in memory."""

import pytest

from hubgate.control.web.failed_attempts import (
    FORGIVEN,
    FREE,
    LONGEST,
    MOST_PEERS,
    FailedAttempts,
    client_network,
)


def delays(failures: FailedAttempts, peer: str, count: int, now: float = 0.0) -> list[float]:
    return [failures.note(peer, now).delay for _ in range(count)]


def test_ten_are_free_and_then_each_costs_more_up_to_a_second() -> None:
    noted = delays(FailedAttempts(), "10.0.0.1", 40)
    assert noted[:FREE] == [0.0] * FREE
    assert noted[FREE : FREE + 3] == pytest.approx([0.1, 0.2, 0.3])
    assert noted == sorted(noted)
    assert noted[-20:] == [LONGEST] * 20


def test_others_are_not_slowed() -> None:
    failures = FailedAttempts()
    delays(failures, "10.0.0.1", 100)
    assert failures.note("10.0.0.2", 0.0).delay == 0.0


def test_failures_are_forgiven_in_time() -> None:
    failures = FailedAttempts()
    delays(failures, "10.0.0.1", 1000)
    assert failures.note("10.0.0.1", FORGIVEN).delay == LONGEST
    # However many there were: the count stops where the wait does.
    assert failures.note("10.0.0.1", 12 * FORGIVEN).delay == 0.0


def test_a_slow_mistake_is_never_slowed() -> None:
    failures = FailedAttempts()
    assert not any(failures.note("10.0.0.1", turn * FORGIVEN).delay for turn in range(200))


def test_a_line_a_second_that_counts_the_others() -> None:
    failures = FailedAttempts()
    noted = [failures.note("10.0.0.1", moment) for moment in (0.0, 0.1, 0.5, 0.9, 1.0, 1.5, 2.5)]
    assert [each.logged for each in noted] == [True, False, False, False, True, False, True]
    assert [each.unlogged for each in noted if each.logged] == [0, 3, 1]
    assert failures.note("10.0.0.2", 2.5).logged


def test_memory_is_bounded_and_the_latest_are_remembered() -> None:
    failures = FailedAttempts()
    delays(failures, "10.0.0.1", 100)
    for number in range(MOST_PEERS - 1):
        failures.note(f"peer {number}", 0.0)
    assert failures.note("10.0.0.1", 0.0).delay == LONGEST
    for number in range(3 * MOST_PEERS):
        failures.note(f"peer {number}", 0.0)
    assert repr(failures) == f"<FailedAttempts of {MOST_PEERS} peers>"
    assert failures.note("10.0.0.1", 0.0).delay == 0.0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:0:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("a unix socket", "a unix socket", True),
    ],
)
def test_an_ipv6_host_has_one_count_for_all_its_addresses(one: str, other: str, same: bool) -> None:
    assert (client_network(one) == client_network(other)) is same

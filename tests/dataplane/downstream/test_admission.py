"""Who may come in."""

from hubgate.dataplane.downstream.admission import Admission
from hubgate.model import Limits


def test_up_to_so_many_may_come_in_at_all() -> None:
    admission = Admission(Limits(connections=2))

    assert admission.enter("192.0.2.1") is None
    assert admission.enter("192.0.2.2") is None
    refused = admission.enter("192.0.2.3")
    assert refused is not None
    assert refused.status == 503

    admission.leave("192.0.2.3")
    admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.4") is None
    assert admission.open == 2


def test_up_to_so_many_may_come_from_one_address() -> None:
    admission = Admission(Limits(address_connections=1))

    assert admission.enter("192.0.2.1") is None
    assert admission.enter("192.0.2.1") is not None
    assert admission.enter("192.0.2.2") is None
    admission.leave("192.0.2.1")
    admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.1") is None


def test_clients_of_a_unix_socket_have_no_address_to_count() -> None:
    admission = Admission(Limits(address_connections=1))

    assert [admission.enter("") for _ in range(5)] == [None] * 5


def test_there_need_be_no_limit() -> None:
    admission = Admission(Limits(connections=None, address_connections=None))

    assert not any(admission.enter("192.0.2.1") for _ in range(20000))
    assert admission.open == 20000


def test_new_limits_hold_from_now_on() -> None:
    admission = Admission(Limits(connections=1))
    admission.enter("192.0.2.1")
    admission.limits = Limits(connections=2)
    assert admission.enter("192.0.2.1") is None

    admission.limits = Limits(connections=1)
    assert admission.enter("192.0.2.1") is not None


def test_who_has_left_leaves_nothing_behind() -> None:
    admission = Admission(Limits())
    for number in range(1000):
        admission.enter(str(number))
        admission.leave(str(number))

    assert admission.open == 0
    assert not admission._by_address

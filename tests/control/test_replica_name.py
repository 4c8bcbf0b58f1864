"""The name of a hubgate among those that share its store."""

import socket

import pytest

from hubgate.control.replica_name import named_replica
from hubgate.model import Address, ReplicaOptions
from hubgate.settings import Settings

HERE = socket.gethostname()


@pytest.mark.parametrize(
    ("api", "name"),
    [
        (Address("", 8001), f"{HERE}:8001"),
        (Address("127.0.0.1", 8001), f"{HERE}:8001"),
        (Address("::1", 8001), f"{HERE}:8001"),
        (Address("127.0.0.2", 8001), f"{HERE}:127.0.0.2:8001"),
        (Address("fd00::1", 8001), f"{HERE}:[fd00::1]:8001"),
        (Address(path="/run/hubgate/api.sock"), f"{HERE}:/run/hubgate/api.sock"),
    ],
)
def test_it_is_made_of_the_machine_and_the_api(api: Address, name: str) -> None:
    assert named_replica(Settings(api=(api,))).name == name


def test_a_given_one_stays() -> None:
    settings = Settings(replicas=ReplicaOptions("proxy-1"))
    assert named_replica(settings).name == "proxy-1"

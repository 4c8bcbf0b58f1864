"""Which file: one for each token and API address, and nothing of the token in it."""

from pathlib import Path

import pytest

from hubgate.model import Address
from hubgate.settings.recovery_path import recovery_path

HOME = {"HOME": "/home/hub"}
API = (Address("localhost", 8001),)


def test_it_stands_in_the_state_folder() -> None:
    default = recovery_path(HOME, "s3cret", API)
    assert default is not None
    assert default.parent == Path("/home/hub/.local/state/hubgate")
    chosen = recovery_path({**HOME, "XDG_STATE_HOME": "/var/lib/x"}, "s3cret", API)
    assert chosen == Path("/var/lib/x/hubgate", default.name)


@pytest.mark.parametrize("relative", ["", "state", "./state"])
def test_a_relative_state_folder_is_ignored(relative: str) -> None:
    environ = {**HOME, "XDG_STATE_HOME": relative}
    assert recovery_path(environ, "s3cret", API) == recovery_path(HOME, "s3cret", API)


def test_every_token_and_every_address_has_its_own() -> None:
    addresses = [
        API,
        (Address("localhost", 8002),),
        (Address("127.0.0.1", 8001),),
        (*API, Address("127.0.0.1", 8001)),
        (Address(path="/run/api.sock"),),
    ]
    found = {recovery_path(HOME, token, api) for token in ("a", "b") for api in addresses}
    assert len(found) == 2 * len(addresses)
    assert None not in found


def test_the_token_cannot_be_told_from_the_name() -> None:
    path = recovery_path(HOME, "s3cret", API)
    assert path is not None
    assert "s3cret" not in str(path)
    assert len(path.stem) == 32


def test_a_socket_is_the_same_however_its_path_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = recovery_path(HOME, "s3cret", (Address(path="api.sock"),))
    assert relative == recovery_path(HOME, "s3cret", (Address(path=f"{tmp_path}/api.sock"),))


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_there_is_none(token: str | None) -> None:
    assert recovery_path(HOME, token, API) is None


def test_with_a_port_that_the_kernel_chooses_there_is_none() -> None:
    assert recovery_path(HOME, "s3cret", (Address("localhost", 0),)) is None

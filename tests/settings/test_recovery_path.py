"""Which file: one for each token and API address, and nothing of the token in it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hubgate.model import Address
from hubgate.settings import Settings
from hubgate.settings import recovery_path as module
from hubgate.settings.recovery_path import no_recovery, recovery_path, state_home

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


# --- users without a home, as in a container ---

HUBS = Settings(api=API, api_token="s3cret")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No account for this user."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(module.pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("nobody")
def test_without_a_home_it_is_said_that_there_is_none() -> None:
    for environ in ({}, {"HOME": ""}, {"HOME": "relative"}, {"XDG_STATE_HOME": "relative"}):
        assert recovery_path(environ, "s3cret", API) is None
        line = no_recovery(HUBS, environ)
        assert line == (
            "HOME: this user has no home folder for the recovery file; routes will not survive a"
            " crash: set XDG_STATE_HOME to a folder for this user only"
        )
    assert no_recovery(HUBS, {"XDG_STATE_HOME": "/state"}) is None
    assert no_recovery(HUBS, {"HOME": "/"}) is None


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    "settings",
    [
        replace(HUBS, store="sqlite:/a"),
        replace(HUBS, api_token=None),
        replace(HUBS, api=(Address("localhost", 0),)),
    ],
)
def test_where_there_would_be_no_file_anyway_nothing_is_said(settings: Settings) -> None:
    assert no_recovery(settings, {}) is None


def test_a_home_that_is_not_absolute_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be another folder wherever a program is started."""
    account = SimpleNamespace(pw_dir="/home/known")
    monkeypatch.setattr(module.pwd, "getpwuid", lambda uid: account)
    assert state_home({"HOME": "relative"}) == Path("/home/known/.local/state")
    for account.pw_dir in ("", "relative"):
        assert state_home({"HOME": "relative"}) is None
        assert state_home({"HOME": "/home/given"}) == Path("/home/given/.local/state")

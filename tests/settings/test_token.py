"""Where the API's token comes from, and that no message repeats it."""

import os
from pathlib import Path

import pytest

from hubgate.errors import ConfigError
from hubgate.model import Address
from hubgate.settings.token import (
    own_token_path,
    token_from_environment,
    token_from_file,
    token_from_own_file,
)


def test_the_first_variable_that_is_set_counts() -> None:
    both = {"HUBGATE_TOKEN": "a", "CONFIGPROXY_AUTH_TOKEN": "b"}
    assert token_from_environment(both) == "a"
    assert token_from_environment(both, ("CONFIGPROXY_AUTH_TOKEN", "HUBGATE_TOKEN")) == "b"
    assert token_from_environment({"HUBGATE_TOKEN": " ", "CONFIGPROXY_AUTH_TOKEN": "b"}) == "b"
    assert token_from_environment({}) is None


def test_a_file_holds_one_line(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("  s3cret\n")
    assert token_from_file(str(path)) == "s3cret"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty; put the token there"),
        (b"one two", "the token must be one word of plain ASCII, without spaces"),
        ("schlüssel".encode(), "the token has non-ASCII characters"),
    ],
)
def test_what_can_be_no_token(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        token_from_file(str(path))
    assert str(raised.value).startswith(f"{path}: {reason}")
    assert "two" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none: no such file; put the token there"):
        token_from_file(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        token_from_file(str(tmp_path))


# --- a token of hubgate's own ---

HOME = {"HOME": "/home/hub"}


def test_it_stands_in_the_state_folder_under_the_port() -> None:
    path = own_token_path(HOME, Address("127.0.0.1", 8001))
    assert path == Path("/home/hub/.local/state/hubgate/api-8001.token")
    chosen = own_token_path({**HOME, "XDG_STATE_HOME": "/var/lib/x"}, Address("localhost", 8001))
    assert chosen == Path("/var/lib/x/hubgate/api-8001.token")
    assert own_token_path({"XDG_STATE_HOME": "state", **HOME}, Address("", 8001)) == path


def test_every_port_and_every_socket_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = [
        *(Address("127.0.0.1", port) for port in (0, 8001, 8002)),
        *(Address(path=path) for path in ("/run/a.sock", "/run/b.sock", "api.sock")),
    ]
    assert len({own_token_path(HOME, place) for place in places}) == len(places)
    absolute = Address(path=str(tmp_path / "api.sock"))
    assert own_token_path(HOME, absolute) == own_token_path(HOME, Address(path="./api.sock"))


def test_its_file_is_read_if_only_we_can_have_written_it(tmp_path: Path) -> None:
    path = tmp_path / "api-1.token"
    assert token_from_own_file(path) is None
    path.touch(0o600)
    path.write_text("s3cret\n")
    assert token_from_own_file(path) == "s3cret"


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.chmod(0o640), "is open to other users, who may know the token"),
        (lambda path: path.chmod(0o602), "is open to other users, who may know the token"),
        (lambda path: path.write_text(" \n"), "is empty"),
        (lambda path: (path.unlink(), path.mkdir()), "is not a regular file"),
        (lambda path: (path.unlink(), os.mkfifo(path, 0o600)), "is not a regular file"),
        (
            lambda path: (path.rename(path.with_suffix(".x")), path.symlink_to("api-1.x")),
            "cannot be used: is a link",
        ),
        (
            lambda path: (path.unlink(), path.symlink_to("none")),
            "cannot be used: is a link",
        ),
    ],
)
def test_a_file_of_its_own_that_cannot_be_used_is_one_line(
    tmp_path: Path,
    harm,  # type: ignore[no-untyped-def]
    reason: str,
) -> None:
    path = tmp_path / "api-1.token"
    path.touch(0o600)
    path.write_text("s3cret")
    harm(path)
    with pytest.raises(ConfigError) as raised:
        token_from_own_file(path)
    assert str(raised.value) == (
        f"{path}: {reason}; remove it, and `proxyctl serve` makes another token, also while it runs"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_that_somebody_else_has_put_there_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "api-1.token"
    path.touch(0o600)
    path.write_text("s3cret")
    os.chown(path, 12345, 12345)
    with pytest.raises(ConfigError, match="belongs to another user; remove it"):
        token_from_own_file(path)


def test_rubbish_in_it_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "api-1.token"
    path.touch(0o600)
    path.write_bytes(b"one\xfftwo three")
    with pytest.raises(ConfigError, match="must be one word of plain ASCII") as raised:
        token_from_own_file(path)
    assert "three" not in str(raised.value)

"""Where the API's token comes from, and that no message repeats it."""

from pathlib import Path

import pytest

from hubgate.errors import ConfigError
from hubgate.settings.token import token_from_environment, token_from_file


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

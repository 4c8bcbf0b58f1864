"""Checks that readers of routes.yaml and of CHP's options share."""

from pathlib import Path

import pytest

from hubgate.errors import ConfigError
from hubgate.settings.checks import (
    check_host_names,
    check_seconds,
    check_seconds_or_zero,
    folder_mistake,
    stated,
)


def test_a_mistake_says_where_it_was_given() -> None:
    assert stated(check_seconds, "2.5", "--drain-timeout") == 2.5
    with pytest.raises(ConfigError) as raised:
        stated(check_seconds, "soon", "--drain-timeout")
    assert raised.value.lines == (
        "--drain-timeout: 'soon' is not a valid time;"
        " write seconds above 0, up to 31536000 (a year), such as 75 or 0.5",
    )


@pytest.mark.parametrize("value", [0, "0", -0.0, 0.5, 31_536_000])
def test_some_times_may_be_none(value: object) -> None:
    assert str(check_seconds_or_zero(value)) == str(abs(float(str(value))))


def test_a_folder_has_to_be_there(tmp_path: Path) -> None:
    assert folder_mistake(tmp_path) is None
    (tmp_path / "file").write_text("")
    for name in ("file", "none"):
        path = f"{tmp_path}/./{name}"
        assert folder_mistake(path) == f"{path}: no such folder; create it or give another"


def test_names_of_a_host() -> None:
    assert check_host_names("A.example.org,b, b") == ("a.example.org", "b")
    assert check_host_names(["10.0.0.1"]) == ("10.0.0.1",)
    assert check_host_names([]) == ()
    for wrong, reason in (
        ("http://a", "'http://a' has a scheme or a port; write the host's name alone"),
        (["a", "b:8001"], "'b:8001' has a scheme or a port; write the host's name alone"),
        ("a,", "'' is not a host"),
        ("*", "'*' is not a host"),
        ([1], "1 is not a host name"),
        ("::1", "'::1' is an address; those are known"),
        (5, "5 is not a list of host names"),
    ):
        with pytest.raises(ConfigError) as raised:
            check_host_names(wrong)
        assert str(raised.value).startswith(reason)

"""Routes for people and for pipes."""

import io
import sys
from datetime import UTC, datetime, timedelta

import pytest

from hubgate.cli.table.routes_table import ago, print_route, print_routes

HOSTILE = {"/a\x1b[2J\n/b\thttp://b": {"target": "http://x\u202e\r", "last_activity": "\x9b1m"}}
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
ROUTES = {
    "/b": {"target": "http://b", "last_activity": "2030-01-02T03:00:00.000Z"},
    "/[red]a": {"target": "http://a", "last_activity": ""},
}


class Terminal(io.StringIO):
    """Says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "now"),
        (-5, "now"),
        (1, "1 s ago"),
        (119, "1 min ago"),
        (7200, "2 h ago"),
        (2e5, "2 d ago"),
    ],
)
def test_how_long_ago(seconds: float, text: str) -> None:
    moment = (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    assert ago(moment, NOW) == text


@pytest.mark.parametrize("moment", ["", "yesterday", "2030-01-01T00:00:00"])
def test_a_moment_that_cannot_be_read_stays(moment: str) -> None:
    assert ago(moment, NOW) == moment


def test_a_pipe_gets_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    print_routes(ROUTES)
    assert capsys.readouterr().out == (
        "/[red]a\thttp://a\t\n/b\thttp://b\t2030-01-02T03:00:00.000Z\n"
    )


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_routes(ROUTES)
    head, first, second = terminal.getvalue().splitlines()
    for word in ("Route", "Target", "Active"):
        assert word in head
    # What looks like markup is a name.
    assert first.startswith("/[red]a")
    assert "http://b" in second


def test_a_terminal_is_told_how_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_routes({})
    assert "no routes; add one: proxyctl add PATH TARGET" in terminal.getvalue()


def test_one_route_is_a_line_for_each_key(capsys: pytest.CaptureFixture[str]) -> None:
    print_route({"target": "http://b", "headers": {"X": "y"}, "n": 1})
    assert capsys.readouterr().out == 'headers\t{"X": "y"}\nn\t1\ntarget\thttp://b\n'


def test_on_a_terminal_values_stand_below_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_route({"target": "http://b", "last_activity": "x"})
    assert terminal.getvalue() == "last_activity  x\ntarget         http://b\n"


def test_a_terminal_too_narrow_for_a_table_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "1")
    print_routes(ROUTES)
    assert terminal.getvalue().startswith("/[red]a\thttp://a\t\n")


def test_a_route_can_do_nothing_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    print_routes(HOSTILE)
    _, row = terminal.getvalue().splitlines()
    assert row.isprintable()
    assert "/a\\x1b[2J\\n/b" in row


def test_a_route_is_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_routes(HOSTILE)
    assert capsys.readouterr().out == ("/a\\x1b[2J\\n/b\\thttp://b\thttp://x\\u202e\\r\t\\x9b1m\n")
    print_route({"a\nb": "c\x1b[2J\nd"})
    assert capsys.readouterr().out == "a\\nb\tc\\x1b[2J\\nd\n"

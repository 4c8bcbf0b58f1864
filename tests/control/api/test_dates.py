"""Dates as JavaScript reads them; the expected numbers are Date.parse's of Node 20."""

import os
import time
from collections.abc import Iterator

import pytest

from hubgate.control.api.dates import format_moment, milliseconds, parse_moment
from hubgate.errors import RouteError


@pytest.fixture
def in_kathmandu() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2023", 1672531200000),
        ("2023-01", 1672531200000),
        ("2023-01-02", 1672617600000),
        ("  2023-01-02 ", 1672617600000),
        ("2023-01-02T03:04Z", 1672628640000),
        ("2023-01-02T03:04:05Z", 1672628645000),
        ("2023-01-02T03:04:05.1Z", 1672628645100),
        ("2023-01-02T03:04:05.123Z", 1672628645123),
        ("2023-01-02T03:04:05.123456Z", 1672628645123),
        ("2023-01-02T03:04:05.123456789+00:00", 1672628645123),
        ("2023-01-02T03:04:05+01:00", 1672625045000),
        ("2023-01-02T03:04:05-0130", 1672634045000),
        ("2023-01-02 03:04:05Z", 1672628645000),
        ("2023-01-02t03:04:05z", 1672628645000),
        ("2023-01-02T24:00Z", 1672704000000),
        ("Mon, 02 Jan 2023 03:04:05 GMT", 1672628645000),
        ("0001-01-01T00:00:00+23:00", -62135679600000),
        ("1970-01-01T00:00:00.000Z", 0),
    ],
)
@pytest.mark.usefixtures("in_kathmandu")
def test_dates_are_read_as_javascript_does(text: str, moment: int) -> None:
    assert milliseconds(parse_moment(text)) == moment


@pytest.mark.parametrize("text", ["2023-01-02T03:04", "2023-01-02 03:04:00", "2023-01-02T03:04:00"])
@pytest.mark.usefixtures("in_kathmandu")
def test_a_time_without_an_offset_is_local(text: str) -> None:
    assert milliseconds(parse_moment(text)) == 1672607940000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "123456789",
        "1672628645000",
        "20230102T030405Z",
        "2023-13-01",
        "2023-00-01",
        "2023-01-32",
        "2023-01-02T25:00Z",
        "2023-01-02T24:00:01Z",
        "2023-01-02T03Z",
        "2023-01-02T03:60Z",
        "2023-01-02T03:04:60Z",
        "2023-01-02T03:04:05,5Z",
        "2023-01-02T03:04:05 00:00",
        "2023-01-02T03:04:05+99:00",
        "2023-W01-1",
        "२०२३",
        "275761-01-01",
        "9" * 5000,
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(RouteError, match="inactiveSince"):
        parse_moment(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1706702400.0, "2024-01-31T12:00:00.000Z"),
        (1672628645.1236, "2023-01-02T03:04:05.124Z"),
        (1672628645.9996, "2023-01-02T03:04:06.000Z"),
    ],
)
def test_moments_are_written_with_milliseconds(seconds: float, text: str) -> None:
    assert format_moment(seconds) == text


@pytest.mark.parametrize("thousandth", range(0, 1000, 7))
def test_a_moment_reads_back_as_it_was_written(thousandth: int) -> None:
    moment = 1672628645 + thousandth / 1000
    assert parse_moment(format_moment(moment)) == pytest.approx(moment, abs=1e-6)
    assert milliseconds(parse_moment(format_moment(moment))) == milliseconds(moment)

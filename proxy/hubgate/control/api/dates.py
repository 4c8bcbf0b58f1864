"""Dates as the API writes and reads them: like JavaScript's Date, as CHP's clients expect.

ECMAScript, "Date Time String Format": a date alone is UTC, a date with a time but no offset
is local time. Beyond that form we accept a space for the `T`, any number of fraction digits,
and HTTP and mail dates, as Node does.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

from hubgate.errors import RouteError

_ISO = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?"
    r"(?:[Tt ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"\s*(?P<offset>[Zz]|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)


# The end of a moment, ready-made: a list of all routes has a hundred thousand of them.
_SECONDS = [f":{second:02}." for second in range(60)]
_REST = [f"{milliseconds:03}Z" for milliseconds in range(1000)]


def format_moment(seconds: float) -> str:
    """Return epoch `seconds` as ISO 8601 in UTC with milliseconds: `2024-01-31T12:00:00.000Z`."""
    second, rest = divmod(round(seconds * 1000), 1000)
    return _minute(second // 60) + _SECONDS[second % 60] + _REST[rest]


@lru_cache(16384)  # eleven days: a list of all routes repeats the same minutes
def _minute(minutes: int) -> str:
    return datetime.fromtimestamp(minutes * 60, UTC).isoformat(timespec="minutes")[:16]


def milliseconds(seconds: float) -> int:
    """Return `seconds` in whole milliseconds, the precision the API shows."""
    return round(seconds * 1000)


def parse_moment(text: str, name: str = "inactiveSince") -> float:
    """Return the epoch seconds of a date in the format of `inactiveSince`, called `name`.

    Raises RouteError (status 400) when it cannot be read.
    """
    text = text.strip()
    try:
        match = _ISO.fullmatch(text)
        return _from_iso(match) if match else parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        raise RouteError(
            f"{name}: {text!r} is not a date: write ISO 8601, such as 2024-01-31T12:00:00Z"
        ) from None


def _from_iso(match: re.Match[str]) -> float:
    part = match.groupdict()
    day = datetime(int(part["year"]), int(part["month"] or 1), int(part["day"] or 1))
    clock = _clock(part["hour"], part["minute"], part["second"], part["fraction"])
    offset = part["offset"]
    if part["hour"] is not None and offset is None:
        return (day + clock).timestamp()
    ahead = timedelta() if offset in (None, "Z", "z") else _offset(offset)
    # Subtracted from the seconds, not from the date: there is no date before year 1.
    return day.replace(tzinfo=UTC).timestamp() + (clock - ahead).total_seconds()


def _clock(hour: str | None, minute: str | None, second: str | None, rest: str | None) -> timedelta:
    minutes, seconds = int(minute or 0), int(second or 0)
    clock = timedelta(
        hours=int(hour or 0),
        minutes=minutes,
        seconds=seconds,
        microseconds=int((rest or "")[:6].ljust(6, "0")),
    )
    # 24:00 is the end of the day.
    if minutes > 59 or seconds > 59 or clock > timedelta(hours=24):
        raise ValueError("not a time of day")
    return clock


def _offset(text: str) -> timedelta:
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError("not an offset")
    ahead = timedelta(hours=hours, minutes=minutes)
    return -ahead if text[0] == "-" else ahead

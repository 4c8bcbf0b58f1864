"""Moments as the API writes and reads them: what JavaScript's Date does, as CHP's clients rely on.

ECMAScript, "Date Time String Format": a date alone is UTC, a date with a time but no offset
is local time. Beyond that form we read a space for the `T`, any number of fraction digits, and
the dates of HTTP and mail, as Node does.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from proxy.errors import RouteError

_ISO = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?"
    r"(?:[Tt ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"\s*(?P<offset>[Zz]|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)


def format_moment(seconds: float) -> str:
    """Return epoch `seconds` as ISO 8601 in UTC with milliseconds: `2024-01-31T12:00:00.000Z`."""
    moment = datetime.fromtimestamp(milliseconds(seconds) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def milliseconds(seconds: float) -> int:
    """Return `seconds` in whole milliseconds, the precision the API shows."""
    return round(seconds * 1000)


def parse_moment(text: str) -> float:
    """Return the epoch seconds of a date as `inactiveSince` takes it.

    Raises RouteError (status 400) when it cannot be read.
    """
    text = text.strip()
    try:
        match = _ISO.fullmatch(text)
        moment = _from_iso(match) if match else parsedate_to_datetime(text)
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise RouteError(
            f"inactiveSince: {text!r} is no date: write ISO 8601, such as 2024-01-31T12:00:00Z"
        ) from None


def _from_iso(match: re.Match[str]) -> datetime:
    part = match.groupdict()
    hour = int(part["hour"] or 0)
    moment = datetime(
        int(part["year"]),
        int(part["month"] or 1),
        int(part["day"] or 1),
        # 24:00 is the end of the day.
        0 if hour == 24 else hour,
        int(part["minute"] or 0),
        int(part["second"] or 0),
        int((part["fraction"] or "")[:6].ljust(6, "0")),
    )
    if hour == 24:
        if moment.minute or moment.second or moment.microsecond:
            raise ValueError("after the end of the day")
        moment += timedelta(days=1)
    return _in_zone(moment, part["offset"], dated_only=part["hour"] is None)


def _in_zone(moment: datetime, offset: str | None, *, dated_only: bool) -> datetime:
    if dated_only or offset in ("Z", "z"):
        return moment.replace(tzinfo=UTC)
    if offset is None:
        return moment.astimezone()
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    return moment.replace(tzinfo=UTC) - (ahead if offset[0] == "+" else -ahead)

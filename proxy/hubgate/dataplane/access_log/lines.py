"""Lines of the access log, written so that no client can forge one."""

import json
import time
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from hubgate.bounded import ByteCache
from hubgate.dataplane.access_log.record import Record, bare_url, referer_and_agent
from hubgate.routing.table import RouteEntry

K = TypeVar("K", bound=Hashable)
Escape = Callable[[bytes], str]

# Bytes. They fit into LONGEST_LINE together, whatever they contain.
_PATH, _HEADER, _NAME, _ERROR = 1280, 320, 192, 256

# Values that come again are not formatted again; this bounds what is kept for that, of each kind,
# in bytes. A client repeats its header lines, and they are then the same object, found without
# comparing them.
_MOST_KEPT, _LONGEST_KEPT = 1 << 19, 256
_LONGEST_HEADERS = 1 << 13

# As nginx does: quote, backslash, control bytes, and everything beyond ASCII.
_ESCAPES = {code: f"\\x{code:02X}" for code in (*range(32), 34, 92, *range(127, 256))}
# No escape is longer than this many times what it stands for.
_WIDEST = 6
_CUT = "..."
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_BELOW_A_SECOND = tuple(f"0.{ms:03}" for ms in range(1000))


class Lines(Protocol):
    """One log format."""

    def line(self, record: Record, now: float) -> str:
        """Return the line of a record that ended at `now` (`time.time`): ASCII, with a line end."""


class Combined:
    """The format `combined` that Apache and nginx share, with more fields at the end.

    They are X-Forwarded-For (as in nginx's `main`), the seconds it took, the route and its target.
    """

    def __init__(self) -> None:
        self._paths = TextCache[bytes](lambda raw: within(_PATH, escaped, raw))
        self._values = TextCache[bytes](lambda raw: f'"{within(_HEADER, escaped, raw)}"')
        self._headers = TextCache[bytes](
            lambda fields: " ".join(_referer_and_agent(fields, self._values, _NONE)),
            _LONGEST_HEADERS,
        )
        self._routes = TextCache[RouteEntry](self._route)
        self._openings = TextCache[str](lambda peer: f'{peer or "unix:"} - - [{self._clock.now}] "')
        self._clock = Clock(_local, self._openings.clear)

    def line(self, record: Record, now: float) -> str:
        """Return the line of a record."""
        head, entry, forwarded = record.head, record.entry, record.forwarded
        self._clock.go_on_to(now)
        request, headers = "-", _NO_HEADERS
        if head is not None:
            path = self._paths[head.target.partition(b"?")[0]]
            request = f"{_METHODS[head.method]} {path} HTTP/1.{'0' if head.http10 else '1'}"
            headers = self._headers[head.fields]
        ms = int((record.ended - record.begun) * 1000)
        return (
            f'{self._openings[record.peer]}{request}" {record.status} {record.sent} {headers}'
            f" {self._values[forwarded] if forwarded else _NONE}"
            f" {_BELOW_A_SECOND[ms] if ms < 1000 else f'{ms / 1000:.3f}'}"
            f" {self._routes[entry] if entry is not None else _NO_ROUTE}\n"
        )

    def _route(self, entry: RouteEntry) -> str:
        return " ".join(f'"{within(_NAME, escaped, raw)}"' for raw in _names(entry))


_NONE = '"-"'
_NO_ROUTE = _NO_HEADERS = '"-" "-"'


class JSONLines:
    """A JSON object on each line; missing values are null."""

    def __init__(self) -> None:
        self._paths = TextCache[bytes](lambda raw: f'"{within(_PATH, in_json, raw)}"')
        self._values = TextCache[bytes](lambda raw: f'"{within(_HEADER, in_json, raw)}"')
        self._headers = TextCache[bytes](self._referer_and_agent, _LONGEST_HEADERS)
        self._routes = TextCache[RouteEntry](self._route)
        self._clock = Clock(_utc)

    def line(self, record: Record, now: float) -> str:
        """Return the line of a record."""
        entry, values, forwarded = record.entry, self._values, record.forwarded
        us = int((record.ended - record.begun) * 1_000_000)
        self._clock.go_on_to(now)
        return (
            f'{{"ts":"{self._clock.now}.{int(now * 1000) % 1000:03}Z"'
            f',"peer":"{record.peer or "unix:"}"'
            f',"forwarded_for":{values[forwarded] if forwarded else "null"}'
            f"{self._request(record)}"
            f',"status":{record.status},"bytes_out":{record.sent},"bytes_in":{record.received}'
            f',"duration_ms":{us // 1000}.{us % 1000:03}'
            f",{self._routes[entry] if entry is not None else _NULL_ROUTE}"
            f',"error":{"null" if record.error is None else _error(record.error)}}}\n'
        )

    def _request(self, record: Record) -> str:
        head, values = record.head, self._values
        if head is None:
            return _NULL_REQUEST
        return (
            f',"method":"{_METHODS[head.method]}"'
            f',"host":{values[head.host] if head.host else "null"}'
            f',"path":{self._paths[head.target.partition(b"?")[0]]}'
            f',"protocol":"HTTP/1.{"0" if head.http10 else "1"}"'
            f"{self._headers[head.fields]}"
            f',"upgrade":{values[head.upgrade] if head.upgrade else "null"}'
        )

    def _referer_and_agent(self, fields: bytes) -> str:
        referer, agent = _referer_and_agent(fields, self._values, "null")
        return f',"referer":{referer},"user_agent":{agent}'

    def _route(self, entry: RouteEntry) -> str:
        key, target = (within(_NAME, in_json, raw) for raw in _names(entry))
        return f'"route":"{key}","target":"{target}"'


_NULL_ROUTE = '"route":null,"target":null'
_NULL_REQUEST = "".join(
    f',"{name}":null'
    for name in ("method", "host", "path", "protocol", "referer", "user_agent", "upgrade")
)

FORMATS: dict[str, Callable[[], Lines]] = {"combined": Combined, "json": JSONLines}


class TextCache(ByteCache[K, str], Generic[K]):
    """How a value appears in a line: formatted once, then kept if it is short.

    A value of more than `longest` bytes is not kept.
    """

    def __init__(self, write: Callable[[K], str], longest: int = _LONGEST_KEPT) -> None:
        super().__init__(_MOST_KEPT)
        self._write = write
        self._longest = longest

    def __missing__(self, value: K) -> str:
        text = self._write(value)
        size = len(value) if isinstance(value, bytes) else 0
        if size <= self._longest:
            self.keep(value, text, size + len(text))
        return text


class Clock:
    """The time of day as text in `now`, formatted once a second; `then` is called after that."""

    def __init__(self, write: Callable[[int], str], then: Callable[[], None] | None = None) -> None:
        self._write = write
        self._then = then
        self._second = -1
        self.now = ""

    def go_on_to(self, moment: float) -> None:
        """Advance to `moment` (`time.time`)."""
        second = int(moment)
        if second != self._second:
            self._second, self.now = second, self._write(second)
            if self._then is not None:
                self._then()


_METHODS = TextCache[bytes](lambda raw: raw.decode())


def escaped(raw: bytes) -> str:
    """Write bytes as nginx does in a log."""
    return raw.decode("latin-1").translate(_ESCAPES)


def in_json(raw: bytes) -> str:
    """Write bytes as the inside of a JSON string, in ASCII."""
    return json.dumps(raw.decode("utf-8", "backslashreplace"))[1:-1]


def within(most: int, escape: Escape, raw: bytes) -> str:
    """Write `raw` in at most `most` bytes, and three dots for what is cut off."""
    text = escape(raw[:most])
    if len(text) > most:
        return escape(raw[: most // _WIDEST]) + _CUT
    return text if len(raw) <= most else text + _CUT


def _referer_and_agent(fields: bytes, values: TextCache[bytes], none: str) -> tuple[str, str]:
    """Return both as they appear in a line, `none` for a missing one."""
    referer, agent = referer_and_agent(fields)
    return values[bare_url(referer)] if referer else none, values[agent] if agent else none


def _names(entry: RouteEntry) -> tuple[bytes, bytes]:
    """Return a route's key and where its requests go."""
    # Not the target's URL as it was posted: it may contain a query, a user and a password.
    target = "-" if entry.target is None else str(entry.target.peer)
    return entry.key.encode("utf-8", "replace"), target.encode("utf-8", "replace")


def _error(error: object) -> str:
    return f'"{within(_ERROR, in_json, str(error).encode("utf-8", "replace"))}"'


def _local(second: int) -> str:
    at = time.localtime(second)
    hours, minutes = divmod(abs(at.tm_gmtoff) // 60, 60)
    sign = "-" if at.tm_gmtoff < 0 else "+"
    day = f"{at.tm_mday:02}/{_MONTHS[at.tm_mon - 1]}/{at.tm_year}"
    return f"{day}:{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} {sign}{hours:02}{minutes:02}"


def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))

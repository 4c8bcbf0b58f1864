"""What stands in the access log's lines, and what clients cannot do to them."""

import json
import random
import re
import time
from typing import Any

import pytest

from hubgate.dataplane.access_log.lines import FORMATS
from hubgate.dataplane.access_log.record import Record, bare_url, referer_and_agent
from hubgate.errors import NoRouteError
from hubgate.http1.request import RequestHead
from hubgate.model import Route
from hubgate.output.line_writer import LONGEST_LINE
from hubgate.routing.table import RouteEntry

NOON = 1714564800.0  # 2024-05-01T12:00:00Z
ENTRY = RouteEntry(Route("/user/alice", "http://127.0.0.1:9001/base?key=secret"), 2)
AGENT = b"Mozilla/5.0 (X11)"
COMBINED = re.compile(
    r'(?P<peer>\S+) - - \[(?P<time>[^]]+)\] "(?P<request>[^"]*)" (?P<status>\d{3}) (?P<sent>\d+)'
    r' "(?P<referer>[^"]*)" "(?P<agent>[^"]*)" "(?P<forwarded>[^"]*)" (?P<seconds>\d+\.\d{3})'
    r' "(?P<route>[^"]*)" "(?P<target>[^"]*)"\n'
)


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "XST-5:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def head(target: bytes = b"/user/alice/lab", *lines: bytes, method: bytes = b"GET") -> RequestHead:
    made = RequestHead(method, target, http10=False)
    made.host = b"hub.example.org"
    made._lines = list(lines)
    return made


def record(of: RequestHead | None, **fields: Any) -> Record:
    made = Record(100.0)
    made.ended, made.head, made.peer, made.entry = 100.0425, of, "192.0.2.7", ENTRY
    made.status, made.sent, made.forwarded = 200, 2326, None
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def line(kind: str, made: Record, now: float = NOON) -> str:
    return FORMATS[kind]().line(made, now)


def combined(made: Record) -> dict[str, str]:
    match = COMBINED.fullmatch(line("combined", made))
    assert match
    return match.groupdict()


def as_json(made: Record) -> dict[str, Any]:
    text = line("json", made)
    assert text.endswith("}\n")
    assert text.count("\n") == 1
    found: dict[str, Any] = json.loads(text)
    return found


PLAIN = head(
    b"/user/alice/lab?token=abc", b"Referer: https://hub/x?code=1", b"User-Agent: " + AGENT
)


def test_combined() -> None:
    made = record(PLAIN, forwarded=b"198.51.100.4, 10.0.0.1")
    assert line("combined", made) == (
        '192.0.2.7 - - [01/May/2024:17:30:00 +0530] "GET /user/alice/lab HTTP/1.1" 200 2326'
        ' "https://hub/x" "Mozilla/5.0 (X11)" "198.51.100.4, 10.0.0.1" 0.042'
        ' "/user/alice" "http://127.0.0.1:9001"\n'
    )


def test_json() -> None:
    made = record(PLAIN, forwarded=b"198.51.100.4", received=5)
    assert line("json", made, NOON + 0.0789).startswith('{"ts":"2024-05-01T12:00:00.078Z","peer"')
    assert as_json(made) == {
        "ts": "2024-05-01T12:00:00.000Z",
        "peer": "192.0.2.7",
        "forwarded_for": "198.51.100.4",
        "method": "GET",
        "host": "hub.example.org",
        "path": "/user/alice/lab",
        "protocol": "HTTP/1.1",
        "referer": "https://hub/x",
        "user_agent": "Mozilla/5.0 (X11)",
        "upgrade": None,
        "status": 200,
        "bytes_out": 2326,
        "bytes_in": 5,
        "duration_ms": 42.5,
        "route": "/user/alice",
        "target": "http://127.0.0.1:9001",
        "error": None,
    }


def test_what_is_not_known() -> None:
    made = record(None, entry=None, peer="", status=400, sent=0, error=NoRouteError("no route"))
    assert line("combined", made) == (
        'unix: - - [01/May/2024:17:30:00 +0530] "-" 400 0 "-" "-" "-" 0.042 "-" "-"\n'
    )
    found = as_json(made)
    assert (found["peer"], found["error"]) == ("unix:", "no route")
    assert {found[name] for name in ("method", "path", "host", "route", "target")} == {None}


def test_keys_are_the_same_in_every_line() -> None:
    unknown = as_json(record(None, entry=None))
    assert list(unknown) == list(as_json(record(PLAIN)))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0.000"), (0.0009, "0.000"), (0.9999, "0.999"), (3725.5, "3725.500")],
)
def test_seconds(seconds: float, shown: str) -> None:
    made = record(PLAIN, begun=0.0, ended=seconds)
    assert combined(made)["seconds"] == shown


def test_the_time_goes_on() -> None:
    lines = FORMATS["json"]()
    made = record(PLAIN)
    shown = [json.loads(lines.line(made, NOON + after))["ts"][-9:] for after in (0, 0.5, 1.25, 0.9)]
    assert shown == ["00:00.000Z"[1:], "00:00.500Z"[1:], "00:01.250Z"[1:], "00:00.900Z"[1:]]


def test_a_day_west_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XST+3:30")
    time.tzset()
    assert combined(record(PLAIN))["time"] == "01/May/2024:08:30:00 -0330"


# --- secrets -----------------------------------------------------------------------------------

SECRET = b"c2VjcmV0"


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "target",
    [b"/a?token=" + SECRET, b"/a?x=1&access_token=" + SECRET, b"/a?" + SECRET, b"/a?b?" + SECRET],
)
def test_no_query_is_written(kind: str, target: bytes) -> None:
    assert SECRET.decode() not in line(kind, record(head(target)))


@pytest.mark.parametrize("kind", FORMATS)
def test_no_credentials_are_written(kind: str) -> None:
    lines = [
        name + b": token " + SECRET
        for name in (b"Authorization", b"Cookie", b"X-XSRFToken", b"Proxy-Authorization")
    ]
    lines.append(b"Referer: https://alice:" + SECRET + b"@hub/?code=" + SECRET + b"#" + SECRET)
    text = line(kind, record(head(b"/", *lines)))
    assert SECRET.decode() not in text
    assert "https://hub/" in text


@pytest.mark.parametrize("kind", FORMATS)
def test_a_target_shows_its_address_alone(kind: str) -> None:
    entry = RouteEntry(Route("/", f"http://user:{SECRET.decode()}@10.0.0.5:8888/x?key=1"), 0)
    text = line(kind, record(PLAIN, entry=entry))
    assert '"http://10.0.0.5:8888"' in text
    assert SECRET.decode() not in text


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        (b"https://hub/user/alice/lab", b"https://hub/user/alice/lab"),
        (b"https://hub/a@b/c?d@e", b"https://hub/a@b/c"),
        (b"https://u:p@hub", b"https://hub"),
        (b"//u:p@hub/x", b"//hub/x"),
        (b"about:blank", b"about:blank"),
        (b"", b""),
    ],
)
def test_bare_urls(url: bytes, bare: bytes) -> None:
    assert bare_url(url) == bare


# --- forgery -----------------------------------------------------------------------------------

NASTY = b'x" 200 1 "-\\"\r\n10.0.0.1 - - [] \x00\x1b[31m\x7f\xe9\xff\xe2\x80\xa8\t'


@pytest.mark.parametrize("where", ["target", "referer", "agent", "forwarded", "host"])
def test_nobody_forges_a_line(where: str) -> None:
    made = record(
        head(
            b"/" + (NASTY if where == "target" else b""),
            b"Referer: " + (NASTY if where == "referer" else b"-"),
            b"User-Agent: " + (NASTY if where == "agent" else b"-"),
        ),
        forwarded=NASTY if where == "forwarded" else None,
    )
    assert made.head is not None
    made.head.host = NASTY if where == "host" else b"hub"
    found = combined(made)
    assert (found["status"], found["sent"]) == ("200", "2326")
    as_json(made)
    for kind in FORMATS:
        text = line(kind, made)
        assert text.isascii()
        assert text[:-1].isprintable()


def test_escapes_are_those_of_nginx() -> None:
    made = record(head(b"/", b'User-Agent: a"b\\c\n\x7f\xc3\xa9~'))
    assert combined(made)["agent"] == r"a\x22b\x5Cc\x0A\x7F\xC3\xA9~"


def test_json_keeps_text_as_it_was() -> None:
    made = record(head("/caf\u00e9\u2028".encode() + b"\xff", b'User-Agent: a"b\\c'))
    found = as_json(made)
    assert (found["path"], found["user_agent"]) == ("/caf\u00e9\u2028\\xff", 'a"b\\c')


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_leave_one_short_line(seed: int) -> None:
    chance = random.Random(seed)

    def some() -> bytes:
        alphabet = chance.choice([b'"\\\0', bytes(range(256)), b"ab", "\u00e9\u2028".encode()])
        return bytes(chance.choices(alphabet, k=chance.choice([0, 1, 50, 250, 5000])))

    entry = RouteEntry(Route("/" + "\u00e9\ud800" * 3000, "http://" + "h" * 3000), 0)
    made = record(
        head(b"/" + some(), b"Referer: " + some(), b"User-Agent: " + some()),
        entry=entry,
        forwarded=some(),
        error='"\x01' * 3000,
        sent=1 << 62,
        received=1 << 62,
        ended=1e9,
        peer="2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff",
    )
    assert made.head is not None
    made.head.host, made.head.upgrade = some(), some()
    assert COMBINED.fullmatch(line("combined", made))
    as_json(made)
    assert max(len(line(kind, made)) for kind in FORMATS) <= LONGEST_LINE


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_cut_shows_it(kind: str) -> None:
    text = line(kind, record(head(b"/" + b"a" * 5000)))
    assert "a..." in text
    assert "a" * 1000 in text
    text = line(kind, record(head(b"/" + b"\x01" * 1000)))
    assert "01..." in text


# --- what is remembered ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_remembered_is_bounded_and_never_mixed_up(kind: str) -> None:
    lines = FORMATS[kind]()
    for number in [*range(3000), *range(3000)]:
        of = head(b"/%d" % number, b"Referer: r%d" % number, b"User-Agent: a%d" % number)
        text = lines.line(record(of), NOON)
        for shown in (f"/{number}", f'"r{number}"', f'"a{number}"'):
            assert shown in text
    kept = [value for value in vars(lines).values() if isinstance(value, dict)]
    assert kept
    assert max(map(len, kept)) < 3000


def test_the_same_bytes_as_path_and_as_header() -> None:
    made = record(head(b"/a#b@c", b"Referer: /a#b@c", b"User-Agent: /a#b@c"))
    found = combined(made)
    assert (found["request"], found["referer"], found["agent"]) == (
        "GET /a#b@c HTTP/1.1",
        "/a",
        "/a#b@c",
    )


@pytest.mark.parametrize(
    "lines",
    [
        [b"User-Agent: curl", b"Referer: there"],
        [b"Accept: */*", b"referer: there", b"A: b", b"user-agent: curl"],
        [b"Upgrade-Insecure-Requests: 1", b"USER-AGENT: curl", b"Range: x", b"REFERER: there"],
    ],
)
def test_headers_are_found_however_written(lines: list[bytes]) -> None:
    assert referer_and_agent(b"".join(b"\r\n" + line for line in lines)) == (b"there", b"curl")
    others = b"\r\nR: x\r\nu: y\r\nUser-Agents: z\r\nRefer: z"
    assert referer_and_agent(others) == referer_and_agent(b"") == (b"", b"")

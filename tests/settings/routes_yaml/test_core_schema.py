"""Numbers and switches as YAML 1.2 reads them, and as a setting takes or refuses them."""

import math
import pickle
from pathlib import Path

import pytest

from hubgate.errors import ConfigError
from hubgate.settings.routes_yaml.document import parse_document
from tests.settings.reading import Read, lines_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("8000", 8000),
        ("010000", 10000),
        ("0o17", 15),
        ("0x1F", 31),
        ("5.", 5.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-1.5E-3", -0.0015),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("~", None),
        ("Null", None),
        ("", None),
        *((text, text) for text in ("22:22", "190:20:30.15", "1_000", "0b11", "0o8", "0x", "1e")),
        *(
            (text, text)
            for text in ("yes", "No", "on", "OFF", "y", "n", "tRUE", "nULL", "inf", "=")
        ),
        *((text, text) for text in ("2026-01-01", "2026-01-01 10:00:00", "<", ".", "+", "-.nan")),
        ("'8000'", "8000"),
        ("!!str 8000", "8000"),
        ("!!int '8000'", 8000),
    ],
)
def test_words_are_read_as_written(text: str, value: object) -> None:
    found = parse_document(f"a: {text}", "f").data["a"]
    assert found == value
    assert isinstance(found, bool) is isinstance(value, bool)
    assert isinstance(found, str) is isinstance(value, str)


def test_not_a_number() -> None:
    assert math.isnan(parse_document("a: .NaN", "f").data["a"])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("!!int 22:22", "f, line 1: this is not what !!int stands for in YAML 1.2"),
        ("!!bool yes", "f, line 1: this is not what !!bool stands for in YAML 1.2"),
        ("!!float 1_0.0", "f, line 1: this is not what !!float stands for in YAML 1.2"),
        ("!!timestamp 2026-01-01", "f, line 1: there is a tag (!); put a value with a ! in quotes"),
        ("!!binary aGk=", "f, line 1: there is a tag (!); put a value with a ! in quotes"),
        ("!!set {a}", "f, line 1: there is a tag (!); put a value with a ! in quotes"),
        ("9" * 5000, "f, line 1: this is not what !!int stands for"),
    ],
)
def test_other_tags_are_refused(text: str, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_document(f"a: {text}", "f")
    assert str(raised.value).startswith(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("listen: {port: 22:22}", "listen.port: '22:22' is not a valid port; write a whole number"),
        ("listen: {port: 1_000}", "listen.port: '1_000' is not a valid port; write a whole number"),
        ("listen: {port: '٨٠٠٠'}", "listen.port: '٨٠٠٠' is not a valid port; write a whole number"),
        ("listen: {port: 0x1FFFF}", "listen.port: 0x1FFFF is not a valid port; write a whole"),
        ("listen: {port: 1e3}", "listen.port: 1e3 is not a valid port; write a whole number"),
        (
            "workers: yes",
            "workers: 'yes' is not a valid number of workers; write 1 to 256, or auto",
        ),
        ("timeouts: {drain: 1:30}", "timeouts.drain: '1:30' is not a valid time; write seconds"),
        ("timeouts: {drain: 1_000}", "timeouts.drain: '1_000' is not a valid time; write seconds"),
        ("timeouts: {drain: infinity}", "timeouts.drain: 'infinity' is not a valid time; write"),
        ("timeouts: {request: off}", "timeouts.request: 'off' is not a valid time; write seconds"),
        (
            "limits: {body: 1_000}",
            "limits.body: '1_000' is not a valid size in bytes; write a whole",
        ),
        ("listen: {no_ssl: no}", "listen.no_ssl: 'no' is not a switch in YAML 1.2; write false"),
        ("api: {open: Yes}", "api.open: 'Yes' is not a switch in YAML 1.2; write true"),
        ("api: {open: on}", "api.open: 'on' is not a switch in YAML 1.2; write true"),
        ("api: {open: 0}", "api.open: 0 is not a switch in YAML 1.2; write false"),
        (
            "api: {open: 'true'}",
            "api.open: 'true' is not a switch in YAML 1.2; write true, without",
        ),
        (
            "forward: {x_forward: n}",
            "forward.x_forward: 'n' is not a switch in YAML 1.2; write false",
        ),
        ("forward: {x_forward: }", "forward.x_forward: null is neither true nor false; write one"),
        (
            "upstream: {tls: {verify: off}}",
            "upstream.tls.verify: 'off' is not a switch in YAML 1.2;",
        ),
        (
            "access_log: no",
            "access_log.path: 'no' is not a path; write off for none, or ./no for a file",
        ),
        (
            "access_log: yes",
            "access_log.path: 'yes' is not a path; write off for none, or ./yes for a",
        ),
        (
            "forward: {headers: {true: a}}",
            "forward.headers: true is not text; put the header's name",
        ),
    ],
)
def test_what_a_setting_refuses_is_one_line(
    read: Read, tmp_path: Path, text: str, line: str
) -> None:
    found = lines_of(lambda: read(text), tmp_path)
    assert [each.startswith(f"routes.yaml, line 1: {line}") for each in found] == [True], found


@pytest.mark.parametrize("text", ["off", "Off", "OFF", "false", "{path: off}", "{path: OFF}"])
def test_no_access_log_can_still_be_written_in_every_way(read: Read, text: str) -> None:
    assert read(f"access_log: {text}").worker.access_log is None


def test_headers_are_sent_as_they_are_written(read: Read) -> None:
    text = "forward: {headers: {X-V: 1.10, X-N: 010, X-H: 0x1F, X-E: 1e3, X-D: 2026-01-01, 7: no}}"
    sent = read(text).worker.rules.custom_headers
    assert dict(sent) == {
        "X-V": "1.10",
        "X-N": "010",
        "X-H": "0x1F",
        "X-E": "1e3",
        "X-D": "2026-01-01",
        "7": "no",
    }


def test_numbers_leave_the_file_as_plain_numbers(read: Read) -> None:
    """They go to workers, of other releases too."""
    text = (
        "listen: {port: 0x1F90}\nworkers: 02\ntimeouts: {drain: 1e1, ready: 0, head: 3}\n"
        "limits: {body: 0o17, upstream_idle: 0}\ntcp_keepalive: {idle: 7}\n"
        "forward: {headers: {X: 1.0}}\nroutes: {/: {target: 'http://a', headers: {Y: 7}}}\n"
    )
    settings = read(text)
    assert (settings.listen[0].port, settings.workers) == (8080, 2)
    assert b"core_schema" not in pickle.dumps(settings)


@pytest.mark.parametrize("value", ["1_000", "infinity", "nan", "٣", "1e9999"])
def test_flags_and_variables_take_no_other_numbers(read: Read, tmp_path: Path, value: str) -> None:
    (line,) = lines_of(lambda: read("", {"HUBGATE_DRAIN_TIMEOUT": value}), tmp_path)
    assert line.endswith("write seconds above 0, up to 31536000 (a year), such as 75 or 0.5")
    assert read("", {"HUBGATE_DRAIN_TIMEOUT": " 2.50 "}).worker.timeouts.drain == 2.5

"""How log lines look: dated text, JSON, and what systemd's journal reads."""

import json
import logging
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from hubgate import logs

CODE = """
import logging, sys
from hubgate.logs import configure_logging
configure_logging("debug", sys.argv[1])
log = logging.getLogger("hubgate")
log.info("café \\x1b[31m %s", "two\\nlines")
log.warning("careful")
log.debug("detail")
try:
    raise ValueError("bad\\nvalue")
except ValueError:
    log.exception("a bug")
"""
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def lines(kind: str, **environ: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", CODE, kind],
        stderr=subprocess.PIPE,
        env={**os.environ, "TZ": "Asia/Kolkata", **environ},
        timeout=60,
        check=True,
    )
    return done.stderr.decode().splitlines()


def test_text_has_date_and_time() -> None:
    first, *_, last = lines("text")
    assert re.fullmatch(MOMENT + r" \[hubgate\] info: café \\x1b\[31m two\\nlines", first)
    moment = datetime.fromisoformat(first.split()[0])
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 600
    assert last == r"  value"


def test_json_has_a_field_for_each_part() -> None:
    found: list[dict[str, Any]] = [json.loads(line) for line in lines("json")]
    assert [each["level"] for each in found] == ["info", "warning", "debug", "error"]
    first, last = found[0], found[-1]
    assert list(first) == ["time", "level", "logger", "message", "pid"]
    assert re.fullmatch(MOMENT, first["time"])
    assert (first["logger"], first["message"]) == ("hubgate", "café \x1b[31m two\nlines")
    assert isinstance(first["pid"], int)
    assert last["message"] == "a bug"
    assert last["exception"].startswith("Traceback")
    assert last["exception"].endswith("ValueError: bad\nvalue")


def test_a_long_line_is_cut_and_stays_json() -> None:
    record = logging.LogRecord("hubgate", 20, "", 0, "é\n" * 5000, None, None)
    line = logs._JSONFormat().format(record)
    assert 3900 < len(line) <= 4092
    assert json.loads(line)["message"].startswith("…")
    text = logs._TextFormat().format(record)
    assert 3900 < len(text.encode()) <= 4092
    assert text.endswith("…")


# --- systemd's journal -------------------------------------------------------------------------

JOURNAL = """
import os, subprocess, sys
found = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino + int(sys.argv[3])}"
subprocess.run([sys.executable, "-P", "-c", sys.argv[1], sys.argv[2]], check=True)
"""


def journal(kind: str, off_by: int = 0) -> list[str]:
    """Return the lines of a process whose stderr is the journal's, or next to it."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", JOURNAL, CODE, kind, str(off_by)],
        stderr=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    return done.stderr.decode().splitlines()


def test_the_journal_gets_priorities_and_no_time() -> None:
    found = journal("text")
    assert found[0] == r"<6>[hubgate] info: café \x1b[31m two\nlines"
    assert found[1:3] == ["<4>[hubgate] warning: careful", "<7>[hubgate] debug: detail"]
    assert found[3] == "<3>[hubgate] error: a bug"
    assert found[4] == "<3>  Traceback (most recent call last):"
    assert all(line.startswith("<3>") for line in found[3:])


def test_the_journal_gets_json_with_priorities() -> None:
    prefixes, objects = zip(*(line.split(">", 1) for line in journal("json")), strict=True)
    assert prefixes == ("<6", "<4", "<7", "<3")
    assert json.loads(objects[1])["message"] == "careful"


def test_a_stream_that_is_not_the_journals_is_not_taken_for_it() -> None:
    """The variable is inherited by programs whose stderr was sent elsewhere since."""
    assert re.match(MOMENT, journal("text", off_by=1)[0])


@pytest.mark.parametrize("value", ["", "1", "1:2:3", "a:b", "8:99999999999999999999"])
def test_a_broken_variable_is_not_the_journal(value: str) -> None:
    assert re.match(MOMENT, lines("text", JOURNAL_STREAM=value)[0])

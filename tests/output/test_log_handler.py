"""stderr of a process that stays: what Python and libraries print there becomes log lines."""

import json
import subprocess
import sys

import pytest

SAID = """
import sys, threading, warnings
from hubgate.logs import configure_logging, own_stderr
configure_logging("info", sys.argv[1])
own_stderr()
print("half", end="", file=sys.stderr)
print(" a line", file=sys.stderr)
warnings.warn("worn out")
threading.Thread(target=lambda: 1 / 0, name="t").start()
class Broken:
    def __del__(self):
        raise ValueError("in a finalizer")
Broken()
import logging
logging.getLogger("hubgate").error("%d", "no number")
"""


def said(kind: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", SAID, kind],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_all_of_it_is_in_the_log() -> None:
    lines = said("text")
    text = "\n".join(lines)
    assert lines[0] == "half a line"
    assert " [hubgate] warning: UserWarning: worn out (<string>, line 8)" in text
    assert " [hubgate] error: thread t ends: this is a bug in hubgate" in text
    assert "  ZeroDivisionError: division by zero" in lines
    assert "  ValueError: in a finalizer" in lines
    assert "--- Logging error ---" in lines


ENDS = r"""
import os, sys
from hubgate.logs import configure_logging, own_stderr, settle
configure_logging("info")
own_stderr()
data = f"zo\u00eb\nat the end of {sys.stderr.name}".encode()
for part in (data[:3], data[3:]):
    sys.stderr.buffer.write(part)
if sys.argv[1] == "_exit":
    settle()
    os._exit(0)
"""


@pytest.mark.parametrize("end", ["exit", "_exit"])
def test_what_is_printed_last_needs_no_line_end(end: str) -> None:
    command = [sys.executable, "-P", "-c", ENDS, end]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stderr.decode() == "zo\u00eb\nat the end of <stderr>\n"


def test_every_line_is_json_where_that_is_wanted() -> None:
    found = [json.loads(line) for line in said("json")]
    assert found[0]["logger"] == "stderr"
    assert found[0]["message"] == "half a line"
    assert any("ZeroDivisionError" in each.get("exception", "") for each in found)


@pytest.mark.parametrize("kind", ["text", "json"])
def test_what_nobody_caught_is_logged_and_ends_the_process(kind: str) -> None:
    code = (
        "import sys; from hubgate.logs import configure_logging, own_stderr;"
        "configure_logging('info', sys.argv[1]); own_stderr(); 1 / 0"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, kind],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "this is a bug in hubgate" in done.stderr.splitlines()[0]
    assert "ZeroDivisionError: division by zero" in done.stderr.splitlines()[-1]


AGAIN = """
import threading
from hubgate.logs import configure_logging
import logging
for level, kind in ("info", "text"), ("debug", "json"), ("warn", "text"):
    configure_logging(level, kind)
    logging.getLogger("hubgate").error("said")
print(sum(thread.name == "log" for thread in threading.enumerate()))
"""


def test_one_thread_writes_however_often_the_format_changes() -> None:
    """With two, lines could change places."""
    command = [sys.executable, "-P", "-c", AGAIN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "1\n"
    assert len(done.stderr.splitlines()) == 3

"""HTTP load by wrk, and how its output is read."""

import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import LOAD_CORE, pinned

BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://127.0.0.1/user/alice/lab",
    "Cookie: _xsrf=2|f3a1b2c4|0123456789abcdef0123456789abcdef|1700000000; username-127-0-0-1=ab",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
)
SCRIPTS = Path(__file__).parent


@dataclass(frozen=True)
class Load:
    """What to request: a path, over how many connections, with which other wrk flags.

    `refused`: every response is an error, as expected. `settles` is the number of seconds until
    the proxy has adapted to the load, if that is longer than a warm-up.
    """

    path: str
    connections: int = 32
    tls: bool = False
    flags: tuple[str, ...] = ()
    refused: bool = False
    settles: float = 0.0


@dataclass(frozen=True)
class Done:
    """What wrk counted: responses, those of them that are errors, broken connections."""

    answers: int
    errors: int
    broken: int


def parse(text: str) -> Done:
    """Read wrk's output; raise ValueError if there are no counts in it."""
    answers = re.search(r"^\s*(\d+) requests in ", text, re.MULTILINE)
    if answers is None:
        raise ValueError(f"wrk counted nothing: {text.strip()[-200:]!r}")
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: (.*)", text)
    return Done(
        int(answers[1]),
        int(errors[1]) if errors else 0,
        sum(map(int, re.findall(r"\d+", broken[1]))) if broken else 0,
    )


def check(done: Done, load: Load) -> None:
    """Raise RuntimeError if the responses are not what the load expects."""
    if not done.answers:
        raise RuntimeError(f"no answer for {load.path}")
    if load.refused and done.errors != done.answers:
        raise RuntimeError(f"{done.answers - done.errors} of {done.answers} were served")
    if not load.refused and done.errors:
        raise RuntimeError(f"{done.errors} of {done.answers} responses were errors")


def warm_up(load: Load, port: int, seconds: float) -> None:
    """Put the load on a port without counting anything."""
    _run(load, port, max(seconds, load.settles))


def put(load: Load, port: int, seconds: float) -> Done:
    """Put the load on a port; raise RuntimeError if the responses are not what it expects."""
    done = parse(_run(load, port, seconds))
    check(done, load)
    return done


def _run(load: Load, port: int, seconds: float) -> str:
    url = f"{'https' if load.tls else 'http'}://127.0.0.1:{port}{load.path}"
    headers = [word for line in BROWSER for word in ("-H", line)]
    command = ["wrk", "-t1", f"-c{load.connections}", "-d600s", *headers, *load.flags, url]
    return _interrupted(pinned(LOAD_CORE, command), seconds)


def _interrupted(command: Sequence[str], seconds: float) -> str:
    """Run wrk for a time that may include a fraction of a second, unlike its own option."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
            return out
        finally:
            process.kill()

"""`ps`, `top` and `ss` say which process is what, after an upgrade and a crash as well."""

import signal
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.contract.polling import eventually
from tests.processes import kill, lives
from tests.system.served import Served, serving

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="names are given on Linux"),
]


def named(process: psutil.Process) -> tuple[str, str]:
    """Return its short name, and its command line."""
    with process.oneshot():
        return process.name(), " ".join(process.cmdline()).strip()


def names(served: Served) -> list[tuple[str, str]]:
    """Return those of the supervisor and of its workers that serve; none of one that has ended."""
    with suppress(psutil.NoSuchProcess):  # one ends at this moment
        everybody = [psutil.Process(served.process.pid), *filter(lives, served.workers)]
        return sorted(map(named, everybody))
    return []


def test_each_process_is_called_what_it_is(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as served:
        where = f"127.0.0.1:{served.port}"
        wanted = [
            ("hubgate", f"hubgate: supervisor {where}"),
            ("hubgate-w0", f"hubgate: worker 0 {where}"),
            ("hubgate-w1", f"hubgate: worker 1 {where}"),
        ]
        assert names(served) == wanted
        kill([served.workers[0]])
        assert eventually(lambda: names(served) == wanted, 60)

        before = served.workers
        served.process.send_signal(signal.SIGUSR2)
        assert eventually(lambda: not any(map(lives, before)), 120)
        assert eventually(lambda: names(served) == wanted, 60)


def test_all_interfaces_are_an_asterisk(tmp_path: Path) -> None:
    with serving(tmp_path, "--no-ssl") as served:
        assert [line for _, line in names(served)] == [
            f"hubgate: supervisor *:{served.port}",
            f"hubgate: worker 0 *:{served.port}",
        ]

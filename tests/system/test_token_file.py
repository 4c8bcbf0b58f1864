"""The API's token from a file: read again when it changes, kept when it cannot be read."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.running import DROP_IN
from tests.contract.client import Client
from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.environment import clean_environment
from tests.system.served import PROXYCTL

FIRST, SECOND = "first-tok3n", "second-tok3n"


@dataclass
class Guarded:
    """A hubgate whose token stands in `file`, and nowhere else."""

    process: subprocess.Popen[bytes]
    file: Path
    log: Path
    api: tuple[str, int]

    def status(self, token: str) -> int:
        """Return what a holder of `token` is told."""
        with Client(self.api) as client:
            return client.ask("/api/routes", ("Authorization", f"token {token}")).status

    def write(self, text: str, mode: int = 0o600) -> None:
        """Put another file in the place of the token's."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        fresh.chmod(mode)
        os.replace(fresh, self.file)

    def link_to_folder(self) -> Path:
        """Return a link beside the token's file that points to a folder."""
        folder, link = self.file.with_suffix(".folder"), self.file.with_suffix(".link")
        folder.mkdir()
        link.symlink_to(folder)
        return link

    def lines(self, *words: str) -> list[str]:
        """Return the lines of the log with all of these words."""
        return [line for line in self.log.read_text().splitlines() if all(w in line for w in words)]


@pytest.fixture(params=["serve", "drop-in"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guarded]:
    port, api_port = free_ports()
    file, log = tmp_path / "token", tmp_path / "serve.log"
    file.touch(0o600)
    file.write_text(f"{FIRST}\n")
    command, environ = [PROXYCTL, "serve", "--token-file", str(file)], {}
    if request.param == "drop-in":
        command, environ = [*DROP_IN, "--ip", "127.0.0.1"], {"HUBGATE_TOKEN_FILE": str(file)}
    flags = ["--port", str(port), "--api-port", str(api_port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *flags, "--log-level", "debug"],
            cwd=tmp_path,
            env=clean_environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    guarded = Guarded(process, file, log, ("127.0.0.1", api_port))
    try:
        assert eventually(lambda: bool(guarded.lines("Proxy API at")), 60), log.read_text()
        yield guarded
        assert process.poll() is None, log.read_text()
        assert not guarded.lines("tok3n")
    finally:
        process.kill()
        process.wait()


def test_a_new_token_takes_the_place_of_the_old_one(guarded: Guarded) -> None:
    assert (guarded.status(FIRST), guarded.status(SECOND)) == (200, 403)
    guarded.write(SECOND)
    assert eventually(lambda: guarded.status(SECOND) == 200, 60)
    assert guarded.status(FIRST) == 403
    guarded.file.write_text(FIRST)  # in place, as an editor may
    assert eventually(lambda: guarded.status(FIRST) == 200, 60)
    assert guarded.status(SECOND) == 403
    assert len(guarded.lines("reloaded: the API's token")) == 2


def test_a_signal_has_it_read_too(guarded: Guarded) -> None:
    before = guarded.file.stat()
    guarded.file.write_text(FIRST.replace("first", "other"))
    # As if the clock stood still: now nothing tells this file from the one before.
    os.utime(guarded.file, ns=(before.st_atime_ns, before.st_mtime_ns))
    guarded.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: guarded.status("other-tok3n") == 200, 60)
    assert guarded.status(FIRST) == 403


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda it: it.write(""), "is empty; put the token there"),
        (lambda it: it.write("\n\n"), "is empty; put the token there"),
        (lambda it: it.write("two words"), "must be one word of plain ASCII"),
        (lambda it: os.replace(it.link_to_folder(), it.file), "cannot be read: Is a directory"),
    ],
)
def test_an_unusable_file_is_one_line_and_the_token_stays(
    guarded: Guarded, harm: Callable[[Guarded], object], line: str
) -> None:
    harm(guarded)
    assert eventually(lambda: bool(guarded.lines("error", line)), 60), guarded.log.read_text()
    assert len(guarded.lines(str(guarded.file))) == 1
    assert guarded.status(FIRST) == 200


def test_a_missing_file_is_one_line_and_the_token_stays(guarded: Guarded) -> None:
    guarded.file.unlink()
    assert eventually(lambda: bool(guarded.lines(f"{guarded.file} is gone")), 60)
    guarded.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: bool(guarded.lines("error", "no such file")), 60)
    assert len(guarded.lines(str(guarded.file))) == 2
    assert guarded.status(FIRST) == 200
    guarded.write(SECOND)
    assert eventually(lambda: guarded.status(SECOND) == 200, 60)


def test_a_file_that_everybody_can_read_is_a_warning(guarded: Guarded) -> None:
    guarded.write(SECOND, 0o644)
    assert eventually(lambda: guarded.status(SECOND) == 200, 60)
    (line,) = guarded.lines("warning", str(guarded.file))
    assert "anyone on this machine can read the token; chmod 600" in line

"""The file behind the access log: rotated, shared, full, stuck."""

import os
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubgate.dataplane.access_log import file as file_module
from hubgate.dataplane.access_log.file import LogFile
from hubgate.errors import ConfigError
from hubgate.settings.access_log import access_log_mistake
from tests.dataplane.peers import until

Open = Callable[[Path | str], LogFile]


@pytest.fixture
def opened() -> Iterator[Open]:
    files: list[LogFile] = []

    def open_(path: Path | str) -> LogFile:
        files.append(LogFile(str(path)))
        return files[-1]

    yield open_
    for file in files:
        file.close()


async def settled(file: LogFile) -> None:
    await until(lambda: file.settled, "all is written")


async def test_appends_to_what_is_there(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("before\n")
    file = opened(path)
    file.put(b"one\ntwo\n")
    file.put(b"three\n")
    await settled(file)
    assert path.read_text() == "before\none\ntwo\nthree\n"


async def test_one_that_is_not_required_may_come_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "logs" / "access.log"
    with pytest.raises(ConfigError, match="cannot be opened: No such file or directory"):
        LogFile(str(path))
    file = LogFile(str(path), required=False)
    for text in (b"one\n", b"two\nthree\n"):
        file.put(text)
        await settled(file)
    assert file.dropped() == 3
    path.parent.mkdir()
    file.put(b"four\n")
    await settled(file)
    file.close()
    await until(lambda: file.closed, "it is closed")
    assert path.read_text() == "four\n"
    assert caplog.messages == [
        f"access_log: {path}: cannot be opened: No such file or directory; lines are lost until it"
        " can",
        f"access log {path}: writing again",
    ]


async def test_one_that_never_came_is_let_go(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "no" / "access.log"), required=False)
    file.close()
    await until(lambda: file.closed, "it is closed")


def test_nobody_else_can_read_a_new_one(opened: Open, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        opened(tmp_path / "access.log")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "access.log").stat().st_mode) == 0o640


async def test_a_renamed_file_is_made_anew(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    file = opened(path)
    for number in range(3):
        file.put(b"%d\n" % number)
        await settled(file)
        path.rename(tmp_path / f"access.log.{number}")
    file.put(b"last\n")
    await settled(file)
    assert [(tmp_path / f"access.log.{n}").read_text() for n in range(3)] == ["0\n", "1\n", "2\n"]
    assert path.read_text() == "last\n"


async def test_an_empty_block_is_enough_to_make_it_anew(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    file = opened(path)
    path.unlink()
    file.put(b"")
    await settled(file)
    assert path.read_text() == ""


async def test_a_file_put_in_its_place_is_used(opened: Open, tmp_path: Path) -> None:
    path, other = tmp_path / "access.log", tmp_path / "other"
    file = opened(path)
    other.write_text("made by logrotate\n")
    other.rename(path)
    file.put(b"one\n")
    await settled(file)
    assert path.read_text() == "made by logrotate\none\n"


async def test_a_folder_that_is_gone_is_told_once_and_waited_for(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = opened(folder / "access.log")
    folder.rename(tmp_path / "old")
    for block in (b"one\n", b"two\n"):
        file.put(block)
    await settled(file)
    assert (tmp_path / "old" / "access.log").read_text() == "one\ntwo\n"
    (told,) = caplog.messages
    assert told.startswith(f"access_log: {folder}/access.log: cannot be opened: No such file")
    folder.mkdir()
    file.put(b"three\n")
    await settled(file)
    assert (folder / "access.log").read_text() == "three\n"


@pytest.mark.parametrize("place", ["missing/access.log", "."])
def test_one_that_cannot_be_opened(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match=r"^access_log: .*: cannot be opened: "):
        LogFile(str(tmp_path / place))


# --- a full disk -------------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
async def test_a_full_disk_is_told_once_and_counted(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    file = opened("/dev/full")
    for _ in range(3):
        file.put(b"one\ntwo\n")
    await settled(file)
    assert file.dropped() == 6
    assert file.dropped() == 0
    assert caplog.messages == ["access log /dev/full: lines are lost: No space left on device"]


LIMITED = """
import resource, signal, sys, time
from hubgate.dataplane.access_log.file import LogFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
def put(block):
    file.put(block)
    while not file.settled:
        time.sleep(0.001)
limit(10)
file = LogFile(sys.argv[1])
put(b"first\\nsecond\\nthird\\n")
put(b"lost\\n")
print(file.dropped())
limit(hard)
put(b"fourth\\nfifth\\n")
print(file.dropped())
"""


def test_a_line_that_was_cut_off_does_not_run_into_the_next(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True
    )
    assert path.read_text() == "first\nseco\nfourth\nfifth\n"
    assert done.stdout.split() == ["3", "0"]
    assert done.stderr.splitlines() == [
        f"access log {path}: lines are lost: File too large",
        f"access log {path}: writing again",
    ]


# --- pipes -------------------------------------------------------------------------------------


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe with a reader that does not read by itself."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


async def test_a_stuck_pipe_holds_up_nobody(
    opened: Open, fifo: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_module, "MOST_WAITING", 1 << 18)
    path, reader = fifo
    file = opened(path)
    block = b"x" * 999 + b"\n"
    put = 0
    while not file.full:
        file.put(block)
        put += 1
        assert put < 1000
    file.refuse(5)
    assert file.dropped() == 5
    # Somebody reads again: all that was put arrives, in whole lines.
    received = b""
    while len(received) < put * len(block):
        try:
            received += os.read(reader, 1 << 16)
        except BlockingIOError:
            await until(lambda: True, "it goes on")
    assert received == block * put
    await settled(file)
    assert not file.full
    assert file.dropped() == 0


async def test_a_pipe_without_a_reader_loses_lines(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = opened(path)
    os.close(reader)
    file.put(b"one\n")
    await settled(file)
    assert file.dropped() == 1
    assert caplog.messages == [f"access log {path}: lines are lost: Broken pipe"]


# --- more than one writer ------------------------------------------------------------------------

WRITER = """
import sys, time
from hubgate.dataplane.access_log.file import LogFile
file = LogFile(sys.argv[1])
name = sys.argv[2].encode()
for number in range(200):
    file.put(b"".join(b"%b %d %d %b\\n" % (name, number, n, name * (n % 700)) for n in range(100)))
    while file.full:
        time.sleep(0.001)
file.close()
while not file.closed:
    time.sleep(0.001)
"""


def check_shared(text: str) -> None:
    counts: Counter[str] = Counter()
    for line in text.splitlines():
        name, _, n, rest = (line + " ").split(" ", 3)
        assert rest.strip() == name * (int(n) % 700), line
        counts[name] += 1
    assert counts == {"a": 20000, "b": 20000}


def test_two_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    check_shared(path.read_text())


def test_two_processes_share_standard_output() -> None:
    reader, writer = os.pipe()
    command = [sys.executable, "-c", WRITER, "-"]
    writers = [subprocess.Popen([*command, name], stdout=writer) for name in "ab"]
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    assert [each.wait(60) for each in writers] == [0, 0]
    check_shared(text)


async def test_a_link_of_ours_is_followed(opened: Open, tmp_path: Path) -> None:
    path, real = tmp_path / "access.log", tmp_path / "real.log"
    path.symlink_to(real)
    file = opened(path)
    file.put(b"one\n")
    await settled(file)
    assert real.read_text() == "one\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give links away")
def test_another_users_link_is_not_followed(opened: Open, tmp_path: Path) -> None:
    path, victim = tmp_path / "access.log", tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    os.chown(path, 65534, 65534, follow_symlinks=False)
    with pytest.raises(ConfigError, match="it is another user's link; remove it"):
        opened(path)
    assert victim.read_text() == "precious"
    mistake = access_log_mistake(str(path))
    assert mistake is not None
    assert "another user's link" in mistake

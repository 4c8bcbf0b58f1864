import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hubgate.control import file_watch as file_watch_module
from hubgate.control.file_watch import Versions, files_changed, versions
from hubgate.tasks import spawn
from tests.control.waiting import until

pytestmark = pytest.mark.real_time


class Reader:
    """Reads a file whenever it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[str] = []

    async def follow(self, known: Versions) -> None:
        while True:
            known = await files_changed(known)
            self.seen.append(self.path.read_text())


@asynccontextmanager
async def watching(path: Path, known: Versions | None = None) -> AsyncIterator[Reader]:
    reader = Reader(path)
    task = spawn(reader.follow(known or versions([path])), "watch")
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text("old")
    return path


def in_place(path: Path, text: str = "fresh") -> None:
    path.write_text(text)


def renamed_over(path: Path) -> None:
    fresh = path.with_suffix(".swp")
    fresh.write_text("fresh")
    os.replace(fresh, path)


def removed_and_made_again(path: Path) -> None:
    path.unlink()
    path.write_text("fresh")


@pytest.mark.parametrize("write", [in_place, renamed_over, removed_and_made_again])
async def test_change_is_noticed(file: Path, write: Callable[[Path], None]) -> None:
    async with watching(file) as reader:
        write(file)
        await until(lambda: reader.seen)
        assert reader.seen == ["fresh"]


async def test_every_change_is_noticed(file: Path) -> None:
    async with watching(file) as reader:
        for text in ("the first", "and the second", "and also a third"):
            in_place(file, text)
            await until(lambda text=text: text in reader.seen)


async def test_link_that_is_turned_above_the_file_is_noticed(tmp_path: Path) -> None:
    """As Kubernetes changes a ConfigMap: routes.yaml -> ..data/routes.yaml, ..data is replaced."""
    for text in ("old", "fresh"):
        (tmp_path / text).mkdir()
        (tmp_path / text / "routes.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("old")
    path = tmp_path / "routes.yaml"
    path.symlink_to("..data/routes.yaml")
    async with watching(path) as reader:
        (tmp_path / "..tmp").symlink_to("fresh")
        os.replace(tmp_path / "..tmp", tmp_path / "..data")
        await until(lambda: reader.seen)
        assert reader.seen == ["fresh"]


async def test_change_before_the_watch_began_is_noticed(file: Path) -> None:
    known = versions([file])
    in_place(file)
    async with watching(file, known) as reader:
        await until(lambda: reader.seen)


async def test_file_that_is_still_written_is_not_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch_module, "SETTLE", 2.0)
    async with watching(file) as reader:
        with file.open("w") as writing:  # empty now, which a reader could take for whole
            for _ in range(20):
                writing.write("line\n")
                writing.flush()
                await asyncio.sleep(0.02)
        await until(lambda: reader.seen)
        assert reader.seen == ["line\n" * 20]


async def test_other_files_do_not_count(file: Path) -> None:
    async with watching(file) as reader:
        in_place(file.parent / "other.yaml")
        in_place(file.parent / "routes.yaml.swp")
        in_place(file)
        await until(lambda: reader.seen)
        assert reader.seen == ["fresh"]


async def test_removed_file_is_waited_for(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with watching(file) as reader:
        os.unlink(file)
        await until(lambda: caplog.messages)
        in_place(file.parent / "other.yaml")
        await asyncio.sleep(0.5)
        assert caplog.messages == [
            f"{file} is gone; what was read from it stays in use until it is back"
        ]
        assert reader.seen == []
        in_place(file)
        await until(lambda: reader.seen)


async def test_one_of_several_files_is_enough(tmp_path: Path) -> None:
    cert, key = tmp_path / "certs" / "hub.pem", tmp_path / "keys" / "hub.pem"
    for path in (cert, key):
        path.parent.mkdir()
        in_place(path, "old")
    async with watching(key, versions([cert, key])) as reader:
        in_place(cert)
        await until(lambda: reader.seen == ["old"])
        in_place(key)
        await until(lambda: reader.seen == ["old", "fresh"])


async def test_files_are_looked_at_where_the_kernel_does_not_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch_module, "LOOK_ANYWAY", 0.05)
    path = tmp_path / "not yet" / "routes.yaml"
    async with watching(path) as reader:
        await asyncio.sleep(0.2)
        os.mkdir(path.parent)
        in_place(path)
        await until(lambda: reader.seen == ["fresh"])

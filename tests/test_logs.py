"""What comes from outside cannot end a log line, forge one, or do anything to a terminal."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubgate.logs import configure_logging, one_line
from tests.control.launched import launched

FORGED = "2026-11-29T12:34:56.789Z [hubgate] error: FORGED"
UNSEEN = [
    *map(chr, (*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x061C, 0x180E)),
    *map(chr, (*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A))),
    *("\ufeff", "\U000e0041", "\ud800", "\udcff"),
]


@contextmanager
def logging_as_we_do() -> Iterator[logging.Logger]:
    """Yield a logger whose lines go where ours do, until the block ends."""
    root, ours = logging.getLogger(), logging.getLogger("hubgate")
    before, levels = root.handlers[:], (root.level, ours.level)
    configure_logging("info")
    try:
        yield ours
    finally:
        root.handlers[:] = before
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


@pytest.mark.parametrize("char", UNSEEN, ids=ascii)
def test_what_cannot_be_seen_is_written_out(char: str) -> None:
    said = one_line(f"/a{char}b")
    assert said.isprintable()
    assert said.startswith("/a\\")
    assert said.endswith("b")


@pytest.mark.parametrize("text", ["/user/žofie", "C:\\new", "/пользователь/アリス 🦉", '"a" – b'])
def test_what_can_be_seen_stays(text: str) -> None:
    assert one_line(text) == text


def test_a_message_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as_we_do() as log:
        log.error("route %s is bad", f"/bad\n{FORGED}\x1b[31m\u2028{FORGED}\x9b31m")
    said = capsys.readouterr().err
    assert said.endswith("\n")
    (line,) = said.splitlines()
    assert line.isprintable()
    assert "\\n2026-11-29T12:34:56.789Z" in line


def test_no_line_of_a_traceback_looks_like_a_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with logging_as_we_do() as log:
        try:
            raise ValueError(f"bad\n{FORGED}\x1b[31m\r{FORGED}")
        except ValueError:
            log.exception("a bug")
        log.error("where", stack_info=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line[25:] for line in lines if line[0] != " "] == [
        "[hubgate] error: a bug",
        "[hubgate] error: where",
    ]
    assert "  Traceback (most recent call last):" in lines
    assert all(line.isprintable() for line in lines)


@pytest.mark.processes
async def test_a_route_with_a_forged_key_writes_no_line(tmp_path: Path) -> None:
    """From the API through the supervisor, the link and a worker to both their lines."""
    key = "/bad%0a" + FORGED.replace(" ", "%20") + "%1b[31m%C2%85%E2%80%A8%E2%80%AE"
    async with launched(tmp_path) as hubgate:
        await hubgate.serving()
        assert await hubgate.add(key, "http://127.0.0.1:1/\x1b[31m") == 201
        assert (await hubgate.get(key)).status == 503
        assert await hubgate.add(key, "no-url\x1b[31m") == 400
        await hubgate.printed("bad target")
        lines = hubgate.output_file.read_bytes().decode().splitlines()
    assert [line for line in lines if not line.isprintable()] == []
    assert [line for line in lines if line.startswith(FORGED)] == []

"""Where the access log goes, by file, environment and flag."""

import os
from pathlib import Path

import pytest

from hubgate.model import AccessLogConfig
from hubgate.settings.access_log import access_log_mistake
from tests.settings.reading import Read, lines_of

NAMED = "access_log: access.log"


@pytest.mark.parametrize("text", ["", "access_log:", "access_log: off", "access_log: false"])
def test_off(read: Read, text: str) -> None:
    assert read(text).worker.access_log is None


@pytest.mark.parametrize("text", [NAMED, "access_log: {path: access.log}"])
def test_a_path_is_relative_to_the_file(read: Read, text: str, tmp_path: Path) -> None:
    assert read(text).worker.access_log == AccessLogConfig(str(tmp_path / "access.log"), "combined")


def test_standard_output(read: Read) -> None:
    assert read("access_log: '-'").worker.access_log == AccessLogConfig("-")
    assert read("access_log: {path: '-', format: json}").worker.access_log == AccessLogConfig(
        "-", "json"
    )
    assert read("", access_log="-").worker.access_log == AccessLogConfig("-")


def test_flags_beat_the_environment_which_beats_the_file(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    environ = {"HUBGATE_ACCESS_LOG": "environ.log", "HUBGATE_ACCESS_LOG_FORMAT": "json"}
    found = read(NAMED, environ).worker.access_log
    assert found == AccessLogConfig(str(folder / "environ.log"), "json")
    found = read(NAMED, environ, access_log="flag.log").worker.access_log
    assert found == AccessLogConfig(str(folder / "flag.log"), "json")
    found = read(NAMED, {}, access_log_format="json").worker.access_log
    assert found == AccessLogConfig(str(tmp_path / "access.log"), "json")
    assert read(NAMED, {}, access_log="off").worker.access_log is None
    found = read("access_log: off", {}, access_log="flag.log").worker.access_log
    assert found == AccessLogConfig(str(folder / "flag.log"))


def test_nothing_is_created(read: Read, tmp_path: Path) -> None:
    read(NAMED)
    assert not (tmp_path / "access.log").exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "access_log: logs/access.log",
            "routes.yaml, line 1: access_log.path: logs: no such folder; create it or give another",
        ),
        (
            "\naccess_log: .",
            "routes.yaml, line 2: access_log.path: .: is a folder; give a file in it",
        ),
        (
            "access_log: {path: access.log, format: common}",
            "routes.yaml, line 1: access_log.format: 'common' is not a valid value;"
            " write 'combined' or 'json'",
        ),
        (
            "access_log: {format: json}",
            "routes.yaml, line 1: access_log.path: is missing; write it as in"
            " logs/access.log or {path: logs/access.log, format: json}, or give --access-log",
        ),
        (
            "access_log: true",
            "routes.yaml, line 1: access_log: is true or false, not a mapping;"
            " write logs/access.log or {path: logs/access.log, format: json}",
        ),
        (
            "access_log: {path: 7}",
            "routes.yaml, line 1: access_log.path: 7 is not a path;"
            " write logs/access.log, - (standard output) or off",
        ),
        (
            "access_log: {path: access.log, formt: json}",
            "routes.yaml, line 1: access_log.formt: unknown key; did you mean format?",
        ),
    ],
)
def test_mistakes(read: Read, tmp_path: Path, text: str, line: str) -> None:
    found = lines_of(lambda: read(text), tmp_path)
    assert [each.replace(str(tmp_path), ".") for each in found] == [line]


def test_mistakes_of_flags_and_the_environment(read: Read, tmp_path: Path) -> None:
    path = str(tmp_path / "none" / "access.log")
    (line,) = lines_of(lambda: read("", {}, access_log=path), tmp_path)
    assert line == "--access-log: none: no such folder; create it or give another"
    (line,) = lines_of(lambda: read("", {"HUBGATE_ACCESS_LOG": path}), tmp_path)
    assert line.startswith("HUBGATE_ACCESS_LOG: none: ")
    (line,) = lines_of(lambda: read("", {}, access_log_format="json"), tmp_path)
    assert line.endswith(", or give --access-log")


def test_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    mistake = access_log_mistake(str(tmp_path / "pipe"))
    assert mistake is not None
    assert "pipe: cannot be written: " in mistake


def test_a_folder_that_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Who runs tests as root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert access_log_mistake(str(tmp_path / "access.log")) == (
        f"{tmp_path}: cannot create files here; change its permissions or give another"
    )

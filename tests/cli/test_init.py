"""`proxyctl init`: the file it writes, and what it never overwrites."""

from pathlib import Path

import pytest

from hubgate.cli import main, run_command
from tests.settings.routes_yaml.test_example import EXAMPLE


def proxyctl(*args: str) -> int:
    return run_command.run(main.load(), args, "proxyctl", usage_exit=2)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_writes_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert proxyctl("init") == 0
    assert Path("routes.yaml").read_text() == EXAMPLE.read_text()
    (line,) = capsys.readouterr().out.splitlines()
    assert line == "made routes.yaml; put your routes in it, then: proxyctl check, serve"


def test_the_file_may_have_another_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert proxyctl("init", "my hub.yaml") == 0
    assert Path("my hub.yaml").read_text() == EXAMPLE.read_text()
    assert "proxyctl check 'my hub.yaml', serve 'my hub.yaml'" in capsys.readouterr().out


def test_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert proxyctl("init", "-") == 0
    assert capsys.readouterr().out == EXAMPLE.read_text()
    assert not list(Path().iterdir())


def test_what_is_there_stays(capsys: pytest.CaptureFixture[str]) -> None:
    Path("routes.yaml").write_text("mine")
    assert proxyctl("init") == 1
    assert Path("routes.yaml").read_text() == "mine"
    (line,) = capsys.readouterr().err.splitlines()
    assert "routes.yaml: it exists already; --force replaces it" in line


def test_a_link_that_leads_nowhere_is_there_too() -> None:
    Path("routes.yaml").symlink_to("elsewhere")
    assert proxyctl("init") == 1
    assert not Path("elsewhere").exists()


def test_force_replaces_it() -> None:
    Path("routes.yaml").write_text("mine")
    assert proxyctl("init", "--force") == 0
    assert Path("routes.yaml").read_text() == EXAMPLE.read_text()
    assert [file.name for file in Path().iterdir()] == ["routes.yaml"]


def test_force_keeps_the_mode() -> None:
    Path("routes.yaml").touch(0o600)
    Path("routes.yaml").chmod(0o600)
    assert proxyctl("init", "--force") == 0
    assert Path("routes.yaml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("file", ["folder", "none/routes.yaml", "/dev/full/x"])
def test_where_no_file_can_be_is_one_line(
    file: str, force: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("folder").mkdir()
    assert proxyctl("init", file, *force) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert file in line
    assert [each.name for each in Path().iterdir()] == ["folder"]

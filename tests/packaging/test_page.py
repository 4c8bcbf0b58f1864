"""What the distributions say of themselves, as a package index shows it."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

import pytest
from readme_renderer import markdown

from tests.environment import clean_environment
from tests.packaging.source import ROOT, Distributions, build

KEYS = (".pem", ".key", ".token", ".db")


class Links(HTMLParser):
    """Collects where a page leads, and what it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]


def wheel_metadata(distributions: Distributions) -> Message:
    with zipfile.ZipFile(distributions.wheel) as wheel:
        (name,) = [one for one in wheel.namelist() if one.endswith("dist-info/METADATA")]
        return Parser().parsestr(wheel.read(name).decode())


def sdist_metadata(distributions: Distributions) -> Message:
    with tarfile.open(distributions.sdist) as sdist:
        (name,) = [one for one in sdist.getnames() if re.fullmatch(r"[^/]+/PKG-INFO", one)]
        file = sdist.extractfile(name)
        assert file is not None
        return Parser().parsestr(file.read().decode())


def sdist_files(distributions: Distributions) -> set[PurePosixPath]:
    with tarfile.open(distributions.sdist) as sdist:
        names = [PurePosixPath(each.name) for each in sdist.getmembers() if each.isfile()]
    return {name.relative_to(name.parts[0]) for name in names}


@pytest.fixture(params=[wheel_metadata, sdist_metadata], ids=["wheel", "sdist"])
def metadata(request: pytest.FixtureRequest, distributions: Distributions) -> Message:
    found: Message = request.param(distributions)
    return found


def test_the_index_takes_them(distributions: Distributions) -> None:
    command = [sys.executable, "-P", "-m", "twine", "--no-color", "check", "--strict"]
    done = subprocess.run(
        [*command, str(distributions.sdist), str(distributions.wheel)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2, done.stdout


def test_every_link_on_the_page_leads_somewhere(metadata: Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    page = markdown.render(str(metadata.get_payload()))
    assert page is not None
    links = Links()
    links.feed(page)
    assert any(link.startswith("https://") for link in links.found)
    # The renderer gives each heading a link to itself.
    within = ("https://", "#user-content-")
    assert not [link for link in links.found if not link.startswith(within)]


def test_every_file_the_page_names_is_in_the_source_distribution(
    metadata: Message, distributions: Distributions
) -> None:
    linked = re.findall(r"\]\((?!https:)([^)#]+)", (ROOT / "README.md").read_text())
    assert "docs/token.md" in linked
    text = str(metadata.get_payload())
    assert not [name for name in linked if f"`{name}`" not in text]
    assert {PurePosixPath(name) for name in linked} <= sdist_files(distributions)


def test_files_that_the_docs_link_to_are_in_it_too(distributions: Distributions) -> None:
    inside = sdist_files(distributions)
    for page in ROOT.glob("docs/*.md"):
        for name in re.findall(r"\]\((?![a-z]+:|#)([^)#]+)", page.read_text()):
            path = (page.parent / name).resolve().relative_to(ROOT)
            there = any(PurePosixPath(path) in (each, *each.parents) for each in inside)
            assert there, f"{page.name} links to {name}"


def test_the_page_begins_with_what_its_reader_can_do(metadata: Message) -> None:
    begin = str(metadata.get_payload()).split("\n\n")[:2]
    assert begin == ["# hubgate", "    pip install hubgate"]


def test_a_source_distribution_has_what_its_readme_begins_with(
    distributions: Distributions,
) -> None:
    inside = {str(each) for each in sdist_files(distributions)}
    assert {"Makefile", "dev/run.py", "scripts/system-parts", "tests/conftest.py"} <= inside
    assert not [name for name in inside if name.endswith(".pyc") or "node_modules" in name]


def test_the_licence_is_named_and_there(metadata: Message) -> None:
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert (ROOT / "LICENSE").read_text().startswith("BSD 3-Clause License")


def test_the_licence_is_in_both(distributions: Distributions) -> None:
    assert PurePosixPath("LICENSE") in sdist_files(distributions)
    with zipfile.ZipFile(distributions.wheel) as wheel:
        (name,) = [one for one in wheel.namelist() if one.endswith("/LICENSE")]
        assert wheel.read(name).decode() == (ROOT / "LICENSE").read_text()


def test_no_extra_without_use(metadata: Message) -> None:
    source = "".join(path.read_text() for path in (ROOT / "proxy").rglob("*.py"))
    extras = set(metadata.get_all("Provides-Extra") or ()) - {"dev", "bench", "fuzz"}
    assert not [
        name for name in extras if f"import {name}" not in source and f"from {name}" not in source
    ]


def test_no_key_and_no_build_is_in_the_source_distribution(copied: Path, tmp_path: Path) -> None:
    """Not even if the folder has them, as that of a person who has tried hubgate."""
    extra = ["certs/hub-key.pem", "state/routes.db", "state/api.token", "build/lib/x.py"]
    for name in extra:
        (copied / name).parent.mkdir(parents=True, exist_ok=True)
        (copied / name).write_text("secret")
    try:
        names = sdist_files(build(copied, tmp_path / "dist"))
    finally:
        for name in extra:
            (copied / name).unlink()
    assert not [
        name for name in names if name.suffix in KEYS or name.parts[0] in ("build", "state")
    ]


def test_every_file_of_the_package_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["hubgate"]
    package = ROOT / "proxy" / "hubgate"
    taken = {path for pattern in ["**/*.py", *patterns] for path in package.glob(pattern)}
    there = {each for each in package.rglob("*") if each.is_file() and each.suffix != ".pyc"}
    assert there - taken == set()

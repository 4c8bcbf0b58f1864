"""The readme of a distribution: README.md, whose links to files work only where the files are."""

import re
from pathlib import Path

from setuptools import setup

LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:)([^)#]+)(#[^)]*)?\)")
# What a checkout begins with; who reads the page has none.
MAKE = re.compile(r"^    make run.*\n    make test.*\n", re.MULTILINE)
WHERE = "Files named here are in the source distribution of this package.\n"


def named(link: re.Match[str]) -> str:
    """Return a link to a file as text that names the file."""
    text, path, _ = link.groups()
    return f"`{path}`" if text in (path, path.rstrip("/")) else f"{text}: `{path}`"


def readme() -> str:
    """Return README.md without links to files, and as it begins where it is not a checkout's."""
    text = Path(__file__).with_name("README.md").read_text("utf-8")
    text = MAKE.sub("    pip install hubgate\n", text, count=1)
    return f"{LINK.sub(named, text)}\n{WHERE}"


setup(long_description=readme(), long_description_content_type="text/markdown")

"""What git tracks, in a folder of its own, and the distributions that are built from it."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.environment import clean_environment

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path("proxy/hubgate")


def tracked() -> list[Path]:
    """Return all that git tracks and that is there, relative to the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    named = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    return [path for path in named if (ROOT / path).is_file()]


def package_files() -> set[Path]:
    """Return the files of the package as git tracks them, relative to it."""
    return {path.relative_to(PACKAGE) for path in tracked() if path.is_relative_to(PACKAGE)}


def copy(folder: Path) -> Path:
    """Copy what git tracks: a build leaves nothing in the repository, and takes nothing from it."""
    for path in tracked():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    return folder


@dataclass(frozen=True)
class Distributions:
    """A source distribution, and the wheel that was built from it."""

    sdist: Path
    wheel: Path


def build(source: Path, folder: Path) -> Distributions:
    """Build both into `folder`, with the setuptools of the tests' own environment."""
    # Neither --sdist nor --wheel: `build` then makes the wheel from the source distribution.
    command = [sys.executable, "-P", "-m", "build", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run(
        [*command, str(source)],
        cwd=folder.parent,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Distributions(sdist, wheel)

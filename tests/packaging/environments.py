"""Fresh virtual environments, and what is installed in them."""

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tests.environment import clean_environment


@dataclass(frozen=True)
class Environment:
    """A virtual environment without pip: that of the tests installs into it."""

    folder: Path

    @property
    def packages(self) -> Path:
        """The folder that modules are installed in."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"

    def program(self, name: str) -> str:
        """Return the path of a command that is installed here, python included."""
        return str(self.folder / "bin" / name)

    def run(self, *command: str) -> str:
        """Run one of its commands in its folder; return what it prints. Fails if it does."""
        name, *arguments = command
        return _run([self.program(name), *arguments], self.folder)

    def install(self, *what: str) -> None:
        """Let pip install what is on this machine. Fails if it cannot."""
        pip = [sys.executable, "-P", "-m", "pip", "--python", self.program("python")]
        # Without it, pip takes what the tests' environment has for installed here.
        kept_apart = ("--ignore-installed", "--no-deps", "--no-index", "--no-build-isolation")
        _run([*pip, "install", *kept_apart, *what], self.folder)


def create(folder: Path) -> Environment:
    """Make an environment that has what hubgate depends on, but not hubgate."""
    _run([sys.executable, "-P", "-m", "venv", "--without-pip", str(folder)], folder.parent)
    environment = Environment(folder)
    # Modules are found there, but the .pth files in it are not read: the hubgate that is
    # installed there for editing stays out.
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (environment.packages / "borrowed.pth").write_text("".join(f"{path}\n" for path in borrowed))
    return environment


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment({"PYTHONDONTWRITEBYTECODE": "1"}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout

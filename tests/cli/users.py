"""Other users of this machine, whom root can be, and hubgate's commands as they run them."""

import os
import pwd
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.running import PATIENCE, Proxy

ROOT = Path(__file__).resolve().parents[2]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class User:
    """A user without an account, with a home of its own that nobody else can enter."""

    uid: int
    home: Path
    python: str

    def environment(self, **more: str) -> dict[str, str]:
        """Return an environment that has a home, and what makes our code importable."""
        path = os.pathsep.join((str(ROOT / "proxy"), sysconfig.get_path("purelib")))
        return {"HOME": str(self.home), "PATH": os.defpath, "PYTHONPATH": path, **more}

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run `proxyctl` to its end."""
        return subprocess.run(
            [self.python, "-P", "-m", "hubgate", *args],
            cwd=self.home,
            env=self.environment(),
            user=self.uid,
            group=self.uid,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def start(
        self, *command: str, stdin: int = subprocess.DEVNULL, **variables: str
    ) -> subprocess.Popen[bytes]:
        """Start a command of Python's; its output goes to `proxy.log` at home."""
        with (self.home / "proxy.log").open("wb") as output:
            return subprocess.Popen(
                [self.python, "-P", *command],
                cwd=self.home,
                env=self.environment(**variables),
                user=self.uid,
                group=self.uid,
                stdin=stdin,
                stdout=output,
                stderr=output,
            )

    @contextmanager
    def running(self, *flags: str, **variables: str) -> Iterator[Proxy]:
        """Run the drop-in until the block ends."""
        process = self.start("-m", "hubgate.cli.chp", *flags, **variables)
        proxy = Proxy(process, self.home / "proxy.log")
        try:
            proxy.wait_for("Proxy API at ")
            yield proxy
        finally:
            process.terminate()
            process.wait(PATIENCE)


@contextmanager
def new_users(count: int) -> Iterator[list[User]]:
    """Give users that nobody else on this machine is; skips the test where that cannot be.

    Their homes are not below `tmp_path`, which pytest closes to other users.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    choice = (os.path.realpath(sys.executable), f"/usr/bin/{VERSION}")
    python = next(filter(for_everybody, choice), "")
    if not python or not for_everybody(str(ROOT / "proxy")):
        pytest.skip("other users can run neither this Python nor our code")
    known = {each.pw_uid for each in pwd.getpwall()} | set(running_users())
    uids = (uid for uid in range(300_000 + os.getpid() % 10_000 * 8, 400_000) if uid not in known)
    with tempfile.TemporaryDirectory(prefix="users-of-hubgate-") as folder:
        os.chmod(folder, 0o711)
        yield [new_user(Path(folder), next(uids), python) for _ in range(count)]


def new_user(folder: Path, uid: int, python: str) -> User:
    home = folder / str(uid)
    home.mkdir(0o700)
    os.chown(home, uid, uid)
    return User(uid, home, python)


def for_everybody(path: str) -> bool:
    """Return whether any user can come to a file and execute it, or enter a folder."""
    way = (Path(path), *Path(path).parents)
    return all(each.exists() and each.stat().st_mode & 0o001 for each in way)


def running_users() -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            yield entry.stat().st_uid
        except FileNotFoundError:  # it has ended
            continue

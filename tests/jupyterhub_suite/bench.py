"""What the suite runs on, all of it below build/: an environment, CHP, a copy of hubgate."""

import os
import shutil
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
BUILD = ROOT / "build" / "jupyterhub-suite"
CHP = "configurable-http-proxy"
CHP_VERSION = "5.3.0"
PRINT_VERSIONS = """
import sys
from importlib.metadata import version
for name in sys.argv[1:]:
    print(name, version(name))
"""
LISTED = ("jupyterhub", "pytest", "pytest-asyncio", "tornado", "jupyterlab")

# What would change the tests' own start of the hub and of its proxy.
FOREIGN = ("CONFIGPROXY_", "HUBGATE_", "JUPYTERHUB_", "PYTEST_", "PYTHON", "SSL_ENABLED", "PATH")


class Proxy(Enum):
    """What `configurable-http-proxy` is on the tests' PATH."""

    CHP = "chp"
    HUBGATE = "hubgate"


@dataclass(frozen=True)
class Bench:
    """An environment ready to run JupyterHub's tests behind either proxy."""

    environment: Path
    node_programs: Path

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    def tests(self) -> Path:
        """Return the folder with the tests that JupyterHub's wheel brought."""
        (found,) = self.environment.glob("lib/python*/site-packages/jupyterhub/tests")
        return found

    def variables(self, proxy: Proxy) -> dict[str, str]:
        """Return the environment variables of a run behind `proxy`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        folders = [str(self.environment / "bin"), os.environ["PATH"]]
        if proxy is Proxy.CHP:
            folders.insert(0, str(self.node_programs))
        return kept | {"PATH": os.pathsep.join(folders)}

    def versions(self) -> dict[str, str]:
        """Return the version of everything that has a say in the result."""
        lines = run_quietly([self.python, "-c", PRINT_VERSIONS, *LISTED, "hubgate"]).splitlines()
        found = dict(line.split() for line in lines)
        found["python"] = sys.version.split()[0]
        if self.node_programs.exists():
            found["node"] = run_quietly(["node", "--version"]).strip().removeprefix("v")
            found[CHP] = CHP_VERSION
        return found

    def require(self, proxy: Proxy) -> None:
        """Raise SystemExit unless the command on PATH is the proxy it should be."""
        variables = self.variables(proxy)
        program = shutil.which(CHP, path=variables["PATH"])
        said = run_quietly([program or CHP, "--version"], variables).strip()
        versions = self.versions()
        expected = CHP_VERSION if proxy is Proxy.CHP else versions["hubgate"]
        if said != expected:
            raise SystemExit(f"{program} is version {said}, not {proxy.value} {expected}")


def prepare(with_chp: bool) -> Bench:
    """Install what is missing, and hubgate anew; raises SystemExit if that is not possible."""
    bench = Bench(BUILD / "venv", BUILD / "node" / "node_modules" / ".bin")
    install_requirements(bench)
    pip(bench, "--force-reinstall", "--no-deps", copy_of_hubgate())
    if with_chp:
        install_chp(bench)
    return bench


def install_requirements(bench: Bench) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = "\n".join(project["dependencies"])
    wanted = (HERE / "requirements.txt").read_text() + own
    stamp = bench.environment / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    venv.create(bench.environment, clear=True, with_pip=True)
    pip(bench, "--requirement", HERE / "requirements.txt", copy_of_hubgate())
    allow_root(bench)
    stamp.write_text(wanted)


def allow_root(bench: Bench) -> None:
    """Let notebook servers start for root too; JupyterHub's tests do not ask for it."""
    folder = bench.environment / "etc" / "jupyter"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jupyter_server_config.json").write_text('{"ServerApp": {"allow_root": true}}\n')


def copy_of_hubgate() -> Path:
    """Return a copy, so that nobody's editing reaches a run that is under way."""
    source = BUILD / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "proxy", source / "proxy", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    return source


def install_chp(bench: Bench) -> None:
    package = bench.node_programs.parent / CHP / "package.json"
    if package.exists() and f'"version": "{CHP_VERSION}"' in package.read_text():
        return
    folder = bench.node_programs.parents[1]
    folder.mkdir(parents=True, exist_ok=True)
    quiet = ("--no-audit", "--no-fund")
    run_quietly(["npm", "install", "--prefix", folder, *quiet, f"{CHP}@{CHP_VERSION}"])


def pip(bench: Bench, *arguments: str | Path) -> None:
    run_quietly([bench.python, "-m", "pip", "install", "--quiet", *arguments])


def run_quietly(command: list[str | Path], variables: dict[str, str] | None = None) -> str:
    """Return what `command` prints; raises SystemExit with all it said if it fails."""
    try:
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise SystemExit(f"{command[0]} is needed and not installed") from error
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout

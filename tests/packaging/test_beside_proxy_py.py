"""hubgate and PyPI's proxy.py, whose import name is `proxy`, in one environment."""

import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

import hubgate
from tests.packaging.environments import Environment, create
from tests.packaging.source import Distributions

PROXY_PY = "proxy.py==2.4.10"


@pytest.fixture(scope="module")
def proxy_py(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of proxy.py, from the package index."""
    folder = tmp_path_factory.mktemp("index")
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--only-binary", ":all:", "--dest", str(folder), PROXY_PY],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{PROXY_PY} cannot be had: {done.stderr.strip().splitlines()[-1]}")
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(params=["hubgate first", "proxy.py first"])
def both(
    request: pytest.FixtureRequest, tmp_path: Path, distributions: Distributions, proxy_py: Path
) -> Environment:
    environment = create(tmp_path / "venv")
    wheels = [distributions.wheel, proxy_py]
    if request.param == "proxy.py first":
        wheels.reverse()
    for wheel in wheels:
        environment.install(str(wheel))
    return environment


def found(environment: Environment, name: str) -> Distribution:
    (only,) = distributions(name=name, path=[str(environment.packages)])
    return only


def files(of: Distribution) -> set[Path]:
    """Return what stands in a distribution's RECORD, as paths on this machine."""
    return {Path(str(of.locate_file(file))).resolve() for file in of.files or ()}


def test_no_file_belongs_to_both(both: Environment) -> None:
    ours, theirs = files(found(both, "hubgate")), files(found(both, "proxy.py"))
    assert both.packages / "hubgate" / "__init__.py" in ours
    assert both.packages / "proxy" / "__init__.py" in theirs
    assert ours.isdisjoint(theirs)
    assert not [file for file in ours | theirs if not file.is_file()]


def test_both_work(both: Environment) -> None:
    code = "import hubgate, proxy; print(hubgate.__file__, proxy.__file__)"
    said = both.run("python", "-P", "-c", code).split()
    assert said == [str(both.packages / name / "__init__.py") for name in ("hubgate", "proxy")]
    for command in ("proxyctl", "configurable-http-proxy"):
        assert both.run(command, "--version") == f"{hubgate.__version__}\n"

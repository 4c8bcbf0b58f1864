"""hubgate as people install it, each way in an environment of its own."""

import http.client
import json
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil
import pytest

import hubgate
from tests.environment import clean_environment
from tests.packaging.environments import Environment, create
from tests.packaging.source import PACKAGE, Distributions, package_files
from tests.system.served import serving

DATA = {Path("control/api/openapi.yaml"), Path("control/api/landing.html"), Path("py.typed")}
DATA |= {Path("settings/routes_yaml/example.yaml")}


@dataclass(frozen=True)
class Installed:
    """An environment with hubgate, and where its modules have to be."""

    environment: Environment
    package: Path


@pytest.fixture(scope="module", params=["wheel", "sdist", "editable"])
def installed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installed]:
    environment = create(tmp_path_factory.mktemp(request.param) / "venv")
    if request.param == "editable":
        copied: Path = request.getfixturevalue("copied")
        environment.install("--editable", str(copied))
        yield Installed(environment, copied / PACKAGE)
        return
    distributions: Distributions = request.getfixturevalue("distributions")
    environment.install(str(getattr(distributions, request.param)))
    yield Installed(environment, environment.packages / "hubgate")


@pytest.mark.parametrize("command", ["proxyctl", "configurable-http-proxy"])
def test_commands_say_their_version(installed: Installed, command: str) -> None:
    assert installed.environment.run(command, "--version") == f"{hubgate.__version__}\n"


def test_it_is_the_installed_package_that_is_imported(installed: Installed) -> None:
    code = "import hubgate; print(hubgate.__file__)"
    said = installed.environment.run("python", "-P", "-c", code)
    assert Path(said.strip()) == installed.package / "__init__.py"


def test_nothing_of_the_package_is_missing(installed: Installed) -> None:
    wanted = package_files()
    assert wanted >= DATA
    assert not {path for path in wanted if not (installed.package / path).is_file()}


def test_jupyterhub_finds_its_proxy_class(installed: Installed) -> None:
    code = (
        "from importlib.metadata import distribution\n"
        "import hubgate.jupyterhub\n"
        "(found,) = distribution('hubgate').entry_points.select(group='jupyterhub.proxies')\n"
        "print(found.name, found.load() is hubgate.jupyterhub.HubgateProxy)"
    )
    assert installed.environment.run("python", "-P", "-c", code) == "hubgate True\n"


def test_it_serves(installed: Installed, tmp_path: Path) -> None:
    command = (installed.environment.program("proxyctl"), "serve")
    with serving(tmp_path, "--no-ssl", command=command) as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        connection.request("GET", "/_chp_healthz")
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)) == (200, {"status": "OK"})
        connection.close()
        workers = served.workers
        # Nothing of it runs in another environment.
        for worker in workers:
            assert str(installed.environment.packages) in worker.environ()["PYTHONPATH"]
    assert served.process.returncode == 0
    assert not psutil.wait_procs(workers, 30)[1]


def test_a_wheel_holds_the_package_alone(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as wheel:
        names = [PurePosixPath(name) for name in wheel.namelist()]
    assert {name.parts[0] for name in names} == {
        "hubgate",
        f"hubgate-{hubgate.__version__}.dist-info",
    }
    inside = {Path(*name.parts[1:]) for name in names if name.parts[0] == "hubgate"}
    assert inside == package_files()


def test_a_source_distribution_holds_all_of_the_package(distributions: Distributions) -> None:
    with tarfile.open(distributions.sdist) as sdist:
        names = {PurePosixPath(name) for name in sdist.getnames()}
    top = PurePosixPath(f"hubgate-{hubgate.__version__}") / PACKAGE
    assert not {path for path in package_files() if top / path not in names}


def test_a_first_start_as_the_readme_says(installed: Installed, tmp_path: Path) -> None:
    proxyctl = installed.environment.program("proxyctl")

    def say(*command: str) -> str:
        return subprocess.run(
            [proxyctl, *command],
            cwd=tmp_path,
            env=clean_environment({"XDG_STATE_HOME": str(tmp_path)}),
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert say("init").startswith("made routes.yaml")
    assert "http://127.0.0.1:8081" in say("check")
    with serving(tmp_path, command=(proxyctl, "serve")) as served:
        assert served.call("GET", "/api/routes") == 200
        # Requests are served a moment before the log says where.
        await_line(tmp_path / "serve.log", "to http://127.0.0.1:8081")


def await_line(log: Path, text: str) -> None:
    deadline = time.monotonic() + 30
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)

"""Fixtures: targets, certificates, and proxies that are shared by tests with equal options."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.contract.certificates import Certificates, make_certificates
from tests.contract.harness import Options, RunningProxy, launch
from tests.contract.target import Script, Target


class StartProxy(Protocol):
    """Returns a proxy running with `flags`; `public` and `api` replace the flags of addresses."""

    def __call__(
        self,
        *flags: str,
        env: dict[str, str] | None = None,
        public: tuple[str, ...] | None = None,
        api: tuple[str, ...] | None = None,
    ) -> RunningProxy: ...


class MakeTarget(Protocol):
    """Returns a new target."""

    def __call__(
        self, script: Script | None = None, *, address: tuple[str, int] = ("127.0.0.1", 0)
    ) -> Target: ...


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Options, RunningProxy]]:
    running: dict[Options, RunningProxy] = {}
    yield running
    for proxy in running.values():
        proxy.kill()


@pytest.fixture
def start(
    _running: dict[Options, RunningProxy], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartProxy]:
    """Start a proxy with the flags given, or take the one that other tests had started so.

    It has no routes but those of its flags' own, and loses what the test adds.
    """
    used: list[RunningProxy] = []

    def start_proxy(
        *flags: str,
        env: dict[str, str] | None = None,
        public: tuple[str, ...] | None = None,
        api: tuple[str, ...] | None = None,
    ) -> RunningProxy:
        wanted = Options(flags, tuple((env or {}).items()), public, api)
        if wanted not in _running:
            _running[wanted] = launch(wanted, tmp_path_factory.mktemp("proxy"))
        used.append(_running[wanted])
        return _running[wanted]

    yield start_proxy
    for proxy in used:
        proxy.forget_routes()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[StartProxy]:
    """Start a proxy for this test alone, so that the test may stop it or know its files."""
    started: list[RunningProxy] = []

    def start_proxy(
        *flags: str,
        env: dict[str, str] | None = None,
        public: tuple[str, ...] | None = None,
        api: tuple[str, ...] | None = None,
    ) -> RunningProxy:
        started.append(launch(Options(flags, tuple((env or {}).items()), public, api), tmp_path))
        return started[-1]

    yield start_proxy
    for proxy in started:
        proxy.kill()


@pytest.fixture
def proxy(start: StartProxy) -> RunningProxy:
    """Return a proxy without any flags but its addresses."""
    return start()


@pytest.fixture
def make_target() -> Iterator[MakeTarget]:
    """Make targets, which are stopped after the test."""
    targets: list[Target] = []

    def make(
        script: Script | None = None, *, address: tuple[str, int] = ("127.0.0.1", 0)
    ) -> Target:
        targets.append(Target(script, address=address))
        return targets[-1]

    yield make
    for target in targets:
        target.stop()


@pytest.fixture
def target(make_target: MakeTarget) -> Target:
    """Return a target that answers every request with 200 and `hello`."""
    return make_target()


@pytest.fixture
def x(proxy: RunningProxy, target: Target) -> RunningProxy:
    """Return a proxy without flags that has `target` at /x."""
    proxy.add("/x", target.url)
    return proxy


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return an empty folder for unix sockets: their paths have to be shorter than tmp_path."""
    with tempfile.TemporaryDirectory(prefix="contract-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates made for this run."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))

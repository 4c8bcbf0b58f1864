"""The machines of docs/high-availability.md, with its files: Redis, Sentinel, hubgate, HAProxy."""

import contextlib
import json
import os
import re
import secrets
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.contract.harness import accepts
from tests.contract.polling import eventually
from tests.environment import clean_environment
from tests.processes import kill, workers_of
from tests.replicated.page import PASSWORDS, Place, block
from tests.system.balancer import HAPROXY
from tests.system.served import PROXYCTL

LIMIT = 60.0  # seconds
REDIS, SENTINEL = shutil.which("redis-server"), shutil.which("redis-sentinel")
# The last numbers of the machines' addresses.
BALANCER, HUBGATES, REDISES, HUB = 10, (11, 12, 13), (21, 22, 23), 30

# All of 127.0.0.0/8 is this machine on Linux alone.
needs_parts = pytest.mark.skipif(
    sys.platform != "linux" or None in (REDIS, SENTINEL, HAPROXY),
    reason="needs Linux, redis-server, redis-sentinel and HAProxy (make test installs them)",
)


class Machines:
    """The page's machines; each process is started by its number and ends with the test."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.token = secrets.token_hex(16)
        self._processes: dict[str, psutil.Popen] = {}

    def prepare(self) -> None:
        """Write the files that all of them share: certificate, token, passwords."""
        folder, host = self.place.folder, self.place.host(BALANCER)
        hosts = [host, *map(self.place.host, HUBGATES)]
        options = [option for each in hosts for option in ("--host", each)]
        subprocess.run(
            [PROXYCTL, "certs", "--dir", str(folder), *options], check=True, capture_output=True
        )
        shutil.copy(folder / "hub.pem", folder / "api.pem")
        shutil.copy(folder / "hub-key.pem", folder / "api-key.pem")
        # HAProxy wants both in one file.
        pair = (folder / "api.pem").read_text() + (folder / "api-key.pem").read_text()
        (folder / "hub.pem").write_text(pair)
        (folder / "api.token").write_text(self.token)
        (folder / "users.acl").write_text(block("Redis and Sentinel", "acl"))
        (folder / "redis.password").write_text(f"{PASSWORDS[0]}-PASSWORD\n")
        (folder / "sentinel.password").write_text("SENTINEL-PASSWORD\n")
        for name in ("api.token", "redis.password", "sentinel.password"):
            (folder / name).chmod(0o600)

    # --- Redis -------------------------------------------------------------------------------

    def start_redis(self, number: int) -> None:
        """Start a Redis, the first as master."""
        folder = self._folder(f"redis-{number}")
        config = folder / "redis.conf"
        if not config.exists():
            text = block("Redis and Sentinel", "redis").replace("10.0.0.21", f"10.0.0.{number}")
            text = text.replace("/etc/redis/users.acl", str(self.place.folder / "users.acl"))
            if number != REDISES[0]:
                text += "replicaof 10.0.0.21 6379\n"
            config.write_text(self.place.own(text, folder))
        assert REDIS is not None
        self._start(f"redis-{number}", [REDIS, str(config)])
        self._listens(number, "6379")

    def start_sentinel(self, number: int) -> None:
        """Start the sentinel beside a Redis."""
        folder = self._folder(f"sentinel-{number}")
        text = block("Redis and Sentinel", "sentinel")
        own = re.sub(r"(?m)^(bind|sentinel announce-ip) .*", rf"\1 10.0.0.{number}", text)
        (folder / "sentinel.conf").write_text(self.place.own(own, folder))
        assert SENTINEL is not None
        self._start(f"sentinel-{number}", [SENTINEL, str(folder / "sentinel.conf")])
        self._listens(number, "26379")

    def start_store(self) -> None:
        """Start every Redis and every sentinel; return when they know each other."""
        for number in REDISES:
            self.start_redis(number)
        for number in REDISES:
            self.start_sentinel(number)
        assert eventually(lambda: all(self._knows_all(number) for number in REDISES), LIMIT), (
            self.log(f"sentinel-{REDISES[0]}")
        )

    def _knows_all(self, number: int) -> bool:
        found = self.sentinel(number, "master", "hub")
        return "num-slaves\n2\n" in found and "num-other-sentinels\n2\n" in found

    def sentinel(self, number: int, *words: str) -> str:
        """Return what a sentinel answers."""
        return self._redis_cli(number, "26379", "SENTINEL-PASSWORD", "sentinel", *words)

    def master(self) -> int:
        """Return the number of the machine that the first sentinel holds for the master's."""
        answer = self.sentinel(REDISES[0], "get-master-addr-by-name", "hub")
        return int(answer.split()[0].rpartition(".")[2])

    def _redis_cli(self, number: int, port: str, password: str, *words: str) -> str:
        host, at = self.place.at(number, port)
        return subprocess.run(
            ["redis-cli", "-h", host, "-p", str(at), *words],
            env=os.environ | {"REDISCLI_AUTH": password},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        ).stdout

    # --- hubgate -----------------------------------------------------------------------------

    def start_hubgate(self, number: int) -> None:
        """Start a hubgate with the page's file, without waiting for it.

        Every address, "*", is its own one, and its name is not that of the machine: the others
        are on this machine, too.
        """
        name = f"proxy-{number}"
        text = self.place.own(block("hubgate", "yaml")).replace('"*"', self.place.host(number))
        self.serve(name, f"{text}replicas: {{name: {name}}}\n")

    def serve(self, name: str, text: str) -> None:
        """Start a hubgate with a file of its own."""
        folder = self._folder(name)
        (folder / "routes.yaml").write_text(text)
        environment = clean_environment({"XDG_STATE_HOME": str(folder / "state")})
        self._start(name, [PROXYCTL, "serve", str(folder / "routes.yaml")], environment)

    def wait_for_hubgates(self, *numbers: int) -> None:
        """Return when they are ready."""
        for number in numbers or HUBGATES:
            assert eventually(lambda at=number: self.is_ready(at), LIMIT), self.log(
                f"proxy-{number}"
            )

    def is_ready(self, number: int) -> bool:
        """Say whether a hubgate is, as the balancer asks."""
        host, port = self.place.at(number, "8003")
        return self.answers(f"http://{host}:{port}/_hubgate/ready")

    def answers(self, url: str) -> bool:
        """Say whether a page is there."""
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def kill_hubgate(self, number: int) -> None:
        """Kill its supervisor and its workers at once."""
        process = self._processes.pop(f"proxy-{number}")
        family = [process, *workers_of(process)]
        kill(family)
        psutil.wait_procs(family, timeout=LIMIT)

    def api(self, number: int) -> str:
        """Return the address of a machine's API, the balancer's too."""
        host, port = self.place.at(number, "8001")
        return f"{'https' if self._has_tls else 'http'}://{host}:{port}"

    def ask(self, number: int, method: str, path: str = "", body: object = None) -> Any:
        """Ask a machine's API for routes, and return them if that is what it answers."""
        request = urllib.request.Request(
            f"{self.api(number)}/api/routes{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=30, context=self._trusting()) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def changes(self, number: int, method: str, path: str, body: object = None) -> None:
        """Change a route as a hub does, which repeats what was answered with a 5xx."""

        def done() -> bool:
            try:
                self.ask(number, method, path, body)
            except OSError as error:
                if getattr(error, "code", 500) < 500:
                    raise
                return False
            return True

        assert eventually(done, LIMIT)

    def proxyctl(self, *words: str) -> str:
        """Run a command of the page's shell; return what it prints."""
        done = subprocess.run(
            [PROXYCTL, *words], capture_output=True, text=True, cwd=self.place.folder, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def upgrade(self, number: int) -> None:
        """Upgrade a hubgate to the release that is installed."""
        files = ("--token-file", "api.token", "--ca", "ca.pem")
        self.proxyctl("upgrade", "--api-url", self.api(number), *files)

    @property
    def _authority(self) -> Path:
        return self.place.folder / "ca.pem"

    @property
    def _has_tls(self) -> bool:
        return self._authority.exists()

    def _trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._authority if self._has_tls else None)

    # --- the balancer ------------------------------------------------------------------------

    def start_balancer(self) -> None:
        """Start HAProxy with the page's file, and a log that names each request's server."""
        text = self.place.own(block("HAProxy", "haproxy"))
        text = text.replace("global\n", "global\n    log stdout format raw local0 info\n", 1)
        logged = "defaults\n    log global\n    option httplog\n    option logasap\n"
        config = self.place.folder / "haproxy.cfg"
        # As many connections as this user may have files for.
        text = text.replace("defaults\n", logged, 1).replace("maxconn 20000", "maxconn 500")
        config.write_text(text)
        assert HAPROXY is not None
        self._start("haproxy", [HAPROXY, "-f", str(config), "-db"])
        self._listens(BALANCER, "443")
        self._listens(BALANCER, "8001")

    def server_of(self, url: str) -> int:
        """Return the number of the hubgate that the balancer sent the latest such request to."""
        path = url.partition("://")[2].partition("/")[2]
        found = re.findall(rf' hubgates/proxy-(\d) .*"GET /{re.escape(path)} ', self.log("haproxy"))
        return HUBGATES[int(found[-1]) - 1]

    # --- processes ---------------------------------------------------------------------------

    def log(self, name: str) -> str:
        """Return what a process has said."""
        return (self.place.folder / f"{name}.log").read_text()

    def kill(self, name: str) -> None:
        """End a process as a power cut does."""
        process = self._processes.pop(name)
        process.kill()
        process.wait(LIMIT)

    def stop(self, name: str) -> None:
        """End a process with SIGTERM."""
        process = self._processes.pop(name)
        process.terminate()
        process.wait(LIMIT)

    def run(
        self, name: str, command: list[str], variables: Mapping[str, str] | None = None
    ) -> None:
        """Start a command of somebody else's."""
        self._start(name, command, clean_environment(variables))

    def end(self) -> None:
        """End all that run."""
        family = [
            each
            for process in self._processes.values()
            for each in (process, *process.children(recursive=True))
        ]
        kill(family)
        psutil.wait_procs(family, timeout=LIMIT)

    def _start(
        self, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> None:
        with (self.place.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = psutil.Popen(
                command,
                cwd=self._folder(name),
                env=environment or clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _listens(self, number: int, port: str) -> None:
        place = self.place.at(number, port)
        assert eventually(lambda: accepts(place), LIMIT), (place, port)

    def _folder(self, name: str) -> Path:
        folder = self.place.folder / name
        folder.mkdir(exist_ok=True)
        return folder


@contextlib.contextmanager
def machines(folder: Path) -> Iterator[Machines]:
    """Have the machines of the page in `folder`, with nothing started yet."""
    made = Machines(Place(folder))
    made.prepare()
    try:
        yield made
    finally:
        made.end()

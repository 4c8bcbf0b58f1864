"""The proxies that are compared, each started with the settings to forward to one backend."""

import contextlib
import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.api import TOKEN, Api
from benchmarks.catalogue import BEFORE, HUBGATE
from benchmarks.crowd import ROUTES
from benchmarks.processes import free_port, running

CHP = Path("build/chp-5.3.0/node_modules/configurable-http-proxy/bin/configurable-http-proxy")
DROP_IN = Path(sys.executable).with_name("configurable-http-proxy")
# This variable names the folder of another checkout of hubgate, which has its own `.venv`.
OTHER_CHECKOUT = "BEFORE"
# A tunnel takes two descriptors; a few are for other uses.
OPEN_FILES = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
TUNNELS_PER_PROCESS = (OPEN_FILES - 400) // 2


@dataclass(frozen=True)
class Site:
    """What every contender gets: the backend's port, a folder, a certificate.

    Nothing listens on the port `down`, at any time.
    """

    backend: int
    down: int
    folder: Path
    cert: Path
    key: Path

    @property
    def target(self) -> str:
        """The backend's URL."""
        return f"http://127.0.0.1:{self.backend}"


@dataclass(frozen=True)
class Setup:
    """How a contender is started; it ignores what it does not support."""

    tls: bool = False
    workers: int = 1
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Running:
    """A started contender: its process, its public port, its API's port if it has one."""

    process: psutil.Process
    port: int
    api_port: int = 0

    def api(self) -> Api:
        """Return a connection to its API for routes."""
        return Api(self.api_port)


Start = Callable[[Site, Setup], AbstractContextManager[Running]]


@dataclass(frozen=True)
class Contender:
    """`start` runs it; `present` is whether it is installed.

    `has_api`: it has the API for routes. `shares`: it can run several processes on one port,
    which together may open more files than one.
    """

    name: str
    start: Start
    present: bool
    version: Callable[[], list[str]]
    has_api: bool = False
    shares: bool = False

    def tunnels(self, wanted: int) -> int:
        """Return how many of the `wanted` tunnels it can hold."""
        return wanted if self.shares else min(wanted, TUNNELS_PER_PROCESS)


@contextlib.contextmanager
def _nginx(site: Site, setup: Setup) -> Iterator[Running]:
    port = free_port()
    ssl = f"ssl_certificate {site.cert}; ssl_certificate_key {site.key};" if setup.tls else ""
    # Each worker gets its own socket, else the first one would take nearly all connections.
    options = f"{'ssl' if setup.tls else ''} {'reuseport' if setup.workers > 1 else ''}"
    config = site.folder / f"nginx-{port}.conf"
    config.write_text(f"""
user root; worker_processes {setup.workers};
daemon off; pid {site.folder}/nginx-{port}.pid; error_log stderr crit;
worker_rlimit_nofile {OPEN_FILES};
events {{ worker_connections 32768; }}
http {{
  access_log off; client_max_body_size 0; keepalive_requests 1000000000;
  proxy_max_temp_file_size 0;
  proxy_temp_path {site.folder}/nginx-temp; client_body_temp_path {site.folder}/nginx-body;
  map $http_upgrade $conn {{ default upgrade; '' ''; }}
  upstream backend {{
    server 127.0.0.1:{site.backend}; keepalive 64; keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096 {options}; {ssl}
    location / {{
      proxy_pass http://backend; proxy_http_version 1.1; proxy_read_timeout 1h;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $conn;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Port $server_port;
    }}
  }}
}}
""")
    with running(["nginx", "-c", str(config)], site.folder, [port]) as process:
        yield Running(process, port)


@contextlib.contextmanager
def _haproxy(site: Site, setup: Setup) -> Iterator[Running]:
    port = free_port()
    pem = site.folder / "haproxy.pem"
    pem.write_bytes(site.cert.read_bytes() + site.key.read_bytes())
    config = site.folder / f"haproxy-{port}.cfg"
    config.write_text(f"""
global
  maxconn {TUNNELS_PER_PROCESS + 50}
  nbthread 1
defaults
  mode http
  option forwardfor
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend public
  bind 127.0.0.1:{port} {f"ssl crt {pem}" if setup.tls else ""}
  default_backend target
backend target
  http-reuse always
  server one 127.0.0.1:{site.backend}
""")
    with running(["haproxy", "-db", "-f", str(config)], site.folder, [port]) as process:
        yield Running(process, port)


@contextlib.contextmanager
def _caddy(site: Site, setup: Setup) -> Iterator[Running]:
    port = free_port()
    config = site.folder / f"Caddyfile-{port}"
    scheme, line = ("https", f"tls {site.cert} {site.key}") if setup.tls else ("http", "")
    config.write_text(f"""
{{
  admin off
  auto_https disable_redirects
  default_sni 127.0.0.1
}}
{scheme}://127.0.0.1:{port} {{
  bind 127.0.0.1
  {line}
  reverse_proxy 127.0.0.1:{site.backend}
}}
""")
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)]
    # One core, like all the others: Go would start a thread on each.
    env = {"GOMAXPROCS": "1", "XDG_DATA_HOME": str(site.folder), "HOME": str(site.folder)}
    with running(command, site.folder, [port], env) as process:
        yield Running(process, port)


def _configurable(command: list[str], has_workers: bool) -> Start:
    @contextlib.contextmanager
    def start(site: Site, setup: Setup) -> Iterator[Running]:
        port, api_port = free_port(), free_port()
        flags = ["--ip", "127.0.0.1", "--port", str(port), "--api-ip", "127.0.0.1"]
        flags += ["--api-port", str(api_port), "--default-target", site.target]
        flags += ["--log-level", "error", *setup.flags]
        if has_workers:
            flags += ["--workers", str(setup.workers)]
        if setup.tls:
            flags += ["--ssl-cert", str(site.cert), "--ssl-key", str(site.key)]
        # Its own state folder: a killed run must not leave routes for a real proxy.
        env = {"CONFIGPROXY_AUTH_TOKEN": TOKEN, "XDG_STATE_HOME": str(site.folder)}
        with running([*command, *flags], site.folder, [port, api_port], env) as process:
            started = Running(process, port, api_port)
            _add_routes(started, site)
            yield started

    return start


def _add_routes(started: Running, site: Site) -> None:
    api = started.api()
    api.call("POST", "/down", f"http://127.0.0.1:{site.down}")
    for number in range(ROUTES):
        api.call("POST", f"/user/somebody-{number}", site.target)


def contenders() -> list[Contender]:
    """Return all contenders, hubgate first."""
    chp = [shutil.which("node") or "node", os.path.abspath(CHP)]
    has_chp = CHP.exists() and _installed("node")
    own_version = [sys.executable, "-P", "-m", "hubgate", "--version"]
    start = _configurable([str(DROP_IN)], has_workers=True)
    before = Path(os.environ.get(OTHER_CHECKOUT) or os.devnull, ".venv", "bin", DROP_IN.name)
    start_before = _configurable([str(before)], has_workers=True)
    return [
        Contender(HUBGATE, start, True, lambda: own_version, has_api=True, shares=True),
        Contender(BEFORE, start_before, before.exists(), lambda: [str(before), "--version"],
                  has_api=True, shares=True),
        Contender("CHP", _configurable(chp, has_workers=False), has_chp,
                  lambda: [*chp, "--version"], has_api=True),
        Contender("Caddy", _caddy, _installed("caddy"), lambda: ["caddy", "version"]),
        Contender("nginx", _nginx, _installed("nginx"), lambda: ["nginx", "-v"], shares=True),
        Contender("HAProxy", _haproxy, _installed("haproxy"), lambda: ["haproxy", "-v"]),
    ]  # fmt: skip


def _installed(name: str) -> bool:
    return shutil.which(name) is not None

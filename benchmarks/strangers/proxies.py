"""The proxies under attack, as they come: their own defaults for every limit that has one."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.api import TOKEN, Api
from benchmarks.contenders import CHP, DROP_IN
from benchmarks.processes import free_port, running
from benchmarks.strangers.places import COUNTED, DOWN, EVIL, HEALTH, HONEST, Port
from benchmarks.strangers.priority import PROXY, favour

ERROR_PAGE = b"<!doctype html>" + b"x" * 20_000


@dataclass(frozen=True)
class Ground:
    """What every proxy gets: a folder, a certificate, and the ports of its targets.

    Nothing listens on `down`, at any time.
    """

    folder: Path
    cert: Path
    key: Path
    honest: int
    evil: int
    down: int
    counted: int

    @property
    def routes(self) -> dict[str, str]:
        """The prefixes and the URL behind each."""
        ports = {
            HONEST: self.honest, EVIL: self.evil, DOWN: self.down, COUNTED: self.counted
        }  # fmt: skip
        return {path: f"http://127.0.0.1:{port}" for path, port in ports.items()}

    @property
    def pages(self) -> Path:
        """A folder with an error page of 20 KB."""
        folder = self.folder / "pages"
        folder.mkdir(exist_ok=True)
        for name in ("404.html", "503.html", "error.html"):
            (folder / name).write_bytes(ERROR_PAGE)
        return folder


@dataclass(frozen=True)
class Wish:
    """How a proxy is started: with TLS (and a port that redirects to it), with an error page."""

    tls: bool = False
    page: bool = False


@dataclass(frozen=True)
class Attacked:
    """A started proxy: its process and its ports."""

    process: psutil.Process
    ports: Mapping[Port, int]


Begin = Callable[[Ground, Wish], AbstractContextManager[Attacked]]


@contextlib.contextmanager
def _nginx(ground: Ground, wish: Wish) -> Iterator[Attacked]:
    ports = {Port.PUBLIC: free_port(), Port.REDIRECT: free_port()}
    ssl = f"ssl_certificate {ground.cert}; ssl_certificate_key {ground.key};" if wish.tls else ""
    page = f"error_page 404 /404.html; root {ground.pages};" if wish.page else ""
    public = ports[Port.PUBLIC]
    upstreams = "\n".join(
        f"upstream to{path[1:]} {{ server {url.removeprefix('http://')}; keepalive 64; }}"
        for path, url in ground.routes.items()
    )
    locations = "\n".join(
        f"location {path} {{ proxy_pass http://to{path[1:]}; proxy_http_version 1.1;"
        " proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $conn; }"
        for path in ground.routes
    )
    config = ground.folder / f"nginx-{public}.conf"
    config.write_text(f"""
user root; worker_processes 1; daemon off; worker_rlimit_nofile 16384;
pid {ground.folder}/nginx-{public}.pid; error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  proxy_temp_path {ground.folder}/nginx-temp; client_body_temp_path {ground.folder}/nginx-body;
  map $http_upgrade $conn {{ default upgrade; '' ''; }}
  {upstreams}
  server {{
    listen 127.0.0.1:{public} backlog=4096 {"ssl" if wish.tls else ""}; {ssl}
    {page}
    {locations}
    location = {HEALTH} {{ return 200; }}
    location / {{ return 404; }}
    location = /404.html {{ }}
  }}
  server {{
    listen 127.0.0.1:{ports[Port.REDIRECT]};
    location / {{ return 301 https://127.0.0.1:{public}$request_uri; }}
  }}
}}
""")
    with running(["nginx", "-c", str(config)], ground.folder, [public]) as process:
        yield Attacked(process, ports)


@contextlib.contextmanager
def _haproxy(ground: Ground, wish: Wish) -> Iterator[Attacked]:
    ports = {Port.PUBLIC: free_port(), Port.REDIRECT: free_port()}
    public = ports[Port.PUBLIC]
    pem = ground.folder / "haproxy.pem"
    pem.write_bytes(ground.cert.read_bytes() + ground.key.read_bytes())
    uses = "\n".join(
        f"  use_backend to{path[1:]} if {{ path_beg {path} }}" for path in ground.routes
    )
    backends = "\n".join(
        f"backend to{path[1:]}\n  server one {url.removeprefix('http://')}"
        for path, url in ground.routes.items()
    )
    file = f" content-type text/html file {ground.pages}/404.html" if wish.page else ""
    config = ground.folder / f"haproxy-{public}.cfg"
    # It has no time limits of its own: these are the ones that Debian installs. A page has to fit
    # into one buffer.
    config.write_text(f"""
global
  maxconn 8000
  nbthread 1
  tune.bufsize {32768 if wish.page else 16384}
defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
frontend public
  bind 127.0.0.1:{public} {f"ssl crt {pem}" if wish.tls else ""}
  monitor-uri {HEALTH}
{uses}
  default_backend nowhere
frontend redirecting
  bind 127.0.0.1:{ports[Port.REDIRECT]}
  http-request redirect scheme https code 301
{backends}
backend nowhere
  http-request return status 404{file}
""")
    with running(["haproxy", "-db", "-f", str(config)], ground.folder, [public]) as process:
        yield Attacked(process, ports)


@contextlib.contextmanager
def _caddy(ground: Ground, wish: Wish) -> Iterator[Attacked]:
    port = free_port()
    scheme, line = ("https", f"tls {ground.cert} {ground.key}") if wish.tls else ("http", "")
    handles = "\n".join(
        f"  handle {path}/* {{\n    reverse_proxy {url}\n  }}"
        for path, url in ground.routes.items()
    )
    error = (
        f"  root * {ground.pages}\n  rewrite * /404.html\n  file_server {{\n    status 404\n  }}"
    )
    config = ground.folder / f"Caddyfile-{port}"
    config.write_text(f"""
{{
  admin off
  auto_https disable_redirects
  default_sni 127.0.0.1
}}
{scheme}://127.0.0.1:{port} {{
  bind 127.0.0.1
  {line}
{handles}
  handle {HEALTH} {{
    respond 200
  }}
  handle {{
{error if wish.page else "    respond 404"}
  }}
}}
""")
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)]
    # One core, like all the others: Go would start a thread on each.
    env = {"GOMAXPROCS": "1", "XDG_DATA_HOME": str(ground.folder), "HOME": str(ground.folder)}
    with running(command, ground.folder, [port], env) as process:
        yield Attacked(process, {Port.PUBLIC: port})


def _configurable(command: list[str]) -> Begin:
    @contextlib.contextmanager
    def begin(ground: Ground, wish: Wish) -> Iterator[Attacked]:
        ports = {each: free_port() for each in Port if each is not Port.REDIRECT or wish.tls}
        public, api = ports[Port.PUBLIC], ports[Port.API]
        flags = ["--ip", "127.0.0.1", "--port", str(public), "--api-ip", "127.0.0.1"]
        flags += ["--api-port", str(api), "--metrics-ip", "127.0.0.1"]
        flags += ["--metrics-port", str(ports[Port.METRICS]), "--log-level", "error"]
        if wish.tls:
            flags += ["--ssl-cert", str(ground.cert), "--ssl-key", str(ground.key)]
            flags += ["--redirect-port", str(ports[Port.REDIRECT])]
        if wish.page:
            flags += ["--error-path", str(ground.pages)]
        env = {"CONFIGPROXY_AUTH_TOKEN": TOKEN, "XDG_STATE_HOME": str(ground.folder)}
        with running([*command, *flags], ground.folder, [public, api], env) as process:
            calls = Api(api)
            for path, url in ground.routes.items():
                calls.call("POST", path, url)
            yield Attacked(process, ports)

    return begin


def beginnings() -> dict[str, Begin]:
    """Return how each contender is started, by its name."""
    chp = [shutil.which("node") or "node", os.path.abspath(CHP)]
    return {
        "hubgate": _configurable([str(DROP_IN)]),
        "CHP": _configurable(chp),
        "Caddy": _caddy,
        "nginx": _nginx,
        "HAProxy": _haproxy,
    }


@contextlib.contextmanager
def attacked(name: str, ground: Ground, wish: Wish) -> Iterator[Attacked]:
    """Start the proxy of that name, before all other programs of the machine."""
    with beginnings()[name](ground, wish) as started:
        favour(started.process, PROXY)
        yield started

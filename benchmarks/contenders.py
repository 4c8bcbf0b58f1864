"""The proxies that are compared, each started with what it needs to forward to one backend."""

import contextlib
import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.processes import free_port, running

CHP = Path("build/chp-5.3.0/node_modules/configurable-http-proxy/bin/configurable-http-proxy")
TOKEN = "benchmark"


@dataclass(frozen=True)
class Site:
    """What a contender forwards to and with: the backend's port, a folder, a certificate."""

    backend: int
    folder: Path
    cert: Path
    key: Path


@dataclass(frozen=True)
class Running:
    """A started contender: its process, its public port, its API's port if it has one."""

    process: psutil.Process
    port: int
    api_port: int = 0

    def call(self, method: str, path: str, target: str | None = None) -> None:
        """Call the REST API for routes."""
        body = None if target is None else json.dumps({"target": target}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.api_port}/api/routes{path}",
            body,
            {"Authorization": f"token {TOKEN}"},
            method=method,
        )
        urllib.request.urlopen(request, timeout=60).read()


Start = Callable[[Site, bool], AbstractContextManager[Running]]


@dataclass(frozen=True)
class Contender:
    """`start` runs it with or without TLS; `present` says whether it is installed."""

    name: str
    start: Start
    present: bool
    version: Callable[[], list[str]]


@contextlib.contextmanager
def _nginx(site: Site, tls: bool) -> Iterator[Running]:
    port = free_port()
    ssl = f"ssl_certificate {site.cert}; ssl_certificate_key {site.key};" if tls else ""
    config = site.folder / f"nginx-{port}.conf"
    config.write_text(f"""
user root; worker_processes 1;
daemon off; pid {site.folder}/nginx-{port}.pid; error_log stderr crit;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
  access_log off; client_max_body_size 0; keepalive_requests 1000000000;
  proxy_temp_path {site.folder}/nginx-temp; client_body_temp_path {site.folder}/nginx-body;
  map $http_upgrade $conn {{ default upgrade; '' ''; }}
  upstream backend {{
    server 127.0.0.1:{site.backend}; keepalive 64; keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096 {"ssl" if tls else ""}; {ssl}
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
def _haproxy(site: Site, tls: bool) -> Iterator[Running]:
    port = free_port()
    pem = site.folder / "haproxy.pem"
    pem.write_bytes(site.cert.read_bytes() + site.key.read_bytes())
    config = site.folder / f"haproxy-{port}.cfg"
    config.write_text(f"""
global
  maxconn 9900
  nbthread 1
defaults
  mode http
  option forwardfor
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend public
  bind 127.0.0.1:{port} {f"ssl crt {pem}" if tls else ""}
  default_backend target
backend target
  http-reuse always
  server one 127.0.0.1:{site.backend}
""")
    with running(["haproxy", "-db", "-f", str(config)], site.folder, [port]) as process:
        yield Running(process, port)


@contextlib.contextmanager
def _caddy(site: Site, tls: bool) -> Iterator[Running]:
    port = free_port()
    config = site.folder / f"Caddyfile-{port}"
    scheme, line = ("https", f"tls {site.cert} {site.key}") if tls else ("http", "")
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
    # One core, as all the others: Go would start a thread on each.
    env = {"GOMAXPROCS": "1", "XDG_DATA_HOME": str(site.folder), "HOME": str(site.folder)}
    with running(command, site.folder, [port], env) as process:
        yield Running(process, port)


def _configurable(command: list[str], *more: str) -> Start:
    @contextlib.contextmanager
    def start(site: Site, tls: bool) -> Iterator[Running]:
        port, api_port = free_port(), free_port()
        target = f"http://127.0.0.1:{site.backend}"
        flags = ["--ip", "127.0.0.1", "--port", str(port), "--api-ip", "127.0.0.1"]
        flags += ["--api-port", str(api_port), "--default-target", target]
        flags += ["--log-level", "error", *more]
        if tls:
            flags += ["--ssl-cert", str(site.cert), "--ssl-key", str(site.key)]
        # A state folder of our own: a killed run must not leave routes for a real one.
        env = {"CONFIGPROXY_AUTH_TOKEN": TOKEN, "XDG_STATE_HOME": str(site.folder)}
        with running([*command, *flags], site.folder, [port, api_port], env) as process:
            yield Running(process, port, api_port)

    return start


def hubgate(*flags: str) -> Start:
    """Return how to start hubgate, with more flags of the drop-in command."""
    drop_in = Path(sys.executable).with_name("configurable-http-proxy")
    return _configurable([str(drop_in)], *flags)


def contenders() -> list[Contender]:
    """Return all contenders, hubgate first."""
    chp = [shutil.which("node") or "node", os.path.abspath(CHP)]
    return [
        Contender("hubgate", hubgate(), True, lambda: [sys.executable, "-m", "proxy", "--version"]),
        Contender("CHP", _configurable(chp), CHP.exists(), lambda: [*chp, "--version"]),
        Contender("Caddy", _caddy, _installed("caddy"), lambda: ["caddy", "version"]),
        Contender("nginx", _nginx, _installed("nginx"), lambda: ["nginx", "-v"]),
        Contender("HAProxy", _haproxy, _installed("haproxy"), lambda: ["haproxy", "-v"]),
    ]


def _installed(name: str) -> bool:
    return shutil.which(name) is not None

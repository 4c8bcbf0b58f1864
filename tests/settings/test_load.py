"""Settings as a whole: the file under the environment under flags."""

import dataclasses
from pathlib import Path

import pytest

from hubgate.errors import ConfigError
from hubgate.model import (
    Address,
    ClientTLS,
    ForwardRules,
    Limits,
    Route,
    RouteOptions,
    Source,
    TcpKeepalive,
    Timeouts,
)
from hubgate.settings import Settings
from hubgate.settings.load import load
from hubgate.settings.routes_yaml import schema
from hubgate.settings.routes_yaml.fields import PRIVATE_NETWORKS
from tests.certificates.made import make_files
from tests.settings.reading import Read, lines_of

# --- what settings come out -------------------------------------------------------------------


def test_without_anything_the_defaults_hold() -> None:
    assert load(None, {}, {}) == Settings(worker=load(None, {}, {}).worker, own_store=True)
    rules = load(None, {}, {}).worker.rules
    assert rules == ForwardRules(native_routes=True, trusted_peers=PRIVATE_NETWORKS)


WHOLE = """
listen: {host: [127.0.0.1, "::1"], port: 8443, redirect_port: 8080, redirect_to: 443,
         tls: {cert: hub.pem, key: hub-key.pem, ca: hub-ca.pem, client_certificates: request,
               min_version: 1.3}}
api: {socket: api.sock, token_file: secret}
metrics: {port: 9000}
health: {host: "*", port: 9001}
workers: 3
store: sqlite:state/routes.db
log_level: debug
log_format: json
pid_file: hub.pid
timeouts: {keep_alive: 60, lookup: 2, connect: 1, request: 2.5, response: 3, drain: 4,
           upstream_idle: 5}
limits: {request_line: 8192, head: 16384, headers: 9, body: 1, connections: null}
tcp_keepalive: {idle: 30, interval: 5}
forward: {x_forward: false, prepend_path: false, include_prefix: false, change_origin: true,
          auto_rewrite: true, protocol_rewrite: https, headers: {X-A: b},
          trusted_peers: [10.0.0.0/8], error_target: "http://127.0.0.1:1/error"}
upstream: {tls: {ca: hub-ca.pem, check_hostname: false}}
routes:
  /: http://127.0.0.1:8081
  /docs/: {target: "http://a", strip_prefix: true, headers: {X-Team: physics}}
  Hub.example.org/: http://b
"""
WHOLE_RULES = ForwardRules(
    x_forward=False,
    prepend_path=False,
    include_prefix=False,
    change_origin=True,
    auto_rewrite=True,
    protocol_rewrite="https",
    custom_headers=(("X-A", "b"),),
    native_routes=True,
    trusted_peers=("10.0.0.0/8",),
    error_target="http://127.0.0.1:1/error",
)
DOCS = {"target": "http://a", "strip_prefix": True, "headers": {"X-Team": "physics"}}
DOCS_OPTIONS = RouteOptions(True, (("X-Team", "physics"),))
WHOLE_ROUTES = (
    Route("/", "http://127.0.0.1:8081", {"target": "http://127.0.0.1:8081"}, source=Source.FILE),
    Route("/docs", "http://a", DOCS, DOCS_OPTIONS, source=Source.FILE),
    Route("hub.example.org/", "http://b", {"target": "http://b"}, source=Source.FILE),
)


def test_a_whole_file_becomes_settings(read: Read, tmp_path: Path) -> None:
    files = make_files(tmp_path)
    settings = read(WHOLE, {"HUBGATE_TOKEN": "abc"})
    tls = settings.worker.tls
    assert settings.listen == (Address("127.0.0.1", 8443), Address("::1", 8443))
    assert settings.redirect == (Address("127.0.0.1", 8080), Address("::1", 8080))
    assert settings.worker.redirect_to == 443
    assert tls is not None
    assert (tls.cert, tls.key, tls.ca) == (files.cert, files.key, files.ca)
    assert (tls.request_cert, tls.reject_unauthorized, tls.min_version) == (True, False, "TLSv1_3")
    assert settings.api == (Address(path=str(tmp_path / "api.sock")),)
    assert settings.api_token == "abc"
    assert settings.metrics == (Address("127.0.0.1", 9000),)
    assert settings.health == (Address("", 9001),)
    assert settings.workers == 3
    assert not settings.own_store
    assert settings.store == f"sqlite:{tmp_path}/state/routes.db"
    assert settings.log_level == settings.worker.log_level == "debug"
    assert settings.log_format == settings.worker.log_format == "json"
    assert settings.pid_file == str(tmp_path / "hub.pid")
    assert settings.worker.timeouts == Timeouts(
        keep_alive=60, lookup=2, connect=1, request=2.5, response=3, drain=4, upstream_idle=5
    )
    assert settings.worker.limits == Limits(
        request_line=8192, head=16384, headers=9, body=1, connections=None
    )
    assert settings.worker.tcp_keepalive == TcpKeepalive(idle=30, interval=5)
    assert settings.worker.client_tls == ClientTLS(ca=files.ca, check_hostname=False)
    assert settings.worker.rules == WHOLE_RULES
    assert settings.file_routes == WHOLE_ROUTES
    assert settings.config_file == tmp_path / "routes.yaml"


def test_zero_is_a_time_where_it_turns_something_off(read: Read) -> None:
    times = read("timeouts: {ready: 0, down: 0, drain_delay: 0}").worker.timeouts
    assert (times.ready, times.down, times.drain_delay) == (0, 0, 0)
    assert read("timeouts: {drain_delay: 2.5}").worker.timeouts.drain_delay == 2.5


def test_the_file_can_set_all_there_is() -> None:
    for section, model in ((schema.TimesSection, Timeouts), (schema.SizesSection, Limits)):
        assert set(section.model_fields) == {field.name for field in dataclasses.fields(model)}
    rules = {field.name for field in dataclasses.fields(ForwardRules)}
    # Where hosts go is said by host_routing; custom headers are plain headers here.
    assert set(schema.ForwardSection.model_fields) == rules - {
        "custom_headers",
        "native_routes",
    } | {"headers"}


def test_empty_sections_are_the_same_as_none(read: Read) -> None:
    assert read("routes:\nlisten:\n").file_routes == ()
    assert read("").listen == (Address("127.0.0.1", 8000),)


def test_host_routing_puts_hosts_into_paths(read: Read) -> None:
    settings = read(
        "forward: {host_routing: true}\nroutes: {a.example/: http://a, a.b/c: http://b}"
    )
    assert [route.key for route in settings.file_routes] == ["/a.example", "/a.b/c"]
    assert settings.worker.rules.host_routing
    assert not settings.worker.rules.native_routes


def test_trusted_peers_are_networks_a_name_or_all(read: Read) -> None:
    peers = "forward: {trusted_peers: "
    assert read(peers + "all}").worker.rules.trusted_peers is None
    assert read(peers + "[]}").worker.rules.trusted_peers == ()
    assert read(peers + "[1.2.3.4]}").worker.rules.trusted_peers == ("1.2.3.4/32",)
    private = read(peers + "[private, 8.0.0.0/8]}").worker.rules.trusted_peers
    assert private == (*PRIVATE_NETWORKS, "8.0.0.0/8")


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [("'*'", [""]), ("''", [""]), ("'[::1]'", ["::1"]), ("[0.0.0.0, '::']", [""])],
)
def test_all_interfaces_have_several_names(read: Read, hosts: str, expected: list[str]) -> None:
    settings = read(f"listen: {{host: {hosts}, no_ssl: true}}")
    assert [address.host for address in settings.listen] == expected


def test_workers_auto_is_one_for_each_core(read: Read) -> None:
    assert read("workers: auto").workers >= 1


# --- the order of sources ---------------------------------------------------------------------


def test_flags_beat_the_environment_which_beats_the_file(read: Read) -> None:
    text = "listen: {port: 1}\nworkers: 5\nlog_level: warn"
    environ = {"HUBGATE_PORT": "2", "HUBGATE_WORKERS": "6"}
    settings = read(text, environ, port="3")
    assert settings.listen == (Address("127.0.0.1", 3),)
    assert (settings.workers, settings.log_level) == (6, "warn")


def test_an_empty_variable_is_not_set(read: Read) -> None:
    assert read("workers: 5", {"HUBGATE_WORKERS": "", "HUBGATE_PORT": ""}).workers == 5


def test_a_socket_given_later_replaces_a_port(read: Read) -> None:
    file = "listen: {host: 127.0.0.1, port: 1}\napi: {socket: a.sock}"
    settings = read(file, {"HUBGATE_API_PORT": "7"}, socket="/run/p.sock")
    assert settings.listen == (Address(path="/run/p.sock"),)
    assert settings.api == (Address("127.0.0.1", 7),)


def test_no_ssl_given_later_replaces_tls(read: Read) -> None:
    settings = read("listen: {tls: {cert: none, key: none}}", no_ssl=True)
    assert settings.worker.tls is None
    assert settings.listen == (Address("", 8000),)
    assert read("", {"HUBGATE_NO_SSL": "yes"}).listen == (Address("", 8000),)
    assert read("listen: {no_ssl: true}", {"HUBGATE_NO_SSL": "0"}).listen[0].host == "127.0.0.1"


def test_certificates_given_later_replace_no_ssl(read: Read, tmp_path: Path) -> None:
    files = make_files(tmp_path)
    settings = read("listen: {no_ssl: true}", tls_cert=files.cert, tls_key=files.key)
    assert settings.worker.tls is not None


def test_paths_are_relative_to_whoever_wrote_them(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    text = "pid_file: a.pid\nstore: sqlite:a.db\n"
    assert read(text).pid_file == str(tmp_path / "a.pid")
    assert read(text).store == f"sqlite:{tmp_path}/a.db"
    assert read(text, pid_file="b.pid").pid_file == str(elsewhere / "b.pid")
    assert read(text, {"HUBGATE_STORE": "sqlite:b.db"}).store == f"sqlite:{elsewhere}/b.db"
    assert read("store: sqlite:/abs/a.db").store == "sqlite:/abs/a.db"


def test_the_callers_file_is_read_anew_each_time(read: Read, tmp_path: Path) -> None:
    assert read("workers: 1").workers == 1
    (tmp_path / "routes.yaml").write_text("workers: 2")
    assert load(tmp_path / "routes.yaml", {}, {}).workers == 2


# --- the token --------------------------------------------------------------------------------


def test_the_token_comes_from_the_environment_or_a_file(read: Read, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    text = "api: {token_file: token}"
    assert read(text).api_token == "from-file"
    assert read(text, {"HUBGATE_TOKEN": "env", "CONFIGPROXY_AUTH_TOKEN": "chp"}).api_token == "env"
    assert read("", {"CONFIGPROXY_AUTH_TOKEN": "chp"}).api_token == "chp"
    flagged = read("", {"HUBGATE_TOKEN": "env"}, token_file=str(tmp_path / "token"))
    assert flagged.api_token == "from-file"


def test_the_token_stands_in_no_repr_and_no_error(read: Read, tmp_path: Path) -> None:
    assert "sesame" not in repr(read("", {"HUBGATE_TOKEN": "sesame"}))
    for text, environ in (
        ("", {"HUBGATE_TOKEN": "open sesame"}),
        ("api: {token: sesame}", {}),
        ("api: {token_file: t}", {}),
    ):
        (tmp_path / "t").write_text("open sesame")
        lines = lines_of(lambda t=text, e=environ: read(t, e), tmp_path)  # type: ignore[misc]
        assert "sesame" not in " ".join(lines)


# --- an API without a token, and its names ------------------------------------------------------


def test_an_open_api_is_said_to_be_one(read: Read) -> None:
    assert not read("").api_open
    assert read("api: {open: true}").api_open
    assert read("", api_open=True).api_open
    assert read("", {"HUBGATE_API_OPEN": "1"}).api_open
    assert not read("api: {open: true}", {"HUBGATE_API_OPEN": "0"}).api_open


def test_whoever_comes_later_decides_between_open_and_a_token(read: Read, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    with_token = "api: {token_file: token}"
    environ = {"HUBGATE_TOKEN": "env"}
    for settings in (
        read("api: {open: true}", environ),
        read("api: {open: true}", token_file=str(tmp_path / "token")),
        read("", {"HUBGATE_API_OPEN": "1"}, token_file=str(tmp_path / "token")),
    ):
        assert (settings.api_token is not None, settings.api_open) == (True, False)
    for settings in (
        read(with_token, environ, api_open=True),
        read(with_token, {"HUBGATE_API_OPEN": "1"}),
    ):
        assert (settings.api_token, settings.api_token_file, settings.api_open) == (
            None,
            None,
            True,
        )


def test_open_and_a_token_at_once_are_one_line(read: Read, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    assert lines_of(lambda: read("api: {open: true, token_file: token}"), tmp_path) == [
        "routes.yaml, line 1: api: has both open and a token_file; keep one"
    ]
    environ = {"HUBGATE_API_OPEN": "1", "HUBGATE_TOKEN": "env"}
    assert lines_of(lambda: read("", environ), tmp_path) == [
        "HUBGATE_API_OPEN: a token is set as well; keep one of them"
    ]


def test_of_several_flags_only_those_at_fault_are_named(read: Read, tmp_path: Path) -> None:
    flags = {"api_port": "9", "api_host": "127.0.0.1", "token_file": "/t", "api_open": True}
    assert lines_of(lambda: read("", **flags), tmp_path) == [
        "--token-file, --api-open: has both open and a token_file; keep one"
    ]
    flags = {"host": "127.0.0.1", "no_ssl": True, "tls_cert": "/c", "tls_key": "/k"}
    assert lines_of(lambda: read("", **flags), tmp_path) == [
        "--tls-cert, --tls-key, --no-ssl: has both tls and no_ssl; keep one"
    ]


def test_every_mistake_of_a_list_is_a_line(read: Read, tmp_path: Path) -> None:
    text = (
        "api: {open: true, hosts: [a.example, 'b:1', 'c/d']}\n"
        "listen: {host: [300.1.1.1, 127.0.0.1, a b]}\n"
        "forward: {trusted_peers: [x, 10.0.0.0/8, y], headers: {A b: c, D: [e]}}\n"
    )
    lines = lines_of(lambda: read(text), tmp_path)
    places = [line.split(", ", 1)[1].split(" ")[2] for line in lines]
    assert sorted(places) == sorted(
        ["api.hosts:", "listen.host:", "forward.trusted_peers:", "forward.headers:"] * 2
    )
    environ = {"HUBGATE_API_OPEN": "1", "HUBGATE_API_HOSTS": "a:1,b.example,c/d"}
    assert lines_of(lambda: read("", environ), tmp_path) == [
        "HUBGATE_API_HOSTS: 'a:1' has a scheme or a port; write the host's name alone",
        "HUBGATE_API_HOSTS: 'c/d' is not a host; write a name such as hub.example.org or an"
        " address",
    ]


def test_an_open_api_stays_on_this_machine(read: Read, tmp_path: Path) -> None:
    (line,) = lines_of(lambda: read("api: {host: 0.0.0.0, open: true}"), tmp_path)
    assert line.startswith(
        "routes.yaml, line 1: api.host: 0.0.0.0:8001 is a public address without a token"
    )


def test_names_of_the_api_are_a_list_or_a_text(read: Read, tmp_path: Path) -> None:
    assert read("api: {hosts: [Proxy, a.example.org]}").api_hosts == ("proxy", "a.example.org")
    assert read("", {"HUBGATE_API_HOSTS": "proxy, a.example.org"}).api_hosts == (
        "proxy",
        "a.example.org",
    )
    assert read("api: {hosts: [a]}", api_hosts="b").api_hosts == ("b",)
    (line,) = lines_of(lambda: read("api: {hosts: 7}"), tmp_path)
    assert line.startswith("routes.yaml, line 1: api.hosts: 7 is not a list of host names")


def test_a_health_section_needs_a_place(read: Read) -> None:
    with pytest.raises(ConfigError, match=r"health: has no port and no socket; write \{port: 8003"):
        read("health: {host: 127.0.0.1}")
    settings = read("health: {port: 9}", {"HUBGATE_HEALTH_HOST": "10.0.0.1"})
    assert settings.health == (Address("10.0.0.1", 9),)
    assert read("health: {port: 9}", {"HUBGATE_HEALTH_SOCKET": "/h"}).health == (
        Address(path="/h"),
    )


def test_a_store_is_hubgates_own_only_if_nobody_names_one(read: Read) -> None:
    for text in ("", "store:", "store: null"):
        settings = read(text)
        assert (settings.store, settings.own_store) == ("memory:", True)
    for text, environ in (("store: 'memory:'", {}), ("", {"HUBGATE_STORE": "memory:"})):
        settings = read(text, environ)
        assert (settings.store, settings.own_store) == ("memory:", False)

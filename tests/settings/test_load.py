"""Settings as a whole: the file under the environment under flags, and every mistake's line."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import ConfigError
from proxy.model import Address, ClientTLS, ForwardRules, Limits, Route, RouteOptions, Timeouts
from proxy.settings import Settings, load, schema
from proxy.settings.document import parse_document
from proxy.settings.fields import PRIVATE_NETWORKS
from proxy.settings.schema import File, Section
from tests.certificates import make_files

Read = Callable[..., Settings]

EXAMPLE = Path(__file__).parents[2] / "routes.yaml"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str, environ: dict[str, str] | None = None, **flags: Any) -> Settings:
        path = tmp_path / "routes.yaml"
        path.write_text(text)
        given = {f"--{name.replace('_', '-')}": value for name, value in flags.items()}
        return load(path, given, environ or {})

    return read


def lines_of(call: Callable[[], object], folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        call()
    return [line.replace(f"{folder}/", "") for line in raised.value.lines]


# --- what settings come out -------------------------------------------------------------------


def test_without_anything_the_defaults_hold() -> None:
    assert load(None, {}, {}) == Settings(worker=load(None, {}, {}).worker)
    rules = load(None, {}, {}).worker.rules
    assert rules == ForwardRules(native_routes=True, trusted_peers=PRIVATE_NETWORKS)


def test_a_whole_file_becomes_settings(read: Read, tmp_path: Path) -> None:
    files = make_files(tmp_path)
    settings = read(
        """
listen: {host: [127.0.0.1, "::1"], port: 8443, redirect_port: 8080, redirect_to: 443,
         tls: {cert: hub.pem, key: hub-key.pem, ca: hub-ca.pem, client_certificates: request,
               min_version: 1.3}}
api: {socket: api.sock, token_file: token}
metrics: {port: 9000}
workers: 3
store: sqlite:state/routes.db
log_level: debug
pid_file: hub.pid
timeouts: {keep_alive: 60, connect: 1, request: 2.5, response: 3, drain: 4, upstream_idle: 5}
limits: {request_line: 8192, head: 16384, headers: 9, body: 1, connections: null}
forward: {x_forward: false, prepend_path: false, include_prefix: false, change_origin: true,
          auto_rewrite: true, protocol_rewrite: https, headers: {X-A: b},
          trusted_peers: [10.0.0.0/8], error_target: "http://127.0.0.1:1/error"}
upstream: {tls: {ca: hub-ca.pem, check_hostname: false}}
routes:
  /: http://127.0.0.1:8081
  /docs/: {target: "http://a", strip_prefix: true, headers: {X-Team: physics}}
  Hub.example.org/: http://b
""".replace("token_file: token", "token_file: secret"),
        {"HUBGATE_TOKEN": "abc"},
    )
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
    assert settings.workers == 3
    assert settings.store == f"sqlite:{tmp_path}/state/routes.db"
    assert settings.log_level == settings.worker.log_level == "debug"
    assert settings.pid_file == str(tmp_path / "hub.pid")
    assert settings.worker.timeouts == Timeouts(
        keep_alive=60, connect=1, request=2.5, response=3, drain=4, upstream_idle=5
    )
    assert settings.worker.limits == Limits(
        request_line=8192, head=16384, headers=9, body=1, connections=None
    )
    assert settings.worker.client_tls == ClientTLS(ca=files.ca, check_hostname=False)
    assert settings.worker.rules == ForwardRules(
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
    options = RouteOptions(True, (("X-Team", "physics"),))
    data = {"target": "http://a", "strip_prefix": True, "headers": {"X-Team": "physics"}}
    assert settings.fixed_routes == (
        Route("/", "http://127.0.0.1:8081", {"target": "http://127.0.0.1:8081"}, fixed=True),
        Route("/docs", "http://a", data, options, fixed=True),
        Route("hub.example.org/", "http://b", {"target": "http://b"}, fixed=True),
    )
    assert settings.config_file == tmp_path / "routes.yaml"


def test_zero_is_a_time_where_it_turns_something_off(read: Read) -> None:
    times = read("timeouts: {ready: 0, down: 0}").worker.timeouts
    assert (times.ready, times.down) == (0, 0)


def test_the_file_can_set_all_there_is() -> None:
    for section, model in ((schema.Times, Timeouts), (schema.Sizes, Limits)):
        assert set(section.model_fields) == {field.name for field in dataclasses.fields(model)}
    rules = {field.name for field in dataclasses.fields(ForwardRules)}
    # Where hosts go is said by host_routing; custom headers are plain headers here.
    assert set(schema.Forward.model_fields) == rules - {"custom_headers", "native_routes"} | {
        "headers"
    }


def test_empty_sections_are_the_same_as_none(read: Read) -> None:
    assert read("routes:\nlisten:\n").fixed_routes == ()
    assert read("").listen == (Address("127.0.0.1", 8000),)


def test_host_routing_puts_hosts_into_paths(read: Read) -> None:
    settings = read(
        "forward: {host_routing: true}\nroutes: {a.example/: http://a, a.b/c: http://b}"
    )
    assert [route.key for route in settings.fixed_routes] == ["/a.example", "/a.b/c"]
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


# --- mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rotes: {}", "line 1: rotes: unknown key; did you mean routes?"),
        ("listen: {prot: 1}", "line 1: listen.prot: unknown key; did you mean port?"),
        (
            "limits: {zzz: 1}",
            "line 1: limits.zzz: unknown key; the keys here are request_line, head, headers,",
        ),
        ("\nlisten:\n  port: x", "line 3: listen.port: 'x' is no port; write a whole number,"),
        ("listen: {port: 70000}", "line 1: listen.port: 70000 is no port;"),
        ("listen: {port: yes}", "line 1: listen.port: True is no port;"),
        ("listen: 8000", "line 1: listen: is a single value, not a mapping; write {port: 8000}"),
        ("listen: {host: 300.1.1.1}", "line 1: listen.host: '300.1.1.1' is no IPv4 address;"),
        ("listen: {host: 7}", "line 1: listen.host: 7 is no host; write one address or a list"),
        (
            "listen: {socket: a.sock, port: 1}",
            "line 1: listen: has a socket beside a host or port; keep one of the two",
        ),
        (
            "listen: {redirect_port: 80}",
            "line 1: listen: redirect_port needs tls: without it there is nothing to redirect to",
        ),
        (
            "listen: {no_ssl: true, tls: {cert: a, key: b}}",
            "line 1: listen: has tls beside no_ssl; keep one of the two",
        ),
        (
            "listen: {tls: {cert: a}}",
            "line 1: listen.tls.key: is missing; write it as in"
            " {cert: certs/hub.pem, key: certs/hub-key.pem}, or give --tls-key",
        ),
        (
            "listen: {tls: {cert: a, key: b, client_certificates: maybe}}",
            "line 1: listen.tls.client_certificates: 'maybe' is none of its values;"
            " write 'ignore', 'request' or 'require'",
        ),
        (
            "listen: {tls: {cert: a, key: b, client_certificates: require}}",
            "line 1: listen.tls: client_certificates needs ca; name the file with the authorities",
        ),
        (
            "listen: {tls: {cert: a, key: b, min_version: '1.1'}}",
            "line 1: listen.tls.min_version: '1.1' is none of its values; write '1.2' or '1.3'",
        ),
        (
            "listen: {tls: {cert: a.pem, key: b.pem}}",
            "line 1: listen.tls.cert: a.pem: no such file; `proxyctl certs` makes some to try with",
        ),
        ("metrics: {host: 127.0.0.1}", "line 1: metrics: has no port and no socket;"),
        ("workers: many", "line 1: workers: 'many' is no number of workers; write 1 to 256, or"),
        ("workers: 0", "line 1: workers: 0 is no number of workers;"),
        (
            "store: mysql://x",
            "line 1: store: 'mysql://x' is no store; write memory: or sqlite:state/routes.db",
        ),
        (
            "store: 'redis://:secret@h:6379/0'",
            "line 1: store: 'redis://...@h:6379/0': routes in Redis are not available yet;"
            " write memory: or sqlite:state/routes.db instead",
        ),
        (
            "store: sqlite:///state/routes.db",
            "line 1: store: 'sqlite:///state/routes.db': the file comes right after sqlite:"
            " as in sqlite:state/routes.db",
        ),
        ("store: 'sqlite::memory:'", "line 1: store: 'sqlite::memory:': the file comes right"),
        ("store: 'sqlite:'", "line 1: store: 'sqlite:' is no store; write memory: or sqlite:sta"),
        ('store: "sqlite:a\\0b"', "line 1: store: 'sqlite:a\\x00b' is no store; write memory: or"),
        (
            "log_level: loud",
            "line 1: log_level: 'loud' is none of its values;"
            " write 'debug', 'info', 'warn' or 'error'",
        ),
        ("pid_file: 7", "line 1: pid_file: 7 is no text; write some, in quotes if need be"),
        ("timeouts: {drain: 0}", "line 1: timeouts.drain: 0 is no time; write seconds above 0,"),
        ("timeouts: {drain: .nan}", "line 1: timeouts.drain: nan is no time;"),
        ("timeouts: {drain: .inf}", "line 1: timeouts.drain: inf is no time;"),
        ("timeouts: {drain: true}", "line 1: timeouts.drain: True is no time;"),
        ("timeouts: {ready: -1}", "line 1: timeouts.ready: -1 is no time;"),
        ("limits: {connections: 0}", "line 1: limits.connections: 0 is no count; write a whole"),
        ("limits: {head: 1}", "line 1: limits.head: 1 is no size in bytes; write a whole number,"),
        (
            "forward: {x_forward: maybe}",
            "line 1: forward.x_forward: 'maybe' is neither true nor false; write one of them",
        ),
        (
            "forward: {protocol_rewrite: gopher}",
            "line 1: forward.protocol_rewrite: 'gopher' is none of its values;"
            " write 'http' or 'https'",
        ),
        (
            "forward: {headers: x}",
            "line 1: forward.headers: is no mapping of headers; write {X-Team: physics}",
        ),
        ("forward: {headers: {X: [1]}}", "line 1: forward.headers: 'X' holds no text; put it in"),
        ("forward: {headers: {a b: c}}", "line 1: forward.headers: 'a b' is no header name;"),
        (
            "forward: {trusted_peers: 10.0.0.0/8}",
            "line 1: forward.trusted_peers: '10.0.0.0/8': write a list of networks such as",
        ),
        (
            "forward: {trusted_peers: [10.0.0.1/8]}",
            "line 1: forward.trusted_peers: 10.0.0.1/8 has host bits set; write a network such as",
        ),
        (
            "forward: {trusted_peers: [me]}",
            "line 1: forward.trusted_peers: 'me' is no network; write a network such as",
        ),
        (
            "forward: {error_target: 'http://a', error_path: e}",
            "line 1: forward: has error_target beside error_path; keep one of the two",
        ),
        (
            "forward: {error_path: none}",
            "line 1: forward.error_path: none: no such folder; make it or name another",
        ),
        (
            "upstream: {tls: {cert: a}}",
            "line 1: upstream.tls: has one of cert and key; write both or neither",
        ),
        (
            "upstream: {tls: {ca: none.pem}}",
            "line 1: upstream.tls.ca: none.pem: no such file;",
        ),
        (
            "routes:\n  /user/alice:\n    target: htp://a",
            "line 3: routes./user/alice.target: 'htp://a' has scheme 'htp'; write http://,",
        ),
        ("routes:\n  /a: a:1", "line 2: routes./a.target: 'a:1' has no scheme; write http://a:1"),
        (
            "routes: {/a: {traget: 'http://a'}}",
            "line 1: routes./a.traget: unknown key; did you mean target?",
        ),
        (
            "routes: {/a: {strip_prefix: true}}",
            "line 1: routes./a.target: is missing; write it as in http://127.0.0.1:9001 or",
        ),
        ("routes: {/a: [x]}", "line 1: routes./a: is a list, not a mapping; write http://127.0.0"),
        ("routes: {/a: }", "line 1: routes./a: is empty, not a mapping; write http://127.0.0.1"),
        ("routes: [/a]", "line 1: routes: is a list, not a mapping; write {listen:"),
        ("routes: {7: 'http://a'}", "line 1: routes.7: 7 is no text; put the key in quotes"),
        ("routes: {a/b: 'http://a'}", "line 1: routes.a/b: 'a/b' does not start with a slash;"),
        (
            "routes:\n  /a%20b: http://a\n  /a b/: http://b",
            "line 3: routes./a b/: is the same route as '/a%20b'; keep one",
        ),
        (
            "routes: {/a: {target: 'http://a', headers: {Connection: close}}}",
            "line 1: routes./a.headers: 'Connection' is set by the proxy itself; drop it",
        ),
        ("listen: {port: 1, port: 2}", "line 1: listen.port: is there twice, first on line 1;"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(
    read: Read, tmp_path: Path, text: str, line: str
) -> None:
    found = lines_of(lambda: read(text), tmp_path)
    assert any(each.startswith(f"routes.yaml, {line}") for each in found), found
    assert all("\n" not in each for each in found)


@pytest.mark.parametrize(
    ("text", "environ", "flags", "line"),
    [
        ("", {}, {"port": "x"}, "--port: 'x' is no port; write a whole number, 0 to 65535"),
        ("", {"HUBGATE_PORT": "x"}, {}, "HUBGATE_PORT: 'x' is no port; write a whole number,"),
        ("", {"HUBGATE_NO_SSL": "2"}, {}, "HUBGATE_NO_SSL: '2' is neither on nor off; write 1"),
        ("", {}, {"socket": "s", "port": "1"}, "--port, --socket: has a socket beside a host"),
        ("", {}, {"store": "x"}, "--store: 'x' is no store;"),
        ("", {"HUBGATE_STORE": "redi://:pw@h"}, {}, "HUBGATE_STORE: 'redi://...@h' is no store;"),
        ("listen: 3", {}, {"port": "1"}, "routes.yaml, line 1: listen: is a single value, not a"),
        ("", {}, {"tls_cert": "/x"}, "listen.tls.key: is missing;"),
        ("", {}, {"tls_cert": "/x", "tls_key": "/y"}, "--tls-cert: /x: no such file;"),
        ("", {}, {"token_file": "/x/t"}, "--token-file: /x/t: no such file; write the token there"),
        ("", {"HUBGATE_TOKEN": "a b"}, {}, "HUBGATE_TOKEN: the token must be one word of plain"),
        (
            "",
            {},
            {"host": "0.0.0.0"},
            "listen: 0.0.0.0:8000 is a public address without TLS; give listen.tls (--tls-cert,"
            " --tls-key), or --no-ssl if TLS ends elsewhere",
        ),
        (
            "",
            {},
            {"api_host": "*"},
            "api: *:8001 is a public address without a token; set HUBGATE_TOKEN or"
            " api.token_file, or listen on 127.0.0.1",
        ),
        ("", {}, {"port": "8001"}, "api: 127.0.0.1:8001 is taken by listen; give one of them"),
    ],
)
def test_a_mistake_outside_the_file_names_its_origin(
    read: Read,
    tmp_path: Path,
    text: str,
    environ: dict[str, str],
    flags: dict[str, str],
    line: str,
) -> None:
    found = lines_of(lambda: read(text, environ, **flags), tmp_path)
    assert any(each.removeprefix("routes.yaml: ").startswith(line) for each in found), found


def test_all_mistakes_are_told_at_once(read: Read, tmp_path: Path) -> None:
    found = lines_of(lambda: read("workers: x\nroutes: {/a: b, c/d: 'http://c'}\nlog: 1"), tmp_path)
    assert len(found) == 4


def test_the_error_itself_is_one_line(read: Read) -> None:
    with pytest.raises(ConfigError) as raised:
        read("workers: x\nstore: y")
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith("(and 1 more)")


# --- the example ------------------------------------------------------------------------------


def test_the_example_works() -> None:
    settings = load(EXAMPLE, {}, {})
    assert [route.key for route in settings.fixed_routes] == ["/"]


def test_the_example_names_every_key() -> None:
    text = EXAMPLE.read_text()
    missing = [key for key in _keys(File) if f"{key}:" not in text]
    assert missing == []


def test_what_the_example_comments_out_is_right_too() -> None:
    lines = []
    text = EXAMPLE.read_text()
    for line in text[text.index("\nlisten:") :].splitlines():
        body = line.lstrip()
        if body.startswith("# ") and ":" in body:
            line = " " * (len(line) - len(body)) + body[2:]
        # Of two ways that exclude each other, one can be tried.
        if not any(word in line for word in ("socket:", "no_ssl", "error_path")):
            lines.append(line)
    text = "\n".join(line for line in lines if ":" in line and not _is_prose(line))
    file = File.model_validate(parse_document(text, "example").data)
    assert file.listen.tls is not None
    assert len(file.routes) == 5


def _is_prose(line: str) -> bool:
    return line.lstrip()[:1].isupper() or "..." in line.split("#")[0]


def _keys(model: type[Section]) -> list[str]:
    keys = []
    for name, described in model.model_fields.items():
        keys.append(name)
        for kind in (described.annotation, *getattr(described.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, Section):
                keys += _keys(kind)
    return keys

"""Settings as a whole: every mistake's line."""

from pathlib import Path

import pytest

from hubgate.errors import ConfigError
from tests.settings.reading import Read, lines_of


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rotes: {}", "line 1: rotes: unknown key; did you mean routes?"),
        ("listen: {prot: 1}", "line 1: listen.prot: unknown key; did you mean port?"),
        (
            "limits: {zzz: 1}",
            "line 1: limits.zzz: unknown key; the keys here are request_line, head, headers,",
        ),
        (
            "\nlisten:\n  port: x",
            "line 3: listen.port: 'x' is not a valid port; write a whole number,",
        ),
        ("listen: {port: 70000}", "line 1: listen.port: 70000 is not a valid port;"),
        ("listen: {port: yes}", "line 1: listen.port: 'yes' is not a valid port;"),
        ("listen: {port: true}", "line 1: listen.port: true is not a valid port;"),
        ("listen: 8000", "line 1: listen: is a single value, not a mapping; write {port: 8000}"),
        ("listen: {host: 300.1.1.1}", "line 1: listen.host: '300.1.1.1' is not an IPv4 address;"),
        ("listen: {host: 7}", "line 1: listen.host: 7 is not a host; write one address or a list"),
        (
            "listen: {socket: a.sock, port: 1}",
            "line 1: listen: has both a socket and a host or port; keep one",
        ),
        (
            "listen: {redirect_port: 80}",
            "line 1: listen: redirect_port needs tls: without it there is nothing to redirect to",
        ),
        (
            "listen: {no_ssl: true, tls: {cert: a, key: b}}",
            "line 1: listen: has both tls and no_ssl; keep one",
        ),
        (
            "listen: {tls: {cert: a}}",
            "line 1: listen.tls.key: is missing; write it as in"
            " {cert: certs/hub.pem, key: certs/hub-key.pem}, or give --tls-key",
        ),
        (
            "listen: {tls: {cert: a, key: b, client_certificates: maybe}}",
            "line 1: listen.tls.client_certificates: 'maybe' is not a valid value;"
            " write 'ignore', 'request' or 'require'",
        ),
        (
            "listen: {tls: {cert: a, key: b, client_certificates: require}}",
            "line 1: listen.tls: client_certificates needs ca; give a file of CA certificates",
        ),
        (
            "listen: {tls: {cert: a, key: b, min_version: '1.1'}}",
            "line 1: listen.tls.min_version: '1.1' is not a valid value; write '1.2' or '1.3'",
        ),
        (
            "listen: {tls: {cert: a.pem, key: b.pem}}",
            "line 1: listen.tls.cert: a.pem: no such file; `proxyctl certs` makes some for testing",
        ),
        ("metrics: {host: 127.0.0.1}", "line 1: metrics: has no port and no socket;"),
        (
            "workers: many",
            "line 1: workers: 'many' is not a valid number of workers; write 1 to 256, or",
        ),
        ("workers: 0", "line 1: workers: 0 is not a valid number of workers;"),
        (
            "store: mysql://x",
            "line 1: store: 'mysql://x' is not a store; write memory:, sqlite:state/routes.db or redis://HOST:6379",
        ),
        (
            "store: 'redis://:secret@h:port/0'",
            "line 1: store: the Redis address is wrong: a port is a number, 1 to 65535; write"
            " redis://HOST:6379/0?prefix=hubgate",
        ),
        (
            "store: sqlite:///state/routes.db",
            "line 1: store: 'sqlite:///state/routes.db': the file comes right after sqlite:"
            " as in sqlite:state/routes.db",
        ),
        ("store: 'sqlite::memory:'", "line 1: store: 'sqlite::memory:': the file comes right"),
        (
            "store: 'sqlite:'",
            "line 1: store: 'sqlite:' is not a store; write memory:, sqlite:sta",
        ),
        (
            'store: "sqlite:a\\0b"',
            "line 1: store: 'sqlite:a\\x00b' is not a store; write memory:, ",
        ),
        (
            "log_level: loud",
            "line 1: log_level: 'loud' is not a valid value;"
            " write 'debug', 'info', 'warn' or 'error'",
        ),
        (
            "log_format: xml",
            "line 1: log_format: 'xml' is not a valid value; write 'text' or 'json'",
        ),
        ("pid_file: 7", "line 1: pid_file: 7 is not text; write some, in quotes if needed"),
        (
            "timeouts: {drain: 0}",
            "line 1: timeouts.drain: 0 is not a valid time; write seconds above 0,",
        ),
        ("timeouts: {drain: .nan}", "line 1: timeouts.drain: .nan is not a valid time;"),
        ("timeouts: {drain: .inf}", "line 1: timeouts.drain: .inf is not a valid time;"),
        ("timeouts: {drain: true}", "line 1: timeouts.drain: true is not a valid time;"),
        (
            "timeouts: {drain: 1e9}",
            "line 1: timeouts.drain: 1e9 is not a valid time; write seconds above 0, up to",
        ),
        *(
            (
                f"timeouts: {{{name}: {value}}}",
                f"line 1: timeouts.{name}: {value} is not a valid time;"
                " write seconds from 0 to 31536000 (a year), such as 5 or 0.5",
            )
            for name in ("ready", "down", "drain_delay")
            for value in ("-1", "40000000")
        ),
        *(
            (
                f"replicas: {{{name}: {value}}}",
                f"line 1: replicas.{name}: {value} is not a valid time; write seconds {right}",
            )
            for name, right, *values in (
                ("wait", "from 0 to 30", "-1", "30.1", "1000000000000"),
                ("lease", "from 1 to 60", "0.05", "61", "'6s'"),
                ("settle", "from 0.5 to 20", "0", "20.5", "1000000000"),
            )
            for value in values
        ),
        (
            "limits: {connections: 0}",
            "line 1: limits.connections: 0 is not a valid count; write a whole",
        ),
        (
            "limits: {head: 1}",
            "line 1: limits.head: 1 is not a valid size in bytes; write a whole number,",
        ),
        (
            "forward: {x_forward: maybe}",
            "line 1: forward.x_forward: 'maybe' is neither true nor false; write one of them",
        ),
        (
            "forward: {protocol_rewrite: gopher}",
            "line 1: forward.protocol_rewrite: 'gopher' is not a valid value;"
            " write 'http' or 'https'",
        ),
        (
            "forward: {headers: x}",
            "line 1: forward.headers: is not a mapping of headers; write {X-Team: physics}",
        ),
        (
            "forward: {headers: {X: [1]}}",
            "line 1: forward.headers: the value of 'X' is not text; put",
        ),
        ("forward: {headers: {a b: c}}", "line 1: forward.headers: 'a b' is not a header name;"),
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
            "line 1: forward.trusted_peers: 'me' is not a network; write a network such as",
        ),
        (
            "forward: {error_target: 'http://a', error_path: e}",
            "line 1: forward: has both error_target and error_path; keep one",
        ),
        (
            "forward: {error_path: none}",
            "line 1: forward.error_path: none: no such folder; create it or give another",
        ),
        (
            "upstream: {tls: {cert: a}}",
            "line 1: upstream.tls: has only one of cert and key; write both or neither",
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
        ("routes: {7: 'http://a'}", "line 1: routes.7: 7 is not text; put the key in quotes"),
        ("routes: {a/b: 'http://a'}", "line 1: routes.a/b: 'a/b' does not start with a slash;"),
        (
            "routes:\n  /a%20b: http://a\n  /a b/: http://b",
            "line 3: routes./a b/: is the same route as '/a%20b'; keep one",
        ),
        (
            "routes: {/a: {target: 'http://a', headers: {Connection: close}}}",
            "line 1: routes./a.headers: 'Connection' is set by the proxy itself; drop it",
        ),
        ("listen: {port: 1, port: 2}", "line 1: listen.port: appears twice, first on line 1;"),
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
        (
            "",
            {},
            {"port": "x"},
            "--port: 'x' is not a valid port; write a whole number, 0 to 65535",
        ),
        (
            "",
            {"HUBGATE_PORT": "x"},
            {},
            "HUBGATE_PORT: 'x' is not a valid port; write a whole number,",
        ),
        ("", {"HUBGATE_NO_SSL": "2"}, {}, "HUBGATE_NO_SSL: '2' is neither on nor off; write 1"),
        ("", {}, {"socket": "s", "port": "1"}, "--port, --socket: has both a socket and a host"),
        ("", {}, {"store": "x"}, "--store: 'x' is not a store;"),
        (
            "",
            {"HUBGATE_STORE": "redi://:pw@h"},
            {},
            "HUBGATE_STORE: 'redi://...@h' is not a store;",
        ),
        ("listen: 3", {}, {"port": "1"}, "routes.yaml, line 1: listen: is a single value, not a"),
        ("", {}, {"tls_cert": "/x"}, "listen.tls.key: is missing;"),
        ("", {}, {"tls_cert": "/x", "tls_key": "/y"}, "--tls-cert: /x: no such file;"),
        ("", {}, {"token_file": "/x/t"}, "--token-file: /x/t: no such file; put the token there"),
        ("", {"HUBGATE_TOKEN": "a b"}, {}, "HUBGATE_TOKEN: the token must be one word of plain"),
        (
            "",
            {},
            {"host": "0.0.0.0"},
            "--host: 0.0.0.0:8000 is a public address without TLS; give listen.tls (--tls-cert,"
            " --tls-key), or --no-ssl if TLS terminates elsewhere",
        ),
        (
            "",
            {},
            {"api_host": "*"},
            "--api-host: *:8001 is a public address without a token; set HUBGATE_TOKEN or"
            " api.token_file, or listen on 127.0.0.1",
        ),
        ("", {}, {"port": "8001"}, "api.port: 127.0.0.1:8001 is taken by --port; give one of"),
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


MANY = """\
workers: x
api: {token_file: none.token}
log_levle: info
listen:
  port: 22:22
  tls: {cert: none.pem, key: none-key.pem}
access_log: {path: none/a.log}
routes:
  /a: http://a:99999
  b/c: http://b
  /d: http://d
  /d: http://e
store: x
"""


def test_all_mistakes_come_in_the_order_of_lines(read: Read, tmp_path: Path) -> None:
    """Those of YAML, of the schema, of routes and of the files that are named."""
    found = lines_of(lambda: read(MANY, port="no"), tmp_path)
    places = [line.removeprefix("routes.yaml, ").split(": ")[:2] for line in found]
    assert places == [
        ["line 1", "workers"],
        ["line 2", "api.token_file"],
        ["line 3", "log_levle"],
        ["line 6", "listen.tls.cert"],
        ["line 6", "listen.tls.key"],
        ["line 7", "access_log.path"],
        ["line 9", "routes./a.target"],
        ["line 10", "routes.b/c"],
        ["line 12", "routes./d"],
        ["line 13", "store"],
        ["--port", "'no' is not a valid port; write a whole number, 0 to 65535"],
    ]


def test_what_is_left_out_for_one_mistake_is_not_another(read: Read, tmp_path: Path) -> None:
    """Without its certificate or token, an address would be too public, and ports would clash."""
    text = "listen: {host: 0.0.0.0, port: 8001, tls: {cert: a}}\napi: {port: x, host: '*'}\n"
    found = lines_of(lambda: read(text), tmp_path)
    assert [line.split(": ")[1] for line in found] == ["listen.tls.key", "api.port"]


def test_the_error_itself_is_one_line(read: Read) -> None:
    with pytest.raises(ConfigError) as raised:
        read("workers: x\nstore: y")
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith("(and 1 more)")

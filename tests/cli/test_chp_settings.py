"""The drop-in's options: what settings they mean, and each mistake's line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proxy.cli import chp, chp_settings
from proxy.model import Address, ClientTLS, ForwardRules, Route, Timeouts
from proxy.settings import Settings
from tests.certificates import Files, encrypt, make_files

# What a hub sets in no case; tests must not depend on who runs them.
CLEAN = {
    "CONFIGPROXY_AUTH_TOKEN": None,
    "HUBGATE_TOKEN": None,
    "HUBGATE_WORKERS": None,
    "HUBGATE_STORE": None,
}


class Drop:
    """Runs the drop-in up to the point where it would start."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings: Settings | None = None
        self.log = ""
        monkeypatch.setattr(chp, "launch", self._launch)

    def _launch(self, settings: Settings, reload: object) -> int:
        assert reload is None
        self.settings = settings
        return 0

    def run(self, *args: str, **environ: str) -> Settings:
        """Return the settings that `args` lead to."""
        result = CliRunner(env={**CLEAN, **environ}).invoke(
            chp.command, list(args), standalone_mode=False, catch_exceptions=False
        )
        self.log = result.output
        assert self.settings is not None
        return self.settings


@pytest.fixture
def drop(monkeypatch: pytest.MonkeyPatch) -> Drop:
    return Drop(monkeypatch)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return make_files(tmp_path)


def refused(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: str, **env: str
) -> list[str]:
    """Run the drop-in for real as far as its mistake; return the lines it says."""
    for name in CLEAN:
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        chp.main(list(args))
    assert ended.value.code == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert all(line.startswith("configurable-http-proxy: ") for line in lines), lines
    return [line.removeprefix("configurable-http-proxy: ") for line in lines]


# --- where it listens -------------------------------------------------------------------------


def test_without_options_it_is_chp(drop: Drop) -> None:
    settings = drop.run()
    assert settings.listen == (Address("", 8000),)
    assert settings.api == (Address("localhost", 8001),)
    assert settings.metrics == settings.redirect == settings.initial_routes == ()
    assert (settings.store, settings.workers, settings.log_level) == ("memory:", 1, "info")
    assert settings.worker.rules == ForwardRules()
    assert settings.worker.timeouts == Timeouts()
    assert settings.worker.tls is settings.api_tls is settings.api_token is None
    assert settings.worker.client_tls == ClientTLS()


@pytest.mark.parametrize(
    ("args", "public", "api"),
    [
        (["--port", "80"], Address("", 80), Address("localhost", 81)),
        (["--port=80"], Address("", 80), Address("localhost", 81)),
        (["--port", "80", "--api-port", "9"], Address("", 80), Address("localhost", 9)),
        (["--port", "0"], Address("", 0), Address("localhost", 8001)),
        (["--ip", "127.0.0.1"], Address("127.0.0.1", 8000), Address("localhost", 8001)),
        (["--ip", ""], Address("", 8000), Address("localhost", 8001)),
        (["--ip", "*"], Address("", 8000), Address("localhost", 8001)),
        (["--ip", "[::1]"], Address("::1", 8000), Address("localhost", 8001)),
        (["--api-ip", "10.0.0.1"], Address("", 8000), Address("10.0.0.1", 8001)),
        (["--socket", "/p"], Address(path="/p"), Address("localhost", 8001)),
        (["--api-socket", "/a"], Address("", 8000), Address(path="/a")),
    ],
)
def test_where_it_listens(drop: Drop, args: list[str], public: Address, api: Address) -> None:
    settings = drop.run(*args)
    assert settings.listen == (public,)
    assert settings.api == (api,)


def test_metrics_listen_where_told(drop: Drop) -> None:
    assert drop.run("--metrics-port", "9").metrics == (Address("", 9),)
    assert drop.run("--metrics-port", "9", "--metrics-ip", "::1").metrics == (Address("::1", 9),)
    assert drop.run("--metrics-socket", "/m").metrics == (Address(path="/m"),)
    assert drop.run("--metrics-ip", "::1").metrics == ()


def test_a_hubs_own_command_line(drop: Drop) -> None:
    settings = drop.run(
        *["--ip=", "--port", "8000", "--api-ip", "127.0.0.1", "--api-port", "8001"],
        *[
            "--error-target",
            "http://127.0.0.1:8081/hub/error",
            "--log-level",
            "WARN",
            "--host-routing",
        ],
        CONFIGPROXY_AUTH_TOKEN="s3cret",
        HUBGATE_TOKEN="somebody else's, which is no token",
    )
    assert settings.api_token == "s3cret"
    assert settings.log_level == settings.worker.log_level == "warn"
    assert settings.worker.rules.host_routing
    assert settings.worker.rules.error_target == "http://127.0.0.1:8081/hub/error"


# --- everything else --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "rules"),
    [
        (["--no-x-forward"], {"x_forward": False}),
        (["--no-prepend-path"], {"prepend_path": False}),
        (["--no-include-prefix"], {"include_prefix": False}),
        (["--auto-rewrite"], {"auto_rewrite": True}),
        (["--change-origin"], {"change_origin": True}),
        (["--protocol-rewrite", "https"], {"protocol_rewrite": "https"}),
        (["--host-routing"], {"host_routing": True}),
        (["--error-target", "http://e/x"], {"error_target": "http://e/x"}),
        (["--error-path", "."], {"error_path": "."}),
        (
            ["--custom-header", " k1 : v1:2 ", "--custom-header", "k2:"],
            {"custom_headers": (("k1", "v1:2"), ("k2", ""))},
        ),
        (
            ["--custom-header", "k: 1", "--custom-header", "k: 2"],
            {"custom_headers": (("k", "2"),)},
        ),
    ],
)
def test_how_it_forwards(drop: Drop, args: list[str], rules: dict[str, Any]) -> None:
    assert drop.run(*args).worker.rules == ForwardRules(**rules)


def test_times_are_milliseconds_and_zero_is_none(drop: Drop) -> None:
    settings = drop.run(
        *["--timeout", "1500", "--proxy-timeout", "2500", "--keep-alive-timeout", "5000"],
        HUBGATE_DRAIN_TIMEOUT="3",
    )
    assert settings.worker.timeouts == Timeouts(request=1.5, response=2.5, keep_alive=5, drain=3)
    zeros = drop.run(*["--timeout", "0", "--proxy-timeout", "0", "--keep-alive-timeout", "0"])
    assert zeros.worker.timeouts == Timeouts()


def test_a_default_target_is_a_route(drop: Drop) -> None:
    data = {"target": "http://h:1"}
    assert drop.run("--default-target", "http://h:1").initial_routes == (
        Route("/", "http://h:1", data),
    )


def test_store_workers_and_pid_file(drop: Drop, tmp_path: Path) -> None:
    settings = drop.run(*["--storage-backend", "sqlite:a.db", "--workers", "2", "--pid-file", "p"])
    assert settings.store == f"sqlite:{Path.cwd()}/a.db"
    assert (settings.workers, settings.pid_file) == (2, "p")
    environ = drop.run(HUBGATE_STORE="sqlite:/b.db", HUBGATE_WORKERS="auto")
    assert environ.store == "sqlite:/b.db"
    assert environ.workers >= 1


@pytest.mark.parametrize(
    ("given", "level"),
    [("debug", "debug"), ("WARN", "warn"), ("warning", "warn"), ("critical", "error")],
)
def test_log_levels(given: str, level: str) -> None:
    assert chp_settings.log_level(given) == level


# --- TLS --------------------------------------------------------------------------------------


def test_public_tls(drop: Drop, files: Files) -> None:
    args = ["--ssl-cert", files.cert, "--ssl-key", files.key]
    tls = drop.run(*args).worker.tls
    assert tls is not None
    assert (tls.cert, tls.key, tls.request_cert) == (files.cert, files.key, False)
    assert (tls.min_version, tls.max_version) == ("TLSv1_2", None)
    redirecting = drop.run(*args, *["--port", "443", "--redirect-port", "80"])
    assert redirecting.redirect == (Address("", 80),)
    assert redirecting.worker.redirect_to == 443
    told = drop.run(*args, *["--redirect-port", "80", "--redirect-to", "8443"])
    assert told.worker.redirect_to == 8443


def test_a_requested_certificate_is_required_as_with_node(drop: Drop, files: Files) -> None:
    args = ["--ssl-cert", files.cert, "--ssl-key", files.key, "--ssl-ca", files.ca]
    asked = drop.run(*args, "--ssl-request-cert").worker.tls
    both = drop.run(*args, "--ssl-request-cert", "--ssl-reject-unauthorized").worker.tls
    alone = drop.run(*args, "--ssl-reject-unauthorized").worker.tls
    assert asked is not None
    assert alone is not None
    assert asked == both
    assert asked.reject_unauthorized
    assert not alone.request_cert


def test_a_hubs_internal_tls(drop: Drop, files: Files) -> None:
    pair = [f"ssl-{name}" for name in ("key", "cert", "ca", "request-cert", "reject-unauthorized")]
    values = [files.key, files.cert, files.ca]
    args = []
    for side in ("api", "client"):
        for name, value in zip(pair, values, strict=False):
            args += [f"--{side}-{name}", value]
        args += [f"--{side}-{name}" for name in pair[3:]]
    settings = drop.run(*args)
    assert settings.worker.tls is None
    assert settings.api_tls is not None
    assert settings.api_tls.reject_unauthorized
    assert settings.worker.client_tls == ClientTLS(files.cert, files.key, files.ca)
    assert "not authenticated" not in drop.log


def test_insecure_means_what_it_says(drop: Drop) -> None:
    assert not drop.run("--insecure").worker.client_tls.verify


def test_passphrases_come_from_chps_variables(drop: Drop, files: Files) -> None:
    secret = encrypt(files, "open")
    settings = drop.run(
        *["--ssl-cert", secret.cert, "--ssl-key", secret.key],
        *["--api-ssl-cert", secret.cert, "--api-ssl-key", secret.key],
        CONFIGPROXY_SSL_KEY_PASSPHRASE="open",
        CONFIGPROXY_API_SSL_KEY_PASSPHRASE="open",
    )
    assert settings.worker.tls is not None
    assert settings.api_tls is not None
    assert settings.worker.tls.passphrase == settings.api_tls.passphrase == "open"
    assert "'open'" not in repr(settings)


def test_one_file_may_hold_certificate_and_key(drop: Drop, files: Files, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(Path(files.key).read_bytes() + Path(files.cert).read_bytes())
    tls = drop.run("--ssl-cert", str(both)).worker.tls
    assert tls is not None
    assert tls.key == tls.cert == str(both)


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("TLSv1_2", ("TLSv1_2", "TLSv1_2")),
        ("TLSv1_2_method", ("TLSv1_2", "TLSv1_2")),
        ("TLSv1.2", ("TLSv1_2", "TLSv1_2")),
        ("TLSv1_2_server_method", ("TLSv1_2", "TLSv1_2")),
        ("TLSv1_3", ("TLSv1_3", "TLSv1_3")),
        ("TLS", ("TLSv1_2", None)),
        ("SSLv23", ("TLSv1_2", None)),
    ],
)
def test_nodes_names_of_protocols(
    drop: Drop, files: Files, name: str, versions: tuple[str, str | None]
) -> None:
    args = ["--ssl-cert", files.cert, "--ssl-key", files.key]
    tls = drop.run(*args, "--ssl-protocol", name).worker.tls
    assert tls is not None
    assert (tls.min_version, tls.max_version) == versions


# --- what it warns of -------------------------------------------------------------------------


def test_it_warns_of_an_open_api_and_a_public_port(drop: Drop) -> None:
    drop.run()
    assert "REST API is not authenticated." in drop.log
    assert "No TLS on the public address *:8000" in drop.log
    drop.run("--ip", "127.0.0.1", "--ssl-allow-rc4", CONFIGPROXY_AUTH_TOKEN="t")
    assert "REST API" not in drop.log
    assert "No TLS" not in drop.log
    assert "--ssl-allow-rc4 has no effect" in drop.log


# --- mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ("--bogus", "No such option '--bogus'."),
        ("extra", "Got unexpected extra argument (extra)"),
        ("--port", "Option '--port' requires an argument."),
        ("--port x", "Invalid value for '--port': 'x' is no port; write a whole number, 0 to"),
        ("--port 65536", "Invalid value for '--port': '65536' is no port; write a whole number,"),
        ("--port 65535", "--port: 65535 leaves no port for the API after it; give --api-port"),
        ("--timeout -1", "Invalid value for '--timeout': '-1' is no time in milliseconds; write"),
        ("--log-level loud", "Invalid value for '--log-level': 'loud' is not one of 'debug', "),
        ("--socket s --port 1", "--socket cannot be used with --port; drop one"),
        ("--socket s --ip a", "--socket cannot be used with --ip; drop one"),
        ("--api-socket s --api-port 1", "--api-socket cannot be used with --api-port; drop one"),
        ("--api-socket s --api-ip a", "--api-socket cannot be used with --api-ip; drop one"),
        ("--metrics-socket s --metrics-port 1", "--metrics-socket cannot be used with --metrics-"),
        ("--metrics-socket s --metrics-ip a", "--metrics-socket cannot be used with --metrics-ip"),
        ("--ip 1.2.3", "--ip: '1.2.3' is no IPv4 address; write four numbers, each 0 to 255"),
        ("--api-port 8000", "--api-port: localhost:8000 is taken by --port; give one of them"),
        ("--error-target http://a --error-path .", "Cannot specify both --error-target and --err"),
        ("--error-target a", "--error-target: 'a' has no scheme; write http://a"),
        ("--error-path none", "--error-path: none: no such folder; make it or name another"),
        ("--redirect-port 80", "--redirect-port needs TLS; give --ssl-cert and --ssl-key"),
        ("--custom-header nocolon", "A colon was expected in custom header: nocolon"),
        ("--custom-header :v", "A colon was expected in custom header: :v"),
        ("--custom-header Connection:x", "--custom-header: 'Connection' is set by the proxy itse"),
        ("--default-target h:1", "--default-target: 'h:1' has no scheme; write http://h:1"),
        ("--protocol-rewrite ws", "--protocol-rewrite: 'ws' is no scheme; write http or https"),
        ("--storage-backend chp-redis", "--storage-backend: 'chp-redis' is a module for Node.js,"),
        ("--storage-backend x:y", "--storage-backend: 'x:y' is no store; write memory: or sqlite:"),
        ("--storage-backend redis://h", "--storage-backend: 'redis://h': routes in Redis are not"),
        ("--workers none", "--workers: 'none' is no number of workers; write 1 to 256, or auto"),
        ("--ssl-key k", "--ssl-key needs --ssl-cert; give both"),
        ("--client-ssl-key k", "--client-ssl-key needs --client-ssl-cert; give both"),
        ("--api-ssl-key k", "--api-ssl-key needs --api-ssl-cert; give both"),
        ("--ssl-cert c --ssl-key k", "--ssl-cert: c: no such file;"),
        ("--client-ssl-ca none.pem", "--client-ssl-ca: none.pem: no such file;"),
        (
            "--ssl-cert c --ssl-key k --socket s --redirect-port 80",
            "--redirect-port with --socket needs --redirect-to; give the port",
        ),
        (
            "--ssl-cert c --ssl-key k --ssl-protocol SSLv3",
            "--ssl-protocol: SSLv3 is broken and not offered (RFC 7568); write TLSv1_2 or TLSv1_3",
        ),
        (
            "--ssl-cert c --ssl-key k --ssl-protocol TLSv1_1_method",
            "--ssl-protocol: TLSv1_1_method is broken and not offered (RFC 8996); write TLSv1_2",
        ),
        (
            "--ssl-cert c --ssl-key k --ssl-protocol DTLS",
            "--ssl-protocol: 'DTLS' is not known; write TLSv1_2 or TLSv1_3",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_1(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, args: str, line: str
) -> None:
    found = refused(capfd, monkeypatch, *args.split())
    assert found[0].startswith(line), found


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("HUBGATE_WORKERS", "x", "HUBGATE_WORKERS: 'x' is no number of workers;"),
        ("HUBGATE_STORE", "x", "HUBGATE_STORE: 'x' is no store;"),
        ("HUBGATE_DRAIN_TIMEOUT", "x", "HUBGATE_DRAIN_TIMEOUT: 'x' is no time;"),
        ("CONFIGPROXY_AUTH_TOKEN", "open sesame", "CONFIGPROXY_AUTH_TOKEN: the token must be one"),
    ],
)
def test_a_mistake_in_the_environment_names_its_variable(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    line: str,
) -> None:
    (found,) = refused(capfd, monkeypatch, **{name: value})
    assert found.startswith(line)
    assert "sesame" not in found


def test_certificates_that_cannot_be_used(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    files: Files,
    tmp_path: Path,
) -> None:
    other = make_files(tmp_path, "other")
    mixed = replace(files, key=other.key)
    (line,) = refused(capfd, monkeypatch, "--api-ssl-cert", mixed.cert, "--api-ssl-key", mixed.key)
    assert line.startswith(f"--api-ssl-key: {other.key}: is not the key of {files.cert};")
    (line,) = refused(
        capfd, monkeypatch, "--ssl-cert", files.cert, "--ssl-key", encrypt(files, "open").key
    )
    assert line.endswith("the key is encrypted; set CONFIGPROXY_SSL_KEY_PASSPHRASE")
    pair = ["--ssl-cert", files.cert, "--ssl-key", files.key]
    (line,) = refused(capfd, monkeypatch, *pair, "--ssl-ciphers", "RC4")
    assert line.startswith("--ssl-*: the cipher list 'RC4' selects none")
    (line,) = refused(capfd, monkeypatch, *pair, "--ssl-dhparam", files.cert)
    assert line.startswith(f"--ssl-dhparam: {files.cert}: holds no PEM DH parameters")

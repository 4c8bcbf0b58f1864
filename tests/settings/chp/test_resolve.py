"""The drop-in's options: what settings they mean."""

from pathlib import Path
from typing import Any

import pytest

from hubgate.errors import ConfigError
from hubgate.model import AccessLogConfig, Address, ClientTLS, ForwardRules, Route, Timeouts
from hubgate.settings.chp import resolve as resolve_module
from tests.cli.drop import Drop

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
        (["--error-path", "."], {"error_path": str(Path.cwd())}),
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
        HUBGATE_DRAIN_DELAY="0.5",
    )
    assert settings.worker.timeouts == Timeouts(
        request=1.5, response=2.5, keep_alive=5, drain=3, drain_delay=0.5
    )
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
    assert (settings.workers, settings.pid_file) == (2, f"{Path.cwd()}/p")
    environ = drop.run(HUBGATE_STORE="sqlite:/b.db", HUBGATE_WORKERS="auto")
    assert environ.store == "sqlite:/b.db"
    assert environ.workers >= 1


def test_an_access_log(drop: Drop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert drop.run().worker.access_log is None
    assert drop.run("--access-log", "a").worker.access_log == AccessLogConfig(f"{tmp_path}/a")
    settings = drop.run("--access-log", "-", "--access-log-format", "json")
    assert settings.worker.access_log == AccessLogConfig("-", "json")
    environ = {"HUBGATE_ACCESS_LOG": "b", "HUBGATE_ACCESS_LOG_FORMAT": "json"}
    assert drop.run(**environ).worker.access_log == AccessLogConfig(f"{tmp_path}/b", "json")
    settings = drop.run("--access-log", "a", "--access-log-format", "combined", **environ)
    assert settings.worker.access_log == AccessLogConfig(f"{tmp_path}/a")
    assert drop.run("--access-log", "off", **environ).worker.access_log is None


@pytest.mark.parametrize(
    ("given", "level"),
    [("debug", "debug"), ("WARN", "warn"), ("warning", "warn"), ("critical", "error")],
)
def test_log_levels(given: str, level: str) -> None:
    assert resolve_module.log_level({"log_level": given}) == level


def test_the_logs_format_comes_from_the_environment(drop: Drop) -> None:
    assert drop.run().log_format == "text"
    settings = drop.run(HUBGATE_LOG_FORMAT="json")
    assert settings.log_format == settings.worker.log_format == "json"
    with pytest.raises(ConfigError, match="HUBGATE_LOG_FORMAT: 'xml' is not a format; write text"):
        drop.run(HUBGATE_LOG_FORMAT="xml")


# --- what it warns of -------------------------------------------------------------------------


def test_it_warns_of_an_open_api_and_a_public_port(drop: Drop) -> None:
    drop.run()
    assert "REST API is not authenticated." in drop.log
    assert "No TLS on the public address *:8000" in drop.log
    drop.run("--ip", "127.0.0.1", "--ssl-allow-rc4", CONFIGPROXY_AUTH_TOKEN="t")
    assert "REST API" not in drop.log
    assert "No TLS" not in drop.log
    assert "--ssl-allow-rc4 has no effect" in drop.log


def test_names_of_the_api_come_from_the_environment(drop: Drop) -> None:
    assert drop.run().api_hosts == ()
    assert drop.run(HUBGATE_API_HOSTS="proxy.example.org").api_hosts == ("proxy.example.org",)
    with pytest.raises(ConfigError, match=r"^HUBGATE_API_HOSTS: 'a:1' has a scheme or a port"):
        drop.run(HUBGATE_API_HOSTS="a:1")

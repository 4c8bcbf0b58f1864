"""What a hub says beyond CHP's options: complete, checked, and taken over as it is meant."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hubgate.errors import ConfigError
from hubgate.model import Address, ForwardRules, ServerTLS, WorkerConfig
from hubgate.settings import Settings
from hubgate.settings.catalogue import SETTINGS
from hubgate.settings.chp.hub_settings import (
    LEFT_OUT,
    RECOVERY,
    TRAITS,
    VARIABLE,
    check_value,
    environment,
    with_hub_settings,
)
from hubgate.settings.values import Settings as Values

STARTED = Settings(
    listen=(Address("127.0.0.1", 8000),),
    worker=WorkerConfig(rules=ForwardRules(error_target="http://127.0.0.1:8081/hub/error")),
)


def taken(given: Mapping[str, Any], settings: Settings = STARTED, tls: bool = False) -> Settings:
    """Return the settings of a proxy whose hub says `given`."""
    return with_hub_settings(settings, environment(given, tls))


def test_every_setting_is_a_trait_or_the_hubs_otherwise() -> None:
    names = {each.key or each.becomes for each in SETTINGS}
    assert names == {each.key for each in TRAITS.values()} | set(LEFT_OUT)
    assert set(LEFT_OUT).isdisjoint(each.key for each in TRAITS.values())
    assert all(LEFT_OUT.values())


# One value for each trait that the drop-in does not read from a variable of its own.
VALUES: dict[str, Any] = {
    "redis_ca": "redis-ca.pem",
    "redis_password_file": "redis.password",
    "redis_sentinel_password_file": "sentinel.password",
    "replicas_name": "proxy-1",
    "replicas_wait": 0.5,
    "replicas_lease": 10.0,
    "replicas_settle": 3.0,
    "redirect_port": 8080,
    "redirect_to": 443,
    "listen_tls_min_version": "1.3",
    "listen_tls_ca": "ca.pem",
    "listen_tls_ciphers": "ECDHE+AESGCM",
    "listen_tls_dhparam": "dh.pem",
    "listen_tls_client_certificates": "require",
    "metrics_host": "127.0.0.2",
    "metrics_port": 9100,
    "metrics_socket": "m.sock",
    "health_host": "127.0.0.2",
    "health_port": 9101,
    "health_socket": "h.sock",
    "drain_delay": 3,
    "upstream_tls_ca": "ca.pem",
    "upstream_tls_cert": "cert.pem",
    "upstream_tls_key": "key.pem",
    "upstream_tls_verify": False,
    "upstream_tls_check_hostname": False,
    "forward_trusted_peers": ["10.0.0.0/8"],
    "forward_error_target": "http://127.0.0.1:1/errors",
    "forward_error_path": "errors",
    "forward_headers": {"X-Proxy": "hubgate"},
    "forward_protocol_rewrite": "https",
    **{
        f"forward_{name}": name in ("change_origin", "auto_rewrite")
        for name in ["x_forward", "prepend_path", "include_prefix", "change_origin", "auto_rewrite"]
    },
    **{name: 3 for name in TRAITS if name.startswith(("timeouts_", "limits_", "tcp_keepalive_"))},
    **{f"limits_{name}": 2000 for name in ("request_line", "head", "body")},
}
BY_VARIABLE = {
    *("workers", "store", "access_log", "access_log_format", "drain_timeout", "api_hosts"),
    "log_format",
}
TOGETHER = {
    "redirect_to": ["redirect_port"],
    "listen_tls_client_certificates": ["listen_tls_ca"],
    "metrics_host": ["metrics_port"],
    "health_host": ["health_port"],
    "upstream_tls_cert": ["upstream_tls_key"],
    "upstream_tls_key": ["upstream_tls_cert"],
}


def get(owner: Any, field: str) -> Any:
    for name in field.split("."):
        owner = getattr(owner, name)
    return owner


@pytest.mark.parametrize("name", sorted(set(TRAITS) - BY_VARIABLE))
def test_each_changes_what_it_says_and_nothing_else(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubgate.settings.chp.hub_settings._mistakes", lambda _: [])
    tls = ServerTLS("c", "k")
    before = with_put(STARTED, tls)
    given = {each: VALUES[each] for each in (name, *TOGETHER.get(name, ()))}
    after = taken(given, before, tls=True)
    changed = {field for field in every_field(before) if get(before, field) != get(after, field)}
    expected = {field for each in given for field in TRAITS[each].fields}
    if name.startswith("redirect_"):
        expected |= {"redirect", "worker.redirect_to"}
    if name == "forward_error_path":
        expected.add("worker.rules.error_target")
    assert changed <= expected
    assert changed & set(TRAITS[name].fields)


def with_put(settings: Settings, tls: ServerTLS) -> Settings:
    from dataclasses import replace

    return replace(settings, worker=replace(settings.worker, tls=tls))


def every_field(settings: Values) -> list[str]:
    fields = {field for each in SETTINGS for field in each.fields}
    # There is no access log, and no TLS of the API's, to look into.
    return [each for each in fields if not each.startswith(("worker.access_log.", "api_tls."))]


def test_values_become_what_they_are_in_the_file() -> None:
    after = taken({"metrics_port": 9100, "limits_connections": None, "timeouts_head": 2.5})
    assert after.metrics == (Address("127.0.0.1", 9100),)
    assert after.worker.limits.connections is None
    assert after.worker.timeouts.head == 2.5
    everywhere = taken({"metrics_port": 9100, "metrics_host": "*"})
    assert everywhere.metrics == (Address("", 9100),)


def test_pages_of_a_folder_win_over_the_hubs(tmp_path: Path) -> None:
    rules = taken({"forward_error_path": str(tmp_path)}).worker.rules
    assert (rules.error_path, rules.error_target) == (str(tmp_path), None)
    rules = taken({"forward_headers": {"X-A": "b"}}).worker.rules
    assert rules.error_target == "http://127.0.0.1:8081/hub/error"


def test_a_redirect_leads_to_the_public_port() -> None:
    settings = with_put(STARTED, ServerTLS("c", "k"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hubgate.settings.chp.hub_settings._mistakes", lambda _: [])
        after = taken({"redirect_port": 8080}, settings, tls=True)
    assert after.redirect == (Address("", 8080),)
    assert after.worker.redirect_to == 8000


def test_some_have_variables_of_their_own() -> None:
    given = {
        "workers": 2,
        "access_log": "-",
        "access_log_format": "json",
        "store": "sqlite:routes.db",
        "drain_timeout": 5,
        "api_hosts": ["a.example", "b.example"],
        "log_format": "json",
    }
    assert set(given) == BY_VARIABLE
    assert environment(given, tls=False) == {
        "HUBGATE_WORKERS": "2",
        "HUBGATE_ACCESS_LOG": "-",
        "HUBGATE_ACCESS_LOG_FORMAT": "json",
        "HUBGATE_STORE": "sqlite:routes.db",
        "HUBGATE_DRAIN_TIMEOUT": "5",
        "HUBGATE_API_HOSTS": "a.example,b.example",
        "HUBGATE_LOG_FORMAT": "json",
    }


def test_no_recovery() -> None:
    from dataclasses import replace

    settings = replace(STARTED, recovery_file=Path("x"))
    assert with_hub_settings(settings, {}) is settings
    assert with_hub_settings(settings, {RECOVERY: "1"}) is settings
    assert with_hub_settings(settings, {RECOVERY: "0"}).recovery_file is None


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("metrics_port", 99999, "99999 is not a valid port; write a whole number, 0 to 65535"),
        ("workers", 0, "0 is not a valid number of workers; write 1 to 256, or auto"),
        ("upstream_tls_verify", "maybe", "'maybe' is neither true nor false; write one of them"),
        ("access_log_format", "xml", "'xml' is not a valid value; write 'combined' or 'json'"),
        ("limits_head", None, "null is not a valid size"),
        ("forward_headers", {"X A": "b"}, "'X A' is not a"),
        ("forward_trusted_peers", ["10.0.0.300"], "'10.0.0.300'"),
    ],
)
def test_a_wrong_value_is_one_line(name: str, value: object, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_value(name, value)
    (found,) = raised.value.lines
    assert found.startswith(f"c.HubgateProxy.{name}: {line}")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"metrics_host": "127.0.0.1"}, "c.HubgateProxy.metrics_host: has no port"),
        (
            {"listen_tls_min_version": "1.3", "redirect_port": 80},
            "c.HubgateProxy.listen_tls_min_version, c.HubgateProxy.redirect_port: needs TLS;"
            " set c.JupyterHub.ssl_cert and ssl_key",
        ),
        (
            {"forward_error_path": "a", "forward_error_target": "http://b"},
            "c.HubgateProxy.forward_error_target, c.HubgateProxy.forward_error_path: has both",
        ),
    ],
)
def test_what_does_not_fit_together_is_one_line(given: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        environment(given, tls=False)
    (found,) = raised.value.lines
    assert found.startswith(line)


def test_files_and_ports_are_checked_by_the_proxy() -> None:
    for given, line in (
        ({"forward_error_path": "/nowhere"}, "c.HubgateProxy.forward_error_path: /nowhere: no "),
        ({"upstream_tls_ca": "/nowhere"}, "c.HubgateProxy.upstream_tls_ca: /nowhere: "),
        ({"metrics_port": 8001}, "c.HubgateProxy.metrics_port: 127.0.0.1:8001 is taken by --api"),
    ):
        with pytest.raises(ConfigError) as raised:
            taken(given)
        (found,) = raised.value.lines
        assert line in found


@pytest.mark.parametrize("text", ["{", "[1]", "7", '{"nothing.here": 1}'])
def test_a_variable_that_no_hub_has_written_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        with_hub_settings(STARTED, {VARIABLE: text})
    assert len(raised.value.lines) == 1
    assert json.dumps(raised.value.lines[0])

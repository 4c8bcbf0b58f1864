"""The traits of `c.HubgateProxy` as traitlets sees them."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from traitlets import TraitError
from traitlets.config import Config
from traitlets.config.loader import DeferredConfigString

from hubgate.hub_traits import UNSET, given_settings
from hubgate.jupyterhub import HubgateProxy
from hubgate.settings.chp.hub_settings import TRAITS


def proxy(config: Config | None = None, **settings: Any) -> HubgateProxy:
    return HubgateProxy(
        log=logging.getLogger("hub"),
        app=SimpleNamespace(subdomain_host="", internal_ssl=False),
        auth_token="secret",
        config=config or Config(),
        **settings,
    )


def test_each_is_configurable_listed_and_explained_once() -> None:
    own = HubgateProxy.class_own_traits(config=True)
    assert set(TRAITS) <= set(own)
    text = HubgateProxy.class_get_help()
    for name, setting in TRAITS.items():
        assert f"--HubgateProxy.{name}=" in text
        assert f"`{setting.key}` in routes.yaml" in (own[name].help or "")
    # None of them hides one that the hub's own class has.
    parents = HubgateProxy.__mro__[1]
    assert set(TRAITS).isdisjoint(parents.class_traits(config=True))


def test_nothing_is_said_unless_somebody_has_said_it() -> None:
    assert given_settings(proxy()) == {}
    one = proxy(access_log="", limits_connections=None, workers="auto")
    assert given_settings(one) == {"limits_connections": None, "workers": "auto"}
    one.workers = UNSET
    assert given_settings(one) == {"limits_connections": None}


def test_values_on_the_hubs_command_line() -> None:
    texts = {
        "metrics_port": ("9100", 9100),
        "workers": ("auto", "auto"),
        "limits_body": ("null", None),
        "upstream_tls_verify": ("false", False),
        "forward_headers": ('{"X-A": "b"}', {"X-A": "b"}),
    }
    config = Config()
    for name, (text, _) in texts.items():
        config.HubgateProxy[name] = DeferredConfigString(text)
    expected = {name: value for name, (_, value) in texts.items()}
    assert given_settings(proxy(config)) == expected


def test_a_wrong_value_ends_a_hubs_start_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    line = (
        "c.HubgateProxy.metrics_port: 99999 is not a valid port; write a whole number, 0 to 65535"
    )
    with pytest.raises(SystemExit) as end:
        proxy(Config(HubgateProxy=Config(metrics_port=99999)))
    assert end.value.code == 1
    assert [record.getMessage() for record in caplog.records] == [line]
    caplog.clear()
    with pytest.raises(SystemExit):
        proxy(metrics_host="127.0.0.1")
    assert "metrics_host: has no port" in caplog.text
    with pytest.raises(TraitError, match="metrics_port: 'x' is not a valid port"):
        proxy().metrics_port = "x"


def test_a_proxy_that_the_hub_does_not_start_gets_none(caplog: pytest.LogCaptureFixture) -> None:
    proxy(should_start=False, workers=2)
    assert [record.getMessage() for record in caplog.records] == [
        "c.HubgateProxy.workers: no effect, because the hub does not start the proxy"
    ]

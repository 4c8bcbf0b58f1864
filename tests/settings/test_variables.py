"""Variables that begin with HUBGATE_: ours, those of Kubernetes, and those that nobody knows."""

import re
from pathlib import Path

import pytest

import hubgate
from hubgate.settings.variables import (
    KNOWN,
    service_links,
    unknown_variables,
    without_service_links,
)
from tests.settings.reading import Read

# What Kubernetes sets in a container beside services named hubgate, hubgate-api and hubgate-x.
KUBERNETES = {
    "HUBGATE_SERVICE_HOST": "10.0.0.1",
    "HUBGATE_SERVICE_PORT": "8000",
    "HUBGATE_SERVICE_PORT_HTTP": "8000",
    "HUBGATE_PORT": "tcp://10.0.0.1:8000",
    "HUBGATE_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "HUBGATE_PORT_8000_TCP_PROTO": "tcp",
    "HUBGATE_PORT_8000_TCP_PORT": "8000",
    "HUBGATE_PORT_8000_TCP_ADDR": "10.0.0.1",
    "HUBGATE_API_SERVICE_HOST": "fd00::2",
    "HUBGATE_API_PORT": "udp://[fd00::2]:8001",
    "HUBGATE_API_PORT_8001_UDP": "udp://[fd00::2]:8001",
    "HUBGATE_X_PORT": "sctp://10.0.0.3:9",
    "HUBGATE_X_PORT_9_SCTP_ADDR": "10.0.0.3",
}


def test_every_variable_that_the_package_names_is_known() -> None:
    text = "\n".join(path.read_text() for path in Path(hubgate.__file__).parent.rglob("*.py"))
    named = set(re.findall(r"\bHUBGATE_[A-Z_]*[A-Z]\b", text)) - set(
        re.findall(r"\bHUBGATE_PORT_\w+", text)
    )
    assert len(named) > 5
    assert named <= KNOWN


def test_no_known_variable_is_warned_of() -> None:
    assert unknown_variables(dict.fromkeys(KNOWN, "x")) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("HUBGATE_PROT", "did you mean HUBGATE_PORT?"),
        ("HUBGATE_METRIC_PORT", "did you mean HUBGATE_METRICS_PORT?"),
        ("HUBGATE_LOGLEVEL", "did you mean HUBGATE_LOG_LEVEL?"),
        ("HUBGATE_WORKER", "did you mean HUBGATE_WORKERS?"),
        ("HUBGATE_COLOUR", "--help shows those there are"),
        ("HUBGATE_", "--help shows those there are"),
    ],
)
def test_an_unknown_one_is_told_with_the_nearest(name: str, hint: str) -> None:
    environ = {name: "1", "HUBGATE_PORT": "1", "PATH": "/bin", "HUBGATES": "1", "HUBGATE_NONE": ""}
    assert unknown_variables(environ) == [f"{name} is not a setting and has no effect; {hint}"]


def test_those_of_kubernetes_are_no_settings() -> None:
    assert unknown_variables(KUBERNETES) == []
    left = without_service_links({**KUBERNETES, "HUBGATE_WORKERS": "2", "X_PORT": "tcp://1:2"})
    assert not {"HUBGATE_PORT", "HUBGATE_API_PORT", "HUBGATE_X_PORT"} & left.keys()
    assert left["HUBGATE_WORKERS"] == "2"
    assert left["X_PORT"] == "tcp://1:2"


def test_one_that_would_be_a_setting_is_said_to_be_ignored() -> None:
    api, public = service_links(KUBERNETES)
    assert api.startswith("HUBGATE_API_PORT is ignored: udp://[fd00::2]:8001 is what Kubernetes ")
    assert "for a service named hubgate-api;" in api
    assert public.startswith("HUBGATE_PORT is ignored: tcp://10.0.0.1:8000 is what Kubernetes sets")
    assert service_links({"HUBGATE_PORT": "8000"}) == []


def test_settings_are_read_without_them(read: Read) -> None:
    settings = read("listen: {port: 9}", KUBERNETES)
    assert (settings.listen[0].port, settings.api[0].port) == (9, 8001)

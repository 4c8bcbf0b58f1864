"""Who could reach us, and what is refused because of it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.model import Address, ServerTLS, WorkerConfig
from hubgate.settings import Settings
from hubgate.settings.exposure import exposure_mistakes, exposure_warnings, is_guarded, is_public
from hubgate.settings.load import load

TLS = ServerTLS("cert", "key")
MUTUAL = replace(TLS, request_cert=True, reject_unauthorized=True)
PUBLIC = (Address("0.0.0.0", 8000),)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "hub.example.org", "fe80::1"])
def test_public_hosts(host: str) -> None:
    assert is_public(Address(host, 1))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_hosts_of_this_machine(host: str) -> None:
    assert not is_public(Address(host, 1))


def test_a_unix_socket_is_not_public() -> None:
    assert not is_public(Address(path="/run/a.sock"))


def test_plain_http_stays_on_this_machine() -> None:
    assert exposure_mistakes(Settings(), no_ssl=False) == []
    assert exposure_mistakes(Settings(listen=PUBLIC), no_ssl=True) == []
    assert (
        exposure_mistakes(Settings(listen=PUBLIC, worker=WorkerConfig(tls=TLS)), no_ssl=False) == []
    )
    (line,) = exposure_mistakes(Settings(listen=PUBLIC), no_ssl=False)
    assert re.match(r"^listen.host: 0.0.0.0:8000 is a public address", line)


def test_an_unguarded_api_stays_on_this_machine() -> None:
    settings = Settings(api=(Address("127.0.0.1", 8001), Address("::", 8001)))
    assert exposure_mistakes(replace(settings, api_token="t"), no_ssl=False) == []
    assert exposure_mistakes(replace(settings, api_tls=MUTUAL), no_ssl=False) == []
    for open_api in (settings, replace(settings, api_tls=TLS)):
        (line,) = exposure_mistakes(open_api, no_ssl=False)
        assert re.match(r"^api.host: \[::\]:8001 is a public address", line)


def test_a_requested_certificate_is_no_guard() -> None:
    assert is_guarded(Settings(api_tls=MUTUAL))
    assert not is_guarded(Settings(api_tls=replace(TLS, request_cert=True)))


def test_unwise_settings_are_warned_about() -> None:
    assert exposure_warnings(Settings()) == ["REST API is not authenticated."]
    assert exposure_warnings(Settings(api_token="t")) == []
    assert exposure_warnings(Settings(listen=PUBLIC, api=PUBLIC, api_token="t")) == [
        "No TLS on the public address 0.0.0.0:8000; it must terminate in front of the proxy.",
        "The API's token crosses the network unencrypted: no TLS on 0.0.0.0:8000.",
    ]


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_token_that_everybody_can_read_is_a_warning(
    tmp_path: Path, mode: int, told: bool
) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret")
    file.chmod(mode)
    settings = load(None, {"--token-file": str(file)}, {})
    assert (settings.api_token, settings.api_token_file) == ("s3cret", file)
    lines = [line for line in exposure_warnings(settings) if str(file) in line]
    assert len(lines) == told
    assert not any("s3cret" in line for line in lines)


def test_a_token_from_the_environment_has_no_file(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("api: {token_file: token}\n")
    settings = load(tmp_path / "routes.yaml", {}, {"HUBGATE_TOKEN": "s3cret"})
    assert (settings.api_token, settings.api_token_file) == ("s3cret", None)

"""HUBGATE_ variables for the drop-in: those of `proxyctl serve`, under CHP's options."""

from pathlib import Path

import click
import pytest

from hubgate.cli.drop_in import command
from hubgate.errors import ConfigError
from hubgate.model import Address
from hubgate.settings.catalogue import FLAGS
from hubgate.settings.chp.options import ALREADY_SO, ONLY_VARIABLES, OPTIONS, VARIABLES
from tests.certificates.made import Files, encrypt
from tests.cli.drop import Drop
from tests.settings.test_variables import KUBERNETES


def test_every_flag_of_serve_has_its_place() -> None:
    """A new one is an option here as well, a variable alone, or how the drop-in is anyway."""
    places = [*OPTIONS, *ONLY_VARIABLES, *ALREADY_SO]
    assert sorted(places) == sorted(flag.name for flag in FLAGS)


def test_every_option_with_a_variable_is_one() -> None:
    options = {parameter.name for parameter in command.params}
    assert set(VARIABLES) <= options
    help_text = command.get_help(click.Context(command))
    only = [flag.variable for flag in FLAGS if flag.name in ONLY_VARIABLES]
    others = ["HUBGATE_TOKEN", "CONFIGPROXY_AUTH_TOKEN", "HUBGATE_TLS_PASSPHRASE"]
    assert [name for name in [*VARIABLES.values(), *only, *others] if name not in help_text] == []


@pytest.mark.parametrize(
    "row",
    [
        "HOST ::1 / --ip 127.0.0.1 / listen [::1]:8000 127.0.0.1:8000",
        "PORT 9 / --port 7 / listen *:9 *:7",
        "SOCKET /s / --port 7 / listen unix:/s *:7",
        "SOCKET /s / --ip ::1 / listen unix:/s [::1]:8000",
        "API_HOST ::1 / --api-ip 127.0.0.1 / api [::1]:8001 127.0.0.1:8001",
        "API_PORT 9 / --api-port 7 / api localhost:9 localhost:7",
        "API_PORT 9 / --api-socket /s / api localhost:9 unix:/s",
        "API_SOCKET /a / --api-port 7 / api unix:/a localhost:7",
        "METRICS_PORT 9 / --metrics-port 7 / metrics *:9 *:7",
        "METRICS_SOCKET /m / --metrics-socket /n / metrics unix:/m unix:/n",
        "STORE sqlite:/a / --storage-backend memory: / store sqlite:/a memory:",
        "WORKERS 3 / --workers 2 / workers 3 2",
        "PID_FILE /p / --pid-file /q / pid_file /p /q",
        "LOG_LEVEL debug / --log-level error / log_level debug error",
        "LOG_LEVEL WARNING / --log-level info / log_level warn info",
    ],
)
def test_a_variable_counts_unless_a_flag_is_given(drop: Drop, row: str) -> None:
    variable, flag, (field, by_variable, by_flag) = (part.split() for part in row.split(" / "))
    environ = {f"HUBGATE_{variable[0]}": variable[1]}

    def found(*args: str, **environ: str) -> str:
        value = getattr(drop.run(*args, **environ), field)
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

    assert found(**environ) == by_variable
    assert found(*flag, **environ) == by_flag
    assert found(**dict.fromkeys(environ, "")) == found()


def test_a_host_and_port_of_metrics(drop: Drop) -> None:
    environ = {"HUBGATE_METRICS_HOST": "127.0.0.1", "HUBGATE_METRICS_PORT": "9"}
    assert drop.run(**environ).metrics == (Address("127.0.0.1", 9),)


def test_tls_by_variables(drop: Drop, files: Files) -> None:
    locked = encrypt(files, "open")
    environ = {
        "HUBGATE_TLS_CERT": files.cert,
        "HUBGATE_TLS_KEY": locked.key,
        "HUBGATE_TLS_PASSPHRASE": "open",
        "HUBGATE_REDIRECT_PORT": "80",
        "HUBGATE_REDIRECT_TO": "443",
    }
    settings = drop.run(**environ)
    assert settings.worker.tls is not None
    assert (settings.worker.tls.cert, settings.worker.tls.passphrase) == (files.cert, "open")
    assert (settings.redirect, settings.worker.redirect_to) == ((Address("", 80),), 443)
    with pytest.raises(
        ConfigError, match=r"^HUBGATE_TLS_KEY: .* the passphrase in CONFIGPROXY_SSL"
    ):
        drop.run(**{**environ, "CONFIGPROXY_SSL_KEY_PASSPHRASE": "wrong"})
    api = ["--api-ssl-cert", files.cert, "--api-ssl-key", locked.key]
    assert drop.run(*api, HUBGATE_API_TLS_PASSPHRASE="open").api_tls is not None


def test_a_token_file(drop: Drop, tmp_path: Path) -> None:
    """Of two tokens, one in the environment counts, as for `proxyctl serve`."""
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    settings = drop.run(HUBGATE_TOKEN_FILE=str(file))
    assert (settings.api_token, settings.api_token_file) == ("s3cret", file)
    settings = drop.run(HUBGATE_TOKEN_FILE=str(file), CONFIGPROXY_AUTH_TOKEN="hub's")
    assert (settings.api_token, settings.api_token_file) == ("hub's", None)
    with pytest.raises(ConfigError, match=r"^HUBGATE_TOKEN_FILE: /none: no such file; put the"):
        drop.run(HUBGATE_TOKEN_FILE="/none")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("PORT", "x", "'x' is not a valid port; write a whole number, 0 to 65535"),
        ("PORT", "1_0", "'1_0' is not a valid port; write a whole number, 0 to 65535"),
        ("METRICS_PORT", "65536", "'65536' is not a valid port; write a whole number, 0 to 65535"),
        ("HOST", "1.2.3", "'1.2.3' is not an IPv4 address; write four numbers, each 0 to 255"),
        ("LOG_LEVEL", "loud", "'loud' is not a valid value; write 'debug', 'info', 'warn' or"),
        (
            "STORE",
            "files",
            "'files' is not a store; write memory:, sqlite:state/routes.db or redis://HOST:6379",
        ),
        ("TLS_CERT", "/none", "/none: no such file;"),
        ("PORT", "65535", "65535 leaves no port after it for the API; give --api-port"),
        ("API_PORT", "8000", "localhost:8000 is taken by --port; give one of them"),
        ("ACCESS_LOG", "/none/a", "/none: no such folder; create it or give another"),
    ],
)
def test_a_mistake_names_the_variable(drop: Drop, name: str, value: str, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        drop.run(**{f"HUBGATE_{name}": value})
    assert raised.value.lines[0].startswith(f"HUBGATE_{name}: {line}")


def test_a_mistake_of_two_variables_names_both(drop: Drop) -> None:
    with pytest.raises(ConfigError, match=r"^HUBGATE_SOCKET cannot be used with HUBGATE_PORT;"):
        drop.run(HUBGATE_SOCKET="/s", HUBGATE_PORT="1")
    with pytest.raises(ConfigError, match=r"^HUBGATE_REDIRECT_PORT needs TLS; give --ssl-cert"):
        drop.run(HUBGATE_REDIRECT_PORT="80")


def test_what_it_says_of_others(drop: Drop) -> None:
    settings = drop.run(**KUBERNETES, HUBGATE_PROT="1")
    assert settings == drop.run()
    drop.run(**KUBERNETES, HUBGATE_PROT="1", HUBGATE_API_OPEN="1", CONFIGPROXY_AUTH_TOKEN="t")
    warned = [line.split("warning: ")[1] for line in drop.log.splitlines() if "warning: " in line]
    assert [line for line in warned if line.startswith("HUBGATE_")] == [
        "HUBGATE_API_OPEN has no effect: there is a token, which the API requires.",
        "HUBGATE_PROT is not a setting and has no effect; did you mean HUBGATE_PORT?",
    ]
    assert drop.log.count("info: HUBGATE_PORT is ignored: tcp://10.0.0.1:8000 is what ") == 1


def test_the_health_pages_have_a_port_of_their_own_by_variable(drop: Drop) -> None:
    assert drop.run().health == ()
    assert drop.run(HUBGATE_HEALTH_HOST="10.0.0.1").health == ()
    assert drop.run(HUBGATE_HEALTH_PORT="9").health == (Address("127.0.0.1", 9),)
    everywhere = {"HUBGATE_HEALTH_PORT": "9", "HUBGATE_HEALTH_HOST": "*"}
    assert drop.run(**everywhere).health == (Address("", 9),)
    assert drop.run(HUBGATE_HEALTH_SOCKET="/h").health == (Address(path="/h"),)


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"PORT": "x"}, r"HUBGATE_HEALTH_PORT: 'x' is not a valid port; .*"),
        ({"PORT": "9", "HOST": "a b"}, r"HUBGATE_HEALTH_HOST: .*"),
        ({"PORT": "9", "SOCKET": "/h"}, r"HUBGATE_HEALTH_SOCKET cannot be used with a host or .*"),
        ({"PORT": "8001"}, r"HUBGATE_HEALTH_PORT: 127\.0\.0\.1:8001 is taken by --api-port; .*"),
    ],
)
def test_a_mistake_in_it_is_one_line(drop: Drop, environ: dict[str, str], line: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{line}$"):
        drop.run(**{f"HUBGATE_HEALTH_{name}": value for name, value in environ.items()})


def test_a_delay_that_is_none_is_one_line(drop: Drop) -> None:
    with pytest.raises(ConfigError, match=r"^HUBGATE_DRAIN_DELAY: '-1' is not a valid time; .*"):
        drop.run(HUBGATE_DRAIN_DELAY="-1")
    assert drop.run(HUBGATE_DRAIN_DELAY="0").worker.timeouts.drain_delay == 0

"""The drop-in's options: each mistake's line."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.cli import chp, drop_in, run_command
from tests.certificates.made import Files, encrypt, make_files
from tests.cli.drop import CLEAN


def refused(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: str, **env: str
) -> list[str]:
    """Run the drop-in for real as far as its mistake; return the lines it says."""
    for name in CLEAN:
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert run_command.run(drop_in.command, list(args), chp.NAME, usage_exit=1) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert all(line.startswith("configurable-http-proxy: ") for line in lines), lines
    return [line.removeprefix("configurable-http-proxy: ") for line in lines]


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ("--bogus", "No such option '--bogus'."),
        ("extra", "Got unexpected extra argument (extra)"),
        ("--port", "Option '--port' requires an argument."),
        (
            "--port x",
            "Invalid value for '--port': 'x' is not a valid port; write a whole number, 0 to",
        ),
        (
            "--port 65536",
            "Invalid value for '--port': '65536' is not a valid port; write a whole number,",
        ),
        ("--port 65535", "--port: 65535 leaves no port after it for the API; give --api-port"),
        (
            "--timeout -1",
            "Invalid value for '--timeout': '-1' is not a valid time in milliseconds; write",
        ),
        ("--log-level loud", "Invalid value for '--log-level': 'loud' is not one of 'debug', "),
        ("--socket s --port 1", "--socket cannot be used with --port; drop one"),
        ("--socket s --ip a", "--socket cannot be used with --ip; drop one"),
        ("--api-socket s --api-port 1", "--api-socket cannot be used with --api-port; drop one"),
        ("--api-socket s --api-ip a", "--api-socket cannot be used with --api-ip; drop one"),
        ("--metrics-socket s --metrics-port 1", "--metrics-socket cannot be used with --metrics-"),
        ("--metrics-socket s --metrics-ip a", "--metrics-socket cannot be used with --metrics-ip"),
        ("--ip 1.2.3", "--ip: '1.2.3' is not an IPv4 address; write four numbers, each 0 to 255"),
        ("--api-port 8000", "--api-port: localhost:8000 is taken by --port; give one of them"),
        ("--error-target http://a --error-path .", "Cannot specify both --error-target and --err"),
        ("--error-target a", "--error-target: 'a' has no scheme; write http://a"),
        ("--error-path none", "--error-path: HERE/none: no such folder; create it or give another"),
        ("--redirect-port 80", "--redirect-port needs TLS; give --ssl-cert and --ssl-key"),
        ("--custom-header nocolon", "A colon was expected in custom header: nocolon"),
        ("--custom-header :v", "A colon was expected in custom header: :v"),
        ("--custom-header Connection:x", "--custom-header: 'Connection' is set by the proxy itse"),
        ("--default-target h:1", "--default-target: 'h:1' has no scheme; write http://h:1"),
        (
            "--protocol-rewrite ws",
            "--protocol-rewrite: 'ws' is not a valid scheme; write http or https",
        ),
        ("--storage-backend chp-redis", "--storage-backend: 'chp-redis' is a Node.js module,"),
        (
            "--storage-backend x:y",
            "--storage-backend: 'x:y' is not a store; write memory:, sqlite:",
        ),
        (
            "--storage-backend redis://:hush@h",
            "--storage-backend: the password in it can be read in the list of processes;",
        ),
        ("--storage-backend redis://h/x", "--storage-backend: the Redis address is wrong"),
        (
            "--workers none",
            "--workers: 'none' is not a valid number of workers; write 1 to 256, or auto",
        ),
        ("--access-log no/a", "--access-log: "),
        ("--access-log .", "--access-log: "),
        (
            "--access-log-format xml",
            "--access-log-format: 'xml' is not a format; write combined or",
        ),
        ("--ssl-key k", "--ssl-key needs --ssl-cert; give both"),
        ("--client-ssl-key k", "--client-ssl-key needs --client-ssl-cert; give both"),
        ("--api-ssl-key k", "--api-ssl-key needs --api-ssl-cert; give both"),
        ("--ssl-cert c --ssl-key k", "--ssl-cert: HERE/c: no such file;"),
        ("--client-ssl-ca none.pem", "--client-ssl-ca: HERE/none.pem: no such file;"),
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
    assert found[0].startswith(line.replace("HERE", os.getcwd())), found


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("HUBGATE_WORKERS", "x", "HUBGATE_WORKERS: 'x' is not a valid number of workers;"),
        ("HUBGATE_STORE", "x", "HUBGATE_STORE: 'x' is not a store;"),
        ("HUBGATE_DRAIN_TIMEOUT", "x", "HUBGATE_DRAIN_TIMEOUT: 'x' is not a valid time;"),
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
    assert line.startswith("--ssl-*: the cipher list 'RC4' matches no cipher")
    (line,) = refused(capfd, monkeypatch, *pair, "--ssl-dhparam", files.cert)
    assert line.startswith(f"--ssl-dhparam: {files.cert}: contains no PEM DH parameters")

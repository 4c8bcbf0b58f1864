"""The command line: help, version, mistakes, and where it listens."""

import re
from pathlib import Path

import pytest

from tests.contract.better import better
from tests.contract.certificates import Certificates
from tests.contract.client import Client
from tests.contract.conftest import StartProxy
from tests.contract.harness import run_command
from tests.contract.ports import free_port, free_ports, occupied

FLAGS = [
    "--ip",
    "--port",
    "--socket",
    "--ssl-key",
    "--ssl-cert",
    "--ssl-ca",
    "--ssl-request-cert",
    "--ssl-reject-unauthorized",
    "--ssl-protocol",
    "--ssl-ciphers",
    "--ssl-allow-rc4",
    "--ssl-dhparam",
    "--api-ip",
    "--api-port",
    "--api-socket",
    "--api-ssl-key",
    "--api-ssl-cert",
    "--api-ssl-ca",
    "--api-ssl-request-cert",
    "--api-ssl-reject-unauthorized",
    "--client-ssl-key",
    "--client-ssl-cert",
    "--client-ssl-ca",
    "--client-ssl-request-cert",
    "--client-ssl-reject-unauthorized",
    "--default-target",
    "--error-target",
    "--error-path",
    "--redirect-port",
    "--redirect-to",
    "--pid-file",
    "--no-x-forward",
    "--no-prepend-path",
    "--no-include-prefix",
    "--auto-rewrite",
    "--change-origin",
    "--protocol-rewrite",
    "--custom-header",
    "--insecure",
    "--host-routing",
    "--metrics-ip",
    "--metrics-port",
    "--metrics-socket",
    "--log-level",
    "--timeout",
    "--proxy-timeout",
    "--storage-backend",
    "--keep-alive-timeout",
    "--version",
    "--help",
]


@pytest.fixture(scope="module")
def help_text() -> str:
    result = run_command("--help")
    assert result.returncode == 0
    return result.stdout


@pytest.mark.parametrize("flag", FLAGS)
def test_help_names_every_flag(help_text: str, flag: str) -> None:
    assert re.search(rf"(?<![\w-]){flag}(?![\w-])", help_text)


def test_help_has_a_short_flag(help_text: str) -> None:
    result = run_command("-h")
    assert (result.returncode, result.stdout) == (0, help_text)


def test_version_is_printed() -> None:
    result = run_command("--version")
    assert result.returncode == 0
    assert re.search(r"\d+\.\d+(\.\d+)?", result.stdout)
    assert result.stdout.count("\n") == 1
    assert run_command("-V").stdout == result.stdout


class TestMistakes:
    """Command lines that end in a message and a code other than 0."""

    def fails(self, *flags: str, **env: str) -> str:
        result = run_command(*flags, env=env)
        assert result.returncode not in (0, None)
        assert result.returncode > 0
        return result.stdout + result.stderr

    def test_an_unknown_flag(self) -> None:
        assert "--frobnicate" in self.fails("--frobnicate")

    def test_a_flag_that_only_has_a_negative(self) -> None:
        assert "--x-forward" in self.fails("--x-forward")

    def test_a_stray_word(self) -> None:
        self.fails("stray")

    def test_a_missing_value(self) -> None:
        assert "--default-target" in self.fails("--default-target")

    @pytest.mark.parametrize("other", ["--port=1", "--ip=127.0.0.1"])
    def test_a_public_socket_together_with_an_address(self, tmp_path: Path, other: str) -> None:
        said = self.fails(f"--socket={tmp_path}/s", other)
        assert "--socket" in said
        assert other.split("=")[0] in said

    @better("it means to refuse them, and takes them", hangs=True)
    @pytest.mark.parametrize("side", ["api", "metrics"])
    @pytest.mark.parametrize("other", ["port=1", "ip=127.0.0.1"])
    def test_another_socket_together_with_an_address(
        self, tmp_path: Path, side: str, other: str
    ) -> None:
        said = self.fails(f"--{side}-socket={tmp_path}/s", f"--{side}-{other}")
        assert f"--{side}-socket" in said
        assert f"--{side}-{other.split('=')[0]}" in said

    def test_an_error_target_together_with_an_error_path(self, tmp_path: Path) -> None:
        flags = ("--error-target", "http://127.0.0.1:9", "--error-path", str(tmp_path))
        result = run_command(*flags)
        assert result.returncode == 1
        assert "error-target" in result.stdout + result.stderr
        assert "error-path" in result.stdout + result.stderr

    def test_a_redirect_port_without_tls(self) -> None:
        result = run_command("--redirect-port", str(free_port()))
        assert result.returncode == 1
        assert "redirect" in (result.stdout + result.stderr).lower()

    @pytest.mark.parametrize("header", ["no colon", ":nameless", ""])
    def test_a_custom_header_without_a_colon(self, header: str) -> None:
        result = run_command("--custom-header", header)
        assert result.returncode == 1
        expected = f"A colon was expected in custom header: {header}"
        assert expected.strip() in result.stdout + result.stderr

    @pytest.mark.parametrize("missing", ["--ssl-key", "--ssl-cert", "--api-ssl-key"])
    def test_a_file_that_is_not_there(self, certificates: Certificates, missing: str) -> None:
        kind = missing.removesuffix("key").removesuffix("cert")
        files = {f"{kind}key": certificates.server.key, f"{kind}cert": certificates.server.cert}
        files[missing] = "/no/such/file.pem"
        assert "/no/such/file.pem" in self.fails(*[part for item in files.items() for part in item])

    @pytest.mark.parametrize("flag", ["--ssl-ca", "--ssl-dhparam"])
    def test_a_file_beside_the_certificate_that_is_not_there(
        self, certificates: Certificates, flag: str
    ) -> None:
        identity = certificates.server
        flags = ("--ssl-key", identity.key, "--ssl-cert", identity.cert)
        assert "/no/such/file.pem" in self.fails(*flags, flag, "/no/such/file.pem")

    def test_a_certificate_that_is_none(self, certificates: Certificates, tmp_path: Path) -> None:
        nonsense = tmp_path / "nonsense.pem"
        nonsense.write_text("nonsense")
        self.fails("--ssl-key", certificates.server.key, "--ssl-cert", str(nonsense))

    def test_a_key_of_another_certificate(self, certificates: Certificates) -> None:
        self.fails("--ssl-key", certificates.client.key, "--ssl-cert", certificates.server.cert)

    @pytest.mark.parametrize("passphrase", ["wrong", None])
    def test_an_encrypted_key_without_its_passphrase(
        self, certificates: Certificates, passphrase: str | None
    ) -> None:
        identity = certificates.encrypted
        env = {"CONFIGPROXY_SSL_KEY_PASSPHRASE": passphrase} if passphrase else {}
        self.fails("--ssl-key", identity.key, "--ssl-cert", identity.cert, **env)

    @pytest.mark.parametrize("protocol", ["SSLv3", "TLSv9", "nonsense"])
    def test_a_protocol_that_is_not_spoken(self, certificates: Certificates, protocol: str) -> None:
        identity = certificates.server
        flags = ("--ssl-key", identity.key, "--ssl-cert", identity.cert)
        self.fails(*flags, "--ssl-protocol", protocol)

    def test_a_storage_backend_that_is_not_there(self) -> None:
        self.fails("--storage-backend", "no-such-backend")

    def test_a_pid_file_that_cannot_be_written(self) -> None:
        ports = free_ports()
        flags = ("--port", str(ports[0]), "--api-port", str(ports[1]))
        assert "/no/such/folder" in self.fails(*flags, "--pid-file", "/no/such/folder/pid")

    @better("it takes its default port instead", hangs=True)
    @pytest.mark.parametrize("flag", ["--port", "--api-port", "--metrics-port", "--timeout"])
    def test_a_number_that_is_none(self, flag: str) -> None:
        assert flag in self.fails(flag, "many")

    @better("it stays without a public port", hangs=True)
    @pytest.mark.parametrize("flag", ["--port", "--api-port"])
    def test_a_port_in_use(self, flag: str) -> None:
        with occupied() as port:
            ports = {"--port": free_port(), "--api-port": free_port()} | {flag: port}
            said = self.fails(*[str(part) for item in ports.items() for part in item])
        assert str(port) in said
        assert "Traceback" not in said


def test_a_value_may_follow_an_equals_sign_and_the_last_one_wins(own: StartProxy) -> None:
    proxy = own("--default-target", "http://127.0.0.1:1", "--default-target=http://127.0.0.1:9/a=b")
    assert proxy.routes()["/"]["target"] == "http://127.0.0.1:9/a=b"


def test_a_hubs_command_line_is_taken(own: StartProxy, certificates: Certificates) -> None:
    public, api, client = certificates.server, certificates.server, certificates.client
    proxy = own(
        *("--error-target", "http://127.0.0.1:9/hub/error", "--log-level", "info"),
        *("--host-routing", "--ssl-key", public.key, "--ssl-cert", public.cert),
        *("--api-ssl-key", api.key, "--api-ssl-cert", api.cert, "--api-ssl-ca", certificates.ca),
        *("--api-ssl-request-cert", "--api-ssl-reject-unauthorized"),
        *("--client-ssl-key", client.key, "--client-ssl-cert", client.cert),
        *("--client-ssl-ca", certificates.ca),
        *("--client-ssl-request-cert", "--client-ssl-reject-unauthorized"),
    )
    token = ("Authorization", f"token {proxy.token}")
    with Client(proxy.api, certificates.client_context(client)) as connection:
        assert connection.ask("/api/routes", token).body == b"{}"
    with Client(proxy.public, certificates.client_context()) as connection:
        assert connection.ask("/nobody").status == 404

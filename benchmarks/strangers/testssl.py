"""`python -m benchmarks.strangers.testssl`: what testssl.sh says of hubgate's ports with TLS."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.contenders import DROP_IN
from benchmarks.processes import free_port, running
from benchmarks.record import say
from benchmarks.strangers.places import Port
from benchmarks.strangers.results import Results
from hubgate.certificates.authority import make_authority, make_server

PART = "testssl"
ORDER = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "WARN")
# Seconds that a scan may take: on an idle machine it takes seventy.
LONGEST = 1200
_HOST = "localhost"


def main() -> int:
    """Scan both ports and print the findings; they go where the other figures are."""
    with tempfile.TemporaryDirectory() as name:
        found = _scanned(Path(name))
    results = Results({})
    results.go_on()
    for port, said in found.items():
        results.add(PART, port, "hubgate", said)
        say(f"{port}: {in_words(said)}")
        for finding in said["findings"]:
            say(f"  {finding}")
    return 0


def _scanned(folder: Path) -> dict[str, dict[str, Any]]:
    authority = make_authority()
    pair = make_server(authority, (_HOST, "127.0.0.1"), days=365)
    files = {"ca": authority.certificate_pem(), "cert": pair.certificate_pem(),
             "key": pair.key_pem()}  # fmt: skip
    for name, data in files.items():
        (folder / f"{name}.pem").write_bytes(data)
        (folder / f"{name}.pem").chmod(0o600)
    ports = {Port.PUBLIC: free_port(), Port.API: free_port()}
    flags = ["--ip", "127.0.0.1", "--port", str(ports[Port.PUBLIC]), "--log-level", "error"]
    flags += ["--api-ip", "127.0.0.1", "--api-port", str(ports[Port.API])]
    for prefix in ("--ssl", "--api-ssl"):
        flags += [f"{prefix}-cert", f"{folder}/cert.pem", f"{prefix}-key", f"{folder}/key.pem"]
    env = {"CONFIGPROXY_AUTH_TOKEN": "secret", "XDG_STATE_HOME": str(folder)}
    with (
        running([str(DROP_IN), *flags], folder, list(ports.values()), env),
        ThreadPoolExecutor(len(ports)) as pool,
    ):
        said = pool.map(lambda port: _scan(port, folder), ports.values())
        return {port.value: each for port, each in zip(ports, said, strict=True)}


def _scan(port: int, folder: Path) -> dict[str, Any]:
    file = folder / f"{port}.json"
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1"]
    command += ["--add-ca", str(folder / "ca.pem"), "--jsonfile", str(file), f"{_HOST}:{port}"]
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    if not file.exists():
        raise RuntimeError(f"testssl: {' '.join((done.stdout + done.stderr).split())[-200:]}")
    return summary(json.loads(file.read_text()))


def summary(entries: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the number of entries by severity, and all that are neither OK nor information."""
    bad = sorted(
        (each for each in entries if each["severity"] in ORDER),
        key=lambda each: ORDER.index(each["severity"]),
    )
    return {
        "severities": dict(Counter(each["severity"] for each in entries)),
        "findings": [f"{each['severity']} {each['id']}: {each['finding']}" for each in bad],
    }


def in_words(said: Mapping[str, Any]) -> str:
    """Return how many checks passed and how many did not."""
    count = said["severities"]
    return (
        f"{count.get('OK', 0)} checks passed, {count.get('INFO', 0)} gave information,"
        f" {len(said['findings'])} remarks"
    )


if __name__ == "__main__":
    sys.exit(main())

"""docs/kubernetes/hubgate.yaml: its parts fit each other, and what its pods run does run."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hubgate.settings.load import load
from tests.contract.polling import eventually
from tests.replicated.machines import LIMIT, Machines, needs_parts
from tests.replicated.page import ROOT, Place, block

pytestmark = pytest.mark.processes

MANIFEST = ROOT / "docs" / "kubernetes" / "hubgate.yaml"
PODS = (11, 12)
REDIS = 21

# Takes the place of kubectl: a secret is a folder with a file for each key.
KUBECTL = f"""#!{sys.executable}
import os, pathlib, sys
verb, *words = sys.argv[1:]
if verb == "create":
    kind, generic, name, *literals = words
    assert (kind, generic) == ("secret", "generic")
    folder = pathlib.Path(os.environ["SECRETS"], name)
    folder.mkdir()
    for each in literals:
        key, _, value = each.removeprefix("--from-literal=").partition("=")
        (folder / key).write_text(value)
else:
    assert verb == "apply" and pathlib.Path(words[1]).exists()
"""


def found(kind: str, name: str) -> Any:
    """Return an object of the manifest."""
    objects = yaml.safe_load_all(MANIFEST.read_text())
    (one,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return one


def pod_of(kind: str, name: str) -> Any:
    return found(kind, name)["spec"]["template"]["spec"]


HUBGATE, STORE = ("Deployment", "hubgate"), ("StatefulSet", "hubgate-redis")


@pytest.mark.parametrize("workload", [HUBGATE, STORE], ids=["hubgate", "redis"])
def test_what_names_something_names_what_is_there(workload: tuple[str, str]) -> None:
    one = found(*workload)
    labels = one["spec"]["template"]["metadata"]["labels"]
    (container,) = pod_of(*workload)["containers"]
    ports = {each["name"] for each in container["ports"]}
    assert one["spec"]["selector"]["matchLabels"] == labels
    for each in yaml.safe_load_all(MANIFEST.read_text()):
        if each["kind"] == "Service" and each["spec"]["selector"] == labels:
            assert {port["targetPort"] for port in each["spec"]["ports"]} <= ports
        if each["kind"] == "NetworkPolicy" and each["spec"]["podSelector"]["matchLabels"] == labels:
            rules = [port["port"] for rule in each["spec"]["ingress"] for port in rule["ports"]]
            assert sorted(rules) == sorted(ports)
    volumes = {each["name"] for each in pod_of(*workload)["volumes"]}
    volumes |= {each["metadata"]["name"] for each in one["spec"].get("volumeClaimTemplates", [])}
    assert {each["name"] for each in container["volumeMounts"]} == volumes
    places = [each["mountPath"] for each in container["volumeMounts"]]
    # A volume that is only read has no place for another one inside.
    assert not [(a, b) for a in places for b in places if a != b and b.startswith(f"{a}/")]


def secrets(folder: Path) -> Path:
    """Type what the page says; return the folder of the secrets."""
    (folder / "bin").mkdir()
    (folder / "secrets").mkdir()
    (folder / "bin" / "kubectl").write_text(KUBECTL)
    (folder / "bin" / "kubectl").chmod(0o755)
    own = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "SECRETS": str(folder / "secrets")}
    subprocess.run(
        ["sh", "-ec", block("On Kubernetes", "sh")], cwd=ROOT, env=os.environ | own, check=True
    )
    return folder / "secrets"


class Pod:
    """What a container of the manifest has in front of it, with its volumes in `folder`."""

    def __init__(self, workload: tuple[str, str], folder: Path, place: Place, number: int) -> None:
        self.spec = pod_of(*workload)
        (self.container,) = self.spec["containers"]
        self.place, self.number = place, number
        self.folder = folder
        self._mounts = {
            each["mountPath"]: folder / each["name"] for each in self.container["volumeMounts"]
        }
        for each in self._mounts.values():
            each.mkdir(parents=True, exist_ok=True)

    def fill(self, secrets: Path) -> None:
        """Put files into the volumes."""
        for volume in self.spec["volumes"]:
            folder = self.folder / volume["name"]
            for item in volume.get("configMap", {"items": []})["items"]:
                text = found("ConfigMap", volume["configMap"]["name"])["data"][item["key"]]
                (folder / item["path"]).write_text(self.own(text))
            if "secret" in volume:
                for each in (secrets / volume["secret"]["secretName"]).iterdir():
                    (folder / each.name).write_text(each.read_text())
                    (folder / each.name).chmod(volume["secret"]["defaultMode"])

    def own(self, text: str) -> str:
        """Return text of the manifest as it is here: paths, the Redis, ports, an address."""
        paths = "|".join(map(re.escape, sorted(self._mounts, key=len, reverse=True)))
        text = re.sub(paths, lambda path: str(self._mounts[path[0]]), text)
        text = text.replace("hubgate-redis:", f"10.0.0.{REDIS}:")
        return self.place.own(text).replace('"*"', self.place.host(self.number))

    def port(self, name: str) -> str:
        """Return the number of a port that has a name."""
        return str({e["name"]: e["containerPort"] for e in self.container["ports"]}[name])


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Machines]:
    """A Redis and two hubgates as the manifest's pods have them."""
    made = Machines(Place(tmp_path))
    given = secrets(tmp_path)
    made.token = (given / "hubgate" / "api.token").read_text()
    try:
        redis = Pod(STORE, tmp_path / "redis", made.place, REDIS)
        redis.fill(given)
        program, config = redis.container["command"]
        extra = ["--bind", made.place.host(REDIS), "--port", str(made.place.ports["6379"])]
        made.run("redis", [program, redis.own(config), *extra])
        for number in PODS:
            pod = Pod(HUBGATE, tmp_path / f"pod-{number}", made.place, number)
            pod.fill(given)
            # Names of pods are those of their hosts; here all have one.
            (file,) = (pod.folder / "settings").iterdir()
            file.write_text(f"{file.read_text()}replicas: {{name: pod-{number}}}\n")
            environment = {each["name"]: pod.own(each["value"]) for each in pod.container["env"]}
            program, *words = pod.container["command"]
            command = [str(Path(sys.executable).with_name(program)), *map(pod.own, words)]
            made.run(f"pod-{number}", command, environment)
        yield made
    finally:
        made.end()


@needs_parts
def test_what_the_pods_run_runs(pods: Machines, tmp_path: Path) -> None:
    pod = Pod(HUBGATE, tmp_path / "asked", pods.place, PODS[0])
    for probe in ("readinessProbe", "livenessProbe"):
        asked = pod.container[probe]["httpGet"]
        for number in PODS:
            host, port = pods.place.at(number, pod.port(asked["port"]))
            url = f"http://{host}:{port}{asked['path']}"
            assert eventually(lambda at=url: pods.answers(at), LIMIT), pods.log(f"pod-{number}")
    one, other = PODS
    pods.changes(one, "POST", "/user/alice", {"target": "http://127.0.0.1:1"})
    assert set(pods.ask(other, "GET")) == {"/user/alice"}
    assert "warning" not in pods.log(f"pod-{one}")


def test_a_pod_has_the_time_that_a_drain_takes(tmp_path: Path) -> None:
    pod = Pod(HUBGATE, tmp_path, Place(tmp_path), PODS[0])
    pod.fill(secrets(tmp_path))
    settings = load(tmp_path / "settings" / "routes.yaml", {}, {})
    timeouts = settings.worker.timeouts
    assert timeouts.drain_delay + timeouts.drain < pod.spec["terminationGracePeriodSeconds"]
    probe = pod.container["readinessProbe"]
    assert timeouts.drain_delay > probe["periodSeconds"] * probe["failureThreshold"]
    ports = [settings.listen[0].port, settings.api[0].port, settings.health[0].port]
    named = [int(pod.own(f"x: {pod.port(name)}")[3:]) for name in ("public", "api", "health")]
    assert ports == named


def test_the_hubs_address_is_the_service() -> None:
    host, port = re.findall(r'"http://([\w-]+):(\d+)"', block("On Kubernetes", "python"))[0]
    assert found("Service", host)["spec"]["ports"][0]["port"] == int(port)

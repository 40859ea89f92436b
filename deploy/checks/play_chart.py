"""`make chart-test`: runs what the chart would have run, as processes here.

    .venv/bin/python -m deploy.checks.play_chart .deploy-venv

Each container's command runs with the variables of its manifest, and with its secrets where it
mounts them, in a network and a view of the files of its own, where the names of the Services
lead to this machine. What `kubectl exec` and the CronJob would do is done, and at the end each
gets SIGTERM. So it is known that variables, paths, names in certificates, scopes of keys and
graces fit together; what needs a cluster is not. It needs root, for `unshare`.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import trustme
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from deploy.checks import helm
from lookalike.wire import keys
from lookalike.wire.keys import KeyRecord, Scope
from lookalike_client.supervisor import redis_server

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

_BACKUP = ("backup.enabled=true", "backup.url=s3://kept")
CASES: dict[str, tuple[str, ...]] = {
    "as it comes": (),
    "TLS": ("tls.secret=tls", *_BACKUP),
    "mutual TLS and keys": (
        *("tls.secret=tls", "tls.mutual=true"),
        *("auth.keysSecret.name=keys", "auth.tokenSecret.name=parts"),
        *("backup.tokenSecret.name=backup", *_BACKUP),
    ),
}
NAMES = ("lookalike-search", "lookalike-embedder", "lookalike-redis")
# Where containers keep what outlives them; bound to folders of ours.
PLACES = ("/etc/lookalike", "/var/lib/lookalike", "/var/cache/lookalike", "/data")
PROGRAMS = {
    "embedder": "embedder_service",
    "search": "search_service",
    "worker": "embedder_service.worker",
}
# A node's first start compiles loops and converts a model.
READY_S = 180.0
PICTURES = 12


class Wrong(Exception):
    """Something does not work; the message says what."""


@dataclass
class Pod:
    """A container that runs, and what it was told."""

    process: subprocess.Popen[bytes]
    env: dict[str, str]
    grace_s: float
    health_port: int | None
    log: Path


@dataclass
class Play:
    """A release in `folder`: manifests.yaml, and a folder of secrets."""

    folder: Path
    manifests: list[dict[str, Any]] = field(default_factory=list)
    pods: dict[str, Pod] = field(default_factory=dict)

    def spec(self, kind: str, part: str) -> dict[str, Any] | None:
        """Return the spec of the pods of a manifest."""
        for each in self.manifests:
            if (each["kind"], each["metadata"]["name"]) == (kind, f"lookalike-{part}"):
                inner = each["spec"].get("jobTemplate", each)["spec"]
                pod: dict[str, Any] = inner["template"]["spec"]
                return pod
        return None

    def start(self, part: str, pod: dict[str, Any], command: list[str]) -> None:
        """Run the command of a container."""
        log = self.folder / f"{part}.log"
        env = self.env(part, pod)
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=env, stdout=file, stderr=file, cwd="/")
        ports = pod["containers"][0]["ports"]
        health = next((each["containerPort"] for each in ports if each["name"] == "health"), None)
        self.pods[part] = Pod(process, env, pod["terminationGracePeriodSeconds"], health, log)

    def env(self, part: str, pod: dict[str, Any]) -> dict[str, str]:
        """Mount the secrets of a pod, and return its variables."""
        (container,) = pod["containers"]
        secrets = {each["name"]: each["secret"] for each in pod["volumes"] if "secret" in each}
        for mount in container["volumeMounts"]:
            if mount["name"] not in secrets:
                continue
            secret = secrets[mount["name"]]
            source = self.folder / "secrets" / secret["secretName"]
            every = [{"key": each.name, "path": each.name} for each in source.iterdir()]
            Path(mount["mountPath"]).mkdir(parents=True, exist_ok=True)
            for item in secret.get("items", every):
                shutil.copy(source / item["key"], Path(mount["mountPath"]) / item["path"])
        told = {each["name"]: _value(each, part, container) for each in container.get("env", [])}
        return {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/tmp", **told}  # noqa: S108

    def wait_ready(self) -> None:
        """Wait until each is ready by its probe."""
        deadline_s = time.monotonic() + READY_S
        for part, pod in self.pods.items():
            while pod.health_port is not None and not _serves(pod.health_port):
                if pod.process.poll() is not None or time.monotonic() > deadline_s:
                    raise Wrong(f"{part} is not ready: {_end_of(pod.log)}")
                time.sleep(0.2)

    def run(self, env: dict[str, str], *arguments: str) -> str:
        """Run `lookalike`, as `kubectl exec` would."""
        ran = subprocess.run(
            [str(BIN / "lookalike"), *arguments],
            env=env, cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode:
            raise Wrong(f"lookalike {' '.join(arguments)}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def end(self) -> None:
        """End all, those that call before those that are called, each within its grace."""
        for part in ("worker", "search", "embedder", "redis"):
            pod = self.pods[part]
            pod.process.send_signal(signal.SIGTERM)
            try:
                code = pod.process.wait(pod.grace_s)
            except subprocess.TimeoutExpired:
                raise Wrong(f"{part} did not end within {pod.grace_s} s") from None
            if code:
                raise Wrong(f"{part} ended with {code}: {_end_of(pod.log)}")

    def kill(self) -> None:
        """End what is left."""
        for pod in self.pods.values():
            pod.process.kill()
            pod.process.wait()


def play(folder: Path) -> None:
    """Run the release of `folder`, in namespaces that `main` made.

    Raises:
        Wrong: something does not work.
    """
    text = (folder / "manifests.yaml").read_text(encoding="utf-8")
    here = Play(folder, [each for each in yaml.safe_load_all(text) if each])
    redis, search = here.spec("StatefulSet", "redis"), here.spec("StatefulSet", "search")
    if redis is None or search is None:
        raise Wrong("there is no Redis or no search service")
    try:
        server = str(redis_server.find_binary())
        here.start("redis", redis, [server, *redis["containers"][0]["args"][1:]])
        for part, program in PROGRAMS.items():
            pod = search if part == "search" else here.spec("Deployment", part)
            if pod is None:
                raise Wrong(f"there is no {part}")
            here.start(part, pod, [sys.executable, "-m", program])
        here.wait_ready()
        inside = here.pods["search"].env
        admin = ["--token-file", str(folder / "admin")] if (folder / "admin").exists() else []
        here.run(inside, "collections", "create", "pictures", *admin)
        here.run(inside, "index", str(folder / "pictures"), "-c", "pictures", "--wait")
        picture = folder / "pictures" / "3.png"
        hits = json.loads(here.run(inside, "search", str(picture), "-c", "pictures", "--json"))
        if hits["hits"][0]["id"] != "3.png":
            raise Wrong(f"another picture was found: {hits}")
        here.run(inside, "doctor")
        if (backup := here.spec("CronJob", "backup")) is not None:
            kept = f"file://{folder}/kept"
            said = [re.sub("^s3://.*", kept, each) for each in backup["containers"][0]["args"]]
            env = here.env("backup", backup)
            here.run(env, *said)
            here.run(env, "backup", "restore", kept, "pictures", "--as", "again")
            if here.run(inside, "count", "-c", "again").strip() != str(PICTURES):
                raise Wrong("the backup does not hold all")
        here.end()
    finally:
        here.kill()


def _value(variable: dict[str, Any], part: str, container: dict[str, Any]) -> str:
    if "value" in variable:
        return str(variable["value"])
    source = variable["valueFrom"]
    if "fieldRef" in source:
        return f"lookalike-{part}-0"
    if source.get("resourceFieldRef", {}).get("resource") == "requests.cpu":
        asked = str(container["resources"]["requests"]["cpu"])
        return str(math.ceil(int(asked[:-1]) / 1000) if asked.endswith("m") else int(asked))
    raise Wrong(f"{variable['name']} has a value that is not known here")


def _serves(port: int) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            request = health_pb2.HealthCheckRequest()
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=2)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]


def prepare(folder: Path, settings: tuple[str, ...]) -> None:
    """Make the secrets that the values name, and pictures."""
    tls, key_file = folder / "secrets" / "tls", folder / "secrets" / "keys"
    tls.mkdir(parents=True)
    key_file.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tls / "ca.crt"))
    made = authority.issue_cert(*NAMES)
    (tls / "tls.crt").write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
    made.private_key_pem.write_to_path(str(tls / "tls.key"))
    if any(each.startswith("auth.") for each in settings):
        records = []
        # As the notes on Kubernetes say.
        for name, scopes in (("parts", "read write"), ("backup", "read admin"), ("", "admin")):
            key_id, token = keys.new_token()
            scope = frozenset(map(Scope, scopes.split()))
            records.append(KeyRecord(key_id, name, keys.digest(token), scope))
            place = folder / "secrets" / name / "token" if name else folder / "admin"
            place.parent.mkdir(exist_ok=True)
            place.write_text(token + "\n", encoding="ascii")
        keys.write(key_file / "keys.json", records)
    (folder / "pictures").mkdir()
    for number in range(PICTURES):
        Image.effect_noise((128, 128), 80).convert("RGB").save(folder / f"pictures/{number}.png")


def isolated(folder: Path) -> int:
    """Run `play` where names and places are those of the pods; return its exit code."""
    (folder / "hosts").write_text(f"127.0.0.1 localhost {' '.join(NAMES)}\n", encoding="ascii")
    lines = ["ip link set lo up", f"mount --bind {folder}/hosts /etc/hosts"]
    made = [Path(place) for place in PLACES if not Path(place).exists()]
    for number, place in enumerate(PLACES):
        (folder / f"place-{number}").mkdir()
        Path(place).mkdir(parents=True, exist_ok=True)
        lines.append(f"mount --bind {folder}/place-{number} {place}")
    lines.append(f"exec {sys.executable} -m deploy.checks.play_chart --play {folder}")
    command = ["unshare", "--mount", "--net", "sh", "-c", " && ".join(lines)]
    try:
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    finally:
        for each in made:  # only there to be bound over
            each.rmdir()


def main(arguments: list[str]) -> int:
    """Play the chart with each of `CASES`; 1 where something does not work."""
    if arguments[0] == "--play":
        try:
            play(Path(arguments[1]))
        except Wrong as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    if os.geteuid() or shutil.which("unshare") is None or shutil.which("ip") is None:
        print("chart-test skipped: it needs root, unshare and ip")
        return 0
    for name, settings in CASES.items():
        chart = helm.Chart(helm.program(Path(arguments[0])), ROOT / "deploy/helm/lookalike")
        text, errors = chart.rendered(None, settings)
        with tempfile.TemporaryDirectory(prefix="lookalike-chart-") as made:
            folder = Path(made)
            (folder / "manifests.yaml").write_text(text, encoding="utf-8")
            prepare(folder, settings)
            if errors or isolated(folder):
                print(f"{name}: does not work {' '.join(errors)}", file=sys.stderr)
                return 1
        print(f"{name}: ready, searched, ended in time")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

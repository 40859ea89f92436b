"""`make check-deploy`: what can be known of images and manifests without a cluster.

    .deploy-venv/bin/python -m deploy.checks.check_deploy

The chart is linted and rendered with each file of values in its folder `ci`, and by itself.
What comes out is held to the schemas of Kubernetes and of the kinds that others define,
without unknown keys; its variables to the settings that the services have; and all of it,
with the images, to checkov and hadolint. Values that must be refused are, and what the chart
promises holds under many combinations of others. Needs neither root nor network, and ends with
a line for each thing that is wrong.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.checks import helm, manifests, promises

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "lookalike"
IMAGES = ROOT / "deploy" / "images"
KUBERAY = ROOT / "deploy" / "kuberay"
TOOLS = Path(sys.executable).parent
# The oldest that Chart.yaml allows, and the newest that there are schemas of.
KUBERNETES = ("1.27.0", "1.37.0")


@dataclass(frozen=True, slots=True)
class Refused:
    """Values that must not be taken, and a word of what is said of them."""

    values: tuple[str, ...]
    said: str


REFUSED = (
    Refused(("search.replicas=2",), "/search/replicas"),
    Refused(("search.replcas=1",), "replcas"),
    Refused(("serch.replicas=1",), "serch"),
    Refused(("search.settings.port=1",), "port"),
    Refused(("embedder.settings.tls_key=x",), "tls_key"),
    Refused(("search.persistence.size=big",), "/search/persistence/size"),
    Refused(("worker.autoscaling.kind=both",), "/worker/autoscaling/kind"),
    Refused(("worker.autoscaling.kind=hpa", "worker.autoscaling.minReplicas=0"), "minReplicas"),
    Refused(("redis.enabled=false",), "workers need a queue"),
    Refused(("embedder.enabled=false",), "workers need an embedder"),
    Refused(("backup.enabled=true",), "backup.url"),
    Refused(("backup.enabled=true", "backup.url=ftp://x"), "/backup/url"),
    Refused(("cluster.enabled=true",), "cluster.snapshots"),
    Refused(("cluster.enabled=true", "cluster.snapshots=file:///x"), "/cluster/snapshots"),
    Refused(("cluster.fronts=-1",), "/cluster/fronts"),
    Refused(("search.settings.cluster_log=redis",), "cluster_log"),
    Refused(
        (
            "cluster.enabled=true",
            "cluster.snapshots=s3://x",
            "redis.enabled=false",
            "worker.enabled=false",
        ),
        "a cluster needs a Redis",
    ),
    Refused(
        ("cluster.enabled=true", "cluster.snapshots=s3://x", "cluster.nodes.maxReplicas=1"),
        "cluster.nodes.maxReplicas",
    ),
    Refused(("tls.mutual=true",), "tls.mutual needs tls.secret"),
    Refused(("auth.keysSecret.name=keys",), "auth.tokenSecret.name"),
    Refused(("auth.keysSecret.name=k", "auth.tokenSecret.name=t"), "auth needs tls.secret"),
    Refused(
        (
            "auth.keysSecret.name=k",
            "auth.tokenSecret.name=t",
            "tls.secret=x",
            "backup.enabled=true",
            "backup.url=s3://x",
        ),
        "backup.tokenSecret.name",
    ),
    Refused(("redis.external.urlSecret.name=redis",), "redis.enabled=false"),
    Refused(("redis.maxmemory=512mb",), "redis.maxmemory"),
    Refused(("search.settings.max_queue_bytes=1073741824",), "redis.maxmemory"),
    Refused(("worker.settings.max_dead_bytes=600000000",), "redis.maxmemory"),
    Refused(("search.settings.key_prefix=other",), "worker.settings.key_prefix"),
    Refused(("worker.settings.job_retention_s=60",), "search.settings.job_retention_s"),
    Refused(("search.settings.grace_s=60",), "search.terminationGracePeriodSeconds"),
    Refused(
        ("embedder.terminationGracePeriodSeconds=15",), "embedder.terminationGracePeriodSeconds"
    ),
    Refused(("worker.settings.grace_s=30.5",), "worker.terminationGracePeriodSeconds"),
    Refused(
        (
            "redis.enabled=false",
            "redis.external.urlSecret.name=redis",
            "worker.autoscaling.kind=keda",
        ),
        "redis.external.host",
    ),
)


def main() -> int:
    """Run every check; 1 where something is wrong."""
    with tempfile.TemporaryDirectory(prefix="lookalike-deploy-") as folder:
        rendered = Path(folder)
        chart = helm.Chart(helm.program(ROOT / ".deploy-venv"), CHART)
        wrong = check_chart(chart, rendered) + check_refusals(chart) + check_promises(chart)
        with ThreadPoolExecutor(3) as pool:
            pending = [
                pool.submit(check_kinds, rendered),
                pool.submit(run, "checkov", *_checkov(rendered)),
                pool.submit(run, "hadolint", *map(str, sorted(IMAGES.glob("*.Dockerfile")))),
            ]
            for each in pending:
                wrong += each.result()
        wrong += check_compose()
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print("images and manifests are in order")
    return 1 if wrong else 0


def check_chart(chart: helm.Chart, rendered: Path) -> list[str]:
    """Lint and render the chart with each file of values; leave what comes out in `rendered`."""
    wrong = []
    for values in (None, *sorted((CHART / "ci").glob("*.yaml"))):
        name = values.stem if values else "default"
        text, errors = chart.rendered(values)
        wrong += [f"{name}: {each}" for each in errors]
        (rendered / f"{name}.yaml").write_text(text, encoding="utf-8")
    return wrong


def check_refusals(chart: helm.Chart) -> list[str]:
    """Check that the values of `REFUSED` are not taken, and that it is said why."""
    wrong = []
    for case in REFUSED:
        text, errors = chart.rendered(None, case.values)
        if text or not any(case.said in each for each in errors):
            wrong.append(f"{', '.join(case.values)}: was to be refused with {case.said}: {errors}")
    return wrong


def check_promises(chart: helm.Chart) -> list[str]:
    """Hold what is rendered under each of `promises.COMBINATIONS` to what the chart promises."""
    wrong = []
    files = [(file, ()) for file in sorted((CHART / "ci").glob("*.yaml"))]
    for values, settings in (*files, *((None, each) for each in promises.COMBINATIONS)):
        text, errors = chart.rendered(values, settings)
        name = values.stem if values else ", ".join(settings) or "default"
        wrong += [f"{name}: {each}" for each in errors]
        for document in filter(None, yaml.safe_load_all(text)):
            where = f"{name}: {document['kind']} {document['metadata']['name']}"
            wrong += [f"{where}: {each}" for each in promises.broken(document)]
    return wrong


def check_kinds(rendered: Path) -> list[str]:
    """Hold what was rendered, and the plain manifests, to the schemas of their kinds, and their
    variables to the settings."""
    settings = manifests.declared_settings(ROOT / "deploy" / "SETTINGS.md")
    wrong: list[str] = []
    kinds: set[str] = set()
    for file in sorted([*rendered.glob("*.yaml"), *KUBERAY.glob("*.yaml")]):
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if document is None:
                continue
            kinds.add(document["kind"])
            where = f"{file.stem}: {document['kind']} {document['metadata']['name']}"
            found = manifests.schema_errors(document, KUBERNETES)
            found += manifests.unknown_variables(document, settings)
            wrong += [f"{where}: {each}" for each in found]
    # A kind that no file of values brings about would not be checked, without a word.
    if missing := manifests.EXPECTED - kinds:
        wrong.append(f"no file of values renders {', '.join(sorted(missing))}")
    return wrong


def check_compose() -> list[str]:
    """Hold the variables of compose.yaml to the settings."""
    settings = manifests.declared_settings(ROOT / "deploy" / "SETTINGS.md")
    document = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    return [
        f"compose.yaml: {service}: {name} is no setting"
        for service, each in document["services"].items()
        for name in each.get("environment", {})
        if name not in settings
    ]


def _checkov(rendered: Path) -> tuple[str, ...]:
    config = ROOT / "deploy" / "checks" / "checkov.yaml"
    return ("--config-file", str(config), "--directory", str(rendered), "--directory", str(IMAGES))


def run(tool: str, *arguments: str) -> list[str]:
    """Run a tool of the environment; return what it says where it is not content."""
    ended = subprocess.run(
        [str(TOOLS / tool), *arguments], capture_output=True, text=True, check=False
    )
    if ended.returncode == 0:
        return []
    return [f"{tool}: {ended.stdout.strip()[-8000:]}", f"{tool}: {ended.stderr.strip()[-2000:]}"]


if __name__ == "__main__":
    sys.exit(main())

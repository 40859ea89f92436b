"""Writes what is installed as a CycloneDX 1.6 list of components.

    python deploy/sbom.py FILE

Of the environment that runs it, without what is not a package of Python: the interpreter and
the libraries of the system are those of the image.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

_OURS = "lookalike"


def bill(found: Iterator[Distribution]) -> dict[str, Any]:
    """Return the list, by name; the same for the same packages."""
    by_name = {_name(each): each for each in found}
    components = [_component(name, by_name[name]) for name in sorted(by_name) if name != _OURS]
    refs = " ".join(component["purl"] for component in components)
    ours = by_name.get(_OURS)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, refs)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": _OURS,
                "version": "" if ours is None else ours.version,
            }
        },
        "components": components,
    }


def _component(name: str, each: Distribution) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{each.version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": each.version,
        "purl": purl,
    }
    if "License-Expression" in each.metadata:
        component["licenses"] = [{"expression": each.metadata["License-Expression"]}]
    return component


def _name(each: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill(iter(distributions())), indent=1) + "\n", encoding="utf-8")

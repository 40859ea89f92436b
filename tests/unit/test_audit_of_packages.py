"""What `make audit` and `make sbom` say of packages."""

from __future__ import annotations

from importlib.metadata import Distribution, distribution
from typing import Any

import pytest

from deploy.audit import judged
from deploy.sbom import bill

GOOD: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
SKIPPED: dict[str, Any] = {"name": "b", "skip_reason": "not found"}
WEAK: dict[str, Any] = {
    "name": "c",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}],
}


@pytest.mark.parametrize(
    ("packages", "code", "first"),
    [
        ([GOOD], 0, "1 packages asked for"),
        ([GOOD, WEAK], 1, "c 2: PYSEC-1, mended in 3"),
        ([GOOD, SKIPPED], 3, "NOT AUDITED"),
        ([SKIPPED, WEAK], 1, "c 2"),
    ],
)
def test_an_audit_that_could_not_ask_is_none(
    packages: list[dict[str, Any]], code: int, first: str
) -> None:
    lines, got = judged({"dependencies": packages})

    assert got == code
    assert lines[0].startswith(first)
    assert any("NOT AUDITED" in line for line in lines) == (SKIPPED in packages)


def test_the_bill_names_what_is_installed_once() -> None:
    grpc: Distribution = distribution("grpcio")
    made = bill(iter([grpc, grpc]))

    (component,) = made["components"]
    assert component["purl"] == f"pkg:pypi/grpcio@{grpc.version}"
    assert made == bill(iter([grpc]))

"""A client written from the .proto files alone, in another language."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "e2e" / "node" / "client.mjs"


@pytest.fixture(scope="module")
def node_client(node_packages: Path | None) -> Path:
    """The script beside its installed packages."""
    if node_packages is None:
        pytest.skip("node and npm are not installed")
    shutil.copy(SOURCE, node_packages)
    return node_packages / SOURCE.name


@pytest.fixture(scope="module")
def seen(node_client: Path, system: Any, photo: Path) -> dict[str, Any]:
    """What the client printed."""
    run = subprocess.run(
        ["node", str(node_client), str(ROOT / "protos"), system.search, str(photo)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stderr[:2000]
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def test_it_creates_a_collection_bound_to_the_default_model(seen: dict[str, Any]) -> None:
    assert seen["created"]["dimension"] == 1280
    assert seen["created"]["model_fingerprint"]


def test_acceptance_is_told_for_each_item(seen: dict[str, Any]) -> None:
    answers = {answer["request_id"]: answer for answer in seen["accepted"]}

    assert answers[1]["accepted"]["version"] < answers[2]["accepted"]["version"]
    assert answers[3]["error"]["reason"] == "ERROR_REASON_COLLECTION_NOT_FOUND"


def test_the_outcome_is_told_for_each_item(seen: dict[str, Any]) -> None:
    outcomes = {outcome["id"]: outcome for outcome in seen["outcomes"]}

    assert outcomes["photo"]["status"] == "MUTATION_STATUS_APPLIED"
    assert outcomes["broken"]["error"]["reason"] == "ERROR_REASON_IMAGE_UNREADABLE"


def test_the_image_finds_itself(seen: dict[str, Any]) -> None:
    (hit,) = seen["hits"]

    assert hit["id"] == "photo"
    assert hit["score"] == pytest.approx(1.0, abs=1e-3)
    assert hit["item"]["metadata"]["fields"]["kind"]["stringValue"] == "test"


def test_errors_can_be_read_by_a_program(seen: dict[str, Any]) -> None:
    unknown, wrong = seen["unknownCollection"], seen["wrongDimension"]

    assert unknown["code"] == 5
    assert unknown["info"] == {
        "reason": "ERROR_REASON_COLLECTION_NOT_FOUND",
        "domain": "lookalike.v1",
    }
    assert wrong["code"] == 3
    assert wrong["info"]["reason"] == "ERROR_REASON_DIMENSION_MISMATCH"
    assert wrong["fields"] == ["queries[0].vector_f32_le"]

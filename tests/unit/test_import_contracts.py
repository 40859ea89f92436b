"""The import contracts of libraries name every module that may not import them."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "search_service": ROOT / "search_service",
    "embedder_service": ROOT / "embedder_service",
    "lookalike": ROOT / "protos" / "lookalike",
    "lookalike_client": ROOT / "client" / "lookalike_client",
}
# Who may import what; all others are named by the contract.
ALLOWED = {
    "torch": {"embedder_service.models", "embedder_service.runtimes"},
    "usearch": {"search_service.segments.building"},
    "redis": {
        "search_service.cluster.connection",
        "search_service.cluster.front",
        "search_service.cluster.log",
        "search_service.cluster.names",
        "search_service.ingest",
        "embedder_service.worker",
        "lookalike.serving.queue",
    },
    "numba": {"search_service.compiled"},
    "ray": {"search_service.cluster.actor", "search_service.cluster.placing"},
    "apsw": {
        "search_service.ingest.ledger",
        "search_service.store",
        "search_service.snapshots",
        "search_service.shard.metadata",
        "search_service.shard.opening",
        "search_service.shard.refusals",
        "search_service.shard.shard",
        "search_service.shard.writing",
    },
}


def _contracts() -> dict[str, set[str]]:
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = read["tool"]["importlinter"]["contracts"]
    return {
        library: set(contract["source_modules"])
        for contract in contracts
        if contract["type"] == "forbidden" and contract.get("allow_indirect_imports")
        for library in contract["forbidden_modules"]
        if " only " in contract["name"]
    }


def _modules() -> set[str]:
    return {
        ".".join((package, *path.relative_to(folder).with_suffix("").parts))
        for package, folder in FOLDERS.items()
        for path in folder.rglob("*.py")
        if path.stem != "__init__" and "v1" not in path.parts
    }


def _within(module: str, packages: set[str]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in packages)


@pytest.mark.parametrize("library", ALLOWED)
def test_what_may_not_import_a_library_is_named_by_its_contract(library: str) -> None:
    named = _contracts()[library]
    others = {module for module in _modules() if not _within(module, ALLOWED[library])}

    assert {module for module in others if not _within(module, named)} == set()
    assert not {allowed for allowed in ALLOWED[library] if _within(allowed, named)}

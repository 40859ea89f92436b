"""The asyncio and the blocking client say the same."""

import inspect
import re
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest

import lookalike_client
from lookalike_client import (
    AsyncClient,
    AsyncCollections,
    AsyncSnapshots,
    Client,
    Collections,
    Snapshots,
)

PACKAGE = Path(lookalike_client.__file__).parent
PAIRS = [(AsyncClient, Client), (AsyncCollections, Collections), (AsyncSnapshots, Snapshots)]
# The longest passage that may stand in both halves by hand.
MOST_LINES = 11


def signatures(kind: type) -> dict[str, list[tuple[str, Any, Any, str]]]:
    """Names, kinds, defaults and annotations of what is public, without Async."""
    found: dict[str, list[tuple[str, Any, Any, str]]] = {}
    for name, member in inspect.getmembers(kind, inspect.isfunction):
        if name.startswith("_") and name != "__init__":
            continue
        signature = inspect.signature(member)
        found[name] = [
            (each.name, each.kind, each.default, blocking(each.annotation))
            for each in signature.parameters.values()
        ]
        found[name].append(("return", None, None, blocking(signature.return_annotation)))
    return found


def blocking(annotation: object) -> str:
    text = re.sub(r"\bAsync(?=[A-Z])", "", str(annotation))
    return text.replace("tasks.", "threads.").replace("grpc.aio.", "grpc.")


@pytest.mark.parametrize(("asyncio_kind", "blocking_kind"), PAIRS)
def test_both_halves_have_the_same_methods(asyncio_kind: type, blocking_kind: type) -> None:
    assert signatures(blocking_kind)
    assert signatures(asyncio_kind) == signatures(blocking_kind)


def test_what_is_written_by_hand_for_both_is_short() -> None:
    tasks, threads = (
        re.sub(r"\b(async|await) ", "", path.read_text()).splitlines()
        for path in (PACKAGE / "concurrency" / "tasks.py", PACKAGE / "concurrency" / "threads.py")
    )
    matcher = SequenceMatcher(None, tasks, threads, autojunk=False)
    longest = max(matcher.get_matching_blocks(), key=lambda block: block.size)

    assert longest.size <= MOST_LINES, "\n".join(tasks[longest.a : longest.a + longest.size])

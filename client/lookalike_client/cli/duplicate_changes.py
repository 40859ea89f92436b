"""What `lookalike duplicates` does with groups: decisions, metadata, deletions, files."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import click

from lookalike_client import Client
from lookalike_client.types import (
    DuplicateDecision,
    DuplicateGroup,
    DuplicateMember,
    DuplicateVerdict,
    Metadata,
)

# Pairs of ids: the one that is kept, and one that is taken as a duplicate of it.
Accepted: TypeAlias = Collection[tuple[str, str]]

_DECISION_COLUMNS = ("id", "other_id", "verdict")
_GROUP_COLUMNS = ("group", "keep", "id", "kind", "score", "agreement", "width_px", "height_px")
_MORE_COLUMNS = ("size_bytes", "sharpness", "format", "reviewed", "kept", "mirrored")
_LAST_COLUMNS = ("turned_degrees", "reasons")
_PER_CALL = 1_000


def accepted(
    groups: Iterable[DuplicateGroup], kinds: Collection[str], above: float | None
) -> Accepted:
    """Return the pairs that are of given kinds, or whose cosine is at least `above`.

    Where neither of a pair is the representative, what both are to that counts.
    """
    found: set[tuple[str, str]] = set()
    for group in groups:
        keeper = group.members[0]
        for member in group.members[1:]:
            related = [each for each in (keeper, member) if each.kind is not None]
            by_kind = bool(kinds) and all(each.kind in kinds for each in related)
            by_score = above is not None and all(each.score >= above for each in related)
            if by_kind or by_score:
                found.add((keeper.id, member.id))
    return found


def leaving(group: DuplicateGroup, accepted: Accepted) -> list[str]:
    """Return the ids of a group that are reviewed as duplicates and not decided to be kept."""
    keeper, *others = group.members
    return [each.id for each in others if _may_go(each, keeper, accepted)]


def decisions_of(groups: Iterable[DuplicateGroup], accepted: Accepted) -> list[DuplicateDecision]:
    """Return the decisions that make what was accepted known to later searches."""
    return [
        DuplicateDecision(group.members[0].id, DuplicateVerdict.DUPLICATE, member.id)
        for group in groups
        for member in group.members[1:]
        if (group.members[0].id, member.id) in accepted
    ]


def merge_metadata(
    client: Client,
    collection: str,
    groups: Sequence[DuplicateGroup],
    gone: Sequence[Sequence[str]],
) -> int:
    """Give each keeper the fields that it lacks and that those that go have, the oldest first.

    Return how many keepers were changed.
    """
    changed = 0
    wanted = [(group.members[0].id, ids) for group, ids in zip(groups, gone, strict=True) if ids]
    for start in range(0, len(wanted), _PER_CALL // 10):
        some = wanted[start : start + _PER_CALL // 10]
        named = [id for keeper, ids in some for id in (keeper, *ids)]
        held = {item.id: item.metadata for item in client.get(collection, named).items}
        updates: dict[str, Metadata] = {}
        for keeper, ids in some:
            own = held.get(keeper)
            if own is None:
                continue
            filled: dict[str, object] = {}
            for id in ids:
                filled = {**held.get(id, {}), **filled}
            lacking = {key: value for key, value in filled.items() if key not in own}
            if lacking:
                updates[keeper] = lacking  # type: ignore[assignment]
        results = client.update_metadata(collection, updates, merge=True) if updates else []
        changed += sum(result.error is None for result in results)
    return changed


def delete(client: Client, collection: str, ids: Sequence[str]) -> int:
    """Delete items from the index; return how many were."""
    results = client.delete(collection, ids)
    failed = [result for result in results if result.error is not None]
    if failed:
        raise click.ClickException(f"{len(failed):,} items were not deleted: {failed[0].error}")
    return len(results)


def read_decisions(path: Path) -> list[DuplicateDecision]:
    """Read a CSV file of decisions; `other_id` is empty for those on one item."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            lacking = [name for name in _DECISION_COLUMNS if name not in (rows.fieldnames or ())]
            if lacking:
                raise click.UsageError(
                    f"{path} has no column {lacking[0]}: its first line must name "
                    f"{', '.join(_DECISION_COLUMNS)}"
                )
            return [_decision(row, path, rows.line_num) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error


def write_groups(path: Path, groups: Iterable[DuplicateGroup]) -> None:
    """Write a row a member."""
    columns = (*_GROUP_COLUMNS, *_MORE_COLUMNS, *_LAST_COLUMNS)
    rows: list[Sequence[object]] = [columns]
    for number, group in enumerate(groups, start=1):
        for place, each in enumerate(group.members):
            facts = [getattr(each, name) for name in columns[5:-1]]
            reasons = " ".join(group.reasons) if place == 0 else ""
            first = (number, int(place == 0), each.id, each.kind or "", each.score)
            rows.append((*first, *facts, reasons))
    _write(path, rows)


def write_decisions(path: Path, decisions: Iterable[DuplicateDecision]) -> None:
    """Write a row a pair; `alike` is 1 or 0, as calibration takes it."""
    rows: list[Sequence[object]] = [(*_DECISION_COLUMNS, "alike")]
    for each in decisions:
        if each.other_id:
            alike = int(each.verdict is DuplicateVerdict.DUPLICATE)
            rows.append((each.id, each.other_id, each.verdict, alike))
    _write(path, rows)


def write_list(path: Path, ids: Iterable[str]) -> None:
    """Write ids, one a line."""
    try:
        path.write_text("".join(f"{id}\n" for id in ids), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error


def _may_go(member: DuplicateMember, keeper: DuplicateMember, accepted: Accepted) -> bool:
    return not member.kept and (member.reviewed or (keeper.id, member.id) in accepted)


def _decision(row: dict[str, str], path: Path, line: int) -> DuplicateDecision:
    try:
        verdict = DuplicateVerdict((row["verdict"] or "").strip().casefold())
    except ValueError as error:
        known = ", ".join(each.value for each in DuplicateVerdict)
        raise click.UsageError(
            f"{path}, line {line}: {row['verdict']!r} is no verdict; take one of {known}"
        ) from error
    return DuplicateDecision(row["id"] or "", verdict, row["other_id"] or "")


def _write(path: Path, rows: Iterable[Sequence[object]]) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error

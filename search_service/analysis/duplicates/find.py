"""Duplicates of a collection: groups of one picture each, and stacks of related ones.

Options: `threshold`, the least cosine; `kinds`, numbers of those that make groups;
`since_version`, 0 or the version after which an item is new: groups without a new item
are left out; `decisions`, a list of (id, other id or "", verdict); `time_path`, that of
the capture time or None; `burst_s`; `turned`, whether copies that are turned or mirrored
are looked for.

Parts: `groups`, pages of them in the order of their oldest members; `stacks`, pages; at
last `summary`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from search_service.analysis.checkpoint import Checkpoint
from search_service.analysis.duplicates.candidates import NearPairs, Neighbourhoods
from search_service.analysis.duplicates.greys import Sketches
from search_service.analysis.duplicates.grouping import (
    Adjacency,
    chained,
    components,
    stars,
    unique_pairs,
)
from search_service.analysis.duplicates.keeping import suggest
from search_service.analysis.duplicates.kinds import Kind, PairKinds
from search_service.analysis.duplicates.links import Links, decisions_of
from search_service.analysis.duplicates.pages import MEMBERS_LISTED, pages
from search_service.analysis.duplicates.stacks import StackKind, bursts, by_name, time_s
from search_service.analysis.duplicates.turned_candidates import TurnedSketches
from search_service.analysis.duplicates.turns import turn_of
from search_service.analysis.facts import PictureFacts, picture_facts
from search_service.analysis.gallery import Gallery, read_gallery
from search_service.analysis.jobs import AnalysisJob, Progress
from search_service.domain.arrays import I64, Flags

# Copies are looked for so far below the threshold, since they are verified: of copies of
# product photographs that were cropped, made small, re-coloured and compressed all at once 98 %
# come within .5 of a threshold of .95 (one false match in a hundred), 68 % within .3.
BELOW_THRESHOLD = 0.5
# Of what a checkpoint holds: to be raised with any change of how pairs are found or compared.
_FORM = 1

Report = Callable[[Progress], None]


def find_duplicates(job: AnalysisJob, report: Report) -> Iterator[Mapping[str, Any]]:
    """Yield the groups of a collection.

    Raises:
        OSError: the disk is full.
    """
    gallery = read_gallery(job, report)
    with closing(Checkpoint(job.kept_path, _key(job, gallery))) as kept:
        yield from _Search(job, gallery, picture_facts(gallery.facts), report, kept).parts()
        kept.end()


def _key(job: AnalysisJob, gallery: Gallery) -> str:
    """Return what names the pairs of items in this state, looked for in this way."""
    copies = int(Kind.COPY) in job.options["kinds"]
    turned = int(job.options["turned"])
    asked = f"{_FORM} {job.uid} {job.options['threshold']!r} {copies} {turned}"
    digest = hashlib.blake2b(asked.encode(), digest_size=16)
    for numbers in (gallery.ordinals, gallery.versions):
        digest.update(np.ascontiguousarray(numbers).data)
    return digest.hexdigest()


class _Search:
    """One run over a gallery."""

    def __init__(
        self,
        job: AnalysisJob,
        gallery: Gallery,
        facts: PictureFacts,
        report: Report,
        kept: Checkpoint,
    ) -> None:
        self._options = job.options
        self._gallery = gallery
        self._facts = facts
        self._report = report
        self._chosen = frozenset(Kind(each) for each in job.options["kinds"])
        self._decisions = decisions_of(job.options["decisions"], gallery.ids)
        copies = Kind.COPY in self._chosen and any(facts.greys)
        sketches = Sketches(facts.greys, job.threads, report) if copies else None
        self._neighbourhoods = Neighbourhoods(job, gallery, sketches, kept)
        turned = copies and job.options["turned"]
        self._turned = TurnedSketches(facts.greys, job.threads, kept, report) if turned else None
        self._kinds = PairKinds(facts, job.threads, kept, self._turned)
        identical = unique_pairs([chained(facts.files), chained(facts.pictures)])
        self._classes = _class_names(*identical, len(gallery))
        self._links = Links(
            gallery.vectors,
            self._classes,
            facts.files,
            self._kinds,
            job.options["threshold"],
            self._chosen,
            self._decisions,
        )
        self._near: list[tuple[I64, I64]] = []
        self._cut = 0
        self._pairs_with: dict[int, list[tuple[int, int]]] = {}
        for pair in self._decisions.duplicates:
            self._pairs_with.setdefault(pair[0], []).append(pair)

    def parts(self) -> Iterator[Mapping[str, Any]]:
        fresh = self._gallery.versions > self._options["since_version"]
        linked = self._linked(fresh)
        stacked = [(kind, rows) for kind, rows in by_name(self._gallery.ids)]
        first, second = self._without(linked, stacked)
        groups = self._groups(first, second, fresh)
        counts = {"groups": 0, "members": 0}
        for page in pages(groups):
            counts["groups"] += len(page)
            counts["members"] += sum(len(group["members"]) for group in page)
            yield {"groups": page}
        stacks = [*stacked, *self._bursts()]
        stacks = [each for each in stacks if fresh[each[1]].any()]
        for page in pages(
            {"kind": kind, "ids": [self._gallery.ids[row] for row in rows]} for kind, rows in stacks
        ):
            yield {"stacks": page}
        yield {
            "summary": {
                **counts,
                "stacks": len(stacks),
                "items": len(self._gallery),
                "newest_version": int(self._gallery.versions.max(initial=0)),
                "threshold": self._options["threshold"],
                "without_pictures": sum(not each for each in self._facts.greys),
                "cut": self._cut,
            }
        }

    def _linked(self, fresh: Flags) -> list[tuple[I64, I64]]:
        """Return the pairs of rows that are linked: of the new items and all behind them."""
        identical = [
            pairs
            for kind, pairs in (
                (Kind.BYTE_IDENTICAL, chained(self._facts.files)),
                (Kind.PIXEL_IDENTICAL, chained(self._facts.pictures)),
            )
            if kind in self._chosen
        ]
        decided = np.array(sorted(self._decisions.duplicates), dtype=np.int64).reshape(-1, 2)
        linked = [*identical, (decided[:, 0], decided[:, 1])]
        done = np.zeros(len(self._gallery), dtype=np.bool_)
        frontier = np.unique(self._classes[fresh])
        while len(frontier):
            done[frontier] = True
            pairs = self._compared(frontier)
            linked.append(pairs)
            reached = np.unique(self._classes[np.concatenate(pairs)])
            frontier = reached[~done[reached]]
        return linked

    def _compared(self, rows: I64) -> tuple[I64, I64]:
        threshold = self._options["threshold"]
        floor = threshold - BELOW_THRESHOLD
        found = self._neighbourhoods.pairs_of(rows, threshold, floor, self._report)
        self._cut += found.cut
        linked = [self._noted(found, as_they_are=True)]
        if self._turned is not None:
            pairs = self._turned.pairs_of(rows, self._report)
            more = found.others(pairs, self._gallery.vectors)
            linked.append(self._noted(more, as_they_are=False))
        first, second = (np.concatenate([pairs[at] for pairs in linked]) for at in (0, 1))
        return first, second

    def _noted(self, found: NearPairs, *, as_they_are: bool) -> tuple[I64, I64]:
        """Note what pairs are, and return those that are linked."""
        told = self._kinds.of_pairs(
            found.first,
            found.second,
            found.scores,
            self._options["threshold"],
            self._report,
            as_they_are=as_they_are,
        )
        near = told.kinds == Kind.SIMILAR
        self._near.append((found.first[near], found.second[near]))
        linked = self._links.note(found, told)
        return found.first[linked], found.second[linked]

    def _without(
        self, linked: Sequence[tuple[I64, I64]], stacked: Sequence[tuple[StackKind, Sequence[int]]]
    ) -> tuple[I64, I64]:
        """Return the links that neither a decision nor a stack forbids."""
        first, second = unique_pairs(linked)
        keep = np.ones(len(first), dtype=np.bool_)
        if self._decisions.ignored:
            ignored = np.array(sorted(self._decisions.ignored))
            keep &= ~np.isin(first, ignored) & ~np.isin(second, ignored)
        stack_of = np.full(len(self._gallery), -1)
        for number, (_, rows) in enumerate(stacked):
            stack_of[rows] = number
        keep &= (stack_of[first] != stack_of[second]) | (stack_of[first] < 0)
        if self._decisions.different:
            different = self._decisions.different
            pairs = zip(first.tolist(), second.tolist(), strict=True)
            keep &= np.array([pair not in different for pair in pairs], dtype=np.bool_)
        return first[keep], second[keep]

    def _groups(self, first: I64, second: I64, fresh: Flags) -> Iterator[dict[str, Any]]:
        adjacency = Adjacency(first, second, len(self._gallery))
        for members in components(first, second, len(self._gallery)):
            if not fresh[members].any():
                continue
            for representative, others in stars(members, adjacency, self._links.linked):
                if fresh[representative] or fresh[others].any():
                    yield self._described(representative, others)

    def _described(self, representative: int, others: I64) -> dict[str, Any]:
        rows = sorted([representative, *others.tolist()])
        kept = suggest(
            rows,
            self._facts,
            [len(self._gallery.metadata[row]) for row in rows],
            self._decisions.kept,
        )
        relations = dict(
            zip(others.tolist(), self._links.relations(representative, others), strict=True)
        )
        within = set(rows)
        reviewed = {
            row for pair in self._decided_with(rows) if within.issuperset(pair) for row in pair
        }
        members = []
        listed = [kept.row, *(row for row in rows if row != kept.row)][:MEMBERS_LISTED]
        for row in listed:
            relation = relations.get(row)
            turn = turn_of(0 if relation is None else relation.way)
            members.append(
                {
                    "id": self._gallery.ids[row],
                    "kind": 0 if relation is None else int(relation.kind),
                    "score": 1.0 if relation is None else relation.score,
                    "agreement": 1.0 if relation is None else relation.agreement,
                    "width_px": int(self._facts.width_px[row]),
                    "height_px": int(self._facts.height_px[row]),
                    "size_bytes": int(self._facts.size_bytes[row]),
                    "sharpness": float(self._facts.sharpness[row]),
                    "format": self._facts.formats[row],
                    "reviewed": row in reviewed,
                    "kept": row in self._decisions.kept,
                    "mirrored": turn.mirrored,
                    "turned_degrees": turn.degrees,
                }
            )
        return {
            "representative_id": self._gallery.ids[representative],
            "reasons": list(kept.reasons),
            "members": members,
            "left_out": len(rows) - len(listed),
        }

    def _decided_with(self, rows: Sequence[int]) -> Iterator[tuple[int, int]]:
        for row in rows:
            yield from self._pairs_with.get(row, ())

    def _bursts(self) -> Iterator[tuple[StackKind, list[int]]]:
        path = self._options["time_path"]
        if path is None or not self._near:
            return
        times = np.array([time_s(value) for value in self._gallery.values(tuple(path))])
        first, second = unique_pairs(self._near)
        for rows in bursts(first, second, times, self._options["burst_s"]):
            yield StackKind.BURST, rows


def _class_names(first: I64, second: I64, rows: int) -> I64:
    """Return for each row the first one that shows the same picture, int64 [rows]."""
    names = np.arange(rows)
    for group in components(first, second, rows):
        names[group] = group[0]
    return names
